"""Records into text and JSON: values in, words out. No clock, no file, no environment."""
import json
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from jobs.shapes import job_fields, run_fields
from jobs.times import duration_text, utc_text

__all__ = [
    "attempts_text", "bytes_text", "command_text", "count_text", "counts_line", "duration_or_dash", "how_it_ended",
    "job_fields", "json_lines", "json_text", "one_line", "run_fields", "run_json_lines", "running_lines", "show_lines",
    "status_label", "table", "time_text", "waiting_text",
]

if TYPE_CHECKING:
    from jobs.records import JobRecord, RunRecord

#: The word of a job's line for each final status: small where all is well, large where somebody should look.
_LABELS = {"SUCCESS": "ok", "FAILED": "FAIL", "TIMEOUT": "TIME", "ERROR": "ERROR", "LOST": "LOST", "SKIPPED": "skip",
           "BLOCKED": "block", "CANCELLED": "cancel", "PENDING": "wait", "QUEUED": "wait", "RUNNING": "run",
           "RETRYING": "retry"}
#: What the summary of a run counts, in this order.
_COUNTED = (("SUCCESS", "ok"), ("FAILED", "failed"), ("TIMEOUT", "timed out"), ("ERROR", "not startable"),
            ("LOST", "lost"), ("BLOCKED", "blocked"), ("CANCELLED", "cancelled"), ("SKIPPED", "skipped"),
            ("RUNNING", "running"), ("RETRYING", "between attempts"), ("QUEUED", "queued"), ("PENDING", "waiting"))


def json_text(value: Any) -> str:
    """One JSON document, in ASCII (safe on any terminal and under any locale), for programs and for eyes."""
    return json.dumps(value, indent=2, allow_nan=False)


def json_lines(items: Iterable[Mapping[str, Any]], indent: str = "") -> Iterator[str]:
    """The lines of a JSON list with one item a line; holds only one item at a time."""
    previous = ""
    for item in items:
        if previous:
            yield previous + ","
        else:
            yield "["
        previous = indent + "  " + json.dumps(item, allow_nan=False)
    if previous:
        yield previous
        yield indent + "]"
    else:
        yield "[]"


def run_json_lines(fields: Mapping[str, Any], jobs: Iterable[Mapping[str, Any]], indent: str = "") -> Iterator[str]:
    """The lines of a run's JSON document: its fields, then its jobs, one a line."""
    yield "{"
    for key, value in fields.items():
        yield "%s  %s: %s," % (indent, json.dumps(key), json.dumps(value, allow_nan=False))
    first = True
    for line in json_lines(jobs, indent + "  "):
        yield ('%s  "jobs": %s' % (indent, line)) if first else line
        first = False
    yield indent + "}"


def time_text(epoch_s: Optional[float]) -> str:
    """A time for people: UTC, to the second; ``-`` where there is none."""
    return "-" if epoch_s is None else utc_text(epoch_s)[:19] + "Z"


def duration_or_dash(seconds: Optional[float]) -> str:
    """A duration for people; ``-`` where there is none."""
    return "-" if seconds is None else duration_text(seconds)


def one_line(text: str) -> str:
    """The text with its line breaks as spaces, for a cell or a message."""
    return " ".join(text.split()) if "\n" in text or "\r" in text else text


def count_text(count: int, noun: str) -> str:
    """``1 job``, ``2 jobs``."""
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def waiting_text(count: int) -> str:
    """``1 run waits``, ``2 runs wait``."""
    return count_text(count, "run") + (" waits" if count == 1 else " wait")


def command_text(command: Union[str, Sequence[str]]) -> str:
    """A command as it could be typed into a shell."""
    if isinstance(command, str):
        return command
    from shlex import quote
    return " ".join(quote(word) for word in command)


def status_label(status: str) -> str:
    """The word with which a job's line begins."""
    return _LABELS.get(status, status)


def attempts_text(attempts: int) -> str:
    """`` after 2 tries`` where there was more than one."""
    return " after %d tries" % attempts if attempts > 1 else ""


def how_it_ended(status: str, reason: str, exit_code: Optional[int], attempts: int,
                 duration_s: Optional[float]) -> str:
    """What the line of an ended job says: ``exit 3 after 2 tries, 8.0 s``."""
    duration = duration_or_dash(duration_s)
    if status == "SUCCESS":
        return duration + attempts_text(attempts) if attempts or not reason else one_line(reason)
    what = one_line(reason)
    suffix = " (attempt %d)" % attempts
    if what.endswith(suffix):
        what = what[:-len(suffix)]
    if status == "FAILED" and exit_code and what.startswith("exit"):
        what = "exit %d" % exit_code
    what = (what or status.lower()) + attempts_text(attempts)
    return what if duration_s is None or not attempts else "%s, %s" % (what, duration)


def counts_line(counts: Mapping[str, int]) -> str:
    """``3 ok, 1 failed, 2 blocked``."""
    return ", ".join("%d %s" % (counts[status], word) for status, word in _COUNTED if counts.get(status))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Tuple[int, ...] = ()) -> List[str]:
    """Lines of a table as wide as its cells; the last column is not padded.

    :param right: columns whose cells stand at the right
    """
    widths = [max([len(header)] + [len(row[column]) for row in rows]) for column, header in enumerate(headers)]
    lines = []
    for row in [headers] + list(rows):
        cells = [cell.rjust(width) if column in right else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines


def show_lines(run: "RunRecord", jobs: "Sequence[JobRecord]") -> List[str]:
    """A run and its jobs for people."""
    head = "run %d of %s: %s" % (run.run_id, run.application, run.status)
    if run.exit_code is not None:
        head += ", exit %d" % run.exit_code
    if run.reason:
        head += ": " + one_line(run.reason)
    lines = [head, "  config   " + run.config_path, "  started  " + time_text(run.started_at)]
    if run.ended_at is not None:
        lines.append("  ended    %s, after %s" % (time_text(run.ended_at), duration_or_dash(run.duration_s)))
    if run.parent_run_id is not None:
        lines.append("  resumes  run %d" % run.parent_run_id)
    if run.log_dir:
        lines.append("  output   " + run.log_dir)
    lines.append("  jobs     " + (counts_line(_counted(jobs)) or "none"))
    lines.append("")
    return lines + table(("JOB", "STATUS", "TRIES", "WAITED", "STARTED", "DURATION", "CPU", "MEMORY", "REASON"), [
        (job.job_id, job.status, str(job.attempts), duration_or_dash(job.waited_s), time_text(job.started_at),
         duration_or_dash(job.duration_s), duration_or_dash(job.cpu_s), _memory_text(job.max_rss_bytes),
         one_line(job.reason)) for job in jobs],
        right=(2, 3, 5, 6, 7))


def running_lines(run: "RunRecord", jobs: "Sequence[JobRecord]") -> List[str]:
    """A run that is under way, for people."""
    lines = ["run %d of %s: since %s, %s" % (run.run_id, run.application, time_text(run.started_at),
                                             counts_line(_counted(jobs)))]
    for job in jobs:
        if job.status in ("RUNNING", "RETRYING"):
            lines.append("  %s %s  %s" % (status_label(job.status).ljust(6), job.job_id, " ".join(
                part for part in ("since " + time_text(job.started_at) if job.started_at is not None else "",
                                  "(try %d)" % job.attempts if job.attempts > 1 else "",
                                  one_line(job.reason)) if part)))
    return lines


def _counted(jobs: "Sequence[JobRecord]") -> Dict[str, int]:
    counts: Dict[str, int] = {}
    for job in jobs:
        counts[job.status] = counts.get(job.status, 0) + 1
    return counts


def _memory_text(size: Optional[int]) -> str:
    return "-" if size is None else bytes_text(size)


def bytes_text(size: int) -> str:
    """``12 KiB``, ``1.5 MiB``, ``2.0 GiB``."""
    if size < 1 << 20:
        return "%d KiB" % (size >> 10)
    return "%.1f MiB" % (size / 2.0 ** 20) if size < 1 << 30 else "%.1f GiB" % (size / 2.0 ** 30)
