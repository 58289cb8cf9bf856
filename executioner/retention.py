"""Retention: which runs of an application are taken away, rows and files and record together, and in what order.

Kept whatever the limits say: a run that has not ended, one of which nobody decided yet who hears of it, the newest
run, and of each job that occurs in the newest runs its last success and its last failure. Everything else goes oldest
first, as long as there are too many runs, it is too old, or there is too much output.

Files go before the row: what a kill leaves half done, the next prune finds by its row and ends.
"""
import os
import stat
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from db.history import History
from db.keeping import (KeptRun, Pruned, delete_run, forget_messages, forget_unused_configurations, job_results,
                        kept_runs, last_prune, note_prune, oldest_start, run_count, set_size)
from jobs.models import Retention, RunStatus

__all__ = ["Pruning", "Victim", "folder_size", "is_due", "plan", "prune"]

#: Age and bytes are looked at once in so many seconds; the number of runs after each run.
LOOK_EVERY_S = 3600.0
#: Jobs count as jobs of the application where they occur in so many of its newest runs.
NEWEST_RUNS = 20
#: Messages that were done with are kept so long.
MESSAGES_S = 90 * 86400.0

_Result = Tuple[str, bool]


class Victim(NamedTuple):
    """A run that is to go, and why."""

    run: KeptRun
    reason: str


class Pruning(NamedTuple):
    """What a prune did, or would do."""

    victims: List[Victim]
    #: Runs that a limit would take but for what is always kept.
    spared: List[KeptRun]
    size_bytes: int
    left: int
    #: Whether the time was up before all was done.
    unfinished: bool
    problems: List[str]


def is_due(history: History, application: str, retention: Retention, now: float) -> bool:
    """Whether a prune is worth its start: a look at a few rows, for the end of each run.

    :param now: epoch seconds
    """
    before = last_prune(history, application)
    left = before.left if before is not None else 0
    if run_count(history, application) > max(retention.runs, left) + retention.runs // 20:
        return True
    if before is not None and 0 <= now - before.at < LOOK_EVERY_S:
        return False
    oldest = oldest_start(history, application)
    return oldest is not None and (before is not None or oldest < now - min(retention.age_s, LOOK_EVERY_S))


def plan(history: History, application: str, retention: Retention, now: float,
         measure: Callable[[KeptRun], int]) -> Pruning:
    """Which runs are to go, oldest first; nothing is changed but that sizes are remembered.

    :param now: epoch seconds
    :param measure: gives the bytes of a run's output
    """
    runs = kept_runs(history, application)
    sizes = _sizes(history, runs, measure)
    total = sum(sizes.values())
    wanted: List[Victim] = []
    count, room = len(runs), total
    for run in reversed(runs):
        if count > retention.runs:
            reason = "more than %d runs" % retention.runs
        elif run.started_at < now - retention.age_s:
            reason = "older than %g days" % (retention.age_s / 86400.0)
        elif room > retention.size_bytes:
            reason = "more than %d bytes of output" % retention.size_bytes
        else:
            break
        wanted.append(Victim(run, reason))
        count -= 1
        room -= sizes[run.run_id]
    kept_for_jobs = _last_results(history, runs, {one.run.run_id for one in wanted})
    victims, spared = [], []
    for one in wanted:
        if (one.run.status == RunStatus.RUNNING or one.run.untold or one.run.uncopied
                or one.run.run_id == runs[0].run_id or one.run.run_id in kept_for_jobs):
            spared.append(one.run)
        else:
            victims.append(one)
    gone = sum(sizes[one.run.run_id] for one in victims)
    return Pruning(victims, spared, gone, len(runs) - len(victims), False, [])


def prune(history: History, application: str, retention: Retention, now: float, records: str,
          seconds: float) -> Pruning:
    """Take away what is too much of an application, oldest first, until it is done or the time is up.

    :param now: epoch seconds
    :param records: the folder of the keepers' record files
    :param seconds: how long it may take
    :raises DatabaseError: where the history cannot be changed
    """
    deadline = time.monotonic() + seconds
    planned = plan(history, application, retention, now, folder_size)
    done: List[Victim] = []
    problems: List[str] = []
    unfinished = False
    for one in planned.victims:
        if time.monotonic() > deadline:
            unfinished = True
            break
        problem = _remove_files(one.run, records)
        if problem:
            problems.append(problem)
            continue
        delete_run(history, one.run.run_id)
        done.append(one)
    if done:
        forget_unused_configurations(history)
    forget_messages(history, application, now - MESSAGES_S)
    left = planned.left + len(planned.victims) - len(done)
    if not unfinished:
        note_prune(history, application, Pruned(now, left))
    return planned._replace(victims=done, left=left, unfinished=unfinished, problems=problems)


def folder_size(run: KeptRun) -> int:
    """Bytes that the output of a run takes on the disk; 0 where it is gone. Links are not followed."""
    total = 0
    left = [run.log_dir] if run.log_dir else []
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        left.append(entry.path)
                    else:
                        total += status.st_blocks * 512
        except OSError:
            continue  # gone, or not ours to see: nothing that we could free
    return total


def _sizes(history: History, runs: List[KeptRun], measure: Callable[[KeptRun], int]) -> Dict[int, int]:
    sizes: Dict[int, int] = {}
    new: Dict[int, int] = {}
    for run in runs:
        if run.size_bytes is not None:
            sizes[run.run_id] = run.size_bytes
        else:
            sizes[run.run_id] = measure(run)
            if run.status != RunStatus.RUNNING:
                new[run.run_id] = sizes[run.run_id]
    if not history.database.readonly:
        set_size(history, new)
    return sizes


def _last_results(history: History, runs: List[KeptRun], wanted: Set[int]) -> Set[int]:
    """Those of the wanted runs that hold the last success or the last failure of a job of today.

    Walks from the newest run down, no further than there is something left to know.
    """
    if not wanted:
        return set()
    current: Set[str] = set()
    open_results: Set[_Result] = set()
    kept: Set[int] = set()
    for index, run in enumerate(runs):
        results = job_results(history, run.run_id)
        if index < NEWEST_RUNS:
            new = {job_id for job_id, _ in results} - current
            current |= new
            open_results |= {(job_id, good) for job_id in new for good in (True, False)}
        found = open_results.intersection(results)
        if found:
            open_results -= found
            if run.run_id in wanted:
                kept.add(run.run_id)
        if not open_results and index >= NEWEST_RUNS:
            break
    return kept


def _remove_files(run: KeptRun, records: str) -> Optional[str]:
    """Remove the output and the record of a run; what stands against it, None where nothing does."""
    if run.log_dir:
        problem = _remove_folder(run.log_dir, run.run_id)
        if problem:
            return problem
    if run.record_path and os.path.dirname(run.record_path) == records:
        for suffix in ("", ".lock"):
            try:
                os.unlink(run.record_path + suffix)
            except FileNotFoundError:
                continue
            except OSError as error:
                return "cannot remove %s: %s" % (run.record_path, error.strerror)
    return None


def _remove_folder(path: str, run_id: int) -> Optional[str]:
    """Remove the folder of a run's output, where it is still what we made: a real folder of ours, named by the run."""
    import shutil

    name = os.path.basename(path.rstrip("/"))
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return "cannot look at %s: %s" % (path, error.strerror)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or name.partition("-")[0] != str(run_id):
        return "%s is not the folder that run %d made: it is left alone" % (path, run_id)
    try:
        # Safe against links that are put in its way, where the system can open relative to a folder.
        shutil.rmtree(path)
    except OSError as error:
        return "cannot remove %s: %s" % (error.filename or path, error.strerror)
    return None
