"""Starting one process: found on the job's own PATH, in its own session, with nothing inherited but its three streams.

Never ``fork`` with a heap of any size and never ``preexec_fn``: ``os.posix_spawn`` where it can make a session (3.8 and
newer), else the C library's through ``ctypes``, else ``subprocess``.
"""
import errno
import os
import sys

from jobs.system import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Tuple
    Environment = Dict[bytes, bytes]
    Method = Callable[[bytes, Sequence[bytes], Environment, Sequence[int]], int]

__all__ = ["DEFAULT_SIGNALS", "Refused", "SHELL", "SHORTAGES", "Shortage", "Spawner", "shown"]

SHELL = b"/bin/sh"
#: The system is short of something for the moment: no fault of the job.
SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT))
#: Python ignores these; what it starts must not.
DEFAULT_SIGNALS = tuple(int(getattr(signal, name)) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ")
                         if hasattr(signal, name))
_POSIX_SPAWN_SETSIGDEF = 0x04
_POSIX_SPAWN_SETSID = 0x80
#: More than any C library needs for attributes, file actions and a signal set.
_OPAQUE_BYTES = 1024


class Refused(Exception):
    """The command cannot become a process, now or later; ``exit_code`` as a shell would give it."""

    def __init__(self, exit_code: "Optional[int]", reason: str) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.reason = reason


class Shortage(Exception):
    """The system lacks descriptors, processes, memory or disk space; worth another try."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def shown(data: bytes) -> str:
    """Bytes of the operating system in a sentence."""
    return data.decode("utf-8", "backslashreplace")


def _is_program(path: bytes) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


class Spawner:
    """Starts processes; remembers where programs were found."""

    def __init__(self) -> None:
        self._found: "Dict[Tuple[bytes, bytes], bytes]" = {}
        self._method: "Optional[Method]" = None

    def start(self, argv: "Sequence[bytes]", environment: "Environment", streams: "Sequence[int]",
              allow_shell: bool = True, method: "Optional[Method]" = None, base: bytes = b"") -> int:
        """Start a program in the current folder.

        :param argv: the program, by name or by path, and its arguments
        :param streams: descriptors that become 0, 1, 2; as many as are given, the others stay as they are
        :param allow_shell: whether a script without a first line may be given to ``/bin/sh``
        :param method: how to start it, where it is not to be started as all others are
        :param base: the folder that it will be in, where that is not the current one
        :returns: its pid
        :raises Refused: where it cannot be executed
        :raises Shortage: where the system is short of something
        """
        spawn = self.spawn if method is None else method
        name = argv[0]
        path = environment.get(b"PATH", os.defpath.encode())
        program = name if b"/" in name else self._look_up(name, path, base)
        try:
            try:
                return spawn(program, argv, environment, streams)
            except FileNotFoundError:
                if self._found.pop((path, name), None) is None:
                    raise
                program = self._look_up(name, path, base)
                return spawn(program, argv, environment, streams)
        except OSError as error:
            if error.errno == errno.ENOEXEC and allow_shell:
                script = b"./" + program if program.startswith(b"-") else program
                return self._spawn_by_shell([SHELL, script] + list(argv[1:]), environment, streams, spawn)
            raise self._translated(error, program)
        except ValueError as error:
            raise Refused(126, "%s cannot be executed: %s" % (shown(name), error))

    def spawn(self, program: bytes, argv: "Sequence[bytes]", environment: "Environment",
              streams: "Sequence[int]") -> int:
        """Start the program of that path, by the best method that works here; remember which.

        :raises OSError: as ``execve`` and ``fork`` would
        """
        if self._method is None:
            for method in (_by_posix_spawn(), _by_c_library()):
                if method is not None:
                    try:
                        pid = method(program, argv, environment, streams)
                    except NotImplementedError:
                        continue
                    self._method = method
                    return pid
            self._method = _by_subprocess
        return self._method(program, argv, environment, streams)

    def refusal_of(self, error: OSError, program: bytes) -> "Tuple[Optional[int], str]":
        """Exit code and reason where a process has ended since it could not become its program."""
        found = self._translated(error, program)
        return (found.exit_code, found.reason) if isinstance(found, Refused) else (None, str(found))

    def _spawn_by_shell(self, argv: "Sequence[bytes]", environment: "Environment", streams: "Sequence[int]",
                        spawn: "Method") -> int:
        try:
            return spawn(SHELL, argv, environment, streams)
        except OSError as error:
            raise self._translated(error, SHELL)

    def _look_up(self, name: bytes, path: bytes, base: bytes) -> bytes:
        known = self._found.get((path, name))
        if known is not None:
            return known
        refused = None
        for folder in path.split(b":"):
            candidate = os.path.join(base, folder or b".", name)
            if _is_program(candidate):
                if os.path.isabs(folder):
                    self._found[(path, name)] = candidate
                return candidate
            if refused is None and os.path.isfile(candidate):
                refused = candidate
        if refused is not None:
            raise Refused(126, "%s is not executable" % shown(refused))
        raise Refused(127, "program not found: %s (PATH=%s)" % (shown(name), shown(path)))

    def _translated(self, error: OSError, program: bytes) -> Exception:
        text = shown(program)
        if error.errno in SHORTAGES:
            return Shortage("a process cannot be started: %s" % os.strerror(error.errno))
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            if os.path.exists(program):
                return Refused(127, "the interpreter that %s names in its first line was not found" % text)
            return Refused(127, "program not found: %s" % text)
        if error.errno == errno.E2BIG:
            return Refused(126, "command and environment are too long for this system")
        if os.path.isdir(program):
            return Refused(126, "%s is a folder" % text)
        if error.errno == errno.EACCES:
            return Refused(126, "%s is not executable" % text)
        if error.errno == errno.ENOEXEC:
            return Refused(126, "%s is no program, and a shell for it is not allowed" % text)
        return Refused(126, "%s cannot be executed: %s" % (text, os.strerror(error.errno or 0)))


def _by_posix_spawn() -> "Optional[Method]":
    posix_spawn: "Optional[Callable[..., int]]" = getattr(os, "posix_spawn", None)
    if posix_spawn is None:
        return None
    call = posix_spawn
    dup2 = int(getattr(os, "POSIX_SPAWN_DUP2", 2))

    def spawn(program: bytes, argv: "Sequence[bytes]", environment: "Environment", streams: "Sequence[int]") -> int:
        actions = [(dup2, source, target) for target, source in enumerate(streams) if source != target]
        return call(program, argv, environment, file_actions=actions, setsid=True, setsigdef=DEFAULT_SIGNALS)

    return spawn


def _by_c_library() -> "Optional[Method]":
    if not sys.platform.startswith("linux"):
        return None
    import ctypes
    library = ctypes.CDLL(None)
    attributes = ctypes.create_string_buffer(_OPAQUE_BYTES)
    signals = ctypes.create_string_buffer(_OPAQUE_BYTES)
    library.sigemptyset(signals)
    for number in DEFAULT_SIGNALS:
        library.sigaddset(signals, number)
    library.posix_spawnattr_init(attributes)
    library.posix_spawnattr_setsigdefault(attributes, signals)
    flags = ctypes.c_short(_POSIX_SPAWN_SETSIGDEF | _POSIX_SPAWN_SETSID)
    if library.posix_spawnattr_setflags(attributes, flags) != 0:
        return None  # a C library older than POSIX_SPAWN_SETSID
    actions = ctypes.create_string_buffer(_OPAQUE_BYTES)

    def spawn(program: bytes, argv: "Sequence[bytes]", environment: "Environment", streams: "Sequence[int]") -> int:
        variables = [name + b"=" + value for name, value in environment.items()]
        for text in list(argv) + variables + [program]:
            if b"\0" in text:
                raise ValueError("embedded null byte")
        pid = ctypes.c_int()
        arguments = (ctypes.c_char_p * (len(argv) + 1))(*argv)
        environ = (ctypes.c_char_p * (len(variables) + 1))(*variables)
        library.posix_spawn_file_actions_init(actions)
        try:
            for target, source in enumerate(streams):
                if source != target:
                    library.posix_spawn_file_actions_adddup2(actions, source, target)
            code = library.posix_spawn(ctypes.byref(pid), ctypes.c_char_p(program), actions, attributes, arguments,
                                       environ)
        finally:
            library.posix_spawn_file_actions_destroy(actions)
        if code != 0:
            raise OSError(code, os.strerror(code))
        return pid.value

    return spawn


def _by_subprocess(program: bytes, argv: "Sequence[bytes]", environment: "Environment",
                   streams: "Sequence[int]") -> int:
    import subprocess
    standard: "List[Optional[int]]" = [None, None, None]
    standard[:len(streams)] = streams
    inherited = [fd for fd in range(3, 256) if _is_inheritable(fd)]
    process = subprocess.Popen(argv, executable=program, env=environment, start_new_session=True, close_fds=True,
                               pass_fds=inherited, stdin=standard[0], stdout=standard[1], stderr=standard[2])
    # It is ours to reap: else the object would wait for it when it is forgotten.
    process.returncode = 0
    return process.pid


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False
