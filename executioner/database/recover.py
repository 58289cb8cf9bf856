"""``db recover``: closes the runs of dead runners; with ``--rebuild`` makes a new history from what is left of one."""
from typing import TYPE_CHECKING, Callable, List

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import JSON, Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_OK, EXIT_SIGNAL, DatabaseError

if TYPE_CHECKING:
    from executioner.acting import Actor
    from executioner.home import Home

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0, (Option("--rebuild", "where the history is damaged or gone: build a new one from what is left"),
               JSON),
    "Closes every run whose runner died: waits for its jobs that still run, imports what its keeper recorded, and\n"
    "says LOST of what nobody knows. Runs that are alive are left alone. May be stopped and given again any time.\n\n"
    "With --rebuild a history that is damaged or gone is made anew from the rows that can still be read, the keepers'\n"
    "records, the log and the folders of output. The damaged file is kept beside it. Refused while anything runs.",
    (("executioner db recover", "after a reboot, for all applications at once"),
     ("executioner db recover --rebuild", "where there is no backup to restore")))


def execute(arguments: Arguments, console: Console) -> int:
    """Recover."""
    home = existing_home(arguments, console)
    allow_network_fs = arguments.flag("allow_network_fs")
    told: List[str] = []
    if arguments.flag("rebuild"):
        told = _rebuild(home, allow_network_fs)
        for line in told if not arguments.flag("json") else ():
            console.out.line(line)
        console.out.flush()
    return _settle(arguments, console, told)


def _rebuild(home: "Home", allow_network_fs: bool) -> List[str]:
    from db.rebuild import rebuild
    from db.upkeep import check, living_runs
    from executioner.database.traces import traces_of

    try:
        problems = check(home.history, allow_network_fs)
        if not problems:
            return ["%s is whole; nothing to rebuild" % home.history]
    except DatabaseError as error:
        if error.context.get("cause") not in ("missing", "malformed", "not_a_database", "cannot_open", "io_error"):
            raise
    return rebuild(home.history, traces_of(home), living_runs(home.records, home.locks), allow_network_fs).lines()


def _waiting(actor: "Actor", console: Console, run_id: int) -> Callable[[float], bool]:
    """Waits for the jobs of a dead run; says so the first time."""
    told: List[int] = []

    def wait(seconds: float) -> bool:
        if not told:
            told.append(run_id)
            console.err.line("executioner: jobs of run %d still run: waiting for them; "
                             "`executioner cancel %d` stops them" % (run_id, run_id))
        return actor.wait(seconds)

    return wait


def _settle(arguments: Arguments, console: Console, rebuilt: List[str]) -> int:
    from db.truth import is_runner_alive, settle
    from executioner.acting import Actor

    def tell(line: str) -> None:
        if not arguments.flag("json"):
            console.out.line(line)

    with Actor(arguments, console) as actor:
        found = actor.history.open_runs()
        for run in found:
            wait = _waiting(actor, console, run.run_id)
            if is_runner_alive(run):
                tell("run %d of %s: its runner is alive" % (run.run_id, run.application))
            elif settle(actor.history, run, wait):
                closed = actor.history.run(run.run_id, with_jobs=False)
                tell("run %d of %s: %s" % (run.run_id, run.application,
                                           closed.status if closed is not None else "gone"))
            elif actor.stopped_by is not None:
                console.err.line("executioner: run %d is not closed yet; not waited for any longer" % run.run_id)
                return EXIT_SIGNAL + actor.stopped_by
        if not found:
            tell("every run is closed")
        if arguments.flag("json"):
            from executioner.render import json_text, run_fields
            runs = [actor.history.run(run.run_id, with_jobs=False) for run in found]
            console.out.line(json_text({"rebuilt": rebuilt, "runs": [run_fields(run) for run in runs if run]}))
    return EXIT_OK
