"""Which folders may not answer: those on file systems that a server or another process stands behind.

To enter such a folder can take for ever, so the keeper never does: the child of the job does it for itself. A path is
followed without being touched where it could hang: by the table of mounts, link by link.
"""
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

__all__ = ["Mounts"]

_TABLE = "/proc/self/mountinfo"
#: They always answer, though no device of this machine is named with some of them.
_ANSWERING = frozenset((b"tmpfs", b"ramfs", b"rootfs", b"devtmpfs", b"overlay", b"aufs", b"zfs", b"proc", b"sysfs",
                        b"squashfs", b"btrfs", b"bcachefs", b"hugetlbfs", b"cgroup", b"cgroup2"))
_LINKS_MOST = 40


class Mounts:
    """The mounts of this machine, as far as folders of jobs are on them."""

    def __init__(self) -> None:
        self._fd = -1
        self._poll = select.poll()
        #: By mount point, whether it may hang.
        self._table: "Dict[bytes, bool]" = {}
        self._known: "Dict[bytes, bool]" = {}

    def may_hang(self, folder: bytes) -> bool:
        """Whether entering an absolute folder could take for ever."""
        if self._fd < 0:
            try:
                self._fd = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False  # no Linux, or short of descriptors: a folder is taken for one that answers
            self._poll.register(self._fd, select.POLLPRI)
            self._read()
        elif self._poll.poll(0):
            self._known.clear()  # something was mounted or unmounted
            self._read()
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = self._follow(folder)
        return known

    def _read(self) -> None:
        data = b""
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            part = os.read(self._fd, 1 << 16)
            while part:
                data += part
                part = os.read(self._fd, 1 << 16)
        except OSError:
            pass  # what was read holds
        self._table = {}
        for line in data.splitlines():
            mount, _, kind = line.partition(b" - ")
            words, (name, source) = mount.split(b" "), (kind.split(b" ") + [b"", b""])[:2]
            if len(words) > 4:
                answers = name in _ANSWERING or source.startswith(b"/dev/") and not name.startswith(b"fuse")
                # What is mounted over another one comes later.
                self._table[_unescaped(words[4])] = not answers

    def _follow(self, folder: bytes) -> bool:
        """Look at each step of a path before it is taken."""
        rest = [name for name in reversed(folder.split(b"/")) if name and name != b"."]
        path, links = b"", 0
        hangs = self._table.get(b"/", False)
        while rest and not hangs:
            name = rest.pop()
            if name == b"..":
                path = path.rpartition(b"/")[0]
                continue
            step = path + b"/" + name
            hangs = self._table.get(step, False)
            if hangs:
                break
            target = _link_target(step)
            if target is None:
                path = step
                continue
            links += 1
            if links > _LINKS_MOST:
                break
            if target.startswith(b"/"):
                path = b""
            rest += [name for name in reversed(target.split(b"/")) if name and name != b"."]
        return hangs


def _link_target(path: bytes) -> "Optional[bytes]":
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None  # no link; or entering it will say what is wrong


def _unescaped(name: bytes) -> bytes:
    r"""A mount point as the table writes it: blanks and the like are ``\040``."""
    first, *others = name.split(b"\\")
    return first + b"".join(bytes((int(one[:3], 8) & 255,)) + one[3:] for one in others)
