"""All metrics of a home, made from its history: the same whoever asks, and right after a crash too.

Cardinality is bounded: at most ``MOST_APPLICATIONS`` applications, and jobs by name only for the last runs of at most
``MOST_JOBS`` jobs and ``MOST_JOB_SERIES`` jobs in all. What is left out is said by a metric of its own.
"""
import os
from typing import Dict, List, Set, Tuple

from db.destinations import destinations
from db.figures import ApplicationFigures, application_figures, job_figures, jobs_now, totals, waiting_messages
from db.history import ApplicationSettings, History
from db.tallies import BUCKETS_S, INFINITE
from jobs.models import JobStatus, RunStatus
from monitoring.pool_use import pool_uses
from monitoring.prometheus import Family, Labels, Sample, add_histogram, counter, gauge, histogram

__all__ = ["MOST_APPLICATIONS", "MOST_JOBS", "MOST_JOB_SERIES", "families_of"]

MOST_APPLICATIONS = 500
MOST_JOBS = 100
MOST_JOB_SERIES = 1000

_BOUNDS = [str(bound) for bound in BUCKETS_S] + [INFINITE]
_RUN_STATUSES = (RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.LOST)


def families_of(history: History, version: str, now: float, locks: str) -> List[Family]:
    """Every metric of the home that the history belongs to.

    :param version: of this program
    :param now: epoch seconds
    :param locks: the home's folder of locks, where the slots of pools are
    :raises DatabaseError: where the history cannot be read
    """
    settings = history.application_settings()
    shown = settings[:MOST_APPLICATIONS]
    info = gauge("executioner_build_info", "The version that wrote these figures.")
    info.samples.append(Sample((("version", version),), 1.0))
    updated = gauge("executioner_metrics_updated_timestamp_seconds", "When these figures were made.")
    updated.samples.append(Sample((), now))
    left_out = gauge("executioner_metrics_left_out", "What has no figures of its own here, as it would be too much.")
    families = [info, updated] + _totals(history, {one.application for one in shown})
    figures = [application_figures(history, one.application) for one in shown]
    families += _last_runs(shown, figures) + _jobs_now(history, {one.application for one in shown})
    families += _pools(history, locks)
    by_job, jobs_left_out = _last_jobs(history, figures)
    families += by_job
    left_out.samples.append(Sample((("kind", "application"),), float(len(settings) - len(shown))))
    left_out.samples.append(Sample((("kind", "job"),), float(jobs_left_out)))
    families += [left_out, _notifications_waiting(history)] + _central(history) + _storage(history)
    return families


def _application(name: str) -> Labels:
    return (("application", name),)


def _totals(history: History, shown: Set[str]) -> List[Family]:
    runs = counter("executioner_runs_total", "Runs that have ended, by status.")
    jobs = counter("executioner_jobs_total", "Jobs that have ended, by status; those kept from an earlier run are not "
                                             "counted again.")
    attempts = counter("executioner_attempts_total", "Attempts of jobs.")
    cpu = counter("executioner_job_cpu_seconds_total", "Processor time of jobs, of the last attempt of each.")
    sent = counter("executioner_notifications_total", "Notifications, by what became of them.")
    run_seconds = histogram("executioner_run_duration_seconds", "How long runs took.")
    job_seconds = histogram("executioner_job_duration_seconds", "How long jobs took, all attempts and waits together.")
    waits = histogram("executioner_job_wait_seconds", "How long each attempt waited for its turn once it was ready.")
    by_size = {"run": run_seconds, "job": job_seconds, "wait": waits}
    by_label = {"runs": runs, "jobs": jobs, "notifications": sent}
    plain = {"attempts": attempts, "cpu_seconds": cpu}
    buckets: Dict[Tuple[str, str], Dict[str, float]] = {}
    sums: Dict[Tuple[str, str], float] = {}
    for tally in totals(history):
        if tally.application not in shown:
            continue
        labels = _application(tally.application)
        if tally.name in by_label:
            by_label[tally.name].samples.append(Sample(labels + (("status", tally.label.lower()),), tally.value))
        elif tally.name in plain:
            plain[tally.name].samples.append(Sample(labels, tally.value))
        elif tally.name.endswith("_bucket"):
            buckets.setdefault((tally.application, tally.name[:-len("_bucket")]), {})[tally.label] = tally.value
        elif tally.name.endswith("_seconds"):
            sums[tally.application, tally.name[:-len("_seconds")]] = tally.value
    for (application, what), counts in sorted(buckets.items()):
        add_histogram(by_size[what], _application(application), _BOUNDS, counts, sums.get((application, what), 0.0))
    return [runs, jobs, attempts, cpu, sent, run_seconds, job_seconds, waits]


def _last_runs(settings: List[ApplicationSettings], figures: List[ApplicationFigures]) -> List[Family]:
    running = gauge("executioner_runs_running", "Runs that have not ended by the history.")
    ended = gauge("executioner_last_run_timestamp_seconds", "When the last run ended.")
    took = gauge("executioner_last_run_duration_seconds", "How long the last run took.")
    succeeded = gauge("executioner_last_run_success", "Whether the last run succeeded.")
    jobs = gauge("executioner_last_run_jobs", "How many jobs the last run had.")
    success = gauge("executioner_last_success_timestamp_seconds", "When the last run that succeeded ended.")
    expected = gauge("executioner_expected_success_interval_seconds", "How old the last success may become.")
    for setting, one in zip(settings, figures):
        labels = _application(one.application)
        running.samples.append(Sample(labels, float(one.running)))
        if one.last is not None:
            ended.samples.append(Sample(labels, one.last.ended_at))
            took.samples.append(Sample(labels, max(0.0, round(one.last.ended_at - one.last.started_at, 6))))
            succeeded.samples.append(Sample(labels, float(one.last.status == RunStatus.SUCCESS)))
            jobs.samples.append(Sample(labels, float(one.last.job_count)))
        if one.last_success is not None:
            success.samples.append(Sample(labels, one.last_success.ended_at))
        if setting.expect_s is not None:
            expected.samples.append(Sample(labels, setting.expect_s))
    return [running, ended, took, succeeded, jobs, success, expected]


def _jobs_now(history: History, shown: Set[str]) -> List[Family]:
    running = gauge("executioner_jobs_running", "Jobs that run now.")
    waiting = gauge("executioner_jobs_waiting", "Jobs of runs that go on whose turn is still to come.")
    for one in jobs_now(history):
        if one.application in shown:
            running.samples.append(Sample(_application(one.application), float(one.running)))
            waiting.samples.append(Sample(_application(one.application), float(one.waiting)))
    return [running, waiting]


def _pools(history: History, locks: str) -> List[Family]:
    slots = gauge("executioner_pool_slots", "Slots of each pool that a run which goes on may use.")
    taken = gauge("executioner_pool_slots_taken", "Slots of it that are taken, by whichever run.")
    for one in pool_uses(history, locks):
        slots.samples.append(Sample((("pool", one.name),), float(one.slots)))
        taken.samples.append(Sample((("pool", one.name),), float(one.taken)))
    return [slots, taken]


def _last_jobs(history: History, figures: List[ApplicationFigures]) -> Tuple[List[Family], int]:
    """The jobs of the last runs by name, and how many have no series here."""
    succeeded = gauge("executioner_job_last_success", "Whether the job succeeded, or had nothing to do, the last time.")
    took = gauge("executioner_job_last_duration_seconds", "How long the job took in the last run.")
    cpu = gauge("executioner_job_last_cpu_seconds", "Processor time of the job's last attempt.")
    memory = gauge("executioner_job_last_max_rss_bytes", "Largest resident memory of the job's last attempt.")
    room, left_out = MOST_JOB_SERIES, 0
    for one in figures:
        if one.last is None:
            continue
        if one.last.job_count > min(MOST_JOBS, room):
            left_out += one.last.job_count
            continue
        for job in job_figures(history, one.last.run_id):
            room -= 1
            labels = _application(one.application) + (("job", job.job_id),)
            succeeded.samples.append(Sample(labels, float(job.status in (JobStatus.SUCCESS, JobStatus.SKIPPED))))
            if job.duration_s is not None:
                took.samples.append(Sample(labels, round(job.duration_s, 6)))
            if job.cpu_s is not None:
                cpu.samples.append(Sample(labels, round(job.cpu_s, 6)))
            if job.max_rss_bytes is not None:
                memory.samples.append(Sample(labels, float(job.max_rss_bytes)))
    return [succeeded, took, cpu, memory], left_out


def _notifications_waiting(history: History) -> Family:
    waiting = gauge("executioner_notifications_waiting", "Notifications that are not delivered yet.")
    waiting.samples.append(Sample((), float(waiting_messages(history))))
    return waiting


def _central(history: History) -> List[Family]:
    """How far the copies on servers are; nothing where nobody wants any."""
    waiting = gauge("executioner_central_runs_waiting", "Runs that have ended and are not on their server.")
    since = gauge("executioner_central_waiting_since_timestamp_seconds", "When the oldest run that waits ended.")
    copied = gauge("executioner_central_last_copy_timestamp_seconds", "When copying to the server worked last.")
    failing = gauge("executioner_central_failing", "Whether the last attempt to copy to the server failed.")
    for one in destinations(history.database):
        from jobs.server_place import parse_place  # most homes have none
        labels = (("place", parse_place(one.place).shown),)
        waiting.samples.append(Sample(labels, float(one.waiting)))
        failing.samples.append(Sample(labels, float(bool(one.problem))))
        if one.waiting_since is not None:
            since.samples.append(Sample(labels, one.waiting_since))
        if one.copied_at is not None:
            copied.samples.append(Sample(labels, one.copied_at))
    return [waiting, since, copied, failing]


def _storage(history: History) -> List[Family]:
    size = gauge("executioner_history_size_bytes", "Size of the history on disk, with its write-ahead log.")
    free = gauge("executioner_storage_free_bytes", "Bytes that may still be written where the history lies.")
    found = 0
    for suffix in ("", "-wal"):
        try:
            found += os.stat(history.where + suffix).st_size
        except OSError:
            continue  # no log beside it, or no file at all
    size.samples.append(Sample((), float(found)))
    try:
        status = os.statvfs(os.path.dirname(history.where) or ".")
        free.samples.append(Sample((), float(status.f_bavail * status.f_frsize)))
    except OSError:
        pass  # then there is nothing to say about it
    return [size, free]
