"""Compiled code that cannot lie beside its sources, kept in the user's cache folder instead.

The single file, a checkout that belongs to somebody else, or ``PYTHONDONTWRITEBYTECODE``, would have every start
compile all that it loads: that doubles what a small run costs. What Python would have put beside the sources goes to
``$XDG_CACHE_HOME/executioner`` (``~/.cache/executioner``), which must be ours alone; where it cannot be used, the code
is compiled as ever.
"""
import marshal
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Callable, Optional, Sequence
from zlib import crc32

__all__ = ["cache_folder", "keep", "kept_code"]

#: Of this Python's compiled code. It changes within a version until that is released, and the folder's name does not.
_MAGIC: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER.hex().encode("ascii")


class _Loader(SourceFileLoader):
    """Loads a module from the cache, or compiles it and puts it there."""

    folder = ""

    def get_code(self, fullname: str) -> CodeType:
        """The code object of the module."""
        path = os.fsdecode(self.get_filename(fullname))
        facts = os.stat(path)
        return kept_code(self.folder, fullname, path, b"%d %d" % (facts.st_mtime_ns, facts.st_size),
                         lambda: self.get_data(path))


def kept_code(folder: str, name: str, path: str, stamp: bytes, source: Callable[[], bytes]) -> CodeType:
    """The code of a module: what the cache has for it, or compiled, and then kept there.

    :param folder: the cache; "" = there is none
    :param path: where the source is, for the code and for tracebacks
    :param stamp: what changes with the source; without a line break
    """
    head = b"%s %s %s\n" % (_MAGIC, stamp, os.fsencode(path))
    kept = os.path.join(folder, "%s.%08x" % (name, crc32(os.fsencode(path)))) if folder else ""
    try:
        if kept:
            with open(kept, "rb") as file:
                data = file.read()
            if data.startswith(head):
                code: CodeType = marshal.loads(memoryview(data)[len(head):])
                return code
    except (OSError, ValueError, EOFError, TypeError):
        pass  # not there, or damaged: made anew
    code = compile(source(), path, "exec", dont_inherit=True)
    if kept:
        _write(kept, head + marshal.dumps(code))
    return code


class _Finder:
    """Finds our modules where they are, with a loader that keeps their code."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Where a module of ours is; None where it is another's."""
        if name.partition(".")[0] not in self._names:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


def keep(names: Sequence[str]) -> None:
    """Have the modules of these packages loaded by way of the cache, where there can be one."""
    folder = cache_folder()
    if folder:
        _Loader.folder = folder
        sys.meta_path.insert(0, _Finder(names))


def cache_folder() -> str:
    """The cache for this Python, ours alone; "" where there can be none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(base, "executioner", sys.implementation.cache_tag or "python")
    try:
        if not os.path.isabs(folder):
            return ""
        if not os.path.isdir(folder):
            os.makedirs(base, 0o700, exist_ok=True)
            for part in (os.path.dirname(folder), folder):
                if not os.path.isdir(part):
                    os.mkdir(part, 0o700)
        for part in (os.path.dirname(folder), folder):
            facts = os.lstat(part)
            # Whoever can write here decides what we run.
            if facts.st_uid != os.geteuid() or facts.st_mode & 0o170077 != 0o040000:
                return ""
    except OSError:
        return ""
    return folder


def _write(path: str, data: bytes) -> None:
    temporary = "%s.%d" % (path, os.getpid())
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
