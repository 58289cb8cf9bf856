"""How this very program is called again: by us, and by a person who reads a hint."""
import os
import sys
from typing import List

from executioner.home import Home

__all__ = ["own_words", "shown_command"]


def own_words() -> List[str]:
    """The words that start this program again, from any folder: the single file that holds us, or our package."""
    package = os.path.dirname(os.path.abspath(__file__))
    above = os.path.dirname(package)
    return [sys.executable, above if os.path.isfile(above) else package]


def shown_command(home: Home, history: str = "") -> str:
    """How a person calls this program with this home, from any folder.

    :param history: where the history is, where that may be elsewhere
    """
    from shlex import quote
    command = _typed()
    if home.source != "default":
        command = "%s --home %s" % (command, quote(home.path))
    elsewhere = bool(history) and history != home.own_history
    return "EXECUTIONER_HISTORY=%s %s" % (quote(history), command) if elsewhere else command


def _typed() -> str:
    """What a person types for this program: what it was started as, as it can be found from elsewhere."""
    from shlex import quote

    from jobs.command import program_on_path
    path = os.environ.get("PATH", os.defpath)
    started = sys.argv[0]
    if os.path.basename(started) == "executioner" and os.path.isfile(started):  # the command of an install
        found = program_on_path("executioner", path)
        return "executioner" if found and os.path.samefile(found, started) else quote(os.path.abspath(started))
    python, place = own_words()
    if os.path.isfile(place) and os.access(place, os.X_OK):
        return quote(place)
    found = program_on_path("python3", path)
    if found and (found == python or sys.prefix == sys.base_prefix and os.path.samefile(found, python)):
        python = "python3"
    return "%s %s" % (quote(python), quote(place))
