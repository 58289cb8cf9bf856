"""The metrics files of a home: what each job cost, line by line, and the current figures of everything.

- ``metrics.jsonl``: a line for each measurement, appended under a lock, rotated by size;
- ``metrics.json``: one document with the current figures, replaced as a whole;
- ``executioner.prom``: the same figures for Prometheus, and a copy where the node exporter looks.

A run only counts while it goes on. Lines are written every few seconds at most, the other files after its end.
"""
import json
import math
import os
import time
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from db.history import History
from jobs.atomic import write_atomically
from jobs.events import AttemptEnded, Event, JobEnded, RunEnded, RunStarted
from jobs.exceptions import ConfigurationError, StorageError
from jobs.home_place import default_home
from jobs.locks import FileLock
from jobs.system import SystemClock
from jobs.times import utc_text
from monitoring.shared_file import LOCK_TIMEOUT_S, append_lines

__all__ = ["MetricsCollector"]

LINES_NAME, DOCUMENT_NAME, TEXT_NAME = "metrics.jsonl", "metrics.json", "executioner.prom"
MAX_BYTES = 10 * 1024 * 1024
KEPT_FILES = 3
#: A run that goes on writes its lines this often, and no later than after so many.
FLUSH_S = 5.0
FLUSH_LINES = 20000
#: Most jobs of one application, and most applications, in the document.
MOST_JOBS = 500
MOST_APPLICATIONS = 200
#: A document longer than that is not read back but begun anew.
_MOST_BYTES = 64 * 1024 * 1024

_Value = Union[int, float]
#: Job, metric, value, epoch seconds; the job is None for what is of the whole run.
_Measurement = Tuple[Optional[str], str, _Value, float]
_ByJob = Dict[str, Dict[str, _Value]]


class MetricsCollector:
    """Collects measurements and keeps the metrics files. Usable by itself, and as the observer of one run.

    :param folder: where the files are; None = the home that ``EXECUTIONER_HOME`` or the default names
    :param application: whose measurements they are
    :param run_id: the run that they are of; None = of none
    :param buffered: keep lines back for some seconds, until ``flush``; else each is written at once
    :param wall: gives epoch seconds
    """

    def __init__(self, folder: Optional[str] = None, application: str = "", run_id: Optional[int] = None,
                 buffered: bool = False, wall: Callable[[], float] = SystemClock().wall, max_bytes: int = MAX_BYTES,
                 kept_files: int = KEPT_FILES) -> None:
        if folder is None:
            folder = os.environ.get("EXECUTIONER_HOME") or default_home(os.environ)
        self.folder = folder
        self.application = application
        self.run_id = run_id
        #: Measurements that could not be written, and the first reason for it.
        self.lost = 0
        self.problem = ""
        self._buffered = buffered
        self._wall = wall
        self._max_bytes = max_bytes
        self._kept_files = max(1, kept_files)
        self._pending: List[_Measurement] = []
        self._flushed_at = time.monotonic()
        self._attempts = 0
        #: Current values by job; only the first ``MOST_JOBS`` jobs are remembered.
        self._jobs: _ByJob = {}
        self._left_out = 0
        self._started_at: Optional[float] = None

    # ---- taking measurements -------------------------------------------------------------------------------------

    def record_job_metric(self, job_id: str, metric: str, value: _Value) -> None:
        """Keep one measurement of a job.

        :param metric: its name with its unit, as in ``duration_seconds``
        :raises ConfigurationError: where the names are no names, or the value is no finite number
        :raises StorageError: where it cannot be written (not where lines are buffered)
        """
        for what, name in (("job", job_id), ("metric", metric)):
            if not isinstance(name, str) or not name or len(name) > 1000:
                raise ConfigurationError("metric: expected the name of a %s, found %r" % (what, name))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ConfigurationError("metric %s of %s: expected a finite number, found %r" % (metric, job_id, value))
        self._keep(job_id, metric, value, self._wall())
        if not self._buffered:
            self._write_lines()
            self._write_document([])

    def tell(self, events: Sequence[Event]) -> None:
        """Count what happened in the run (an observer: see ``jobs.ports``). Never raises for a disk that fails."""
        for event in events:
            if isinstance(event, JobEnded):
                self._job_ended(event)
            elif isinstance(event, AttemptEnded):
                self._attempts += 1
            elif isinstance(event, RunStarted):
                self._started_at = event.at
            elif isinstance(event, RunEnded):
                if self._started_at is not None:
                    self._keep(None, "run_duration_seconds", round(max(0.0, event.at - self._started_at), 6), event.at)
                self._keep(None, "run_attempts", self._attempts, event.at)
        if self._pending and (len(self._pending) >= FLUSH_LINES or time.monotonic() - self._flushed_at >= FLUSH_S):
            self.flush()

    def _job_ended(self, event: JobEnded) -> None:
        if not event.attempts:
            return  # nothing was measured
        self._keep(event.job_id, "attempts", event.attempts, event.at)
        if event.duration_s is not None:
            self._keep(event.job_id, "duration_seconds", round(event.duration_s, 6), event.at)
        if event.cpu_s is not None:
            self._keep(event.job_id, "cpu_seconds", round(event.cpu_s, 6), event.at)
        if event.max_rss_bytes is not None:
            self._keep(event.job_id, "max_rss_bytes", event.max_rss_bytes, event.at)

    def _keep(self, job_id: Optional[str], metric: str, value: _Value, at: float) -> None:
        self._pending.append((job_id, metric, value, at))
        name = "" if job_id is None else job_id
        if name not in self._jobs:
            if len(self._jobs) >= MOST_JOBS:
                self._left_out += 1
                return
            self._jobs[name] = {}
        self._jobs[name][metric] = value

    # ---- writing -------------------------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write the lines that were kept back; whether that went well. What is lost is counted."""
        try:
            self._write_lines()
            return True
        except StorageError as error:
            self.problem = self.problem or error.message
            return False

    def finish(self, history: History, version: str, textfile: str = "") -> List[str]:
        """Write everything: the lines, the document, the Prometheus text and its copy. Never raises.

        :param version: of this program
        :param textfile: where the copy goes, 0644; "" = nowhere
        :returns: what could not be written, a line each
        """
        problems = [] if self.flush() else [self.problem]
        try:
            from monitoring.figures import families_of
            from monitoring.prometheus import json_families, render
            families = families_of(history, version, self._wall(), os.path.join(self.folder, "locks"))
            text = render(families).encode("utf-8")
            self._write_document(json_families(families))
            write_atomically(os.path.join(self.folder, TEXT_NAME), text, durable=False)
            if textfile:
                write_atomically(textfile, text, 0o644, durable=False)
        except StorageError as error:
            problems.append(error.message)
        return problems

    def _write_lines(self) -> None:
        pending, self._pending = self._pending, []
        self._flushed_at = time.monotonic()
        if not pending:
            return
        run = "null" if self.run_id is None else str(self.run_id)
        middle = 'Z", "application": %s, "run_id": %s, "job_id": ' % (json.dumps(self.application), run)
        lines = []
        stamp, stamped_at = "", -1.0
        names: Dict[str, str] = {}
        job, job_text = "", "null"
        for job_id, metric, value, at in pending:
            if at != stamped_at:
                stamp, stamped_at = '{"timestamp": "' + utc_text(at)[:-1] + middle, at
            if job_id != job:
                job, job_text = job_id or "", "null" if job_id is None else json.dumps(job_id)
            if metric not in names:
                names[metric] = ', "metric": %s, "value": ' % json.dumps(metric)
            lines.append("%s%s%s%r}\n" % (stamp, job_text, names[metric], value))
        try:
            append_lines(os.path.join(self.folder, LINES_NAME), "".join(lines).encode("ascii"), self._max_bytes,
                         self._kept_files)
        except StorageError:
            self.lost += len(lines)
            raise

    def _write_document(self, families: List[Dict[str, object]]) -> None:
        """Replace the document: our jobs anew, those of other applications as they stand in it."""
        path = os.path.join(self.folder, DOCUMENT_NAME)
        lock = FileLock(path + ".lock")
        if not lock.acquire(timeout_s=LOCK_TIMEOUT_S):
            raise StorageError("cannot write %s: another process has kept its lock for %g s" % (path, LOCK_TIMEOUT_S),
                               context={"path": path})
        try:
            document = _read_object(path)
            jobs = document.get("jobs")
            by_application: Dict[str, object] = dict(jobs) if isinstance(jobs, dict) else {}
            before = by_application.pop(self.application, None)
            ours: Dict[str, object] = dict(self._jobs)
            if self.run_id is None and isinstance(before, dict):
                # Measurements from outside a run add to each other.
                ours = dict(list(dict(before, **ours).items())[-MOST_JOBS:])
            by_application[self.application] = ours
            # The last to write stands last: the longest silent one goes first.
            by_application = dict(list(by_application.items())[-MOST_APPLICATIONS:])
            kept = document.get("metrics")
            shown = families or (kept if isinstance(kept, list) else [])
            content = {"updated": utc_text(self._wall()), "metrics": shown, "jobs": by_application}
            write_atomically(path, (json.dumps(content, allow_nan=False) + "\n").encode("ascii"),
                             durable=False)
        finally:
            lock.release()


def _read_object(path: str) -> Dict[str, object]:
    """The JSON object in a file; empty where there is none, or something else."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        value = json.loads(content.decode("utf-8")) if len(content) <= _MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
