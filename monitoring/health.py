"""Whether a home is well: what ``doctor --health`` and ``/health`` answer.

Each check has a name from ``CHECKS``, which tells nothing about what runs here; what it is about, and what was found,
is for those who may know.
"""
import os
import tempfile
from typing import List, NamedTuple, Optional

from db.destinations import Destination, destinations
from db.figures import application_figures
from db.history import ApplicationSettings, History
from db.keeping import oldest_start
from db.truth import is_anything_running
from jobs.exceptions import ExecutionerError
from jobs.server_place import parse_place
from jobs.times import duration_text, utc_text

__all__ = ["CHECKS", "HealthCheck", "check_health"]

#: Every check that there is.
CHECKS = ("storage", "disk", "history", "clock", "expect", "stuck", "central")
#: Free space and files below which a run would soon fail.
LEAST_FREE_BYTES = 64 << 20
LEAST_FREE_FILES = 1000
#: How long an ended run may wait for its server before somebody should look, in seconds.
CENTRAL_TOLERANCE_S = 900.0
#: A clock that says less than this (2020-01-01) was never set.
EARLIEST = 1577836800.0
#: How far the clock may have gone back since the newest run started, in seconds.
CLOCK_TOLERANCE_S = 300.0


class HealthCheck(NamedTuple):
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    #: The application that it is about; "" = the home as a whole.
    application: str = ""


def check_health(home: str, history_path: str, now: float) -> List[HealthCheck]:
    """Look at everything once; never raises for what it finds.

    :param home: the home's folder
    :param now: epoch seconds
    """
    checks = [_storage(home), _disk(home)]
    if not os.path.lexists(history_path):
        return checks + [HealthCheck("history", True, "none yet"), _clock(None, now)]
    try:
        with History.open(history_path, readonly=True, lock_timeout_s=5.0) as history:
            newest = history.runs(limit=1)
            checks.append(HealthCheck("history", True, "newest run: %d" % newest[0].run_id if newest else "no runs"))
            checks.append(_clock(newest[0].started_at if newest else None, now))
            checks += [_expected(history, one, now) for one in history.application_settings()
                       if one.expect_s is not None]
            checks += _stuck(history)
            checks += [_central(one, now) for one in destinations(history.database)]
    except ExecutionerError as error:
        checks.append(HealthCheck("history", False, error.message))
    return checks


def _storage(home: str) -> HealthCheck:
    """Whether a file can be written where everything is kept: by writing one."""
    try:
        descriptor, path = tempfile.mkstemp(prefix=".health-", dir=home)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)
            os.unlink(path)
    except OSError as error:
        return HealthCheck("storage", False, "%s cannot be written: %s" % (home, error.strerror or error))
    return HealthCheck("storage", True, "%s can be written" % home)


def _disk(home: str) -> HealthCheck:
    try:
        status = os.statvfs(home)
    except OSError as error:
        return HealthCheck("disk", False, "%s: %s" % (home, error.strerror or error))
    free = status.f_bavail * status.f_frsize
    text = "%.1f GiB free" % (free / 2.0 ** 30)
    if status.f_files and status.f_favail < LEAST_FREE_FILES:
        return HealthCheck("disk", False, "%s, but only %d more files" % (text, status.f_favail))
    return HealthCheck("disk", free >= LEAST_FREE_BYTES, text)


def _clock(newest_start: Optional[float], now: float) -> HealthCheck:
    if now < EARLIEST:
        return HealthCheck("clock", False, "it says %s: it was never set" % utc_text(now))
    if newest_start is not None and now < newest_start - CLOCK_TOLERANCE_S:
        return HealthCheck("clock", False, "it has gone back: the newest run started %s from now" % duration_text(
            newest_start - now))
    return HealthCheck("clock", True, utc_text(now)[:19] + "Z")


def _expected(history: History, settings: ApplicationSettings, now: float) -> HealthCheck:
    """The dead man's switch: whether the application succeeded lately enough."""
    assert settings.expect_s is not None
    name, allowed = settings.application, duration_text(settings.expect_s)
    success = application_figures(history, name).last_success
    if success is not None:
        age_s = max(0.0, now - success.ended_at)
        return HealthCheck("expect", age_s <= settings.expect_s, "%s succeeded %s ago (run %d); expected every %s" % (
            name, duration_text(age_s), success.run_id, allowed), name)
    first = oldest_start(history, name)
    age_s = 0.0 if first is None else max(0.0, now - first)
    return HealthCheck("expect", age_s <= settings.expect_s, "%s has never succeeded, its first run is %s old; "
                       "expected every %s" % (name, duration_text(age_s), allowed), name)


def _stuck(history: History) -> List[HealthCheck]:
    """Runs that the history has as running although nothing of them is."""
    found = [HealthCheck("stuck", False, "the runner of run %d of %s died; the next run of it, or executioner db "
                         "recover, closes it" % (run.run_id, run.application), run.application)
             for run in history.open_runs() if not is_anything_running(run)]
    return found or [HealthCheck("stuck", True, "no run is without its runner")]


def _central(one: Destination, now: float) -> HealthCheck:
    """Whether what has ended comes to its server."""
    shown = parse_place(one.place).shown
    if not one.waiting or one.waiting_since is None:
        return HealthCheck("central", True, "nothing waits for %s" % shown)
    age_s = max(0.0, now - one.waiting_since)
    return HealthCheck("central", age_s <= CENTRAL_TOLERANCE_S, "%d runs wait for %s, the oldest for %s%s" % (
        one.waiting, shown, duration_text(age_s), ": " + one.problem if one.problem else ""))
