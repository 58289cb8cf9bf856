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
    """How a person calls this program with this home.

    :param history: where the history is, where that may be elsewhere
    """
    from shlex import quote
    name = os.path.basename(sys.argv[0])
    command = "executioner" if name == "executioner" else \
        quote(sys.argv[0]) if name.endswith(".pyz") else "python3 -m executioner"
    if home.source != "default":
        command = "%s --home %s" % (command, quote(home.path))
    elsewhere = bool(history) and history != home.own_history
    return "EXECUTIONER_HISTORY=%s %s" % (quote(history), command) if elsewhere else command
