"""``logs``: the output of a job, or of all jobs of a run; masked, and followed while they run."""
import time
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Set, Tuple

from executioner.console import Console
from executioner.options import DATABASE, Arguments, CommandSpec, Option, did_you_mean, usage_error
from executioner.output_files import OutputFile
from executioner.past import wanted_run
from jobs.exceptions import EXIT_FAILED, EXIT_OK, InternalError, StorageError

if TYPE_CHECKING:
    from db.history import History
    from jobs.masking import Masker
    from jobs.records import AttemptRecord

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN [JOB]", 1, 2,
    (Option("-f --follow", "go on until the job, or the run, has ended"),
     Option("--stdout", "only what was written to standard output"),
     Option("--stderr", "only what was written to standard error"),
     Option("--attempt", "of this attempt; the last one where not given", "N"),
     Option("--tail", "only the last lines of each file", "LINES"),
     Option("--raw", "also on a terminal, control characters as they are"),
     DATABASE, Option("--json", "a JSON list of the files instead of their text")),
    "Shows the output of a job, of all that an id means, or of all jobs of a run. RUN as for show. Values of secret\n"
    "variables are shown as ***.",
    (("executioner logs last load", "both outputs of the job load"),
     ("executioner logs last load --stderr --tail 20", "the end of its error output"),
     ("executioner logs last -f", "follow the run")))

_PAUSE_S = 0.2
_MOST = 10 ** 9
_Key = Tuple[int, int, str]


def execute(arguments: Arguments, console: Console) -> int:
    """Show output."""
    attempt = arguments.number("attempt", 1, _MOST)
    tail = arguments.number("tail", 0, _MOST)
    streams = [name for name in ("stdout", "stderr") if arguments.flag(name)] or ["stdout", "stderr"]
    _, history, run_id = wanted_run(arguments, console)
    with history:
        job_id = arguments.operands[1] if len(arguments.operands) > 1 else None
        reader = _Reader(history, run_id, job_id, attempt, streams)
        if arguments.flag("json"):
            from executioner.render import json_lines
            for line in json_lines(reader.described()):
                console.out.line(line)
            return EXIT_OK
        return _Show(reader, console, _masker(history, run_id, console), tail, arguments.flag("raw"),
                     arguments.flag("follow")).run()


class _Reader:
    """Which files there are to show, by the history."""

    def __init__(self, history: "History", run_id: int, job_id: Optional[str], attempt: Optional[int],
                 streams: Sequence[str]) -> None:
        self._history = history
        self._run_id = run_id
        self._attempt = attempt
        self._streams = streams
        #: Of the jobs that are meant; None = all.
        self._positions: Optional[Set[int]] = None
        self.job_id = job_id
        if job_id is not None:
            from jobs.group_ids import named
            jobs = {job.job_id: job for job in history.jobs(run_id)}
            members = named(job_id, jobs)
            if not members:
                raise usage_error('run %d has no job "%s"%s' % (run_id, job_id, did_you_mean(job_id, list(jobs))))
            self._positions = {jobs[member].position for member in members}

    @property
    def _only(self) -> Optional[int]:
        """The one job that is meant; None where it may be several."""
        return min(self._positions) if self._positions is not None and len(self._positions) == 1 else None

    @property
    def is_single(self) -> bool:
        """Whether there can be one file only."""
        return self._only is not None and len(self._streams) == 1

    def attempts(self, every: bool = False) -> "List[AttemptRecord]":
        """The attempts that are meant: the last one of each job, unless one was named or ``every`` one is wanted."""
        found = self._history.attempts(self._run_id, self._only)
        if self._positions is not None:
            found = [one for one in found if one.position in self._positions]
        if self._attempt is not None:
            return [one for one in found if one.attempt == self._attempt]
        return found if every else list({one.position: one for one in found}.values())

    def files(self, attempts: "Sequence[AttemptRecord]") -> "List[Tuple[_Key, str, str]]":
        """For each file: what it is known by, its title and its path."""
        return [((one.position, one.attempt, stream),
                 "==> %s, attempt %d, %s <==" % (one.job_id, one.attempt, stream),
                 one.stdout_path if stream == "stdout" else one.stderr_path)
                for one in attempts for stream in self._streams]

    def described(self) -> List[Dict[str, object]]:
        """The files for a program."""
        return [{"job_id": one.job_id, "attempt": one.attempt, "status": one.status, "stream": stream,
                 "path": one.stdout_path if stream == "stdout" else one.stderr_path}
                for one in self.attempts() for stream in self._streams]

    def is_over(self) -> bool:
        """Whether the job, or the run, has ended and nothing more will be written."""
        from db.truth import true_jobs, true_run
        from jobs.models import FINAL_STATUSES, RunStatus
        run = self._history.run(self._run_id, with_jobs=False)
        if run is None:
            raise InternalError("run %d was there a moment ago" % self._run_id)
        if true_run(self._history, run).status != RunStatus.RUNNING:
            return True
        if self._positions is None:
            return False
        jobs = true_jobs(self._history, run)
        return all(jobs[position].status in FINAL_STATUSES for position in self._positions)

    def why_nothing(self) -> str:
        """Why there is no file at all."""
        if self.job_id is None:
            return "no job of run %d was started" % self._run_id
        if self._attempt is not None:
            return "%s has no attempt %d in run %d" % (self.job_id, self._attempt, self._run_id)
        if self._only is None:
            return "no job of %s in run %d was started" % (self.job_id, self._run_id)
        job = self._history.jobs(self._run_id)[self._only]
        return "%s was not started: %s%s" % (self.job_id, job.status, ", " + job.reason if job.reason else "")


class _Show:
    """Writes the files one after the other; follows them where asked to."""

    def __init__(self, reader: _Reader, console: Console, masker: "Masker", tail: Optional[int], raw: bool,
                 follow: bool) -> None:
        self._reader = reader
        self._console = console
        self._masker = masker
        self._tail = tail
        self._raw = raw
        self._follow = follow
        self._last: Optional[OutputFile] = None
        self._missing = 0

    def run(self) -> int:
        """Show everything; the exit code."""
        attempts = self._reader.attempts()
        if not self._follow:
            if not attempts:
                self._console.err.line(self._reader.why_nothing())
            for _, title, path in self._reader.files(attempts):
                found = self._open(path, title)
                if found is not None:
                    self._copy(found)
                    found.finish()
            return EXIT_FAILED if self._missing else EXIT_OK
        opened: Dict[_Key, Optional[OutputFile]] = {}
        over: Dict[_Key, bool] = {}
        first = {one.position: one.attempt for one in attempts}
        while True:
            # Asked before the files are read: what was written until then is read afterwards.
            is_over = self._reader.is_over()
            wrote = False
            attempts = [one for one in self._reader.attempts(every=True) if one.attempt >= first.get(one.position, 1)]
            ended = {(one.position, one.attempt): one.ended_at is not None for one in attempts}
            for key, title, path in self._reader.files(attempts):
                if over.get(key):
                    continue
                if opened.get(key) is None:
                    opened[key] = self._open(path, title, is_quiet=not is_over and not ended[key[:2]])
                found = opened[key]
                if found is not None:
                    wrote = self._copy(found) or wrote
                    if ended[key[:2]]:
                        found.finish()
                if ended[key[:2]]:
                    over[key] = True
                    opened.pop(key)
            self._console.out.flush()
            if is_over:
                for found in opened.values():
                    if found is not None:
                        self._copy(found)
                        found.finish()
                if not over and not opened:
                    self._console.err.line(self._reader.why_nothing())
                return EXIT_FAILED if self._missing else EXIT_OK
            if not wrote:
                time.sleep(_PAUSE_S)

    def _open(self, path: str, title: str, is_quiet: bool = False) -> Optional[OutputFile]:
        try:
            return OutputFile(path, self._console.out, self._masker, "" if self._reader.is_single else title, self._raw,
                              self._tail)
        except StorageError as error:
            if not is_quiet:
                self._missing += 1
                self._console.out.flush()
                self._console.err.line("executioner: " + error.message)
            return None

    def _copy(self, found: OutputFile) -> bool:
        is_new_turn = found is not self._last
        if is_new_turn and self._last is not None and self._last.is_open_line and found.has_more():
            self._console.out.line()
        wrote = found.copy(is_new_turn)
        if wrote:
            self._last = found
        return wrote


def _masker(history: "History", run_id: int, console: Console) -> "Masker":
    """Masks what is secret by today's environment and by the configuration file as it is today."""
    from api.secrets import Secrets
    run = history.run(run_id, with_jobs=False)
    return Secrets(console.environ).masker([run.config_path] if run is not None else [])
