"""From a file to a pipeline: defaults, overrides, retry rules, paths, secrets, and what a file of the earlier kind gives."""
# ruff: noqa: E501  (tables of cases stay readable)
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

import pytest

from config.builder import application_name, processors
from config.pipeline import Overrides, load_pipeline, validate_file
from jobs.models import Check, Dependency, Job, Pipeline

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}

Load = Callable[..., Pipeline]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a file and make a pipeline of it; nothing may be wrong with it."""
    def run(value: object, overrides: Optional[Overrides] = None, environ: Optional[Mapping[str, str]] = None,
            name: str = "c.json") -> Pipeline:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        result = load_pipeline(str(path), ENVIRON if environ is None else environ, overrides)
        assert result.pipeline is not None, "\n".join(map(str, result.problems))
        return result.pipeline
    return run


def with_job(job: Dict[str, Any], **top: Any) -> Dict[str, Any]:
    """A file with one job."""
    return dict(top, jobs=[dict({"id": "a", "command": "true"}, **job)])


def test_what_holds_where_nothing_is_said(load: Load, tmp_path: Path) -> None:
    pipeline = load({"jobs": [{"id": "a", "command": ""}]})
    expected = Job(id="a", command="", working_dir=str(tmp_path))
    assert pipeline.jobs == [expected]
    assert (pipeline.application, pipeline.parallel, pipeline.max_workers, pipeline.continue_on_error) == (
        "c", False, 1, False)
    assert (pipeline.working_dir, pipeline.log_dir, pipeline.database_path) == (str(tmp_path), "", "")
    assert (pipeline.run_timeout_s, pipeline.overlap, pipeline.allow_shell) == (None, "fail", True)
    assert pipeline.environment == ENVIRON and pipeline.secret_values == ()
    assert pipeline.config_path == str(tmp_path / "c.json")
    assert pipeline.config_text == '{"jobs": [{"id": "a", "command": ""}]}'
    assert pipeline.config_hash == hashlib.sha256(pipeline.config_text.encode()).hexdigest()
    assert pipeline.features["strict_validation"] is True


def test_every_key_arrives(load: Load, tmp_path: Path) -> None:
    (tmp_path / "work" / "sub").mkdir(parents=True)
    pipeline = load({
        "application_name": "app", "name": "other", "working_dir": "work", "log_dir": "logs", "parallel": True,
        "max_workers": 3, "continue_on_error": True, "run_timeout": "2h", "overlap": "wait", "allow_shell": True,
        "database": {"path": "x.db"}, "env_variables": {"V": "v"}, "inherit_shell_env": ["HOME"], "jobs": [{
            "id": "a", "command": ["true", "x"], "description": "d", "dependencies": ["b", {"job": "c", "when": "done"}],
            "join": "any", "timeout": "1m", "total_timeout": 90, "stop_signal": "SIGINT", "stop_grace": 0,
            "env_variables": {"J": "${V}1"}, "working_dir": "${V2}sub", "stdin": "~/${J}",
            "success_exit_codes": [0, 3.0], "allow_failure": True, "priority": -5, "tags": ["x", "y"],
            "pre_checks": [{"name": "check_file_exists", "params": {"path": "${J}/*", "_": "comment"}}],
            "post_checks": [{"name": "check_no_ora_errors", "params": {"log_file": "~/log"}}]},
            {"id": "b", "command": "true", "stdin": {"text": "yes\n"}}, {"id": "c", "command": "true", "join": "all"}]},
        Overrides(env={"V2": ""}))
    work = str(tmp_path / "work")
    assert (pipeline.application, pipeline.working_dir, pipeline.log_dir) == ("app", work, work + "/logs")
    assert (pipeline.parallel, pipeline.max_workers, pipeline.continue_on_error) == (True, 3, True)
    assert (pipeline.run_timeout_s, pipeline.overlap, pipeline.database_path) == (7200.0, "wait", work + "/x.db")
    assert pipeline.environment == {"HOME": "/root", "V": "v", "V2": ""}
    job = pipeline.jobs[0]
    assert job.command == ("true", "x") and job.description == "d"
    assert job.dependencies == (Dependency("b"), Dependency("c", "done")) and job.join == 1
    assert (job.timeout_s, job.total_timeout_s, job.stop_signal, job.stop_grace_s) == (60.0, 90.0, signal.SIGINT, 0.0)
    assert job.environment == {"J": "v1"}
    assert (job.working_dir, job.stdin_path, job.stdin_text) == (work + "/sub", "/root/v1", None)
    assert (job.success_exit_codes, job.allow_failure, job.priority, job.tags) == (
        frozenset((0, 3)), True, -5, ("x", "y"))
    assert job.pre_checks == (Check("check_file_exists", {"path": "v1/*"}),)
    assert job.post_checks == (Check("check_no_ora_errors", {"log_file": "/root/log"}),)
    assert (pipeline.jobs[1].stdin_path, pipeline.jobs[1].stdin_text) == ("", "yes\n")
    assert pipeline.jobs[2].join is None


def test_defaults_lie_between_the_file_and_the_job(load: Load) -> None:
    pipeline = load({
        "default_timeout": 100, "default_max_retries": 1, "default_retry_delay": "2m", "default_retry_backoff": 2,
        "default_retry_jitter": 0, "default_max_retry_time": 0, "default_retry_on_exit_codes": [7],
        "defaults": {"max_retries": 2, "tags": ["t"], "command": "false", "env_variables": {"D": "1"}},
        "jobs": [{"id": "a"}, {"id": "b", "max_retries": 3, "tags": [], "command": "true", "timeout": 5,
                               "env_variables": {"E": "2"}}]})
    first, second = pipeline.jobs
    assert (first.timeout_s, first.retry.max_retries, first.tags, first.command) == (100.0, 2, ("t",), "false")
    assert (first.retry.delays_s, first.retry.backoff, first.retry.jitter, first.retry.max_retry_time_s) == (
        (120.0,), 2.0, 0.0, 0.0)
    assert first.retry.on_exit_codes == {7} and first.environment == {"D": "1"}
    assert (second.timeout_s, second.retry.max_retries, second.tags, second.command) == (5.0, 3, (), "true")
    assert second.environment == {"E": "2"}


ALL = {"ERROR", "FAILED", "TIMEOUT"}


@pytest.mark.parametrize("job, defaults, statuses, codes, never", [
    ({}, {}, ALL, {1}, {126, 127}),
    ({"retry_on_exit_codes": [5]}, {}, ALL - {"FAILED"}, {5}, {126, 127}),
    ({}, {"retry_on_exit_codes": [5]}, ALL - {"FAILED"}, {5}, {126, 127}),
    ({"retry_on_exit_codes": [5], "retry_on_status": ["FAILED"]}, {}, {"FAILED"}, {5}, {126, 127}),
    ({"retry_on_exit_codes": [5]}, {"retry_on_status": ["FAILED"]}, {"FAILED"}, {5}, {126, 127}),
    ({"retry_on_status": []}, {}, set(), {1}, {126, 127}),
    ({"retry_on_exit_codes": [127]}, {}, ALL - {"FAILED"}, {127}, {126}),
    ({"never_retry_on_exit_codes": []}, {}, ALL, {1}, set()),
    ({"never_retry_on_exit_codes": [1], "retry_on_exit_codes": [1]}, {}, ALL - {"FAILED"}, {1}, {1}),
    ({"retry_delay": ["1s", 2, 3.5]}, {}, ALL, {1}, {126, 127}),
])
def test_when_an_attempt_is_tried_again(load: Load, job: Dict[str, Any], defaults: Dict[str, Any], statuses: Any,
                                        codes: Any, never: Any) -> None:
    policy = load(with_job(job, defaults=defaults)).jobs[0].retry
    assert (policy.on_status, policy.on_exit_codes, policy.never_on_exit_codes) == (statuses, codes, never)
    if "retry_delay" in job:
        assert policy.delays_s == (1.0, 2.0, 3.5)


@pytest.mark.parametrize("top, overrides, parallel, workers", [
    ({}, {}, False, 1),
    ({"max_workers": 4}, {}, False, 1),
    ({"parallel": True}, {}, True, processors()),
    ({"parallel": True, "max_workers": 4}, {}, True, 4),
    ({"parallel": True, "max_workers": 4}, {"sequential": True}, False, 1),
    ({"max_workers": 4}, {"parallel": True}, True, 4),
    ({}, {"parallel": True}, True, processors()),
    ({}, {"workers": 7}, True, 7),
    ({"parallel": True, "max_workers": 4}, {"workers": 1}, False, 1),
    ({"parallel": True}, {"workers": 9}, True, 9),
])
def test_how_many_run_at_once(load: Load, top: Dict[str, Any], overrides: Dict[str, Any], parallel: bool,
                              workers: int) -> None:
    pipeline = load(with_job({}, **top), Overrides(**overrides))
    assert (pipeline.parallel, pipeline.max_workers) == (parallel, workers)


def test_what_the_command_line_says(load: Load) -> None:
    pipeline = load(with_job({"env_variables": {"A": "job", "B": "${A}"}}, env_variables={"A": "file"}),
                    Overrides(continue_on_error=True, env={"A": "line ${HOME}"}))
    assert pipeline.continue_on_error is True
    assert pipeline.environment["A"] == "line ${HOME}"
    assert pipeline.jobs[0].environment == {"A": "line ${HOME}", "B": "line ${HOME}"}


@pytest.mark.parametrize("name, expected", [
    ("nightly.json", "nightly"), ("a.b.json", "a.b"), ("noending", "noending"), (".json", ".json"), ("a\nb.json", "a_b"),
])
def test_the_name_comes_from_the_file(load: Load, name: str, expected: str) -> None:
    assert load({"jobs": [{"id": "a", "command": ""}]}, name=name).application == expected
    assert application_name({"name": "n"}, "/x/" + name) == "n"


@pytest.mark.parametrize("database, expected", [
    ("sqlite:///x.db", "{0}/x.db"), ("sqlite:////var/x.db", "/var/x.db"), ({"type": "sqlite"}, ""),
    ({"path": "~/x.db"}, "/root/x.db"), ("sqlite", ""),
])
def test_where_the_database_is(load: Load, tmp_path: Path, database: Any, expected: str) -> None:
    assert load(with_job({}, database=database)).database_path == expected.format(tmp_path)


# Secrets

def test_secret_values_are_collected(load: Load) -> None:
    pipeline = load(
        {"env_variables": {"DB_PASSWORD": "pass-${SUFFIX}", "SUFFIX": "123456", "API_KEY": 12345678, "MONKEY": "banana-1",
                           "TOKEN": "short"},
         "smtp_password": "${SMTP_PW}", "inherit_shell_env": ["PATH", "CALLER_SECRET"],
         "defaults": {"env_variables": {"MY_CREDENTIALS": "from-defaults"}},
         "jobs": [{"id": "a", "command": "true", "env_variables": {"JOB_TOKEN": "from-the-job"}},
                  {"id": "b", "command": "true"}]},
        Overrides(env={"LINE_PASSWD": "from-the-line"}),
        {"PATH": "/usr/bin", "SMTP_PW": "mail-password", "CALLER_SECRET": "of-the-caller", "OTHER_SECRET": "unseen-one"})
    assert pipeline.secret_values == ("12345678", "from-defaults", "from-the-job", "from-the-line", "mail-password",
                                      "of-the-caller", "pass-123456")


def test_what_the_file_says_is_secret_though_the_command_line_wins(load: Load) -> None:
    pipeline = load(with_job({"command": "echo written-token", "env_variables": {"PASSWD": "written-passwd"}},
                             env_variables={"TOKEN": "written-token"}),
                    Overrides(env={"TOKEN": "given-token", "PASSWD": "given-passwd"}))
    assert pipeline.secret_values == ("given-passwd", "given-token", "written-passwd", "written-token")
    assert "written-" not in pipeline.config_text


def test_the_kept_text_has_no_secrets(load: Load) -> None:
    text = """{
      // the password is hunter2hunter2
      "env_variables": {"DB_PASSWORD": "hunter2hunter2", "PIN_TOKEN": "1234", "REF_SECRET": "${CALLER_SECRET}",
                        "QUOTED_SECRET": "a\\"b\\\\c\\u00e9d", "USER": "ops", "API_KEY": 987654321},
      "smtp_password": "smtpsmtp", "_smtp_password": "old-password", "working_dir": ".",
      "jobs": [{"id": "a", "command": "login --pw hunter2hunter2 a\\"b\\\\c\\u00e9d of-the-caller"}]}"""
    pipeline = load(text, None, {"PATH": "/usr/bin", "CALLER_SECRET": "of-the-caller"})
    kept = json.loads(pipeline.config_text)
    assert kept["env_variables"] == {"DB_PASSWORD": "***", "PIN_TOKEN": "***", "REF_SECRET": "${CALLER_SECRET}",
                                     "QUOTED_SECRET": "***", "USER": "ops", "API_KEY": "***"}
    assert kept["jobs"][0]["command"] == "login --pw *** *** ***"
    assert (kept["smtp_password"], kept["_smtp_password"], kept["working_dir"]) == ("***", "***", ".")
    for secret in ("hunter2", "1234", "987654321", "smtpsmtp", "old-password", "of-the-caller", "c\u00e9d", "c\\u00e9d"):
        assert secret not in pipeline.config_text
    assert pipeline.config_hash == hashlib.sha256(pipeline.config_text.encode()).hexdigest()
    assert pipeline.environment["QUOTED_SECRET"] == 'a"b\\c\u00e9d'


def test_a_secret_that_is_a_key_word_does_not_damage_the_file(load: Load) -> None:
    pipeline = load(with_job({"env_variables": {"TOKEN": "command"}}))
    assert json.loads(pipeline.config_text)["jobs"][0] == {
        "id": "a", "command": "true", "env_variables": {"TOKEN": "***"}}


def test_the_kept_text_is_the_file_where_there_are_no_secrets(load: Load) -> None:
    text = '// comment\n{"jobs": [{"id": "a", "command": "echo \\"x\\"",}]}\n'
    assert load(text, None, {"PATH": "/bin", "MY_TOKEN": "abcdefgh"}).config_text == text


# Size and speed

def wide_file(count: int) -> str:
    """Jobs with three dependencies each, in a shuffled order."""
    import random
    rnd = random.Random(1)
    jobs = [{"id": "j%d" % i, "command": "true",
             "dependencies": sorted({"j%d" % rnd.randrange(i) for _ in range(3)}) if i else []} for i in range(count)]
    rnd.shuffle(jobs)
    return json.dumps({"application_name": "wide", "parallel": True, "jobs": jobs}, indent=1)


def test_ten_thousand_jobs_are_quick_and_small(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "wide.json"
    path.write_text(wide_file(10000))
    times = []
    for _ in range(5):
        started = time.process_time()  # the machine may have other things to do
        assert validate_file(str(path), ENVIRON).problems == []
        times.append(time.process_time() - started)
    assert min(times) < 0.2, "validating took %.0f ms" % (1000 * min(times))
    pipeline = load(path.read_text())
    assert len({id(job.retry) for job in pipeline.jobs}) == 1
    assert len({id(job.environment) for job in pipeline.jobs}) == 1
    assert len({id(job.success_exit_codes) for job in pipeline.jobs}) == 1
    assert len({id(one) for job in pipeline.jobs for one in job.dependencies}) <= 10000


def test_validating_imports_little(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"parallel": true, "jobs": [{"id": "a", "command": "true", "dependencies": []}]}')
    code = ("import sys; sys.path.insert(0, %r); before = set(sys.modules)\n"
            "from config.pipeline import validate_file\n"
            "result = validate_file(%r)\nassert result.problems == [], result.problems\n"
            "print(' '.join(sorted(set(sys.modules) - before)))" % (str(ROOT), str(path)))
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, check=True)
    loaded = set(done.stdout.decode().split())
    assert "config.validator" in loaded
    assert not loaded & {"dataclasses", "inspect", "difflib", "jobs.models", "jobs.command", "config.positions",
                         "config.builder", "hashlib", "subprocess", "logging", "argparse"}, sorted(loaded)


# Files of the earlier kind

OLD_FILES: List[Dict[str, Any]] = [
    {"name": "old", "email_address": "a@example.com, b@example.com", "_smtp_server": "x", "_smtp_port": 587,
     "security_policy": "warn", "security_level": "medium", "command_whitelist": ["sh"], "workspace_paths": ["/srv"],
     "jobs": [{"id": "late", "description": "out of order", "command": "", "dependencies": ["early"], "timeout": 10},
              {"id": "early", "command": "echo ${C}", "env_variables": {"C": "${B}/c"}, "pre_checks": [],
               "post_checks": []}],
     "env_variables": {"A": "/a", "B": "${A}/b", "N": 5, "T": True}, "inherit_shell_env": "default"},
    {"application_name": "retry", "default_timeout": 10, "default_max_retries": 5, "default_retry_delay": 1,
     "default_retry_backoff": 1.0, "default_retry_jitter": 0.0, "default_max_retry_time": 60,
     "default_retry_on_exit_codes": [1], "parallel": False, "max_workers": 1, "allow_shell": True, "env_variables": {},
     "dependency_plugins": [], "email_on_success": False, "email_on_failure": True, "smtp_server": "mail",
     "smtp_port": 587, "smtp_user": "u", "smtp_password": "p",
     "jobs": [{"id": "always_fail", "command": "python -c 'import sys; sys.exit(1)'", "timeout": 5, "max_retries": 5,
               "retry_delay": 1, "retry_backoff": 1.0, "retry_jitter": 0.0, "max_retry_time": 60,
               "retry_on_status": ["FAILED", "ERROR", "TIMEOUT"], "retry_on_exit_codes": [1]},
              {"id": "other", "command": "true", "dependencies": ["always_fail"], "retry_on_status": [],
               "retry_on_exit_codes": [99],
               "post_checks": [{"name": "check_no_ora_or_sp2_errors", "params": {"log_file": "./logs/x_*.log"}}]}]},
]


@pytest.mark.parametrize("index", range(len(OLD_FILES)))
def test_files_of_the_earlier_executioner_run_unchanged(load: Load, index: int) -> None:
    pipeline = load(OLD_FILES[index])
    if index == 0:
        assert pipeline.application == "old"
        assert [job.id for job in pipeline.jobs] == ["late", "early"]
        assert pipeline.jobs[0].command == ""
        assert pipeline.environment["B"] == "/a/b" and pipeline.jobs[1].environment == {"C": "/a/b/c"}
        assert (pipeline.environment["N"], pipeline.environment["T"]) == ("5", "true")
    else:
        assert pipeline.jobs[1].retry.on_status == set() and pipeline.jobs[1].retry.on_exit_codes == {99}
        assert pipeline.jobs[0].retry.on_status == ALL


def test_a_file_with_errors_gives_no_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"jobs": [{"id": "a", "command": "true", "timeout": -1}]}')
    result = load_pipeline(str(path), ENVIRON)
    assert result.pipeline is None and [problem.code for problem in result.problems] == ["E104"]
    assert load_pipeline(str(tmp_path), ENVIRON).pipeline is None
    assert load_pipeline(str(path), ENVIRON, feature_settings=["x=on"]).problems[0].code == "E143"
    path.write_text('{"jobs": [{"id": "a", "command": "true"}]}')
    result = load_pipeline(str(path), ENVIRON, feature_settings=["structured_logging=off"])
    assert result.pipeline is not None and result.pipeline.features["structured_logging"] is False
    assert result.features.sources["structured_logging"] == "--feature"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be endangered by a group")
def test_a_file_that_others_can_write_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"jobs": [{"id": "a", "command": "true"}]}')
    path.chmod(0o666)
    assert [problem.code for problem in load_pipeline(str(path), ENVIRON).problems] == ["E119"]
    assert load_pipeline(str(path), ENVIRON, Overrides(insecure_config=True)).problems == []
    result = validate_file(str(path), ENVIRON)
    assert result.ok and [problem.code for problem in result.problems] == ["W119"]
