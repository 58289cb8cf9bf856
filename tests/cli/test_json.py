"""``--json``: one document on standard output and nothing else there, of the commands that act as of those that show."""
import os

from cli_case import Case
from executioner.cli import COMMANDS, load_action, load_command
from killing import wait_for_file

#: A page, what `run` starts itself, and a script of SQL.
WITHOUT = {"serve", "after", "db export"}


def test_every_command_has_it() -> None:
    without = set()
    for name, _ in COMMANDS:
        spec, _ = load_command(name)
        specs = {"%s %s" % (name, action): load_action(name, spec, action)[0] for action, _ in spec.actions}
        without |= {full for full, one in (specs or {name: spec}).items()
                    if not any(option.key == "json" for option in one.options)}
    assert without == WITHOUT


def test_acts(case: Case) -> None:
    case.jobs({"id": "a", "command": "exit 3"}, {"id": "b", "command": "true", "dependencies": ["a"]})
    case.run("run", "config.json").expect(1)
    assert case.run("hold", "app", "b", "--because", "disk", "--json").expect(err="").json() == {
        "application": "app", "jobs": ["b"], "held": True, "why": "disk"}
    assert case.run("release", "app", "b", "--json").expect(err="").json() == {
        "application": "app", "jobs": ["b"], "held": False, "why": ""}
    assert case.run("mark-success", "last", "a", "--because", "by hand", "--json").expect(err="").json() == {
        "run_id": 1, "jobs": ["a"], "why": "by hand"}
    ended = case.run("cancel", "last", "--json").expect(err="").json()
    assert ended == case.run("runs", "--json").json()[0] and ended["status"] == "FAILED"
    assert case.run("report", "last", "-o", "page.html", "--json").expect(err="").json() == {
        "run_id": 1, "path": case.path("page.html")}


def test_cancel_of_a_run_that_goes_on(case: Case) -> None:
    case.jobs({"id": "a", "command": "touch started; exec sleep 60"})
    with case.background("run", "config.json"):
        wait_for_file(case, "started")
        told = case.run("cancel", "last", "--json").expect(err="").json()
    assert (told["run_id"], told["status"], told["exit_code"]) == (1, "CANCELLED", 143)


def test_the_history_itself(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    kept = case.path("kept.db")
    assert case.run("db", "backup", "kept.db", "--json").expect(err="").json() == {
        "path": kept, "bytes": os.path.getsize(kept)}
    history = os.path.join(case.home, "history.db")
    told = case.run("db", "migrate", "--dry-run", "--json").expect(err="").json()
    assert (told["path"], told["steps"], told["dry_run"], told["backup"]) == (history, [], True, None)
    assert case.run("db", "recover", "--json").expect(err="").json() == {"rebuilt": [], "runs": []}
    told = case.run("db", "restore", "kept.db", "--json").expect(err="").json()
    assert (told["path"], told["from"]) == (history, kept) and os.path.exists(told["kept"])
    told = case.run("db", "recover", "--rebuild", "--json").expect(err="").json()
    assert told["runs"] == [] and "nothing to rebuild" in told["rebuilt"][0]
