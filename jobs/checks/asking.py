"""From the checks of a job to those of one attempt of it: what was not known before is put in its place."""
import re
from typing import TYPE_CHECKING, Dict, List, Sequence

from jobs.checks.result import CONDITION, CheckContext
from jobs.models import Check
from jobs.placeholders import Lookup, expand_command, expand_text, expand_values

if TYPE_CHECKING:
    from typing import Match

__all__ = ["checks_of_attempt"]

#: Variables that only an attempt has.
_OURS = re.compile(r"\$\{(EXECUTIONER_[A-Za-z0-9_]+)\}")


def checks_of_attempt(checks: Sequence[Check], context: CheckContext, lookup: Lookup) -> List[Check]:
    """The checks with the attempt's own variables, and what other jobs told, in the places of their parameters.

    :param context: its environment gets the variables by which a shell sees what other jobs told
    :param lookup: what a placeholder stands for
    """
    if "${" not in repr([check.params for check in checks]):
        return list(checks)

    def ours(match: "Match[str]") -> str:
        return context.environment.get(match.group(1), match.group(0))

    def expand(text: str) -> str:
        return expand_text(_OURS.sub(ours, text), lookup) if "${" in text else text

    found = []
    for number, check in enumerate(checks, 1):
        params: Dict[str, object] = {}
        for name, value in check.params.items():
            if name == "command" and isinstance(value, str) and check.plugin is None:
                # A shell expands its own text, and takes what is in a variable for data.
                params[name], variables = expand_command(value, lookup, "EXECUTIONER_TOLD_%d_" % number)
                context.environment.update(variables)
            else:
                params[name] = expand_values(value, expand, "command" if check.name == CONDITION else "")
        found.append(Check(check.name, params, check.plugin))
    return found
