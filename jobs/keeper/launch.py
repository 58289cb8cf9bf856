"""The runner's side: starting a keeper.

The keeper is a fresh interpreter that gets its code over the pipe, as code objects that the runner's import system
has found: so it is the same from a checkout, an install and a zip file, and it does not matter what becomes of the
files during the run. The runner keeps the code for a second keeper, should the first one die.
"""
import fcntl
import marshal
import os
import struct
import sys
from types import ModuleType, TracebackType
from typing import List, Optional, Sequence, Tuple, Type

from jobs import keeper, system
from jobs.keeper import bounds, loop, messages, mounts, nursery, processes, record, spawn, verdict
from jobs.module_code import code_of

__all__ = ["Launcher"]

#: In an order in which each finds what it imports.
_MODULES: Tuple[ModuleType, ...] = (system, keeper, messages, verdict, record, processes, spawn, bounds, mounts,
                                    nursery, loop)
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1 << 18
#: Reads the code from the pipe, makes the modules of it, and runs the loop.
_BOOTSTRAP = """\
import os,sys,marshal
r,w=map(int,sys.argv[2:4])
def read(n):
 b=b''
 while len(b)<n:
  p=os.read(r,n-len(b))
  if not p:sys.exit(71)
  b+=p
 return b
try:
 m=sys.modules;m['jobs']=type(sys)('jobs');m['jobs'].__path__=[]
 for n,c,p in marshal.loads(read(int.from_bytes(read(4),'big'))):
  x=m[n]=type(sys)(n)
  if p:x.__path__=[]
  a,_,z=n.rpartition('.')
  if a:setattr(m[a],z,x)
  exec(c,x.__dict__)
except Exception as e:
 d=marshal.dumps([('fatal',repr(e),'')]);os.write(w,len(d).to_bytes(4,'big')+d);sys.exit(72)
m['jobs.keeper.loop'].main(r,w,[int(k) for k in sys.argv[5:]])
"""


def _code_of(modules: Sequence[ModuleType]) -> bytes:
    parts = []
    for module in modules:
        parts.append((module.__name__, code_of(module), hasattr(module, "__path__")))
    data = marshal.dumps(parts)
    return struct.pack(">I", len(data)) + data


def _enlarge(fd: int) -> None:
    """Give a pipe room for the code and a full window of starts, so that sending them need not wait for the reader."""
    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # it works with less


class Launcher:
    """Starts keepers.

    :param extra_modules: further modules that the keeper executes before its loop (tests put failing system calls in
    place so)
    :param held_fds: descriptors that a keeper holds open as long as it lives (their locks outlive us so)
    :raises InternalError: where the keeper's code cannot be found
    """

    def __init__(self, extra_modules: Sequence[ModuleType] = (), held_fds: Sequence[int] = ()) -> None:
        self._held_fds = list(held_fds)
        self._code = _code_of(_MODULES[:-1] + tuple(extra_modules) + _MODULES[-1:])
        self._spawner = spawn.Spawner()
        self._early: Optional[Tuple[int, messages.Channel]] = None

    def launch_early(self, name: str) -> None:
        """Start a keeper that the next ``launch`` gives: it comes up while its runner is still busy with other things.

        Where it cannot be started now, ``launch`` tries again, and says so if it still cannot. A second call does
        nothing while the first one's keeper waits.
        """
        if self._early is not None:
            return
        try:
            self._early = self.launch(name)
        except OSError:
            self._early = None

    def close(self) -> None:
        """End a keeper that was started early and is not needed: nobody has told it anything yet."""
        if self._early is not None:
            pid, channel = self._early
            self._early = None
            channel.close()
            system.kill(pid, system.signal.SIGKILL)
            try:
                system.wait4(pid, 0)
            except ChildProcessError:
                return

    def __enter__(self) -> "Launcher":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def launch(self, name: str) -> Tuple[int, messages.Channel]:
        """Start a keeper; it is not waited for. It ends by itself when the channel is closed.

        :param name: stands in its command line, for people
        :returns: its pid, and the channel to it
        :raises OSError: where it cannot be started
        """
        if self._early is not None:
            early, self._early = self._early, None
            return early
        interpreter = sys.executable or "/proc/self/exe"
        opened: List[int] = []
        inherited: List[int] = []
        try:
            keeper_reads, we_write = os.pipe()
            opened += [keeper_reads, we_write]
            we_read, keeper_writes = os.pipe()
            opened += [we_read, keeper_writes]
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            opened.append(null)
            for fd in (we_write, keeper_writes):
                _enlarge(fd)
            for fd in [keeper_reads, keeper_writes] + self._held_fds:
                copy = os.dup(fd)
                opened.append(copy)
                inherited.append(copy)
                os.set_inheritable(copy, True)
            argv = [interpreter, "-I", "-S", "-c", _BOOTSTRAP, "executioner-keeper"]
            argv += [str(fd) for fd in inherited[:2]] + [name] + [str(fd) for fd in inherited[2:]]
            pid = self._spawner.spawn(os.fsencode(interpreter), [os.fsencode(word) for word in argv],
                                      dict(os.environb), (null, null, null))
        except OSError:
            for fd in opened:
                os.close(fd)
            raise
        for fd in [keeper_reads, keeper_writes, null] + inherited:
            os.close(fd)
        channel = messages.Channel(we_read, we_write)
        channel.send_bytes(self._code)
        return pid, channel
