"""``schema``: the JSON Schema of the configuration, for editors."""
from executioner.console import Console
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0, (Option("--json", "the same: the schema is JSON"),),
    "Prints the JSON Schema of the configuration, from the same table that validates it.",
    (("executioner schema > executioner.schema.json", 'then "$schema": "./executioner.schema.json" in the file'),))


def execute(arguments: Arguments, console: Console) -> int:
    """Print the schema."""
    from config.json_schema import json_schema
    from executioner.render import json_text

    console.out.line(json_text(json_schema()))
    return EXIT_OK
