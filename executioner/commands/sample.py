"""``sample``: a configuration to start from, with every key explained."""
from executioner.console import Console
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0, (Option("--json", "without the comments"),),
    "Prints a configuration to start from: every key with its default and a line of help. It validates as it is.",
    (("executioner sample > pipeline.json", "then edit it"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Print the sample."""
    from config.sample import sample

    text = sample()
    if arguments.flag("json"):
        from config.loader import load_text
        from executioner.render import json_text
        console.out.line(json_text(load_text(text).value))
    else:
        console.out.write(text if text.endswith("\n") else text + "\n")
    return EXIT_OK
