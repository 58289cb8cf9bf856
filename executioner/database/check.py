"""``db check``: whether the history is whole, read from end to end."""
from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_INTERNAL, EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "[FILE]", 0, 1, (Option("--json", "a JSON list of what is wrong, on standard output"),),
    "Reads every page of the history (or of a backup), compares every index and every reference, and what must agree\n"
    "besides: jobs of a run that has ended have ended, attempts are all there, a SUCCESS holds no failure. Runs may\n"
    "go on meanwhile. Exit 0 where it is whole, 3 where it is not. Changes nothing.",
    (("executioner db check", "the history of the home"),
     ("executioner db check /backup/history.db", "a backup")))


def execute(arguments: Arguments, console: Console) -> int:
    """Check the history."""
    from db.upkeep import check
    from executioner.render import count_text, json_text

    path = arguments.operands[0] if arguments.operands else existing_home(arguments, console).history
    problems = check(path, arguments.flag("allow_network_fs"))
    if arguments.flag("json"):
        console.out.line(json_text(problems))
    elif problems:
        for problem in problems:
            console.out.line(problem)
        console.err.line("executioner: %s: %s found" % (path, count_text(len(problems), "problem")))
        console.err.line("  hint: restore a backup (`executioner db restore FILE`); where there is none, a damaged "
                         "file is rebuilt by `executioner db recover --rebuild`")
    else:
        console.out.line("%s is whole" % path)
    return EXIT_INTERNAL if problems else EXIT_OK
