"""Where the home is, where nobody names one."""
import os
from typing import Mapping

from jobs.exceptions import ConfigurationError

__all__ = ["default_home"]


def default_home(environ: Mapping[str, str]) -> str:
    """The home where nobody names one: /var/lib/executioner for root, else the XDG state folder.

    :raises ConfigurationError: where the user has no home folder either
    """
    if os.geteuid() == 0:
        return "/var/lib/executioner"
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # the XDG rule: a relative path is to be ignored
        user_home = environ.get("HOME") or os.path.expanduser("~")
        if not os.path.isabs(user_home):
            raise ConfigurationError("no home folder: neither HOME nor EXECUTIONER_HOME is set",
                                     context={"hint": "name one with --home"})
        state = os.path.join(user_home, ".local", "state")
    return os.path.join(state, "executioner")
