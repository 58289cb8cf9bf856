"""The events of a run as log records: ``EventLog`` is told what happened and writes it down.

The names in ``EVENTS`` and what their ``context`` holds are documented in ``docs/logs.md`` and stay.
"""
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple, Type

from executioner_logging.record import Record
from executioner_logging.writer import LogWriter
from jobs.events import (AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, Notice, OutputsKept,
                         RetryScheduled, RunEnded, RunStarted, RunStopping)
from jobs.exceptions import JobExecutionError, JobTimeoutError
from jobs.models import JobStatus, RunStatus
from jobs.times import duration_text

__all__ = ["EVENTS", "EventLog", "OTHER_EVENTS"]

#: Every ``event`` of the engine's stream.
EVENTS = ("run_started", "attempt_intended", "attempt_started", "attempt_ended", "outputs_kept", "retry_scheduled",
          "job_ended", "run_stopping", "run_ended", "notice")
#: What the command and the log itself have to say besides.
OTHER_EVENTS = ("configuration", "run_skipped", "run_waiting", "run_settled", "aftermath", "notification_sent",
                "notification_failed", "job_late", "retention", "central_copied", "central_failed", "aftermath_failed",
                "log_gap", "api_started", "api_stopped", "api_act", "api_error", "api_failed", "error")

_QUIET = (JobStatus.SUCCESS, JobStatus.SKIPPED)
_FAILURES = {JobStatus.FAILED: JobExecutionError.default_code, JobStatus.ERROR: JobExecutionError.default_code,
             JobStatus.LOST: JobExecutionError.default_code, JobStatus.TIMEOUT: JobTimeoutError.default_code}


class EventLog:
    """An observer that writes every event it is told into the log.

    :param writer: where to
    :param run_id: for events before ``RunStarted``, or where that was told to another process
    :param application: likewise
    """

    def __init__(self, writer: LogWriter, run_id: Optional[int] = None, application: str = "") -> None:
        self._writer = writer
        self._run_id = run_id
        self._application = application
        self._wants_debug = writer.wants("DEBUG")
        #: Attempts that began and ended between two calls: their end says it all.
        self._over: Set[str] = set()
        #: Jobs that succeeded at once and whose end comes in the same call: it says what the attempt's end would.
        self._told: Set[int] = set()
        #: Where the output of attempts goes that have not ended: named when one fails.
        self._outputs: Dict[str, Tuple[str, str]] = {}

    def tell(self, events: Sequence[Event]) -> None:
        """Write the events, in order and in one piece where they are not too many."""
        records: List[Record] = []
        self._over = {event.token for event in events if type(event) is AttemptEnded}
        self._told = {event.position for event in events
                      if type(event) is JobEnded and event.status == JobStatus.SUCCESS and event.attempts == 1}
        for event in events:
            record = _SHAPES[type(event)](self, event)
            if record is not None:
                record.run_id = self._run_id
                record.application = self._application
                records.append(record)
        self._writer.write(records)

    def _run_started(self, event: RunStarted) -> Record:
        self._run_id = event.run_id
        self._application = event.application
        return Record(event.at, "INFO", "run_started", "run %d of %s started: %d job%s, %d at once" % (
            event.run_id, event.application, event.job_count, "" if event.job_count == 1 else "s", event.max_workers),
            context={"run_uuid": event.run_uuid, "config": event.config_path, "jobs": event.job_count,
                     "max_workers": event.max_workers})

    def _attempt_intended(self, event: AttemptIntended) -> Optional[Record]:
        self._outputs[event.token] = (event.stdout_path, event.stderr_path)
        if not self._wants_debug:
            return None
        return Record(event.at, "DEBUG", "attempt_intended", "%s: attempt %d is about to start" % (
            event.job_id, event.attempt), job_id=event.job_id, attempt=event.attempt,
            context={"stdout_path": event.stdout_path, "stderr_path": event.stderr_path})

    def _attempt_started(self, event: AttemptStarted) -> Optional[Record]:
        is_over = event.token in self._over
        if is_over and not self._wants_debug:
            return None
        return Record(event.at, "DEBUG" if is_over else "INFO", "attempt_started", "%s: attempt %d started (pid %d)" % (
            event.job_id, event.attempt, event.pid), job_id=event.job_id, attempt=event.attempt,
            context={"pid": event.pid})

    def _attempt_ended(self, event: AttemptEnded) -> Optional[Record]:
        outcome = event.outcome
        outputs = self._outputs.pop(event.token, None)
        is_told = event.position in self._told and outcome.status == JobStatus.SUCCESS and not outcome.survivors
        if is_told and not self._wants_debug:
            return None
        context: Dict[str, object] = {"status": outcome.status}
        _add(context, exit_code=outcome.exit_code, signal=outcome.signal, stop_reason=outcome.stop_reason or None,
             duration=outcome.duration_s, cpu_seconds=outcome.cpu_s, max_rss=outcome.max_rss_bytes,
             survivors=outcome.survivors or None)
        quiet = outcome.status in _QUIET
        if outputs is not None and not quiet:
            context["stdout_path"], context["stderr_path"] = outputs
        level = "DEBUG" if is_told else "INFO" if quiet else "WARNING"
        return Record(event.at, level, "attempt_ended", "%s: attempt %d %s%s" % (
            event.job_id, event.attempt, outcome.status, _how(outcome.duration_s, outcome.reason)),
            job_id=event.job_id, attempt=event.attempt, error_code=_FAILURES.get(outcome.status), context=context)

    def _outputs_kept(self, event: OutputsKept) -> Record:
        # The names alone: what a value is, its job knows.
        names = sorted(event.outputs)
        return Record(event.at, "INFO", "outputs_kept", "%s: told %s" % (event.job_id, ", ".join(names)),
                      job_id=event.job_id, context={"outputs": names})

    def _retry_scheduled(self, event: RetryScheduled) -> Record:
        return Record(event.at, "WARNING", "retry_scheduled", "%s: attempt %d in %s%s" % (
            event.job_id, event.attempt, duration_text(event.delay_s), _because(event.reason)),
            job_id=event.job_id, attempt=event.attempt, context={"delay": event.delay_s})

    def _job_ended(self, event: JobEnded) -> Record:
        context: Dict[str, object] = {"status": event.status, "attempts": event.attempts}
        _add(context, exit_code=event.exit_code, signal=event.signal, duration=event.duration_s,
             cpu_seconds=event.cpu_s, max_rss=event.max_rss_bytes)
        level = "INFO" if event.status in _QUIET else "ERROR" if event.status in _FAILURES else "WARNING"
        return Record(event.at, level, "job_ended", "%s: %s%s" % (
            event.job_id, event.status, _how(event.duration_s, event.reason)), job_id=event.job_id,
            error_code=_FAILURES.get(event.status), context=context)

    def _run_stopping(self, event: RunStopping) -> Record:
        return Record(event.at, "WARNING", "run_stopping", "no new job starts%s" % _because(event.reason))

    def _run_ended(self, event: RunEnded) -> Record:
        level = "INFO" if event.status == RunStatus.SUCCESS else \
            "WARNING" if event.status == RunStatus.CANCELLED else "ERROR"
        self._run_id = event.run_id
        return Record(event.at, level, "run_ended", "run %d ended: %s, exit code %d%s" % (
            event.run_id, event.status, event.exit_code, _because(event.reason)),
            context={"status": event.status, "exit_code": event.exit_code})

    def _notice(self, event: Notice) -> Record:
        return Record(event.at, event.level.upper(), "notice", event.message, job_id=event.job_id,
                      error_code=event.error_code, context=dict(event.context))


def _how(duration_s: Optional[float], reason: str) -> str:
    return (" after " + duration_text(duration_s) if duration_s is not None else "") + _because(reason)


def _because(reason: str) -> str:
    return ": " + reason if reason else ""


def _add(context: Dict[str, object], **facts: object) -> None:
    for name, value in facts.items():
        if value is not None:
            context[name] = value


_SHAPES: Dict[Type[object], Callable[..., Optional[Record]]] = {
    RunStarted: EventLog._run_started, AttemptIntended: EventLog._attempt_intended,
    AttemptStarted: EventLog._attempt_started, AttemptEnded: EventLog._attempt_ended,
    OutputsKept: EventLog._outputs_kept, RetryScheduled: EventLog._retry_scheduled,
    JobEnded: EventLog._job_ended, RunStopping: EventLog._run_stopping,
    RunEnded: EventLog._run_ended, Notice: EventLog._notice,
}
