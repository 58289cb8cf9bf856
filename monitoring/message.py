"""What a message says: enough for a person at three in the morning to act on. Built from the history, masked."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from db.figures import last_job_success
from db.history import EventKind, History
from jobs.exceptions import StorageError
from jobs.group_ids import in_shell
from jobs.masking import NO_SECRETS, Masker
from jobs.models import FAILURE_STATUSES, JobStatus, RunStatus
from jobs.records import JobRecord, RunRecord
from jobs.tails import read_tail, short_lines
from jobs.terminal_text import safe_text
from jobs.times import duration_text, utc_text

__all__ = ["Facts", "Message", "failed_jobs", "late_message", "resume_command", "retry_message", "run_message",
           "runbook_lines", "trial_message"]

MOST_FAILURES = 10
MOST_NAMES = 20
TAIL_LINES = 20
_TAIL_BYTES = 8 * 1024
#: Failed jobs that are looked at together.
_PAGE = 200


class Facts(NamedTuple):
    """What the history does not know."""

    #: How ``executioner`` with this home is called.
    command: str = "executioner"
    masker: Masker = NO_SECRETS
    #: Text or URL by job.
    runbooks: Dict[str, str] = {}


class Message(NamedTuple):
    """A message before it is given its form for mail, web or command."""

    subject: str
    body: str
    #: The same for programs; JSON-able.
    payload: Dict[str, object]


def failed_jobs(history: History, run: RunRecord, limit: int = MOST_FAILURES + 1) -> List[JobRecord]:
    """The jobs of a run that failed and were not allowed to, in the order of the file; of a run that was lost without
    any, those that were."""
    wants_forgiven = run.status == RunStatus.LOST and not history.failure_count(run.run_id)
    failed: List[JobRecord] = []
    page = history.jobs(run.run_id, sorted(FAILURE_STATUSES), limit=_PAGE)
    while page and len(failed) < limit:
        failed += [job for job in page if wants_forgiven or not job.allow_failure]
        page = history.jobs(run.run_id, sorted(FAILURE_STATUSES), limit=_PAGE, after=page[-1].position)
    return failed[:limit]


def run_message(history: History, run: RunRecord, event: str, facts: Facts, template: str = "",
                previous: Optional[RunRecord] = None) -> Message:
    """The message about a run that has ended.

    :param event: what it is about (``jobs.models.NOTIFY_ON``)
    :param template: of the subject; "" = ours
    :param previous: the run before, where this one is a recovery from it
    """
    failed = failed_jobs(history, run) if run.status != RunStatus.SUCCESS else []
    usual = history.usual_durations(run.application) if failed else {}
    counts = history.job_counts(run.run_id)
    bad = history.failure_count(run.run_id)
    lines = [_headline(run, counts, bad, previous)]
    payload_jobs: List[Dict[str, object]] = []
    for job in failed[:MOST_FAILURES]:
        told, fields = _failure(history, run, job, usual.get(job.job_id), facts)
        lines += [""] + told
        payload_jobs.append(fields)
    if len(failed) > MOST_FAILURES:
        lines += ["", "and %d more failed" % ((bad or _failed_in_all(counts)) - MOST_FAILURES)]
    for status, words in ((JobStatus.BLOCKED, "not run, because what they need failed"),
                          (JobStatus.CANCELLED, "not started or stopped")):
        if counts.get(status):
            lines += ["", _named(history, run, status, words, counts[status])]
    lines += [""] + _run_lines(history, run, facts)
    names = [job.job_id for job in failed[:MOST_FAILURES]]
    subject = _subject(template, run, event, names) if template else _default_subject(run, event, failed)
    return _message(subject, lines, run, event, facts, {"jobs": payload_jobs})


def retry_message(history: History, run: RunRecord, job_id: str, why: str, facts: Facts, template: str = "") -> Message:
    """The message about a job that is tried again."""
    lines = ["%s of %s (run %d) is tried again: %s" % (job_id, run.application, run.run_id, why), ""]
    runbook = facts.runbooks.get(job_id)
    if runbook:
        lines += ["runbook: " + runbook, ""]
    lines += ["its output so far: %s logs %d %s" % (facts.command, run.run_id, in_shell(job_id))]
    subject = _subject(template, run, "retry", [job_id]) if template else "[executioner] %s: %s is tried again" % (
        run.application, job_id)
    return _message(subject, lines, run, "retry", facts, {"jobs": [{"job_id": job_id, "reason": why}]})


def late_message(run: RunRecord, job_id: str, why: Sequence[str], missed: bool, facts: Facts,
                 template: str = "") -> Message:
    """The message about a job that has missed its deadline, or is expected to.

    :param why: the reasons, a line each
    """
    lines = ["%s of %s (run %d) %s" % (job_id, run.application, run.run_id,
                                       "is late" if missed else "is expected to be late"), ""] + list(why)
    runbook = facts.runbooks.get(job_id)
    if runbook:
        lines += ["", "runbook: " + runbook]
    lines += ["", "what it is doing: %s logs %d %s" % (facts.command, run.run_id, in_shell(job_id)),
              "all of the run:   %s show %d" % (facts.command, run.run_id)]
    subject = _subject(template, run, "late", [job_id]) if template else "[executioner] %s: %s %s" % (
        run.application, job_id, "is late" if missed else "will be late")
    return _message(subject, lines, run, "late", facts, {"missed": missed, "jobs": [
        {"job_id": job_id, "reason": "; ".join(why)}]})


def trial_message(application: str, host: str) -> Message:
    """A message that shows whether messages arrive."""
    text = "This is a test of the notifications of %s on %s: nothing happened." % (application, host)
    return Message("[executioner] test: %s on %s" % (application, host), text + "\n",
                   {"event": "test", "application": application, "host": host, "text": text})


def _message(subject: str, lines: Sequence[str], run: RunRecord, event: str, facts: Facts,
             more: Dict[str, object]) -> Message:
    masker = facts.masker
    body = "".join(safe_text(masker.mask_text(line)) + "\n" for line in lines)
    subject = " ".join(safe_text(masker.mask_text(subject)).split())[:200]
    payload: Dict[str, object] = {
        "event": event, "subject": subject, "text": body, "application": run.application, "run_id": run.run_id,
        "run_uuid": run.run_uuid, "status": run.status, "exit_code": run.exit_code, "reason": run.reason,
        "started": None if run.started_at is None else utc_text(run.started_at),
        "ended": None if run.ended_at is None else utc_text(run.ended_at), "duration": run.duration_s,
        "host": run.host, "config": run.config_path, "resume": _resume(run, facts)}
    payload.update(more)
    masked = masker.mask_value(payload)
    assert isinstance(masked, dict)
    return Message(subject, body, masked)


def _resume(run: RunRecord, facts: Facts) -> Optional[str]:
    return None if run.status in (RunStatus.SUCCESS, RunStatus.RUNNING) else resume_command(run, facts.command)


def resume_command(run: RunRecord, command: str) -> str:
    """What is typed to go on with a run.

    :param command: how ``executioner`` with this home is called
    """
    from shlex import quote
    return "%s run %s --resume %d" % (command, quote(run.config_path), run.run_id)


def runbook_lines(runbook: str) -> List[str]:
    """A runbook below the job that it is of; nothing where there is none."""
    if not runbook:
        return []
    first, *more = runbook.split("\n")
    return ["  runbook: " + first] + ["           " + line for line in more]


def _default_subject(run: RunRecord, event: str, failed: Sequence[JobRecord]) -> str:
    what = run.status
    if event == "recovery":
        what = "recovered"
    elif failed:
        first = failed[0]
        what += ": %s %s" % (first.job_id, _ended_how(first))
        if len(failed) > 1:
            what += " and %s more" % ("%d" % (len(failed) - 1) if len(failed) <= MOST_FAILURES else "many")
    return "[executioner] %s %s%s" % (run.application, what, " (%s)" % run.host if run.host else "")


def _subject(template: str, run: RunRecord, event: str, jobs: Sequence[str]) -> str:
    values = {"application": run.application, "cause": event, "host": run.host, "jobs": ", ".join(jobs) or "-",
              "run_id": str(run.run_id), "status": run.status}
    import re
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match.group(1), match.group()), template)


def _failed_in_all(counts: Dict[str, int]) -> int:
    return sum(counts.get(status, 0) for status in FAILURE_STATUSES)


def _headline(run: RunRecord, counts: Dict[str, int], bad: int, previous: Optional[RunRecord]) -> str:
    total, forgiven = sum(counts.values()), _failed_in_all(counts) - bad
    text = "run %d of %s on %s: %s" % (run.run_id, run.application, run.host or "this machine", run.status)
    text += " (exit %d)" % run.exit_code if run.exit_code is not None else ""
    if run.reason:
        text += ", " + " ".join(run.reason.split())
    else:
        text += ", %d of %d jobs failed" % (bad, total) if bad else ", %d job%s" % (total, "" if total == 1 else "s")
    if forgiven:
        text += "; %d that may fail did" % forgiven
    if previous is not None:
        text += "\nrun %d before it was %s" % (previous.run_id, previous.status)
    return text


def _ended_how(job: JobRecord) -> str:
    if job.status == JobStatus.FAILED and job.exit_code is not None:
        return "exit %d" % job.exit_code
    if job.status == JobStatus.FAILED and job.signal:
        return "ended by %s" % job.signal
    return job.status


def _failure(history: History, run: RunRecord, job: JobRecord, usual_s: Optional[float],
             facts: Facts) -> Tuple[List[str], Dict[str, object]]:
    head = "%s  %s" % (job.job_id, _ended_how(job))
    if job.attempts > 1:
        head += " after %d tries" % job.attempts
    if job.duration_s is not None:
        head += ", %s" % duration_text(job.duration_s)
    if usual_s is not None:
        head += " (usually %s)" % duration_text(usual_s)
    lines = [head]
    if job.reason:
        lines.append("  " + " ".join(job.reason.split()))
    if job.description:
        lines.append("  " + " ".join(job.description.split()))
    success = last_job_success(history, run.application, job.job_id, run.run_id)
    lines.append("  last success: " + ("none that is known" if success is None else "run %d, %s" % (
        success.run_id, utc_text(success.ended_at)[:19] + "Z")))
    runbook = facts.runbooks.get(job.job_id, "")
    lines += runbook_lines(runbook)
    path, shown = _output(job, facts.masker)
    if shown:
        lines.append("  last lines of its %s (%s):" % ("errors" if path == job.stderr_path else "output", path))
        lines += ["  | " + line for line in shown]
    if job.stderr_path:
        lines.append("  all of it: %s logs %d %s" % (facts.command, run.run_id, in_shell(job.job_id)))
    fields: Dict[str, object] = {
        "job_id": job.job_id, "status": job.status, "reason": job.reason, "exit_code": job.exit_code,
        "signal": job.signal, "attempts": job.attempts, "duration": job.duration_s, "usual_duration": usual_s,
        "last_success_run": None if success is None else success.run_id, "runbook": runbook or None,
        "last_lines": shown}
    return lines, fields


def _output(job: JobRecord, masker: Masker) -> Tuple[Optional[str], List[str]]:
    """The last lines of a job's errors; of its output where it wrote no errors."""
    for path in (job.stderr_path, job.stdout_path):
        if path:
            try:
                lines = short_lines(read_tail(path, _TAIL_BYTES, masker), TAIL_LINES)
            except StorageError:
                continue  # never written, or gone
            if any(line.strip() for line in lines):
                return path, lines
    return None, []


def _named(history: History, run: RunRecord, status: str, words: str, count: int) -> str:
    names = [job.job_id for job in history.jobs(run.run_id, (status,), limit=MOST_NAMES)]
    more = " and %d more" % (count - len(names)) if count > len(names) else ""
    return "%s: %s%s" % (words, ", ".join(names), more)


def _run_lines(history: History, run: RunRecord, facts: Facts) -> List[str]:
    lines = []
    if run.started_at is not None:
        took = ", took " + duration_text(run.duration_s) if run.duration_s is not None else ""
        lines.append("started       %s%s" % (utc_text(run.started_at)[:19] + "Z", took))
    if run.status != RunStatus.SUCCESS:
        success = history.last_success(run.application)
        lines.append("last success  " + ("none that is known" if success is None or success.ended_at is None else
                                         "run %d, %s" % (success.run_id, utc_text(success.ended_at)[:19] + "Z")))
    lines.append("config        " + run.config_path)
    resume = _resume(run, facts)
    if resume:
        lines.append("go on         " + resume)
    lines.append("look at it    %s show %d" % (facts.command, run.run_id))
    retries = len({event.job_id for event in history.events(run.run_id, EventKind.RETRY)})
    if retries and run.status == RunStatus.SUCCESS:
        lines.append("note          %d jobs needed more than one try" % retries)
    return lines
