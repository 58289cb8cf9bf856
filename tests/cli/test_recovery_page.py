"""``docs/recovery.md``: every command that it names exists, with its options, its keys and its words."""
import os
import re
from typing import List

from executioner.cli import load_action, load_command
from executioner.options import Arguments, parse_command

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def page() -> str:
    with open(os.path.join(ROOT, "docs", "recovery.md"), encoding="utf-8") as stream:
        return stream.read()


def commands() -> List[List[str]]:
    """The words after ``executioner`` of every command on the page, without what explains it."""
    found = re.findall(r"`executioner ([^`]+)`", page())
    found += [re.split(r" {3,}", line)[0] for line in re.findall(r"^executioner (.+)$", page(), re.MULTILINE)]
    return [re.sub(r'"[^"]*"|\$\([^)]*\)', "TEXT", line).split() for line in found]


def test_every_command_can_be_typed() -> None:
    assert len(commands()) > 15
    for words in commands():
        spec, _ = load_command(words[0])
        name, rest = words[0], words[1:]
        if spec.actions:
            spec, _ = load_action(name, spec, rest[0])
            name, rest = "%s %s" % (name, rest[0]), rest[1:]
        parse_command(name, spec, rest, Arguments())


def test_every_key_is_known() -> None:
    with open(os.path.join(ROOT, "config", "schema.py"), encoding="utf-8") as stream:
        table = stream.read()
    for key in ("on_runner_death", "on_orphan", "rerun_if_lost"):
        assert "`%s" % key in page() or '"%s"' % key in page()
        assert '"%s"' % key in table


def test_the_page_says_what_the_code_says() -> None:
    from jobs import engine
    from jobs.ballast import BALLAST_BYTES
    from jobs.models import Job

    assert engine.STORAGE_PATIENCE_S == 600 and "ten minutes with nothing running" in page()
    assert BALLAST_BYTES == 262144 and "`ballast`" in page()
    assert Job("a", "true").timeout_s == 3 * 3600 and "three hours" in page()
