"""The live progress of a run, on standard error: a line for each ended job and, on a terminal, one that is redrawn.

It keeps nothing but the names of what runs and a few counters, so a run of 100,000 jobs costs it no memory.
"""
from typing import Dict, List, Sequence

from executioner.console import Console
from executioner.render import count_text, how_it_ended, one_line, status_label
from jobs.events import (AttemptIntended, AttemptStarted, AttemptEnded, Event, JobEnded, Notice, RetryScheduled,
                         RunEnded, RunStarted, RunStopping)
from jobs.models import FAILS_RUN, JobStatus
from jobs.times import duration_text

__all__ = ["Progress"]

_ERASE_LINE = "\r\x1b[K"
_RESET = "\x1b[0m"
_COLOURS = {JobStatus.SUCCESS: "\x1b[32m", JobStatus.FAILED: "\x1b[31m", JobStatus.TIMEOUT: "\x1b[31m",
            JobStatus.ERROR: "\x1b[31m", JobStatus.LOST: "\x1b[31m", JobStatus.BLOCKED: "\x1b[33m",
            JobStatus.CANCELLED: "\x1b[33m", JobStatus.SKIPPED: "\x1b[2m"}
_MOST_PADDING = 32
#: Notices that are shown unasked, and the word for each.
_LOUD = {"WARNING": "warn", "ERROR": "ERROR", "CRITICAL": "ERROR"}


class Progress:
    """An observer that tells a person what happens.

    :param verbose: also what starts, and what is tried again
    :param debug: also notices of the lowest level
    """

    def __init__(self, console: Console, job_ids: Sequence[str], verbose: bool, debug: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._debug = debug
        self._colour = console.colour
        self._draws = console.is_smart
        self._id_width = min(_MOST_PADDING, max([len(job_id) for job_id in job_ids] or [0]))
        self._total = len(job_ids)
        self._done = 0
        self._failed = 0
        self._blocked = 0
        self._running: Dict[int, str] = {}
        #: Where the error output of attempts that run lies, for the line of a failure.
        self._paths: Dict[int, str] = {}
        self._stopping = ""
        self._is_drawn = False

    def tell(self, events: Sequence[Event]) -> None:
        """Show the events; one write for all of them."""
        lines: List[str] = []
        for event in events:
            self._see(event, lines)
        text = "".join(line + "\n" for line in lines)
        if self._draws:
            status = self._status_line()
            text = (_ERASE_LINE if self._is_drawn else "") + text + status
            self._is_drawn = bool(status)
        if text:
            self._console.err.write(text)

    def close(self) -> None:
        """Take the status line away, so that what follows starts on a clean line."""
        if self._is_drawn:
            self._console.err.write(_ERASE_LINE)
            self._is_drawn = False

    def _see(self, event: Event, lines: List[str]) -> None:
        if isinstance(event, JobEnded):
            self._done += 1
            self._running.pop(event.position, None)
            if event.status == JobStatus.BLOCKED:
                self._blocked += 1
            elif event.status in FAILS_RUN:
                self._failed += 1
            lines.append(self._job_line(event))
        elif isinstance(event, AttemptStarted):
            self._running[event.position] = event.job_id
            if self._verbose:
                lines.append(self._line("start", "", event.job_id, "pid %d" % event.pid))
        elif isinstance(event, AttemptIntended):
            self._paths[event.position] = event.stderr_path
        elif isinstance(event, AttemptEnded):
            self._running.pop(event.position, None)
        elif isinstance(event, RetryScheduled):
            if self._verbose:
                lines.append(self._line("retry", "\x1b[33m", event.job_id, "%s; try %d in %s" % (
                    one_line(event.reason), event.attempt, duration_text(event.delay_s))))
        elif isinstance(event, RunStopping):
            self._stopping = event.reason
            lines.append(self._line("stop", "\x1b[33m", "", "no new job starts: " + one_line(event.reason)))
        elif isinstance(event, Notice):
            if self._debug or event.level in _LOUD or (self._verbose and event.level != "DEBUG"):
                lines.append(self._line(_LOUD.get(event.level, "note"), "", event.job_id or "",
                                        one_line(event.message)))
        elif isinstance(event, RunStarted):
            if self._verbose:
                lines.append(self._console.err.safe("run %d of %s: %s, %s at once" % (
                    event.run_id, event.application, count_text(event.job_count, "job"), event.max_workers)))
        elif isinstance(event, RunEnded):
            self._running.clear()
            self._total = 0

    def _job_line(self, event: JobEnded) -> str:
        path = self._paths.pop(event.position, "")
        text = how_it_ended(event.status, event.reason, event.exit_code, event.attempts, event.duration_s)
        if path and event.status in FAILS_RUN:
            text += "    " + path
        return self._line(status_label(event.status), _COLOURS.get(event.status, ""), event.job_id, text)

    def _line(self, label: str, colour: str, job_id: str, text: str) -> str:
        head = label.ljust(6)
        if self._colour and colour:
            head = colour + head + _RESET
        safe = self._console.err.safe
        return "%s %s" % (head, safe("%s  %s" % (job_id.ljust(self._id_width), text) if job_id else text))

    def _status_line(self) -> str:
        if not self._total:
            return ""
        text = "%d/%d done" % (self._done, self._total)
        if self._failed:
            text += ", %d failed" % self._failed
        if self._blocked:
            text += ", %d blocked" % self._blocked
        if self._stopping:
            text += ", stopping"
        if self._running:
            text += "  running: " + ", ".join(list(self._running.values())[:20])
        width = self._console.width - 1
        if len(text) > width:
            text = text[:max(0, width - 3)] + "..." if width > 3 else text[:width]
        return self._console.err.safe(text)
