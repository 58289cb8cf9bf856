"""What a database server says, as one clear line: where, what is wrong, and what to do."""
import re
from typing import Dict, Tuple

from jobs.exceptions import DatabaseError

__all__ = ["LINE_BREAKS", "no_driver", "server_refusal"]

#: Drivers tell in several lines.
LINE_BREAKS = re.compile(r"\s*[\r\n]+\s*")
_WORDS: Dict[str, Tuple[str, str]] = {
    "unreachable": ("the server cannot be reached", ""),
    "refused": ("the server refuses the user", "check the user, the password and the server's rules of access"),
    "missing": ("the database is not there", "have it made, see docs/database.md"),
    "readonly": ("the right to do that is missing", "have it granted, see docs/database.md"),
    "locked": ("another session keeps it locked for too long", "try again later"),
    "disk_full": ("the server's disk is full", "free some space there"),
    "io_error": ("the server's disk refused", "look into the server's log"),
    "malformed": ("its tables are not as they should be", "run `executioner db migrate --central`"),
    "constraint": ("a rule of its tables was broken", ""),
    "value": ("a value is refused", ""),
}


def server_refusal(where: str, cause: str, found: str) -> DatabaseError:
    """The error of a cause, in words.

    :param found: what the server or its driver said
    """
    what, advice = _WORDS.get(cause, ("the server refused", ""))
    text = "%s: %s (%s)" % (where, what, " ".join(found.split()))
    return DatabaseError(text + ("; " + advice if advice else ""), context={"path": where, "cause": cause})


def no_driver(where: str, product: str, module: str, extra: str, error: Exception) -> DatabaseError:
    """The error where the driver is not installed."""
    return DatabaseError(
        "%s: %s needs the Python module %s, which this Python has not (%s); install it: pip install "
        "'executioner[%s]'" % (where, product, module, " ".join(str(error).split()), extra),
        context={"path": where, "cause": "driver"})
