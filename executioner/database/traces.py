"""What the log, the keepers' records and the folders of output tell of runs, without any history."""
import calendar
import json
import os
import re
import time
from typing import Any, Dict, List, Optional, Set, Tuple
from urllib.parse import unquote

from db.rebuild import TracedAttempt, TracedJob, TracedRun
from executioner.home import Home
from jobs.attempts import file_stem
from jobs.keeper.record import RecordedRun, read_record
from jobs.models import FINAL_STATUSES, RUN_STATUSES

__all__ = ["traces_of"]

_OUTPUT_FILE = re.compile(r"(?P<job>.+)\.(?P<attempt>[1-9]\d*)\.(?P<kind>out|err)\Z")


def traces_of(home: Home) -> List[TracedRun]:
    """Every run that left a trace in the home, by its number.

    :raises OSError: never; what cannot be read is passed over
    """
    runs: Dict[int, TracedRun] = {}
    for path in _log_files(home):
        _read_log(path, runs)
    _read_folders(home, runs)
    by_uuid = {run.run_uuid: run for run in runs.values() if run.run_uuid}
    for name in _names(home.records):
        uuid, ending = os.path.splitext(name)
        if ending == ".record" and uuid in by_uuid:
            path = os.path.join(home.records, name)
            try:
                by_uuid[uuid].record_path = path
                _add_record(by_uuid[uuid], read_record(path))
            except OSError:
                continue
    return [runs[run_id] for run_id in sorted(runs)]


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _log_files(home: Home) -> List[str]:
    """Ours, oldest first."""
    base = os.path.basename(home.log)
    found: List[Tuple[int, str]] = []
    for name in _names(home.logs):
        if name == base:
            found.append((0, name))
        elif name.startswith(base + ".") and name[len(base) + 1:].isdigit():
            found.append((-int(name[len(base) + 1:]), name))
    return [os.path.join(home.logs, name) for _, name in sorted(found)]


def _read_log(path: str, runs: Dict[int, TracedRun]) -> None:
    try:
        with open(path, "rb") as stream:
            for line in stream:
                try:
                    fields = json.loads(line.decode("utf-8"))
                    if isinstance(fields, dict) and type(fields.get("run_id")) is int:
                        _absorb(fields, runs)
                except (ValueError, TypeError, KeyError, RecursionError):
                    continue  # a torn line, or one for people
    except OSError:
        return


def _absorb(fields: Dict[str, Any], runs: Dict[int, TracedRun]) -> None:
    run_id, event, context = fields["run_id"], fields.get("event"), fields.get("context") or {}
    at = _epoch(fields["timestamp"])
    if event == "run_started":
        known = runs.get(run_id)
        if known is None or known.run_uuid != context["run_uuid"]:
            # The number was given twice, by a history that is no more: the later run bears it.
            runs[run_id] = known = TracedRun(run_id)
        known.run_uuid, known.started_at = str(context["run_uuid"]), at
        known.application, known.config_path = str(fields.get("application", "unknown")), str(context.get("config", ""))
        known.job_count = int(context["jobs"])
        return
    run = runs.get(run_id)
    if run is None:
        return
    if event == "run_ended" and context.get("status") in RUN_STATUSES:
        run.status, run.exit_code, run.ended_at = context["status"], int(context["exit_code"]), at
        run.reason = _after(str(fields["message"]), ": ")
    elif event == "attempt_started":
        one = _attempt(run, fields)
        one.started_at, one.pid = at, context.get("pid")
    elif event == "attempt_ended" and context.get("status") in FINAL_STATUSES:
        one = _attempt(run, fields)
        one.status, one.ended_at, one.exit_code = context["status"], at, context.get("exit_code")
        one.signal, one.duration_s = context.get("signal"), context.get("duration")
        one.cpu_s = context.get("cpu_seconds")
        one.reason = _after(str(fields["message"]), ": ", 2)
    elif event == "job_ended" and context.get("status") in FINAL_STATUSES:
        job = _job(run, str(fields["job_id"]))
        job.status, job.ended_at, job.exit_code = context["status"], at, context.get("exit_code")
        job.signal, job.duration_s = context.get("signal"), context.get("duration")
        job.attempt_count = int(context.get("attempts", 0))
        job.reason = _after(str(fields["message"]), ": ", 2)
        if job.attempt_count and job.attempt_count not in job.attempts:
            # What goes well at once has this one line for its job and its attempt.
            one = job.attempts[job.attempt_count] = TracedAttempt(job.attempt_count)
            one.status, one.ended_at, one.exit_code, one.reason = job.status, at, job.exit_code, job.reason
            if job.attempt_count == 1:
                one.duration_s, one.cpu_s = job.duration_s, context.get("cpu_seconds")


def _after(text: str, separator: str, times: int = 2) -> str:
    parts = text.split(separator, times)
    return parts[times] if len(parts) > times else ""


def _job(run: TracedRun, job_id: str) -> TracedJob:
    return run.jobs.setdefault(job_id, TracedJob(job_id))


def _attempt(run: TracedRun, fields: Dict[str, Any]) -> TracedAttempt:
    number = int(fields["attempt"])
    return _job(run, str(fields["job_id"])).attempts.setdefault(number, TracedAttempt(number))


def _read_folders(home: Home, runs: Dict[int, TracedRun]) -> None:
    for name in _names(home.logs):
        folder = os.path.join(home.logs, name)
        if not name.isdigit() or len(name) > 15 or not os.path.isdir(folder):
            continue
        run = runs.get(int(name))
        if run is None:
            run = runs[int(name)] = TracedRun(int(name))
            try:
                run.started_at = os.lstat(folder).st_mtime
            except OSError:
                pass
        run.log_dir = folder
        known = {file_stem(job_id): job_id for job_id in run.jobs}
        for file_name in _names(folder):
            found = _OUTPUT_FILE.match(file_name)
            if found is not None:
                number = int(found.group("attempt"))
                stem = found.group("job")
                one = _job(run, known.get(stem) or unquote(stem)).attempts.setdefault(number, TracedAttempt(number))
                if found.group("kind") == "out":
                    one.stdout_path = file_name
                else:
                    one.stderr_path = file_name


def _add_record(run: TracedRun, record: RecordedRun) -> None:
    """What the keeper wrote, where it is clear which job is meant: it knows positions only.

    The same process is known by its pid, or by how long it took and how much it worked, to the microsecond.
    """
    known_by: Dict[Tuple[object, ...], Optional[TracedJob]] = {}
    for job in run.jobs.values():
        for one in job.attempts.values():
            for key in _keys(one.attempt, one.pid, one.duration_s, one.cpu_s):
                known_by[key] = None if key in known_by else job  # nothing is known by what two have
    recorded = {}
    for token, known in record.attempts.items():
        numbers = token.split(".")
        place, number = int(numbers[1]), int(numbers[2])
        recorded[place, number] = known
        facts = known.facts
        for key in _keys(number, known.pid, *((None, None) if facts is None else (facts[8], facts[9]))):
            found = known_by.get(key)
            if found is not None:
                found.position = place
                break
    _match_the_last(run, {position for position, _ in recorded})
    by_position = {job.position: job for job in run.jobs.values() if job.position is not None}
    for (position, attempt), known in sorted(recorded.items()):
        owner: Optional[TracedJob] = by_position.get(position)
        if owner is None:
            owner = by_position[position] = _job(run, "unknown-%d" % position)
            owner.position = position
        one = owner.attempts.setdefault(attempt, TracedAttempt(attempt))
        one.token, one.pid = known.token, known.pid
        one.started_at = known.started_at or one.started_at
        if known.facts is not None and not one.status:
            one.status, one.exit_code, one.signal, one.reason = known.facts[1:5]
            one.ended_at, one.duration_s = known.facts[7], known.facts[8]


def _keys(attempt: int, pid: Optional[int], duration_s: Optional[float],
          cpu_s: Optional[float]) -> List[Tuple[object, ...]]:
    keys: List[Tuple[object, ...]] = []
    if pid is not None:
        keys.append(("pid", attempt, pid))
    if duration_s is not None and cpu_s is not None:
        keys.append(("times", attempt, "%.6f" % duration_s, "%.6f" % cpu_s))
    return keys


def _match_the_last(run: TracedRun, positions: Set[int]) -> None:
    """Where one job with output and one position are left over, they belong together."""
    jobs = [job for job in run.jobs.values() if job.position is None and job.attempts]
    left = positions.difference(job.position for job in run.jobs.values() if job.position is not None)
    if len(jobs) == 1 and len(left) == 1:
        jobs[0].position = left.pop()


def _epoch(text: str) -> float:
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + text[19:-1] or "0")
