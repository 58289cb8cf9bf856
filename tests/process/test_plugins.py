"""Checks of plugins: every form that one may have, and whatever one may do wrong hurts nothing else."""
import json
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from config.pipeline import load_pipeline, validate_file
from jobs.checks.child import snake_case
from jobs.checks.result import CheckContext, CheckResult
from jobs.checks.runner import run_check
from jobs.models import Check, Plugin

ENVIRON = {"PATH": os.environ["PATH"], "WHERE": "there"}

FORMS = '''
class CustomPlugin:
    def __init__(self, params=None):
        self.params = params or {}

    def check(self):
        print("checking", self.params)
        return self.params.get("a") == 1

PLUGIN_CLASS = CustomPlugin

class WithKeywords:
    def __init__(self, a, b=2):
        self.sum = a + b
    def check(self):
        return self.sum == 3, "the sum is %d" % self.sum

class AskedWithParams:
    name = "by_attribute"
    def check(self, params):
        return params["a"] == 1

class AskedWithKeywords(object):
    def check(self, **params):
        return sorted(params) == ["a", "b"]

class TakesBoth:
    def __init__(self, a):
        self.a = a
    def check(self, b):
        return self.a < b

class Static:
    @staticmethod
    def check():
        return True

class Inherits(WithKeywords):
    pass

def check_function(a, b=5):
    return a == 1 and b == 5

def check_whole(params):
    return params == {"a": 1}

def check_any(**kw):
    return kw == {"a": 1}, "any"

def check_nothing():
    return (True, "nothing to take")
'''


def ask(folder: Path, text: str, check: str, plugin: str = "site", **params: Any) -> CheckResult:
    path = folder / (plugin + ".py")
    path.write_text(text, encoding="utf-8")
    answer = run_check(Check(check, dict(params), Plugin(plugin, str(path))), CheckContext(str(folder), dict(os.environ)))
    assert answer.name == check
    answer.reason = answer.reason.replace(" (plugin site)", "")
    return answer


@pytest.mark.parametrize("check, params, passed, reason", [
    ("site", {"a": 1}, True, "it gave back True"),
    ("check_site", {"a": 2}, False, "it gave back False"),
    ("CustomPlugin", {"a": 1}, True, "it gave back True"),
    ("with_keywords", {"a": 1}, True, "the sum is 3"),
    ("check_with_keywords", {"a": 1, "b": 9}, False, "the sum is 10"),
    ("WithKeywords", {}, False, 'it needs the parameter "a"'),
    ("WithKeywords", {"a": 1, "c": 1}, False, 'it takes no parameter "c"'),
    ("by_attribute", {"a": 1}, True, "it gave back True"),
    ("asked_with_params", {"a": 1}, True, "it gave back True"),
    ("asked_with_keywords", {"a": 1, "b": 1}, True, "it gave back True"),
    ("takes_both", {"a": 1, "b": 2}, True, "it gave back True"),
    ("static", {}, True, "it gave back True"),
    ("inherits", {"a": 1}, True, "the sum is 3"),
    ("check_function", {"a": 1}, True, "it gave back True"),
    ("check_function", {"b": 1}, False, 'it needs the parameter "a"'),
    ("check_whole", {"a": 1}, True, "it gave back True"),
    ("check_any", {"a": 1}, True, "any"),
    ("check_nothing", {}, True, "nothing to take"),
    ("check_nothing", {"a": 1}, False, 'it takes no parameter "a"'),
])
def test_forms(tmp_path: Path, check: str, params: Dict[str, Any], passed: bool, reason: str) -> None:
    assert ask(tmp_path, FORMS, check, **params) == CheckResult(check, passed, reason)


RESOLVER = '''
class DependencyResolver:
    _resolvers = {}
    @classmethod
    def register(cls, name):
        def keep(function):
            cls._resolvers[name] = function
            return function
        return keep

@DependencyResolver.register("registered")
def _hidden(a):
    return a == 1
'''


def test_a_table_of_the_plugins_own(tmp_path: Path) -> None:
    assert ask(tmp_path, RESOLVER, "registered", a=1).passed


@pytest.mark.parametrize("body, reason", [
    ("raise ValueError('no table')", "the plugin raised ValueError: no table (site.py, line 2)"),
    ("raise KeyboardInterrupt()", "the plugin raised KeyboardInterrupt:  (site.py, line 2)"),
    ("import sys; sys.exit(3)", "the plugin called sys.exit(3) instead of answering"),
    ("import os; os._exit(0)", "it ended without an answer (exit code 0)"),
    ("import os; os._exit(9)", "it ended without an answer (exit code 9)"),
    ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
    ("import os; os.closerange(0, 100); return True", "it ended without an answer (exit code 1)"),
    ("return 'maybe'", "the plugin gave back 'maybe', which is neither true nor false nor (true or false, message)"),
    ("return None", "the plugin gave back None, which is neither true nor false nor (true or false, message)"),
    ("return 1", "the plugin gave back 1, which is neither true nor false nor (true or false, message)"),
    ("return (True, 5)", "the plugin gave back (True, 5), which is neither true nor false nor (true or false, message)"),
    ("import no_such_module", "the plugin raised ModuleNotFoundError: No module named 'no_such_module' (site.py, line 2)"),
    ("return site()", "the plugin raised RecursionError: "),
])
def test_whatever_a_plugin_does_wrong_fails_its_check(tmp_path: Path, body: str, reason: str) -> None:
    answer = ask(tmp_path, "def site():\n    %s\n" % body, "site")
    assert not answer.passed
    assert answer.reason == reason or body == "return site()" and answer.reason.startswith(reason), answer.reason


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.checks import apart
    monkeypatch.setattr(apart.run_apart, "__defaults__", (1.5, False))
    text = ("import subprocess, time\ndef site():\n    p = subprocess.Popen(['sleep', '300'])\n"
            "    open('pid', 'w').write(str(p.pid))\n    time.sleep(300)\n")
    assert ask(tmp_path, text, "site").reason == "did not end within 1.5 s"
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
    while os.path.exists("/proc/%d" % pid) and b"\nState:\tZ" not in Path("/proc/%d/status" % pid).read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_plugin_prints_and_leaves_is_nobodys(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:  # type: ignore[type-arg]
    text = ("import os, sys, atexit\natexit.register(print, 'bye')\ndef site():\n    print('noise' * 100000)\n    sys.stderr.write('more')\n"
            "    os.system('echo x; echo y >&2')\n    return True\n")
    assert ask(tmp_path, text, "site").passed
    assert capfd.readouterr() == ("", "")
    assert sorted(os.listdir(str(tmp_path))) == ["site.py"]


def test_a_plugin_finds_its_neighbours_and_no_modules_in_the_jobs_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "json.py").write_text("raise SystemExit(5)")
    (tmp_path / "work" / "marshal.py").write_text("raise SystemExit(5)")
    (tmp_path / "helper.py").write_text("WORD = 'there'")
    path = tmp_path / "site.py"
    path.write_text("import json, os, helper\ndef site():\n    return os.environ['WHERE'] == helper.WORD, os.getcwd()\n")
    answer = run_check(Check("site", {}, Plugin("site", str(path))), CheckContext(str(tmp_path / "work"), ENVIRON))
    assert answer == CheckResult("site", True, str(tmp_path / "work"))


def test_small_letters() -> None:
    assert [snake_case(name) for name in ("TableIsFilled", "HTTPCheck", "check_x", "A", "MyDB2Check", "Plain_Name")] == [
        "table_is_filled", "http_check", "check_x", "a", "my_db2_check", "plain_name"]


# What a file may say

Configure = Callable[..., List[str]]


@pytest.fixture
def problems(tmp_path: Path) -> Configure:
    """Problems of a file with these plugins and post-checks."""
    def run(plugins: List[Any], *checks: str, **top: Any) -> List[str]:
        top.update(dependency_plugins=plugins, jobs=[
            {"id": "a", "command": "true", "post_checks": [{"name": name} for name in checks]}])
        (tmp_path / "c.json").write_text(json.dumps(top), encoding="utf-8")
        return [str(one).split(": ", 1)[1].replace(str(tmp_path), "DIR")
                for one in validate_file(str(tmp_path / "c.json"), ENVIRON).problems]
    return run


def test_where_a_plugin_is_looked_for(tmp_path: Path, problems: Configure) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "work").mkdir()
    for name in ("here.py", "plugins/inner.py", "there/other.py", "work/near.py"):
        (tmp_path / name).write_text("def check_it(): return True\ndef %s(): return True\n" % os.path.basename(name)[:-3])
    good: List[Any] = ["here", "here.py", "./here.py", str(tmp_path / "here.py"), "inner", "plugins/inner", "${WHERE}/other.py",
                       {"name": "here"}, {"name": "check_it", "path": "here.py"}, {"name": "other", "path": "${WHERE}/other.py"}]
    for entry in good:
        assert problems([entry], "check_it") == [], entry
    assert problems(["near", "here"], "near", "here", working_dir="work") == []
    assert problems(["heer"], "zebra") == ['error E160 dependency_plugins[0]: there is no file "heer"; it is looked for in DIR']
    assert problems([{"name": "x", "path": "plugins"}]) == [
        'error E160 dependency_plugins[0].path: there is no file "plugins"; it is looked for in DIR']
    assert problems(["here", {"name": "here", "path": "here.py"}]) == [
        'error E160 dependency_plugins[1]: the plugin "here" stands in the list already, at [0]']


def test_which_checks_there_are(tmp_path: Path, problems: Configure) -> None:
    (tmp_path / "site.py").write_text(FORMS)
    names = ["site", "check_site", "CustomPlugin", "with_keywords", "check_with_keywords", "by_attribute", "inherits", "check_any"]
    assert problems(["site"], *names) == []
    assert problems(["site"], "check_functoin") == [
        'error E140 jobs[0].post_checks[0].name: there is no check "check_functoin"; did you mean "check_function"?']
    unknown, = problems(["site"], "zebra")
    assert 'there is no check "zebra"; there are: check_command, ' in unknown and "check_function, check_inherits" in unknown
    (tmp_path / "table.py").write_text(RESOLVER)
    assert problems(["table"], "registered", "whatever") == []
    assert problems([{"name": "nope", "path": "site.py"}], "nope") == []  # its PLUGIN_CLASS
    assert problems([{"name": "function", "path": "site.py"}], "function", "check_function") == []
    assert ask(tmp_path, FORMS, "nothing", "nothing").reason.startswith("nothing to take")
    (tmp_path / "two.py").write_text("class OneCheck:\n    def check(self): return True\nclass Other:\n    def check(self): return True\n")
    assert problems(["two"], "one_check") == []
    assert problems([{"name": "OtherCheck", "path": "two.py"}]) == [
        'error E160 dependency_plugins[0]: "DIR/two.py" has no class or function "OtherCheck"; did you mean "OneCheck"?']
    (tmp_path / "builtin.py").write_text("def check_file_exists(path): return True\ndef check_x(): return True\n")
    assert problems(["builtin"]) == ["warning W107 dependency_plugins[0]: its function check_file_exists has no effect beside the "
                                     "check that is built in"]


@pytest.mark.parametrize("data, message", [
    (b"def check(:\n", "is no Python that can be run here: "),
    (b"def check_x():\n  return 1\n return 2\n", "is no Python that can be run here: unindent"),
    (b"return 5\n", "is no Python that can be run here: 'return' outside function"),
    (b"x = '\xff'\n", "is no Python that can be run here: "),
    (b"x = 1\0\n", "is no Python that can be run here: "),
    (b"", "has neither a function nor a class with check()"),
    (b"import os\nX = 5\nclass Y: pass\n", "has neither a function nor a class with check()"),
    (b"#" * (5 << 20), "is no file of at most 4 MiB"),
], ids=repr)
def test_broken_files_are_found_before_anything_runs(tmp_path: Path, problems: Configure, data: bytes, message: str) -> None:
    (tmp_path / "bad.py").write_bytes(data)
    found, = problems(["bad"], "check_unknown" if "neither" not in message else "check_file_exists") if b"check" in data else \
        problems(["bad"])
    assert found.startswith('error E160 dependency_plugins[0]: "DIR/bad.py" ' + message), found


def test_a_plugin_is_not_run_to_be_validated(tmp_path: Path, problems: Configure, capfd: pytest.CaptureFixture) -> None:  # type: ignore[type-arg]
    (tmp_path / "site.py").write_text("import os\nos.mkdir('ran')\nx = '\\d'\ndef check_x(): return True\n")
    assert problems(["site"], "check_x") == []
    assert not (tmp_path / "ran").exists() and not os.path.exists("ran") and capfd.readouterr() == ("", "")


def test_the_pipeline_knows_where_each_check_is(tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(FORMS)
    (tmp_path / "c.json").write_text(json.dumps({"dependency_plugins": ["site"], "jobs": [{"id": "a", "command": "true", "pre_checks": [
        {"name": "check_function", "params": {"a": 1, "b": ["${WHERE}", {"c": "${WHERE}"}], "_why": 1}},
        {"name": "check_file_exists", "params": {"path": "x"}}]}]}))
    pipeline = load_pipeline(str(tmp_path / "c.json"), ENVIRON).pipeline
    assert pipeline is not None
    first, second = pipeline.jobs[0].pre_checks
    assert first.plugin == Plugin("site", str(tmp_path / "site.py")) and second.plugin is None
    assert first.params == {"a": 1, "b": ["there", {"c": "there"}]}
