"""What ``/health`` looks at: the checks of ``monitoring.health``, made at most once a second for all who ask."""
import threading
import time
from typing import List

from api.service import Check
from jobs.system import SystemClock
from monitoring.health import check_health

__all__ = ["Vitals"]

_KEEP_S = 1.0


class Vitals:
    """The checks of one home.

    :param home: its folder
    :param history_path: its history
    """

    def __init__(self, home: str, history_path: str) -> None:
        self._home = home
        self._history_path = history_path
        self._guard = threading.Lock()
        self._made: List[Check] = []
        self._made_at = -_KEEP_S

    def checks(self) -> List[Check]:
        """The checks, a second old at most."""
        with self._guard:
            if time.monotonic() - self._made_at >= _KEEP_S or not self._made:
                self._made = self._make()
                self._made_at = time.monotonic()
            return self._made

    def _make(self) -> List[Check]:
        return [Check(one.name, one.ok, "%s: %s" % (one.application, one.found) if one.application else one.found)
                for one in check_health(self._home, self._history_path, SystemClock().wall())]
