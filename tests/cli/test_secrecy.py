"""Secret values are in no byte that we write and in no answer that we give; only the job's own output has them."""
import base64
import os
import time
from typing import Dict, Iterator, List, Tuple
from urllib.parse import quote, quote_plus

from api_case import ApiCase
from cli_case import Case

BY_NAME = "pa ss/w+rd&97x=="
LISTED = "postgres://u:qwe-rty%5@db/x"
PARAMETER = "given-on-the-line-8"
SECRETS = (BY_NAME, LISTED, PARAMETER)
PRINTS = ("printf '%s\\n' \"$DB_PASSWORD\" \"$DATABASE_URL\" \"$EXECUTIONER_PARAM_dsn\" >&2; "
          "printf '%s' \"$DB_PASSWORD\" | base64 >&2; printf 'x%s' \"$DATABASE_URL\" | base64 -w0; exit 3")


def forms(secret: str) -> List[bytes]:
    """What must not be found: the value as it is, as base64 and in addresses."""
    raw = secret.encode()
    texts = [secret, quote(secret), quote(secret, safe=""), quote_plus(secret)]
    # The last characters of base64 depend on what follows.
    encoded = [base64.b64encode(raw)[:len(raw) * 8 // 6], base64.b64encode(b"x" + raw)[2:(1 + len(raw)) * 8 // 6]]
    return [text.encode() for text in texts] + encoded


def assert_clean(where: str, data: bytes) -> None:
    """Nothing of the secrets is in the data."""
    for secret in SECRETS:
        for form in forms(secret):
            assert form not in data, "%s holds %r: %r" % (where, form, data[max(0, data.find(form) - 200):][:400])


def written(folder: str) -> Iterator[Tuple[str, bytes]]:
    """Every file below a folder but the outputs of jobs."""
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            if not name.endswith((".out", ".err")) and os.path.isfile(path):
                with open(path, "rb") as stream:
                    yield path, stream.read()


def wait_for(path: str) -> bytes:
    """The content of a file, once something is in it."""
    end = time.monotonic() + 60
    while not os.path.exists(path) or not os.path.getsize(path):
        assert time.monotonic() < end, "%s never came" % path
        time.sleep(0.02)
    with open(path, "rb") as stream:
        return stream.read()


def test_no_byte_and_no_answer_has_a_secret(case: Case) -> None:
    api = ApiCase(case.folder, environ={"PATH": os.environ["PATH"]})
    try:
        case.file("a.env", "DB_PASSWORD='%s'\nDATABASE_URL='%s'\n" % (BY_NAME, LISTED))
        case.jobs({"id": "a", "command": PRINTS, "max_retries": 1, "retry_delay": 0, "runbook": "see " + LISTED},
                  {"id": "b", "command": "true", "dependencies": ["a"]},
                  {"id": "c", "command": "true", "run_if": {"env": "DATABASE_URL", "equals": LISTED}},
                  secrets=["DATABASE_URL", "dsn"], parameters={"dsn": {}}, defaults={"env_file": "a.env"},
                  continue_on_error=True, notifications=[{"on": "failure", "to": "command:cat > got.tmp; mv got.tmp got"}])
        os.chmod(case.path("config.json"), 0o600)
        said: Dict[str, bytes] = {}
        for words in (("validate", "config.json"), ("plan", "config.json"), ("run", "config.json", "--debug", "--param",
                      "dsn=" + PARAMETER), ("show", "1"), ("show", "1", "--json"), ("why", "1", "a"), ("runs", "--json"),
                      ("report", "1", "-o", "r.html"), ("run", "config.json", "--dry-run", "--param", "dsn=" + PARAMETER)):
            done = case.run(*words)
            said.setdefault(words[0], b"")
            said[words[0]] += done.raw_out + done.raw_err
            assert b"Traceback" not in done.raw_err
            assert_clean(" ".join(words[:2]), done.raw_out + done.raw_err)
        assert said["run"].count(b"| ***") == 4, said["run"]
        assert_clean("message", wait_for(case.path("got")))
        with open(case.path("r.html"), "rb") as page:
            for form in forms(BY_NAME) + forms(LISTED):  # what was given with --param, only the run itself knew
                assert form not in page.read()
        for path, data in written(case.home):
            assert_clean(path, data)
        with open(os.path.join(case.home, "logs", "1", "a.2.err"), "rb") as output:
            assert BY_NAME.encode() in output.read(), "the job's own output is its own"
        run = "/api/v1/runs/1"
        for address in ("/status", "/metrics", "/health", "/api/v1/applications", "/api/v1/runs", run, run + "/jobs",
                        run + "/jobs/a", run + "/attempts", run + "/graph", run + "/configuration", run + "/journal",
                        run + "/jobs/a/attempts/2/output/stderr", run + "/jobs/a/attempts/2/output/stdout"):
            reply = api.get(address)
            assert reply.status == 200, (address, reply)
            for form in forms(BY_NAME) + forms(LISTED):
                assert form not in reply.body, address
    finally:
        api.close()


def test_a_file_that_needs_a_parameter_is_masked_without_it(case: Case) -> None:
    api = ApiCase(case.folder, environ={})
    try:
        case.jobs({"id": "a", "command": "echo $DB_PASSWORD; exit 3"}, env_variables={"DB_PASSWORD": BY_NAME},
                  parameters={"mode": {"required": True}})
        os.chmod(case.path("config.json"), 0o600)
        case.run("run", "config.json", "--param", "mode=x", "--quiet").expect(1)
        body = api.get("/api/v1/runs/1/jobs/a/attempts/1/output/stdout").body
        assert b"***" in body and BY_NAME.encode() not in body
        shown = case.run("logs", "1", "a").raw_out
        assert b"***" in shown and BY_NAME.encode() not in shown
    finally:
        api.close()


def test_a_secret_in_a_command_line(case: Case) -> None:
    case.jobs({"id": "a", "command": ["echo", "-p" + PARAMETER]}, {"id": "b", "command": "echo " + PARAMETER},
              {"id": "c", "command": "echo $MY_TOKEN"}, env_variables={"MY_TOKEN": PARAMETER})
    os.chmod(case.path("config.json"), 0o600)
    problems = case.run("validate", "config.json", "--json").json()
    assert [(one["code"], one["path"]) for one in problems] == [
        ("W172", "jobs[0].command[1]"), ("W172", "jobs[1].command")]
    assert PARAMETER not in str(problems)


def test_an_env_file_is_read_anew_by_a_resume(case: Case) -> None:
    case.file("a.env", "X=1\nMY_TOKEN=first-token\n")
    case.jobs({"id": "a", "command": "echo $X $MY_TOKEN; test $X = 2", "env_file": "a.env"})
    os.chmod(case.path("config.json"), 0o600)
    case.run("run", "config.json", "--quiet").expect(1)
    case.file("a.env", "X=2\nMY_TOKEN=other-token\n")
    case.run("run", "config.json", "--resume", "last", "--quiet").expect(0)
    assert case.run("logs", "2", "a").raw_out.split()[-2:] == [b"2", b"***"]
    os.remove(case.path("a.env"))
    gone = case.run("run", "config.json").expect(2)
    assert "E170 jobs[0].env_file" in gone.err and "No such file" in gone.err
