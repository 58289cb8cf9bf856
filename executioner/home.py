"""The home folder: where history, logs, locks and records lie, and whether it may be used.

It is 0700 and ours, or it is refused. Commands that only read never create it.
"""
import os
import stat
from typing import List, Mapping, Optional

from jobs.ballast import Ballast
from jobs.exceptions import ConfigurationError, StorageError
from jobs.home_place import default_home
from jobs.private_files import make_private_folder

__all__ = ["Home", "default_home", "locate", "make_folders"]

#: In the home: paths of histories elsewhere, one a line.
_OTHER_HISTORIES = "histories"
_FOLDERS = ("logs", "locks", "records")


class Home:
    """The paths of one home; nothing is touched before ``create`` or ``check``."""

    __slots__ = ("path", "source", "_named_history")

    def __init__(self, path: str, source: str, named_history: str = "") -> None:
        self.path = path
        #: Who said so: ``--home``, ``EXECUTIONER_HOME`` or ``default``.
        self.source = source
        self._named_history = named_history

    @property
    def own_history(self) -> str:
        """The SQLite file that runs are kept in whose configuration names no other."""
        return os.path.join(self.path, "history.db")

    @property
    def history(self) -> str:
        """The history that is meant: that of ``--database`` or ``EXECUTIONER_HISTORY``, else the home's own.

        Where nothing was kept in that, it is the only other one that runs of this home are in.
        """
        if self._named_history:
            return self._named_history
        if not os.path.lexists(self.own_history):
            others = [path for path in self.other_histories() if os.path.exists(path)]
            if len(others) == 1:
                return others[0]
        return self.own_history

    def of_file(self, database_path: str) -> "Home":
        """The same home with the history in which the runs of a file are kept, whatever else is named.

        :param database_path: the file's own; "" = it names none
        """
        return Home(self.path, self.source, database_path or self.own_history)

    def histories(self) -> List[str]:
        """The files in which what is meant may be: the one that is named, or all in which runs of this home are."""
        if self._named_history:
            return [self._named_history]
        return [path for path in [self.own_history] + self.other_histories() if os.path.exists(path)]

    def other_histories(self) -> List[str]:
        """The files that configurations name as their ``database``, as far as runs of this home are in them."""
        try:
            with open(os.path.join(self.path, _OTHER_HISTORIES), encoding="utf-8", errors="surrogateescape") as found:
                return sorted(set(found.read().splitlines()))
        except OSError:
            return []

    def remember_history(self, path: str) -> None:
        """Note that a run of this home is kept in another file, so that commands find it.

        :raises StorageError: where that cannot be done
        """
        if path in self.other_histories() or "\n" in path:
            return
        name = os.path.join(self.path, _OTHER_HISTORIES)
        try:
            # One short write at the end of the file: two runs at once do not disturb each other.
            descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, 0o600)
                os.write(descriptor, os.fsencode(path) + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError("%s: cannot be written: %s" % (name, error.strerror), context={"path": name})

    @property
    def logs(self) -> str:
        """The folder of job output and of our own log."""
        return os.path.join(self.path, "logs")

    @property
    def log(self) -> str:
        """Our own log, one JSON object a line."""
        return os.path.join(self.logs, "executioner.jsonl")

    @property
    def locks(self) -> str:
        """The folder of the files that the kernel's locks are on."""
        return os.path.join(self.path, "locks")

    @property
    def records(self) -> str:
        """The folder of the keepers' record files."""
        return os.path.join(self.path, "records")

    @property
    def tokens(self) -> str:
        """Who may ask the API, by the hashes of their tokens."""
        return os.path.join(self.path, "tokens.json")

    @property
    def ballast(self) -> str:
        """The file that is given up for results when the disk is full."""
        return os.path.join(self.path, "ballast")

    def exists(self) -> bool:
        """Whether there is anything at that path."""
        return os.path.lexists(self.path)

    def check(self) -> None:
        """See that the home is a folder, ours, and nobody else's.

        :raises StorageError: where it is not, or cannot be looked at
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise StorageError("home %s: cannot be used: %s" % (self.path, error.strerror),
                               context={"hint": "name another one with --home or EXECUTIONER_HOME"})
        self._judge(self.path, status)

    def create(self) -> None:
        """Make the home and its folders where they are missing, and check them.

        :raises StorageError: where that cannot be done, or it is not ours alone
        """
        try:
            make_folders(self.path)
            self.check()
            for name in _FOLDERS:
                path = os.path.join(self.path, name)
                try:
                    make_private_folder(path)
                except FileExistsError:
                    self._judge(path, os.lstat(path))
        except OSError as error:
            raise StorageError(
                "home %s: cannot create %s: %s" % (self.path, error.filename or self.path, error.strerror),
                context={"hint": "name another one with --home or EXECUTIONER_HOME"})
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise StorageError("home %s: cannot be written" % self.path,
                               context={"hint": "name another one with --home or EXECUTIONER_HOME"})
        Ballast(self.ballast).refill()

    @staticmethod
    def _judge(path: str, status: os.stat_result) -> None:
        if not stat.S_ISDIR(status.st_mode):
            raise StorageError("home %s: expected a folder, found something else" % path)
        if status.st_uid != os.geteuid():
            raise StorageError("home %s: belongs to user %d, not to us (user %d)"
                               % (path, status.st_uid, os.geteuid()),
                               context={"hint": "each user has a home of his own; name one with --home"})
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise StorageError("home %s: others may enter it (mode %04o, expected 0700)" % (path, mode),
                               context={"hint": "chmod 700 %s" % path})


def locate(named: Optional[str], environ: Mapping[str, str], database: Optional[str] = None) -> Home:
    """The home that holds here: ``--home``, else ``EXECUTIONER_HOME``, else the default.

    :param database: ``--database``: the history of runs whose file names one of its own
    :raises ConfigurationError: where the name is empty or impossible, or there is no such history
    """
    path, source = named, "--home"
    if path is None and environ.get("EXECUTIONER_HOME"):
        path, source = environ["EXECUTIONER_HOME"], "EXECUTIONER_HOME"
    if path is None:
        path, source = default_home(environ), "default"
    if not path or "\0" in path:
        raise ConfigurationError("%s: expected the path of a folder, found %r" % (source, path))
    named_history = environ.get("EXECUTIONER_HISTORY", "") if database is None else database
    history = _absolute(named_history) if named_history or database is not None else ""
    if database is not None and ("\0" in history or not os.path.isfile(history)):
        raise ConfigurationError("--database: there is no file %s" % history, context={
            "hint": "name the path that the configuration gives as database"})
    return Home(_absolute(path), source, history)


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def make_folders(path: str) -> None:
    """Make a folder and those above it that are missing, each 0700 (``os.makedirs`` gives its mode to the last only).

    :raises OSError: where that cannot be done
    """
    missing = []
    while path and not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            make_private_folder(folder)
        except FileExistsError:
            pass  # another run was faster
    # A power cut takes a new folder whose name is not on the disk yet, however well its files are synchronised.
    for folder in missing:
        _synchronise(os.path.dirname(folder) or os.curdir)


def _synchronise(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a folder that may be written to but not read; nothing can be done
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
