"""``validate``: every problem of a configuration, with line and column."""
from executioner.console import Console
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_OK, EXIT_USAGE

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "CONFIG...", 1, None,
    (Option("--param", "a value of a parameter of the files; repeatable", "NAME=VALUE"),
     Option("-q --quiet", "say nothing where all is well"),
     Option("--json", "a JSON list of the problems on standard output")),
    "Finds every problem of each configuration in one pass; starts nothing and writes nothing.\n"
    "Exit 0 where all can be run (warnings may remain), else 2.",
    (("executioner validate pipeline.json", "for people and editors: FILE:LINE:COLUMN: what is wrong"),
     ("executioner validate --json *.json", "for programs")))


def execute(arguments: Arguments, console: Console) -> int:
    """Validate files."""
    from config.pipeline import validate_file

    params = None
    if arguments.flag("param"):
        from executioner.loading import parameters_of
        params = parameters_of(arguments.many("param"))
    problems = []
    good = []
    for path in arguments.operands:
        result = validate_file(path, console.environ, arguments.many("feature"), params=params)
        problems += result.problems
        if result.ok:
            good.append(path)
    is_ok = len(good) == len(arguments.operands)
    if arguments.flag("json"):
        from executioner.render import json_lines
        for line in json_lines(problem.to_dict() for problem in problems):
            console.out.line(line)
    else:
        for problem in problems:
            console.out.line(str(problem))
        if not arguments.flag("quiet"):
            for path in good:
                console.out.line("%s: valid" % path)
    return EXIT_OK if is_ok else EXIT_USAGE
