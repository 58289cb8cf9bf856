"""What a check is given, and what it answers."""
import os
from dataclasses import dataclass, field
from typing import Dict

__all__ = ["CONDITION", "PRODUCTS", "UP_TO_DATE", "CheckContext", "CheckResult"]

#: The name under which the condition of a job (``run_if``) is asked like a check.
CONDITION = "run_if"
#: The same of whether a job is up to date, and of whether it has made its products. No plugin can have such names.
UP_TO_DATE = "inputs and products"
PRODUCTS = "its products"


@dataclass(eq=False, repr=False)
class CheckContext:
    """Where a check runs: the job's folder and its variables, and after the job what its attempt wrote."""

    working_dir: str
    environment: Dict[str, str] = field(default_factory=dict)
    #: Files of the attempt's output; "" = there is none yet.
    stdout_path: str = ""
    stderr_path: str = ""

    def path(self, text: str) -> str:
        """A path as the job sees it: relative ones begin at its working folder."""
        return os.path.join(self.working_dir, text)


@dataclass
class CheckResult:
    """The answer of one check; ``reason`` says in one line what was found."""

    name: str
    passed: bool
    reason: str = ""
    #: False: nobody knows, since it could not be asked or did not answer.
    is_known: bool = True
