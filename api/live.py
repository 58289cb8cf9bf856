"""Runs as they change, for event streams: what every stream of a run shares, and what one has not seen yet.

The history keeps states, not a list of all changes; so a watch compares, and gives each change of a job a version.
A stream's ``Last-Event-ID`` is the watch's name and the version seen: with it a client gets what changed since; with
another one, or none, everything. Either way it ends up with the truth.
"""
import json
import os
import threading
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from api.readers import ReaderPool
from api.shapes import job_document, run_document
from api.truths import true_runs
from db.history import History
from db.truth import is_runner_alive, true_jobs
from jobs.group_ids import about
from jobs.masking import Masker
from jobs.models import RunStatus
from jobs.records import RunRecord

__all__ = ["Watches", "event_bytes", "stream_of_run"]

#: How often the history is asked, in seconds; for large runs less often, so that we never use much of a processor.
_PERIOD_S = 0.4
_SHARE = 8.0
_HEARTBEAT_S = 15.0
_JOBS_A_MESSAGE = 500
Document = Dict[str, object]


class Changes(NamedTuple):
    """What a stream has not seen yet."""

    version: int
    #: Whether what was seen before is to be forgotten.
    is_all: bool
    run: Document
    jobs: List[Document]
    is_over: bool


class Watch:
    """One run, as all its streams see it."""

    def __init__(self, readers: ReaderPool, run_id: int) -> None:
        self.run_id = run_id
        self.name = os.urandom(6).hex()
        #: How many streams there are; kept by ``Watches``.
        self.users = 0
        self.config_path = ""
        self._readers = readers
        self._guard = threading.Lock()
        self._mark: Optional[int] = None
        self._next_look = 0.0
        self._version = 0
        self._run: Document = {}
        self._jobs: Dict[int, Tuple[int, Document]] = {}
        self._is_over = False

    def since(self, version: int) -> Changes:
        """What changed after a version; -1 = everything."""
        with self._guard:
            now = time.monotonic()
            if now >= self._next_look and not self._is_over:
                self._look()
                self._next_look = time.monotonic() + max(_PERIOD_S, (time.monotonic() - now) * _SHARE)
            jobs = [document for changed, document in self._jobs.values() if changed > version]
            return Changes(self._version, version < 0, self._run, jobs, self._is_over)

    def _look(self) -> None:
        with self._readers.take() as reader:
            if reader is None:
                self._is_over = True
                return
            history = reader.history
            mark = history.change_mark()
            run = history.run(self.run_id, with_jobs=False)
            if run is None:
                self._is_over = True
                return
            # Readers take turns, and each has marks of its own: so it counts for one reader only.
            key = None if mark is None else hash((id(reader), mark))
            if key is not None and key == self._mark and is_runner_alive(run):
                return
            self._mark = key
            self._take(history, run)

    def _take(self, history: History, run: RunRecord) -> None:
        self.config_path = run.config_path
        jobs = true_jobs(history, run)
        held = history.holds(run.application)
        marks = history.marks(run.run_id)
        run = true_runs(history, [run])[0]
        version = self._version + 1
        counts: Dict[str, int] = {}
        for job in jobs:
            counts[job.status] = counts.get(job.status, 0) + 1
            document = job_document(job, about(job.job_id, held), marks.get(job.job_id))
            known = self._jobs.get(job.position)
            if known is None or known[1] != document:
                self._jobs[job.position] = version, document
                self._version = version
        document = run_document(run, counts)
        if document != self._run:
            self._run = document
            self._version = version
        self._is_over = run.status != RunStatus.RUNNING


class Watches:
    """The watches of all runs that somebody looks at."""

    def __init__(self, readers: ReaderPool) -> None:
        self._readers = readers
        self._guard = threading.Lock()
        self._watches: Dict[int, Watch] = {}

    def enter(self, run_id: int) -> Watch:
        """The watch of a run, for one stream more."""
        with self._guard:
            watch = self._watches.get(run_id)
            if watch is None:
                watch = self._watches[run_id] = Watch(self._readers, run_id)
            watch.users += 1
            return watch

    def leave(self, watch: Watch) -> None:
        """One stream less."""
        with self._guard:
            watch.users -= 1
            if not watch.users and self._watches.get(watch.run_id) is watch:
                del self._watches[watch.run_id]


def event_bytes(name: str, data: object, event_id: str = "", masker: Optional[Masker] = None) -> bytes:
    """One server-sent event."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if masker is not None and masker and masker.may_stand_in(text):
        text = json.dumps(masker.mask_value(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    lines = "id: %s\n" % event_id if event_id else ""
    return (lines + "event: %s\ndata: %s\n\n" % (name, text)).encode("utf-8", "backslashreplace")


def stream_of_run(watches: Watches, run_id: int, last_event_id: str, masker_of: Callable[[str], Masker],
                  admitted: Callable[[], bool], wait: Callable[[float], bool]) -> Iterator[bytes]:
    """The events of a run: ``changes`` until it is over, then ``end``."""
    watch = watches.enter(run_id)
    try:
        name, _, number = last_event_id.partition("-")
        seen = int(number) if name == watch.name and number.isdigit() and len(number) < 18 else -1
        yield b"retry: 2000\n\n"
        quiet_since = time.monotonic()
        while admitted():
            changes = watch.since(seen)
            if changes.version > seen or seen < 0:
                masker = masker_of(watch.config_path)
                for piece in _messages(changes, watch.name, masker):
                    yield piece
                seen = changes.version
                quiet_since = time.monotonic()
            if changes.is_over:
                yield event_bytes("end", {"run_id": run_id}, "%s-%d" % (watch.name, seen))
                return
            if time.monotonic() - quiet_since >= _HEARTBEAT_S:
                yield b": still here\n\n"
                quiet_since = time.monotonic()
            if not wait(_PERIOD_S):
                return
    finally:
        watches.leave(watch)


def _messages(changes: Changes, name: str, masker: Masker) -> Iterator[bytes]:
    """Changes in pieces; only the last one carries the id, so that a client which saw a part of them asks again."""
    jobs = changes.jobs
    pieces = [jobs[start:start + _JOBS_A_MESSAGE] for start in range(0, len(jobs), _JOBS_A_MESSAGE)] or [[]]
    for index, piece in enumerate(pieces):
        is_last = index == len(pieces) - 1
        data = {"all": changes.is_all and index == 0, "run": changes.run, "jobs": piece}
        yield event_bytes("changes", data, "%s-%d" % (name, changes.version) if is_last else "", masker)
