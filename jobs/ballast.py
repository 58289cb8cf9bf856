"""A file that takes up room on the disk so that it can be given up when the disk is full: results come first.

Whoever runs in a home shares it. It is made with the home, given up by the first run whose results find no room, and
made again when there is room enough; until then that run starts nothing.
"""
import os

from jobs import system

__all__ = ["BALLAST_BYTES", "Ballast"]

#: Room for the results of some hundred jobs.
BALLAST_BYTES = 256 << 10
#: It is made only where so much more is free: else it would take what was just freed for results.
_MARGIN_BYTES = 128 << 10


class Ballast:
    """The ballast of a home; implements ``jobs.ports.Reserve``.

    :param path: the file, in the folder of what it makes room for
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def size(self) -> int:
        """Bytes that can be given up now."""
        try:
            return os.lstat(self._path).st_size
        except OSError:
            return 0

    def give_up(self) -> bool:
        """Free the room; False where there is none to free."""
        if not self.size():
            return False
        try:
            system.unlink(self._path)
        except OSError:
            return False
        return True

    def refill(self) -> bool:
        """Make it where it is missing; whether it is there. Never raises: it is a help, not a need."""
        if self.size() == BALLAST_BYTES:
            return True
        try:
            disk = os.statvfs(os.path.dirname(self._path))
            if disk.f_bavail * disk.f_frsize < BALLAST_BYTES + _MARGIN_BYTES:
                return False
            self._make()
        except OSError:
            return False
        return True

    def _make(self) -> None:
        temporary = "%s.%d" % (self._path, os.getpid())
        descriptor = system.open_file(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                os.fchmod(descriptor, 0o600)
                # No zeros: some file systems would not store them.
                rest = memoryview(os.urandom(BALLAST_BYTES))
                while rest:
                    rest = rest[system.write(descriptor, rest):]
            finally:
                os.close(descriptor)
            os.rename(temporary, self._path)
        except OSError:
            system.unlink(temporary)
            raise
