"""``token``, ``report`` and the words of ``serve``."""
import os
import stat

from cli_case import Case


def test_a_token_is_shown_once(case: Case) -> None:
    made = case.run("token", "create", "grafana").expect(
        err="shown only this once; send it as: Authorization: Bearer TOKEN\n")
    secret = made.raw_out.decode().strip()
    assert secret.startswith("exr_") and len(secret) == 68
    with open(os.path.join(case.home, "tokens.json")) as kept:
        assert secret not in kept.read()
    case.run("token", "create", "grafana").expect(2, out="", err="""
        executioner: there is a token grafana already; revoke it first, or take another name
        """)
    assert case.run("token", "create", "al", "--role", "operate", "--json").json()["role"] == "operate"
    case.run("token", "list").expect(out="""
        NAME     ROLE     CREATED
        grafana  read     TIME
        al       operate  TIME
        """)
    case.run("token", "revoke", "al").expect(out="token al opens nothing any more\n")
    assert [token["name"] for token in case.run("token", "list", "--json").json()] == ["grafana"]


def test_mistakes(case: Case) -> None:
    case.run("token", "mke", "x").expect(2, out="", err="executioner: token: expected create, list or revoke, found mke\n")
    case.run("token", "create", "x", "--role", "root").expect(
        2, out="", err='executioner: token role: expected read or operate, found "root"\n')
    case.run("token", "revoke", "x").expect(2, out="", err="executioner: there is no token x\n")
    case.run("serve", "--listen", "8765x").expect(2, out="", err=(
        'executioner: --listen: expected HOST:PORT such as 127.0.0.1:8765 or [::1]:8765, found "8765x"\n'))
    case.run("serve", "--tls-cert", "c.pem").expect(2, out="", err="executioner: --tls-cert and --tls-key go together\n")
    case.jobs({"id": "a", "command": "true"}).run("run", "config.json", "--serve", "x").expect(2, out="", err=(
        'executioner: --serve: expected HOST:PORT such as 127.0.0.1:8765 or [::1]:8765, found "x"\n'))


def test_a_report_stands_by_itself(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo the end of it >&2; echo $DB_PASSWORD; exit 3"},
              env_variables={"DB_PASSWORD": "hunter2hunter2"})
    os.chmod(case.path("config.json"), 0o600)
    case.run("run", "config.json", "--quiet", env={}).expect(1)
    case.run("report", "last", "-o", "run.html").expect(out="", err="")
    with open(case.path("run.html"), encoding="utf-8") as page:
        text = page.read()
    assert stat.S_IMODE(os.stat(case.path("run.html")).st_mode) == 0o644
    assert "the end of it" in text and "hunter2" not in text
    assert 'src="' not in text and "@import" not in text and "import {" not in text
    case.run("report", "last").expect(2, out="", err="""
        executioner: report: -o FILE.html is missing
          hint: executioner report last -o run.html
        """)
