"""A job that tries to get away: ``escapee.py STYLE TAG STAYS``. Whatever it leaves behind has TAG among its arguments.

STAYS is ``stays`` (its first process hangs until it is stopped) or ``leaves`` (it ends well, at once).
"""
import os
import pty
import signal
import sys
import time

SLEEP_S = "86400"


def hold(tag):
    """Become a process that sleeps for a day with the tag among its arguments."""
    os.execvp("sh", ["sh", "-c", "exec sleep %s # %s" % (SLEEP_S, tag), tag])


def waiting(tag):
    """The same, but as a shell that still has the tag in its own arguments."""
    os.execvp(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(86400)", tag])


def child(tag, *, session=False, group=False, ignores=False, scrubbed=False, times=1):
    """Fork ``times`` deep; the last one holds."""
    pid = os.fork()
    if pid:
        return pid
    for _ in range(times - 1):
        if os.fork():
            os._exit(0)
    if session:
        os.setsid()
    elif group:
        os.setpgid(0, 0)
    if ignores:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    environment = {} if scrubbed else dict(os.environ)
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(86400)", tag], environment)
    raise AssertionError


def respawn(tag):
    """A process that makes its successor in a session of its own every ten milliseconds, and goes."""
    if os.fork():
        return
    code = ("import os, sys, time\n"
            "while True:\n"
            "    time.sleep(0.01)\n"
            "    if os.fork(): os._exit(0)\n"
            "    os.setsid()\n")
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code, tag])


def spread(tag):
    """A process that starts another one in a session of its own every ten milliseconds, for ever."""
    if os.fork():
        return
    code = ("import os, sys, time\n"
            "while True:\n"
            "    pid = os.fork()\n"
            "    if not pid:\n"
            "        os.setsid()\n"
            "        time.sleep(60)\n"
            "        os._exit(0)\n"
            "    time.sleep(0.01)\n")
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code, tag])


def subreaper(tag):
    """A nested subreaper, whose own strays come to it, and then to whoever gets it."""
    import ctypes
    if os.fork():
        return
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    os.setsid()
    child(tag, session=True, times=2)
    waiting(tag)


def on_a_terminal(tag):
    """A child with a pseudo-terminal of its own, as ``script`` makes one."""
    pid, fd = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        waiting(tag)
    # The terminal is kept open, so that nothing hangs up.
    os.set_inheritable(fd, True)


def workers(tag):
    """Python's own multiprocessing: a resource tracker and workers."""
    code = ("import multiprocessing, sys, time\n"
            "for _ in range(2):\n"
            "    multiprocessing.Process(target=time.sleep, args=(86400,)).start()\n"
            "time.sleep(86400)\n")
    if os.fork():
        return
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-I", "-c", code, tag])


def stopped(tag):
    """A child that is stopped and obeys nothing."""
    pid = child(tag, session=True, ignores=True)
    time.sleep(0.05)
    os.kill(pid, signal.SIGSTOP)


def first_thread_ends(tag):
    """The first thread of the process ends, which looks like a zombie; the other goes on."""
    code = ("import ctypes, time\n"
            "from threading import Thread\n"
            "Thread(target=time.sleep, args=(86400,)).start()\n"
            "ctypes.CDLL(None).pthread_exit(None)\n")
    if os.fork():
        return
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code, tag])


STYLES = {
    "background": lambda tag: child(tag),
    "nohup": lambda tag: child(tag, ignores=False, group=False, times=2),
    "ignores-term": lambda tag: child(tag, ignores=True),
    "own-group": lambda tag: child(tag, group=True),
    "setsid": lambda tag: child(tag, session=True),
    "setsid-twice": lambda tag: child(tag, session=True, ignores=True, times=3),
    "double-fork": lambda tag: child(tag, session=True, times=2),
    "no-environment": lambda tag: child(tag, session=True, times=2, scrubbed=True),
    "respawner": respawn,
    "spreader": spread,
    "stopped": stopped,
    "multiprocessing": workers,
    "subreaper": subreaper,
    "terminal": on_a_terminal,
    "first-thread-ends": first_thread_ends,
}


def main():
    style, tag, stays = sys.argv[1:4]
    STYLES[style](tag)
    # What was left behind has to be there before its parent is gone.
    time.sleep(0.1)
    if stays == "stays":
        waiting(tag)
    return 0


if __name__ == "__main__":
    sys.exit(main())
