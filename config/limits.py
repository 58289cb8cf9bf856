"""The keys about what a job may use and whom it runs as: kinds of their values, and what this machine allows."""
import re
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

from config.kinds import CONTROLS, Integer, Key, Kind, Schema, Table, Text
from config.problems import Path, Report, quoted, shown
from config.effective import effective, place
from config.upkeep import Size

if TYPE_CHECKING:
    from jobs.models import Owner

__all__ = ["LIMITS", "NO_LIMIT", "OUTPUT_LIMIT_BYTES", "RunAs", "SizeLimit", "Umask", "check_limits", "owner_of",
           "umask_of"]

_UMASK_PATTERN = "^0?[0-7]{1,3}$"
_UMASK = _UMASK_PATTERN.replace("$", r"\Z")
_MOST = 1 << 40
#: What an attempt may write to its standard streams where nobody says anything.
OUTPUT_LIMIT_BYTES = 1 << 30


#: What turns off a limit that holds by itself.
NO_LIMIT = "none"


class SizeLimit(Size):
    """A size of one byte or more.

    :param may_be_none: whether ``"none"`` is allowed: no limit at all
    """

    least = 1

    def __init__(self, may_be_none: bool = False) -> None:
        self.may_be_none = may_be_none
        self.what = 'a size or "none"' if may_be_none else "a size"

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that is no size, and what is out of bounds."""
        if self.may_be_none and value == NO_LIMIT:
            return
        if self.may_be_none and self.size_bytes(value) == 0:
            report.error(path, "E105", "must be a size from 1 byte to 1 EiB, got %s" % shown(value),
                         'for no limit write "none"')
        else:
            super().check_more(value, path, report)

    @classmethod
    def limit_bytes(cls, value: object) -> Optional[int]:
        """Bytes of a limit; None where there is none."""
        return None if value == NO_LIMIT else cls.size_bytes(value)

    def schema(self) -> Schema:
        """A number, or a text with a unit."""
        found = super().schema()
        options = found["anyOf"]
        assert isinstance(options, list)
        return {"anyOf": options + ([{"const": NO_LIMIT}] if self.may_be_none else [])}


LIMITS = Table("limits", (
    Key("cpu_seconds", Integer(1, 10 ** 9), None, "processor time of each of its processes, in seconds", new=True,
        default_text="the runner's own", example=3600),
    Key("memory", SizeLimit(), None, "memory of its whole tree; it is killed when it has more", new=True,
        default_text="no limit", example="2G"),
    Key("open_files", Integer(4, _MOST), None, "open files of each of its processes", new=True,
        default_text="the runner's own", example=1024),
    Key("file_size", Size(), None, "size of each file that it writes, its standard output too", new=True,
        default_text="the runner's own", example="10G"),
    Key("processes", Integer(1, _MOST), None, "processes and threads that its user may have in all", new=True,
        default_text="the runner's own", example=500),
    Key("nice", Integer(-20, 19), None, "niceness, added to the runner's own; below 0 is for root", new=True,
        default_text="0", example=10),
    Key("output", SizeLimit(may_be_none=True), OUTPUT_LIMIT_BYTES,
        "what an attempt may write to standard output and error together; it is stopped when it has written more, and "
        "so much is kept; \"none\" = as much as it likes", new=True),
))


class Umask(Kind):
    """Permissions that the files of a job do not get, in octal."""

    what = 'an octal number in quotes such as "027"'
    types = (str,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that is none."""
        if not re.match(_UMASK, str(value)):
            report.error(path, "E105", "must be %s, got %s" % (self.what, shown(value)))

    def schema(self) -> Schema:
        """A string of octal digits."""
        return {"type": "string", "pattern": _UMASK_PATTERN}


class RunAs(Text):
    """A user, or user and group: names or numbers."""

    def __init__(self) -> None:
        super().__init__(1, 255, one_line=True, what="a user, or user:group")

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is neither."""
        super().check_more(value, path, report)
        user, colon, group = str(value).partition(":")
        if value and (not user or colon and (not group or ":" in group)):
            report.error(path, "E105", "must be %s, got %s" % (self.what, shown(value)))

    def schema(self) -> Schema:
        """A string with at most one colon."""
        return dict(super().schema(), pattern="^[^:%s]+(:[^:%s]+)?$" % (CONTROLS, CONTROLS))


def umask_of(value: object) -> Optional[int]:
    """A umask as a file gives it; None where it gives none."""
    return None if value is None else int(str(value), 8)


def owner_of(text: str) -> "Optional[Owner]":
    """The user and groups that a name stands for.

    :returns: None where this machine has no such user or group
    """
    import grp
    import os
    import pwd

    from jobs.models import Owner
    name, _, group = text.partition(":")
    try:
        user = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        gid = user.pw_gid
        if group:
            gid = grp.getgrgid(int(group)).gr_gid if group.isdigit() else grp.getgrnam(group).gr_gid
        groups = os.getgrouplist(user.pw_name, gid)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return Owner(user.pw_name, user.pw_uid, gid, tuple(groups), user.pw_dir, user.pw_shell or "/bin/sh")


def check_limits(jobs: Sequence[Mapping[str, object]], defaults: Mapping[str, object], report: Report) -> None:
    """Report limits above what we may give, and users whom we may not become."""
    told: Dict[Tuple[str, str], List[str]] = {}
    for index, job in enumerate(jobs):
        for name, problems in (("limits", _limit_problems), ("run_as", _owner_problems)):
            value = effective(job, defaults, name)
            if value is None:
                continue
            path = place(job, name, ("jobs", index))
            key = (name, repr(value))
            if key not in told:
                told[key] = problems(value)
            elif name not in job:
                continue  # said once, of the defaults
            for problem in told[key]:
                report.error(path, "E161", problem)


def _limit_problems(value: object) -> List[str]:
    import os
    import resource

    from jobs.keeper.bounds import KERNEL_LIMITS
    if not isinstance(value, dict):
        return []
    problems = []
    for name, kernel_name in KERNEL_LIMITS:
        asked = Size.size_bytes(value[name]) if name in value else None
        number = getattr(resource, kernel_name, None)
        if asked is None or number is None:
            continue
        most = resource.getrlimit(number)[1]
        if 0 <= most < asked and os.geteuid() != 0:
            problems.append("%s: %d is more than this user may have here (%d)" % (name, asked, most))
    nice = value.get("nice")
    if isinstance(nice, (int, float)) and nice < 0 and os.geteuid() != 0:
        problems.append("nice: only root may ask for less than 0, got %d" % nice)
    if "memory" in value and not os.path.exists("/proc/self/statm"):
        problems.append("memory: this system does not tell how much memory a process has (no /proc)")
    return problems


def _owner_problems(value: object) -> List[str]:
    import os
    text = str(value)
    if owner_of(text) is None:
        return ["this machine has no such user or group: %s" % quoted(text)]
    if os.geteuid() != 0:
        return ["only root can run a job as another user, and this is uid %d" % os.geteuid()]
    return []
