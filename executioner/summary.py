"""What a person reads of a run that did not succeed, in cron's mail or below the live progress.

Built from the history alone, a bounded number of failures, so a run of 100,000 jobs costs no more than one of three.
"""
from typing import List, Mapping, Optional

from db.history import History
from executioner.render import (count_text, counts_line, duration_or_dash, how_it_ended, one_line, status_label,
                                time_text)
from jobs.exceptions import StorageError
from jobs.group_ids import in_shell
from jobs.masking import NO_SECRETS, Masker
from jobs.models import FAILURE_STATUSES, JobStatus, RunStatus
from jobs.records import JobRecord, RunRecord
from jobs.tails import read_tail, short_lines
from jobs.terminal_text import safe_text
from monitoring.message import resume_command, runbook_lines

__all__ = ["MOST_FAILURES", "TAIL_LINES", "final_line", "summary"]

#: How many failed jobs are told in full, and how many lines of the output of each.
MOST_FAILURES = 20
TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024
_MOST_NAMES = 10


def final_line(run: RunRecord, history: History) -> str:
    """``run 42: 1 ok, 1 failed, 1 skipped in 9.4 s``."""
    return "run %d: %s in %s" % (run.run_id, counts_line(history.job_counts(run.run_id)) or "no jobs",
                                 duration_or_dash(run.duration_s))


def summary(history: History, run_id: int, command: str, masker: Masker = NO_SECRETS,
            runbooks: Optional[Mapping[str, str]] = None) -> List[str]:
    """The lines of the summary; control characters in them are safe, secrets masked.

    :param command: how ``executioner`` with this home is called, for the commands that show more
    :param runbooks: of jobs, by id
    """
    run = history.run(run_id, with_jobs=False)
    if run is None:
        return ["run %d: the history has no such run" % run_id]
    lines = [_head(run), "  " + final_line(run, history).partition(": ")[2], "  config   " + run.config_path,
             "  started  " + time_text(run.started_at)]
    if run.host:
        lines.append("  host     " + run.host)
    lines += _failures(history, run, command, masker, runbooks or {})
    for status in (JobStatus.BLOCKED, JobStatus.CANCELLED):
        lines += _named(history, run, status)
    lines += ["", "output of all jobs: " + run.log_dir, "all of the run:     %s show %d" % (command, run.run_id),
              "to go on with it:   " + resume_command(run, command)]
    return [safe_text(masker.mask_text(line)) for line in lines]


def _head(run: RunRecord) -> str:
    reason = ": " + one_line(run.reason) if run.reason else ""
    code = " (exit %d)" % run.exit_code if run.exit_code is not None else ""
    return "run %d of %s %s%s%s" % (run.run_id, run.application, run.status, code, reason)


def _failures(history: History, run: RunRecord, command: str, masker: Masker,
              runbooks: Mapping[str, str]) -> List[str]:
    failed = history.jobs(run.run_id, sorted(FAILURE_STATUSES), limit=MOST_FAILURES + 1)
    lines: List[str] = []
    for job in failed[:MOST_FAILURES]:
        forgiven = "  (allowed to fail)" if job.allow_failure and run.status != RunStatus.SUCCESS else ""
        lines += ["", "%s %s  %s%s" % (status_label(job.status).ljust(6), job.job_id, how_it_ended(
            job.status, job.reason, job.exit_code, job.attempts, job.duration_s), forgiven)]
        if job.description:
            lines.append("  " + one_line(job.description))
        lines += runbook_lines(runbooks.get(job.job_id, ""))
        lines += _output(job, masker)
        if job.stderr_path:
            lines.append("  more: %s logs %d %s" % (command, run.run_id, in_shell(job.job_id)))
    if len(failed) > MOST_FAILURES:
        counts = history.job_counts(run.run_id)
        more = sum(counts.get(status, 0) for status in FAILURE_STATUSES) - MOST_FAILURES
        lines += ["", "and %s more failed" % count_text(more, "job")]
    return lines


def _output(job: JobRecord, masker: Masker) -> List[str]:
    """The end of the job's error output; of its standard output where it wrote no errors."""
    for path, name in ((job.stderr_path, "error output"), (job.stdout_path, "output")):
        text = _tail(path, masker)
        if text is None:
            return []
        if text:
            return ["  last lines of its %s (%s):" % (name, path)] + [
                "  | " + line for line in short_lines(text, TAIL_LINES)]
    return ["  it wrote nothing"] if job.stdout_path else []


def _tail(path: Optional[str], masker: Masker) -> Optional[str]:
    if not path:
        return None
    try:
        return read_tail(path, _TAIL_BYTES, masker)
    except StorageError:
        return None  # never written, or gone already: the summary is no place to fail in


def _named(history: History, run: RunRecord, status: str) -> List[str]:
    jobs = history.jobs(run.run_id, (status,), limit=_MOST_NAMES)
    if not jobs:
        return []
    count = history.job_counts(run.run_id).get(status, len(jobs))
    lines = ["", "%s, %s:" % (status.lower(), count_text(count, "job"))]
    lines += ["  %s  %s" % (job.job_id, one_line(job.reason)) for job in jobs]
    if count > len(jobs):
        lines.append("  and %d more" % (count - len(jobs)))
    return lines
