"""What is told about a SQLite file before SQLite opens it: whether it is ours and whole, and can live where it lies.

A file that is refused here was read and nothing more. POSIX locks belong to a process and vanish as soon as it closes
*any* descriptor of the file, so the file is never opened here while a connection of this process has it open.
"""
import os
import stat
import struct
from _thread import allocate_lock
from typing import Dict, Optional, Tuple

from db.sqlite_errors import refusal
from jobs.exceptions import DatabaseError

__all__ = ["APPLICATION_ID", "FileKey", "UNFINISHED", "claim", "file_uri", "is_left_from_before_boot", "is_there",
           "network_file_system", "refuse_lone_log", "release", "side_file_size"]

#: ``EXEC``: what ``file`` and we find at offset 68 of our databases.
APPLICATION_ID = 0x45584543
#: Ending of the mark that lies beside a database while another file takes its place.
UNFINISHED = ".unfinished"

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
#: Write and read version: with a rollback journal, with a write-ahead log.
_VERSIONS = (b"\1\1", b"\2\2")
#: Where neither shared memory nor POSIX locks can be trusted between hosts.
_NETWORK_TYPES = frozenset((
    "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "vboxsf", "vmhgfs",
))
_NETWORK_FUSE = frozenset((
    "afpfs", "ceph", "cephfs", "davfs", "davfs2", "gcsfuse", "glusterfs", "goofys", "juicefs", "lustre", "mfs",
    "rclone", "s3fs", "smbnetfs", "sshfs", "vmhgfs-fuse", "weed",
))

FileKey = Tuple[int, int]

_GUARD = allocate_lock()
_OPEN: Dict[FileKey, int] = {}


def claim(path: str) -> FileKey:
    """Look at a file that is about to be opened by SQLite, and note that this process has it open from now on.

    :returns: what ``release`` wants when the connection is closed
    :raises DatabaseError: where it is missing, no regular file, not a database, another program's, or cut short
    """
    with _GUARD:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            refuse_lone_log(path)
            raise refusal(path, "missing", "there is no such file", "nothing was recorded there yet") from None
        except (OSError, ValueError) as error:
            raise _cannot_open(path, error) from None
        if not stat.S_ISREG(found.st_mode):
            raise refusal(path, "not_a_file", "expected a regular file, found %s" % _kind(found.st_mode))
        key = (found.st_dev, found.st_ino)
        if key not in _OPEN:
            _check_header(path, found.st_size)
        _OPEN[key] = _OPEN.get(key, 0) + 1
        return key


def is_there(path: str) -> bool:
    """Whether anything bears the name, a broken link too.

    :raises DatabaseError: where nobody can say
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from None
    return True


def release(key: FileKey) -> None:
    """One connection to the file was closed."""
    with _GUARD:
        left = _OPEN.get(key, 0) - 1
        if left > 0:
            _OPEN[key] = left
        else:
            _OPEN.pop(key, None)


def refuse_lone_log(path: str) -> None:
    """A log without its database: SQLite would take its content for that of a new file. Or a mark that it is missing
    because it was being replaced.

    :raises DatabaseError: where one lies there
    """
    if os.path.lexists(path + UNFINISHED):
        raise refusal(path, "cannot_open", "it was being replaced, and that was interrupted",
                      "give the same `executioner db` command again; the old file is in the same folder")
    for ending in ("-wal", "-journal"):
        # A database is there before its log: one that was made since is no lost one.
        if side_file_size(path, ending) and not is_there(path):
            raise refusal(path, "cannot_open", "it is gone, and only its log %s is there" % (path + ending),
                          "put the file back beside its log, or move the log away")


def side_file_size(path: str, ending: str) -> int:
    """Bytes of the file beside the database (``-wal``, ``-journal``); 0 where it is not there."""
    try:
        return os.lstat(path + ending).st_size
    except OSError:
        return 0


def file_uri(path: str, mode: str) -> str:
    """The URI by which SQLite opens a path, whatever bytes are in it.

    :param mode: the query (``mode=ro``)
    """
    quoted = "".join(
        chr(byte) if chr(byte) in "/._-" or (byte < 128 and chr(byte).isalnum()) else "%%%02x" % byte
        for byte in os.fsencode(os.path.abspath(path)))
    return "file:%s?%s" % (quoted, mode)


def network_file_system(folder: str, mount_table: str = "/proc/self/mountinfo") -> Optional[str]:
    """The type of the network file system that a folder lies on; None where it is local, or nobody can say.

    :param mount_table: the kernel's list of mounts
    """
    try:
        device = os.stat(folder).st_dev
        wanted = ("%d:%d" % (os.major(device), os.minor(device))).encode("ascii")
        with open(mount_table, "rb") as table:
            for line in table:
                before, _, after = line.partition(b" - ")
                fields = before.split()
                if len(fields) > 2 and fields[2] == wanted:
                    kind = after.split()[0].decode("utf-8", "replace") if after.split() else ""
                    return kind if _is_network(kind) else None
    except (OSError, ValueError):
        return None
    return None


def is_left_from_before_boot(path: str, statistics: str = "/proc/stat") -> bool:
    """Whether the write-ahead log was last written before this machine came up: then a power cut may have hit it.

    The death of a process leaves a log as well, but harms nothing; and a live one has its log open.
    """
    try:
        found = os.lstat(path + "-wal")
        if found.st_size == 0:
            return False
        with open(statistics, "rb") as lines:
            for line in lines:
                if line.startswith(b"btime "):
                    return found.st_mtime < float(line.split()[1])
    except (OSError, ValueError, IndexError):
        return False
    return False


def _is_network(kind: str) -> bool:
    if kind.startswith(("fuse.", "fuseblk.")):
        return kind.partition(".")[2] in _NETWORK_FUSE
    return kind in _NETWORK_TYPES


def _check_header(path: str, size: int) -> None:
    if size == 0:
        raise refusal(path, "not_a_database", "it is empty (0 bytes)")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            header = os.pread(descriptor, _HEADER_BYTES, 0)
            missing = _bytes_missing(path, descriptor) if len(header) == _HEADER_BYTES else ""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _cannot_open(path, error) from None
    if not _MAGIC.startswith(header[:16]):
        raise refusal(path, "not_a_database")
    if len(header) < _HEADER_BYTES:
        raise refusal(path, "malformed", "only %d bytes are left" % size)
    application = struct.unpack(">I", header[68:72])[0]
    if application != APPLICATION_ID:
        raise refusal(path, "foreign", "application id %08x" % application)
    if header[18:20] not in _VERSIONS:
        raise refusal(path, "malformed", "file format %d/%d" % (header[18], header[19]))
    if missing:
        raise refusal(path, "malformed", missing)


def _bytes_missing(path: str, descriptor: int) -> str:
    """What is missing at the end of the file, if anything; with a log beside it nobody can say: it may be there."""
    for _ in range(3):
        # Somebody may be copying the log into the file right now: it has grown when we look again.
        if _has_log(path):
            return ""
        header = os.pread(descriptor, _HEADER_BYTES, 0)
        size = os.fstat(descriptor).st_size
        page_size, pages = struct.unpack(">H10xI", header[16:32])
        page_size = 65536 if page_size == 1 else page_size
        # The change counter at 24 and its copy at 92 agree where the number of pages at 28 can be trusted.
        if header[92:96] != header[24:28] or size >= pages * page_size or _has_log(path):
            return ""
    return "expected %d bytes, found %d" % (pages * page_size, size)


def _has_log(path: str) -> bool:
    return bool(side_file_size(path, "-wal") or side_file_size(path, "-journal"))


def _kind(mode: int) -> str:
    for check, name in ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"),
                        (stat.S_ISSOCK, "a socket")):
        if check(mode):
            return name
    return "a device"


def _cannot_open(path: str, error: Exception) -> DatabaseError:
    return refusal(path, "cannot_open", getattr(error, "strerror", None) or str(error))
