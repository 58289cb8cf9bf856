"""Secret values in command lines: whoever may list the processes of a machine reads them there."""
from typing import Dict, Mapping, Sequence, Tuple

from config.environment import Environment
from config.problems import Report
from config.effective import effective, place
from config.secrecy import secret_values

__all__ = ["check"]


def check(top: Mapping[str, object], jobs: Sequence[Mapping[str, object]], defaults: Dict[str, object],
          environment: Environment, environ: Mapping[str, str], working_dir: str, report: Report) -> None:
    """Warn of commands that hold the value of a secret.

    :param top: the keys of the file
    :param environ: the caller's environment
    :param working_dir: of the file, absolute
    """
    values = secret_values(dict(top, jobs=jobs), environment, environ, working_dir)
    if not values:
        return
    for index, job in enumerate(jobs):
        command = effective(job, defaults, "command")
        parts = command if isinstance(command, list) else [command]
        for number, text in enumerate(parts):
            if isinstance(text, str) and _holds(text, values):
                where = place(job, "command", ("jobs", index)) + ((number,) if isinstance(command, list) else ())
                report.warning(where, "W172", "a secret value stands in the command line, where every user of the "
                               "machine can read it (ps)", "let the program take it from its environment or a file")


def _holds(text: str, values: Tuple[str, ...]) -> bool:
    return any(value in text for value in values)
