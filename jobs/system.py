"""The calls to the operating system that tests want to fail, and the real clock.

The keeper and what stands around it reach these calls by attribute (``system.write(...)``), so that a test can put a
failing one in place. Kept free of heavy imports: the keeper loads this module too.
"""
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    try:
        # What ``signal`` wraps: its enumerations alone cost as much as the rest of the keeper's start.
        import _signal as signal
    except ImportError:
        import signal

__all__ = ["SystemClock", "chdir", "close", "kill", "killpg", "open_file", "signal", "stat", "unlink", "wait4",
           "waitid", "write"]

open_file = os.open
close = os.close
write = os.write
unlink = os.unlink
stat = os.stat
chdir = os.chdir
kill = os.kill
killpg = os.killpg
wait4 = os.wait4
#: Tells of an ended child and leaves it to be reaped; None where the system has no such call.
waitid = getattr(os, "waitid", None)


class SystemClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        """Seconds that never jump; the same for every process of this boot."""
        return time.monotonic()

    def wall(self) -> float:
        """Epoch seconds (UTC)."""
        return time.time()
