"""The power-cut simulator: what a disk may hold after a cut at any system call of a real process tree.

1. ``record`` runs a command under ``strace`` and keeps every call that changes files below a root, with its data.
2. ``Disk`` replays them into a model of inodes and directories. What was written is *pending* until ``fsync`` or
   ``fdatasync`` of that file; a name in a folder is pending until ``fsync`` of that folder.
3. ``Disk.image`` lays the files down as a disk might hold them after the cut: pending work dropped, all kept, or kept at
   random, each write torn at 512 bytes, each name by itself.

What the program acknowledged by then is taken from its writes to files outside of the root. Not modelled: writes through
``mmap`` (SQLite's ``-shm`` needs no durability), disks that lie about a flush.

``python3 tests/faults/powercut.py`` proves the model on a plain SQLite writer: WAL with FULL and DELETE with EXTRA lose
nothing, WAL with NORMAL and DELETE with FULL lose acknowledged commits.
"""
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

__all__ = ["Call", "Disk", "MODES", "Unsupported", "can_trace", "read_trace", "record"]

MODES = ("dropped", "random", "kept")
SECTOR = 512
CALLS = ("open", "openat", "openat2", "creat", "write", "writev", "pwrite64", "pwritev", "pwritev2", "fsync",
         "fdatasync", "sync", "syncfs", "sync_file_range", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
         "symlinkat", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "truncate", "ftruncate", "fallocate", "close",
         "dup", "dup2", "dup3", "fcntl", "lseek", "chdir", "fchdir", "copy_file_range", "sendfile", "splice")
_LINE = re.compile(rb"^(\d+) +(.*)$")
_RESUMED = re.compile(rb"^<\.\.\. (\w+) resumed>(.*)$", re.S)
_CALL = re.compile(rb"^(\w+)\((.*)\) += (-?\d+|\?)(.*)$", re.S)
_DESCRIPTOR = re.compile(rb"^(-?\d+|AT_FDCWD)(?:<(.*)>(\(deleted\))?)?$", re.S)
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


class Unsupported(Exception):
    """The trace has a call that the model does not know; its results would mean nothing."""


def can_trace():
    """Whether ``strace`` is here and may trace."""
    try:
        done = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def record(argv, trace_path, timeout_s=120.0, **options):
    """Run a command under ``strace``; its exit code. The trace lies at ``trace_path``."""
    names = ",".join("?" + name for name in CALLS)
    command = ["strace", "-f", "-y", "-xx", "-s", "2000000", "-qq", "-e", "signal=none", "-e", "trace=" + names,
               "-o", trace_path] + list(argv)
    if _has_seccomp():
        command.insert(1, "--seccomp-bpf")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    try:
        child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise
    return child.returncode


def _has_seccomp():
    done = subprocess.run(["strace", "--seccomp-bpf", "-f", "-o", os.devnull, "true"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


class Call:
    """One system call that succeeded: who made it, its name, its arguments and its answer."""

    __slots__ = ("pid", "name", "arguments", "answer", "answer_path", "begun")

    def __init__(self, pid, name, arguments, answer, answer_path, begun):
        self.pid = pid
        self.name = name
        self.arguments = arguments
        self.answer = answer
        self.answer_path = answer_path
        #: Where among the calls it began: others may have come between.
        self.begun = begun


def _unescaped(data):
    return _ESCAPE.sub(lambda match: bytes((int(match.group(1), 16),)), data)


def _arguments(data):
    """The arguments of a call, split at the commas that are outside of strings, brackets and paths."""
    parts, depth, start, at, quoted = [], 0, 0, 0, False
    while at < len(data):
        char = data[at:at + 1]
        if quoted:
            if char == b'"':
                quoted = False
            else:
                # Strings are all hexadecimal: jump to their end.
                end = data.find(b'"', at)
                at = end if end >= 0 else len(data)
                continue
        elif char == b'"':
            quoted = True
        elif char in b"[{(<":
            depth += 1
        elif char in b"]})>":
            depth -= 1
        elif char == b"," and depth == 0:
            parts.append(data[start:at].strip())
            start = at + 1
        at += 1
    parts.append(data[start:].strip())
    return parts


def read_trace(path):
    """The successful calls of a trace, in the order in which they were over.

    :raises Unsupported: where a line cannot be understood
    """
    calls = []
    open_calls = {}
    with open(path, "rb") as lines:
        for raw in lines:
            match = _LINE.match(raw.rstrip(b"\n"))
            if match is None:
                continue
            pid, text = int(match.group(1)), match.group(2)
            if text.startswith((b"+++", b"---")):
                continue
            begun = len(calls)
            if text.endswith(b"<unfinished ...>"):
                open_calls[pid] = (text[:-len(b"<unfinished ...>")].rstrip(), begun)
                continue
            resumed = _RESUMED.match(text)
            if resumed is not None:
                if pid not in open_calls:
                    continue
                head, begun = open_calls.pop(pid)
                text = head + resumed.group(2)
            call = _CALL.match(text)
            if call is None:
                if text.startswith((b"exit", b"<...")) or b"= ?" in text:
                    continue
                raise Unsupported("not understood: %r" % text[:200])
            answer = call.group(3)
            if answer == b"?" or answer.startswith(b"-"):
                continue
            rest = call.group(4)
            answer_path = None
            if rest.startswith(b"<"):
                answer_path = os.fsdecode(_unescaped(rest[1:rest.rindex(b">")]))
            calls.append(Call(pid, call.group(1).decode("ascii"), _arguments(call.group(2)), int(answer), answer_path,
                              begun))
    return calls


class _Inode:
    """A file: what is surely on the disk, and what was written since."""

    __slots__ = ("durable", "pending", "size", "directory", "target")

    def __init__(self, directory=False, content=b"", target=None):
        self.durable = bytearray(content)
        #: (position among the calls, offset, data) or (position, size, None) for a change of the size.
        self.pending = []
        #: As the program sees it.
        self.size = len(content)
        self.directory = directory
        self.target = target


class _Description:
    """An open file description: where the next ``write`` goes."""

    __slots__ = ("offset", "appends")

    def __init__(self, appends):
        self.offset = 0
        self.appends = appends


class Disk:
    """The model. Feed it calls in order; ask for an image at any point.

    :param root: the folder that is modelled; what lies there now is taken as durable
    :param acknowledgements: files outside of it whose written data counts as acknowledged
    """

    def __init__(self, root, acknowledgements=()):
        self.root = os.path.realpath(root)
        self._acknowledged = {os.path.realpath(path): bytearray() for path in acknowledgements}
        #: Names as the program sees them, and as they surely are on the disk.
        self.names = {}
        self._durable_names = {}
        #: Changes of names that are not durable: (position, folder, [(path, inode or None), ...]).
        self._pending_names = []
        self._descriptions = {}
        self._folders = {}
        self.position = 0
        #: Calls whose path could not be told.
        self.unresolved = []
        self._load(self.root)
        self._durable_names = dict(self.names)

    def _load(self, folder):
        self.names[folder] = _Inode(directory=True)
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                self.names[path] = _Inode(target=os.readlink(path))
            elif os.path.isdir(path):
                self._load(path)
            elif os.path.isfile(path):
                with open(path, "rb") as content:
                    self.names[path] = _Inode(content=content.read())

    def acknowledged(self, path):
        """What the program has written there so far."""
        return bytes(self._acknowledged[os.path.realpath(path)])

    def feed(self, call):
        """One more call has happened."""
        handler = getattr(self, "_" + call.name, None)
        if handler is None:
            raise Unsupported("the model does not know %s" % call.name)
        handler(call)
        self.position += 1

    # ---- names -------------------------------------------------------------------------------------------------------

    def _inside(self, path):
        return path == self.root or path.startswith(self.root + os.sep)

    def _descriptor(self, argument):
        match = _DESCRIPTOR.match(argument)
        if match is None:
            raise Unsupported("no descriptor: %r" % argument[:80])
        number = -100 if match.group(1) == b"AT_FDCWD" else int(match.group(1))
        path = os.fsdecode(_unescaped(match.group(2))) if match.group(2) is not None else None
        if match.group(3) is not None:
            path += " (deleted)"
        return number, path

    @staticmethod
    def _text(argument):
        return os.fsdecode(_unescaped(argument.strip(b'"')))

    def _path(self, call, argument, folder=None):
        """The absolute path of an argument; None where it is relative to nobody knows what."""
        path = self._text(argument)
        if not path.startswith("/"):
            if folder is not None:
                base = self._descriptor(folder)[1]
            else:
                base = self._folders.get(call.pid)
            if base is None:
                self.unresolved.append("%s %s" % (call.name, path))
                return None
            path = os.path.join(base, path)
        return os.path.join(os.path.realpath(os.path.dirname(path)) if not self._inside(path)
                            else os.path.dirname(path), os.path.basename(path))

    def _rename_names(self, changes):
        """Names change together: the parts of a rename are one."""
        changes = [(path, inode) for path, inode in changes if self._inside(path)]
        if not changes:
            return
        for path, inode in changes:
            if inode is None:
                self.names.pop(path, None)
            else:
                self.names[path] = inode
        self._pending_names.append((self.position, {os.path.dirname(path) for path, _ in changes}, changes))

    # ---- the calls ---------------------------------------------------------------------------------------------------

    def _openat(self, call, flags_at=2):
        flags = call.arguments[flags_at].split(b"|") if len(call.arguments) > flags_at else []
        path = call.answer_path
        if path is None:
            return
        self._descriptions[call.pid, call.answer] = _Description(b"O_APPEND" in flags)
        if not self._inside(path) or path.endswith(" (deleted)"):
            return
        if b"O_SYNC" in flags or b"O_DSYNC" in flags or b"O_TMPFILE" in flags:
            raise Unsupported("opened with %s" % b"|".join(flags).decode())
        inode = self.names.get(path)
        if inode is None:
            if b"O_CREAT" not in flags:
                self.unresolved.append("open of an unknown file %s" % path)
            inode = _Inode()
            self._rename_names([(path, inode)])
        elif b"O_TRUNC" in flags:
            self._resize(inode, 0)

    def _open(self, call):
        self._openat(call, 1)

    def _openat2(self, call):
        raise Unsupported("openat2")

    def _creat(self, call):
        raise Unsupported("creat")

    def _written(self, call, data, offset):
        number, path = self._descriptor(call.arguments[0])
        if path is None:
            return
        data = data[:call.answer]
        if path in self._acknowledged:
            self._acknowledged[path] += data
            return
        if not self._inside(path):
            return
        inode = self.names.get(path)
        if inode is None:
            if not path.endswith(" (deleted)"):
                self.unresolved.append("write to an unknown file %s" % path)
            return
        if offset is None:
            description = self._descriptions.get((call.pid, number))
            if description is None or description.appends:
                offset = inode.size
            else:
                offset = description.offset
                description.offset += len(data)
        inode.pending.append((self.position, offset, data))
        inode.size = max(inode.size, offset + len(data))

    def _write(self, call):
        self._written(call, _unescaped(call.arguments[1].strip(b'"')), None)

    def _pwrite64(self, call):
        self._written(call, _unescaped(call.arguments[1].strip(b'"')), int(call.arguments[3]))

    def _writev(self, call):
        data = b"".join(_unescaped(part) for part in re.findall(rb'iov_base="([^"]*)"', call.arguments[1]))
        self._written(call, data, None)

    def _pwritev(self, call):
        data = b"".join(_unescaped(part) for part in re.findall(rb'iov_base="([^"]*)"', call.arguments[1]))
        self._written(call, data, int(call.arguments[3]))

    def _pwritev2(self, call):
        raise Unsupported("pwritev2")

    def _resize(self, inode, size):
        if size != inode.size or inode.pending or size != len(inode.durable):
            inode.pending.append((self.position, size, None))
            inode.size = size

    def _ftruncate(self, call):
        path = self._descriptor(call.arguments[0])[1]
        if path in self.names:
            self._resize(self.names[path], int(call.arguments[1]))

    def _truncate(self, call):
        path = self._path(call, call.arguments[0])
        if path in self.names:
            self._resize(self.names[path], int(call.arguments[1]))

    def _fallocate(self, call):
        path = self._descriptor(call.arguments[0])[1]
        if path in self.names and call.arguments[1] == b"0":
            inode = self.names[path]
            size = int(call.arguments[2]) + int(call.arguments[3])
            if size > inode.size:
                self._resize(inode, size)

    def _fsync(self, call):
        path = self._descriptor(call.arguments[0])[1]
        if path is None or not self._inside(path):
            return
        inode = self.names.get(path)
        if inode is None:
            return
        # Only what was there when the call began is surely on the disk when it is over.
        if inode.directory:
            kept = []
            for change in self._pending_names:
                if change[0] < call.begun and path in change[1]:
                    self._make_durable(change)
                else:
                    kept.append(change)
            self._pending_names = kept
            return
        kept = []
        for change in inode.pending:
            if change[0] < call.begun:
                _apply(inode.durable, change)
            else:
                kept.append(change)
        inode.pending = kept

    _fdatasync = _fsync

    def _make_durable(self, change):
        for path, inode in change[2]:
            if inode is None:
                self._durable_names.pop(path, None)
            else:
                self._durable_names[path] = inode

    def _rename_paths(self, old, new):
        if old is None or new is None or not (self._inside(old) or self._inside(new)):
            return
        inode = self.names.get(old)
        if inode is None:
            if self._inside(old):
                self.unresolved.append("rename of an unknown file %s" % old)
            inode = _Inode()
        changes = [(old, None), (new, inode)]
        if inode.directory:
            for path in [path for path in self.names if path.startswith(old + os.sep)]:
                changes += [(path, None), (new + path[len(old):], self.names[path])]
        self._rename_names(changes)

    def _rename(self, call):
        self._rename_paths(self._path(call, call.arguments[0]), self._path(call, call.arguments[1]))

    def _renameat(self, call):
        self._rename_paths(self._path(call, call.arguments[1], call.arguments[0]),
                           self._path(call, call.arguments[3], call.arguments[2]))

    _renameat2 = _renameat

    def _link_paths(self, old, new):
        if new is not None and self._inside(new) and old in self.names:
            self._rename_names([(new, self.names[old])])

    def _link(self, call):
        self._link_paths(self._path(call, call.arguments[0]), self._path(call, call.arguments[1]))

    def _linkat(self, call):
        self._link_paths(self._path(call, call.arguments[1], call.arguments[0]),
                         self._path(call, call.arguments[3], call.arguments[2]))

    def _symlink_at(self, target, path):
        if path is not None and self._inside(path):
            self._rename_names([(path, _Inode(target=target))])

    def _symlink(self, call):
        self._symlink_at(self._text(call.arguments[0]), self._path(call, call.arguments[1]))

    def _symlinkat(self, call):
        self._symlink_at(self._text(call.arguments[0]), self._path(call, call.arguments[2], call.arguments[1]))

    def _remove(self, path):
        if path in self.names:
            self._rename_names([(path, None)])

    def _unlink(self, call):
        self._remove(self._path(call, call.arguments[0]))

    _rmdir = _unlink

    def _unlinkat(self, call):
        self._remove(self._path(call, call.arguments[1], call.arguments[0]))

    def _make_folder(self, path):
        if path is not None and self._inside(path):
            self._rename_names([(path, _Inode(directory=True))])

    def _mkdir(self, call):
        self._make_folder(self._path(call, call.arguments[0]))

    def _mkdirat(self, call):
        self._make_folder(self._path(call, call.arguments[1], call.arguments[0]))

    def _close(self, call):
        self._descriptions.pop((call.pid, self._descriptor(call.arguments[0])[0]), None)

    def _dup(self, call):
        known = self._descriptions.get((call.pid, self._descriptor(call.arguments[0])[0]))
        if known is not None:
            self._descriptions[call.pid, call.answer] = known
        else:
            self._descriptions.pop((call.pid, call.answer), None)

    _dup2 = _dup
    _dup3 = _dup

    def _fcntl(self, call):
        if call.arguments[1] in (b"F_DUPFD", b"F_DUPFD_CLOEXEC"):
            self._dup(call)

    def _lseek(self, call):
        known = self._descriptions.get((call.pid, self._descriptor(call.arguments[0])[0]))
        if known is not None:
            known.offset = call.answer

    def _chdir(self, call):
        path = self._text(call.arguments[0])
        if not path.startswith("/") and self._folders.get(call.pid):
            path = os.path.join(self._folders[call.pid], path)
        if path.startswith("/"):
            self._folders[call.pid] = path

    def _fchdir(self, call):
        path = self._descriptor(call.arguments[0])[1]
        if path is not None:
            self._folders[call.pid] = path

    def _sync(self, call):
        raise Unsupported("sync")

    _syncfs = _sync

    def _sync_file_range(self, call):
        """Promises nothing about a power cut."""

    def _copies(self, call, target_at):
        path = self._descriptor(call.arguments[target_at])[1]
        if path is not None and self._inside(path):
            raise Unsupported("%s into %s" % (call.name, path))

    def _sendfile(self, call):
        self._copies(call, 0)

    def _copy_file_range(self, call):
        self._copies(call, 2)

    def _splice(self, call):
        self._copies(call, 2)

    # ---- the image ---------------------------------------------------------------------------------------------------

    def image(self, folder, mode, rnd=None):
        """Lay the files down in an empty folder as the disk may hold them.

        :param mode: what becomes of pending work: ``dropped``, ``random`` or ``kept``
        """
        names = dict(self._durable_names)
        share = rnd.choice((0.1, 0.5, 0.9)) if rnd is not None else 0.5
        for change in self._pending_names:
            if mode == "kept" or mode == "random" and rnd.random() < share:
                for path, inode in change[2]:
                    if inode is None:
                        names.pop(path, None)
                    else:
                        names[path] = inode
        for path in sorted(names):
            inode = names[path]
            place = folder + path[len(self.root):]
            if path != self.root and not os.path.isdir(os.path.dirname(place)):
                continue  # its folder is not on the disk
            if inode.directory:
                if path != self.root:
                    os.mkdir(place, 0o700)
            elif inode.target is not None:
                os.symlink(inode.target, place)
            else:
                fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(fd, "wb") as out:
                    out.write(self._content(inode, mode, rnd, share))

    @staticmethod
    def _content(inode, mode, rnd, share):
        if mode == "dropped" or not inode.pending:
            return inode.durable
        content = bytearray(inode.durable)
        for change in inode.pending:
            if mode == "kept":
                _apply(content, change)
            elif rnd.random() < share:
                if change[2] is None or rnd.random() < 0.5:
                    _apply(content, change)
                else:
                    _apply_torn(content, change, rnd)
        return content


def _apply(content, change):
    _, at, data = change
    if data is None:
        if at < len(content):
            del content[at:]
        else:
            content.extend(bytes(at - len(content)))
        return
    if at > len(content):
        content.extend(bytes(at - len(content)))
    content[at:at + len(data)] = data


def _apply_torn(content, change, rnd):
    """Some sectors of a write, and not the others."""
    position, at, data = change
    end = at + len(data)
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        if rnd.random() < 0.5:
            _apply(content, (position, at, data[at - change[1]:stop - change[1]]))
        at = stop


# ---- the proof of the model ------------------------------------------------------------------------------------------

_WRITER = r"""
import os, sqlite3, sys
path, journal, synchronous, count, acks = sys.argv[1:6]
out = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode=" + journal)
db.execute("PRAGMA synchronous=" + synchronous)
db.execute("PRAGMA wal_autocheckpoint=50")
db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
os.write(out, b"ACK 0\n")
for n in range(1, int(count) + 1):
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 250))
    db.execute("COMMIT")
    os.write(out, b"ACK %d\n" % n)
db.close()
"""


def prove(journal, synchronous, commits, cuts, seed, python=sys.executable):
    """Cut the power of a plain SQLite writer; (images that lost an acknowledged commit by mode, corrupt images)."""
    rnd = random.Random("%s/%s/%s" % (seed, journal, synchronous))
    folder = os.path.realpath(tempfile.mkdtemp(prefix="powercut-"))
    try:
        root, acks = os.path.join(folder, "root"), os.path.join(folder, "acks")
        os.mkdir(root)
        disk = Disk(root, [acks])
        code = record([python, "-I", "-S", "-c", _WRITER, os.path.join(root, "t.db"), journal, synchronous,
                       str(commits), acks], os.path.join(folder, "trace"))
        if code != 0:
            raise Unsupported("the writer ended with %d" % code)
        calls = read_trace(os.path.join(folder, "trace"))
        lost = {mode: 0 for mode in MODES}
        corrupt = 0
        points = sorted(rnd.randrange(1, len(calls) + 1) for _ in range(cuts))
        image = os.path.join(folder, "image")
        for point in points:
            while disk.position < point:
                disk.feed(calls[disk.position])
            acknowledged = disk.acknowledged(acks).count(b"\n") - 1
            for mode in MODES:
                os.mkdir(image)
                disk.image(image, mode, rnd)
                found = _commits_in(os.path.join(image, "t.db"))
                shutil.rmtree(image)
                if found is None:
                    corrupt += 1
                elif found < acknowledged:
                    lost[mode] += 1
        if disk.unresolved:
            raise Unsupported("; ".join(disk.unresolved[:3]))
        return lost, corrupt
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _commits_in(path):
    """How many commits a database holds; -1 where there is not even the table, None where it is corrupt."""
    if not os.path.exists(path):
        return -1
    db = sqlite3.connect(path, isolation_level=None)
    try:
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            return None
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 't'").fetchone():
            return -1
        count, highest = db.execute("SELECT COUNT(*), MAX(n) FROM t").fetchone()
        return count if count == (highest or 0) else None
    except sqlite3.DatabaseError:
        return None
    finally:
        db.close()


#: Journal mode, synchronous, and whether it may lose an acknowledged commit.
PROOFS = (("WAL", "FULL", False), ("WAL", "NORMAL", True), ("DELETE", "FULL", True), ("DELETE", "EXTRA", False))


def main():
    """Prove the model; exit 1 where it does not tell the modes of SQLite apart."""
    good = True
    for journal, synchronous, loses in PROOFS:
        lost, corrupt = prove(journal, synchronous, 120, 100, 1)
        hurt = lost["dropped"] + lost["random"]
        right = (hurt > 0) == loses and lost["kept"] == 0 and corrupt == 0
        good = good and right
        print("%-6s %-6s lost dropped/random/kept %d/%d/%d of 100 cuts each, corrupt %d: %s" % (
            journal, synchronous, lost["dropped"], lost["random"], lost["kept"], corrupt, "as documented" if right else "WRONG"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
