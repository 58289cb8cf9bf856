"""Named limits that all runs on the host share: a pool of so many slots, each a file that the kernel locks.

A slot is taken by ``flock`` on its file and is free again when every holder of the open file is gone. The keeper holds
the same open files as the runner: where the runner dies, the slots of jobs that still run stay taken until the keeper
ends.
Nothing has to be cleaned up after a crash.
"""
import errno
import fcntl
import os
import re
from typing import Dict, List, Optional

from jobs.digests import sha256_hex
from jobs.exceptions import StorageError
from jobs.private_files import open_private

__all__ = ["Pools", "slot_paths"]


class Pools:
    """The pools that one run may use.

    :param folder: where the files of the slots are
    :param sizes: slots of each pool, by name
    :raises StorageError: where a file cannot be used
    """

    def __init__(self, folder: str, sizes: Dict[str, int]) -> None:
        self._slots: Dict[str, List[int]] = {}
        self._ours: Dict[str, List[bool]] = {}
        try:
            for name, size in sizes.items():
                slots = self._slots[name] = []
                for path in slot_paths(folder, name, size):
                    slots.append(open_private(path, os.O_RDWR))
                self._ours[name] = [False] * size
        except BaseException:
            self.close()
            raise

    @property
    def are_shared(self) -> bool:
        """Other runs on the host take of them too."""
        return True

    @property
    def descriptors(self) -> List[int]:
        """The open files of all slots, for the keeper to hold as well."""
        return [descriptor for slots in self._slots.values() for descriptor in slots]

    def take(self, name: str, count: int) -> Optional[List[int]]:
        """Take that many slots of a pool, all or none; their numbers, or None where they are not free now."""
        taken: List[int] = []
        for number, descriptor in enumerate(self._slots[name]):
            if len(taken) == count:
                break
            if not self._ours[name][number] and self._lock(descriptor):
                self._ours[name][number] = True
                taken.append(number)
        if len(taken) == count:
            return taken
        self.give(name, taken)
        return None

    def give(self, name: str, numbers: List[int]) -> None:
        """Give slots back."""
        for number in numbers:
            self._ours[name][number] = False
            fcntl.flock(self._slots[name][number], fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files; what is still taken stays so as long as the keeper lives."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self._slots = {}

    @staticmethod
    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise StorageError("the lock of a pool cannot be used: %s" % (error.strerror or error))
        return True


def slot_paths(folder: str, name: str, size: int) -> List[str]:
    """The files of the slots of a pool."""
    base = os.path.join(folder, _file_name(name))
    return ["%s.%d.lock" % (base, number) for number in range(size)]


def _file_name(name: str) -> str:
    digest = sha256_hex(name.encode("utf-8", "surrogatepass"))[:12]
    return "pool-%s-%s" % (re.sub("[^A-Za-z0-9_-]+", "_", name)[:48], digest)
