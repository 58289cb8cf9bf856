"""Who is at the command line, for what is recorded of an act."""
import os
from typing import Mapping

__all__ = ["who_am_i"]


def who_am_i(environ: Mapping[str, str]) -> str:
    """``alice@host``; behind sudo the person, not root."""
    import pwd

    name = environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    if not name:
        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            name = str(os.geteuid())
    return "%s@%s" % (name, os.uname().nodename)
