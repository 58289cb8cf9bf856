"""The three ways to start a process do the same thing; the two older ones are used where the newest is missing."""
import errno
import os
import signal
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import pytest

from jobs.keeper import spawn
from jobs.keeper.processes import children_of

Method = Callable[[bytes, Sequence[bytes], Dict[bytes, bytes], Sequence[int]], int]


def methods() -> Dict[str, Optional[Method]]:
    """What can be had here."""
    return {"os.posix_spawn": spawn._by_posix_spawn(), "C library": spawn._by_c_library(),
            "subprocess": spawn._by_subprocess}


@pytest.fixture(params=["os.posix_spawn", "C library", "subprocess"])
def method(request: pytest.FixtureRequest) -> Method:
    """Each method that there is."""
    found = methods()[request.param]
    if found is None:
        pytest.skip("not on this Python")
    return found


def run(method: Method, tmp_path: Path, argv: List[bytes], environment: Dict[bytes, bytes]) -> bytes:
    """The output of a program."""
    out = os.open(str(tmp_path / "out"), os.O_RDWR | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDWR)
    try:
        pid = method(argv[0], argv, environment, (null, out, out))
        assert os.waitpid(pid, 0) == (pid, 0)
        return (tmp_path / "out").read_bytes()
    finally:
        os.close(out)
        os.close(null)


def test_session_streams_environment_and_signals(method: Method, tmp_path: Path) -> None:
    """A session of its own, the three streams and no more, the environment as given, default signals."""
    script = (b'echo $$ $(cut -d" " -f5,6 /proc/$$/stat); env -u PWD -u OLDPWD -u _ -u SHLVL | sort; '
              b"grep SigIgn /proc/self/status; ls /proc/self/fd | tr '\\n' ' '")
    lines = run(method, tmp_path, [b"/bin/sh", b"-c", script], {b"A": b"\xff", b"B": b""}).split(b"\n")
    pid, group, session = lines[0].split()
    assert pid == group == session
    assert lines[1:3] == [b"A=\xff", b"B="]
    # 32 and 33 are the C library's own.
    assert int(lines[3].split()[1], 16) & ~(3 << 31) == 0
    ours = {fd for fd in range(256) if spawn._is_inheritable(fd)}
    assert {int(word) for word in lines[4].split()} - ours == {0, 1, 2, 3} - ours


def test_what_cannot_be_executed_is_an_error_of_its_kind(method: Method, tmp_path: Path) -> None:
    """The error number of ``execve``, and no process left."""
    before = set(children_of(os.getpid()))  # servers and a browser of other tests
    (tmp_path / "plain").write_text("text")
    (tmp_path / "script").write_text("echo")
    (tmp_path / "script").chmod(0o755)
    for name, number in (("missing", errno.ENOENT), ("plain", errno.EACCES), ("script", errno.ENOEXEC)):
        program = os.fsencode(str(tmp_path / name))
        with pytest.raises(OSError) as raised:
            method(program, [program], {}, ())
        assert raised.value.errno == number, name
    with pytest.raises(OSError) as raised:
        method(b"/bin/true", [b"true", b"x" * 3000000], {}, ())
    assert raised.value.errno == errno.E2BIG
    with pytest.raises(ValueError):
        method(b"/bin/true", [b"true", b"a\0b"], {}, ())
    assert set(children_of(os.getpid())) <= before, "a process was left"


def test_the_exit_status_is_ours_to_take(method: Method) -> None:
    """Nobody else reaps the child."""
    pids = [method(b"/bin/sh", [b"sh", b"-c", b"exit %d" % code], {}, ()) for code in range(5)]
    assert [os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in pids] == list(range(5))


def test_older_ways_are_used_where_newer_ones_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.7, or a build against an old C library; then a C library that makes no session either."""
    def unavailable(*arguments: object, **options: object) -> int:
        raise NotImplementedError

    used = []
    monkeypatch.setattr(os, "posix_spawn", unavailable, raising=False)
    real_c_library = spawn._by_c_library()
    assert real_c_library is not None

    def noted(*arguments: object) -> int:
        used.append("C library")
        return real_c_library(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(spawn, "_by_c_library", lambda: noted)
    spawner = spawn.Spawner()
    for _ in range(2):
        os.waitpid(spawner.spawn(b"/bin/true", [b"true"], {}, ()), 0)
    assert used == ["C library", "C library"]
    monkeypatch.setattr(spawn, "_by_c_library", lambda: None)
    monkeypatch.setattr(spawn, "_by_subprocess", lambda *arguments: used.append("subprocess") or 1)
    assert spawn.Spawner().spawn(b"/bin/true", [b"true"], {}, ()) == 1 and used[-1] == "subprocess"


def test_python_ignores_sigpipe_and_its_children_do_not() -> None:
    """The premise of the reset: without it, a job in a pipe would never end."""
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
