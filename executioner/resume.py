"""A run that goes on where another one ended: what is kept from it, what runs, and why.

The new run is linked to its parent. What the chain of runs has as SUCCESS is carried (or was marked so by somebody);
what nobody knows the end of is run again only where the job says so, or the operator does.
"""
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Union

from config.pipeline import LoadResult
from db.history import History
from db.truth import true_jobs, true_run
from executioner.prepared import Prepared
from jobs.engine import RunOutcome
from jobs.exceptions import EXIT_OK, ConfigurationError
from jobs.graph import NOT_SELECTED, SKIPPED_BY_OPTION, Graph, suggestion
from jobs.group_ids import in_shell, named
from jobs.models import FAILURE_STATUSES, JobStatus, Pipeline, RunStatus
from jobs.records import JobRecord, RunRecord
from jobs.scheduler import Given

__all__ = ["ResumeOptions", "plan_lines", "prepare_resume"]

#: Why a job is not in this resume. Unlike ``NOT_SELECTED`` of a first run it binds no later resume.
LEFT_OUT = "left out of this resume"
_NOBODY_KNOWS = "nobody knows how it ended in run "


class ResumeOptions(NamedTuple):
    """What the command line says about a resume."""

    #: A run's number, or ``last``.
    run: str
    failed_only: bool = False
    rerun_lost: Sequence[str] = ()
    with_current_config: bool = False


def prepare_resume(history: History, options: ResumeOptions, current: Pipeline,
                   load_kept: Callable[[str], LoadResult], left_out: Callable[[Pipeline, Graph], Dict[int, Given]],
                   environment_given: Set[str]) -> "Union[Prepared, RunOutcome]":
    """What a resume would run; an outcome where there is nothing to do.

    :param current: the pipeline of the current file
    :param load_kept: builds the pipeline of a configuration that the history kept
    :param left_out: what the selecting options leave out of a pipeline
    :param environment_given: names of the variables that ``--env`` gives now
    :raises ConfigurationError: where the parent cannot be resumed so
    """
    parent = _parent(history, options.run, current.application)
    before = {job.job_id: job for job in true_jobs(history, parent)}
    if parent.status == RunStatus.SUCCESS and not any(job.reason == LEFT_OUT for job in before.values()):
        return RunOutcome(RunStatus.SUCCESS, EXIT_OK, "run %d succeeded; there is nothing to resume" % parent.run_id)
    missing = sorted(set(_names(parent.options.get("env"))) - environment_given)
    if missing:
        raise ConfigurationError("run %d was given --env %s, whose values are not kept: give them again" % (
            parent.run_id, ", ".join(missing)))
    pipeline = current
    if parent.config_hash != current.config_hash and not options.with_current_config:
        pipeline = _kept_pipeline(history, parent, load_kept)
    graph = Graph(pipeline.jobs)
    given = _given(history, parent, before, pipeline, options)
    for position, one in left_out(pipeline, graph).items():
        given.setdefault(position, _for_now(one))
    told: Dict[str, Dict[str, str]] = {}
    for run in reversed(history.chain(parent.run_id)):
        told.update(history.outputs(run.run_id))
    kept = {graph.ids[position] for position, one in given.items() if one.status == JobStatus.SUCCESS}
    return Prepared(pipeline, graph, given, parent.run_id, {job_id: told[job_id] for job_id in kept.intersection(told)})


def plan_lines(history: History, prepared: Prepared, current: Pipeline, differences: Sequence[str],
               with_current: bool) -> List[str]:
    """What the new run will do, for a person, before it does it."""
    from executioner.rehearsal import rehearse

    parent_id, ids = prepared.parent_run_id, prepared.graph.ids
    assert parent_id is not None
    out = {position: one.reason for position, one in prepared.given.items() if one.status != JobStatus.SUCCESS}
    out.update((position, reason) for position, reason in rehearse(
        prepared.pipeline, prepared.graph, prepared.given, {}).left_out.items() if position not in prepared.given)
    runs = [ids[position] for position in prepared.graph.order
            if position not in prepared.given and position not in out]
    lines = ["resume of run %d (%s): %d to run, %d kept, %d left out" % (
        parent_id, current.application, len(runs),
        sum(1 for one in prepared.given.values() if one.status == JobStatus.SUCCESS), len(out))]
    parent = history.run(parent_id, with_jobs=False)
    before = {job.job_id: job for job in true_jobs(history, parent)} if parent is not None else {}
    held = {job_id: event for group, event in history.holds(current.application).items()
            for job_id in named(group, ids)}
    for job_id in runs:
        old, hold = before.get(job_id), held.get(job_id)
        lines.append("  run   %s  (%s%s)" % (
            job_id, "%s: %s" % (old.status, old.reason) if old is not None else "new",
            "; held by %s: it waits for executioner release" % hold.who if hold is not None else ""))
    for position in sorted(set(prepared.given).union(out)):
        verb, reason = ("out ", out[position]) if position in out else ("keep", prepared.given[position].reason)
        lines.append("  %s  %s  (%s)" % (verb, ids[position], reason))
    if differences:
        lines.append("the file has changed since; %s:" % (
            "the current one is used" if with_current else
            "the configuration of run %d is used (--with-current-config takes the current one)" % parent_id))
        lines += ["  " + line for line in differences]
    return lines


def _parent(history: History, text: str, application: str) -> RunRecord:
    run_id = history.resolve(text, application)
    parent = history.run(run_id, with_jobs=False)
    if parent is None or parent.application != application:
        raise ConfigurationError("run %d is one of %s, this file is of %s" % (
            run_id, parent.application if parent is not None else "nobody", application))
    parent = true_run(history, parent)
    if parent.status == RunStatus.RUNNING:
        raise ConfigurationError("run %d still runs" % run_id)
    return parent


def _kept_pipeline(history: History, parent: RunRecord, load_kept: Callable[[str], LoadResult]) -> Pipeline:
    text = history.configuration(parent.config_hash)
    if not text:
        raise ConfigurationError("the configuration of run %d is not kept any more; take the file as it is with "
                                 "--with-current-config" % parent.run_id)
    loaded = load_kept(text)
    if loaded.pipeline is None:
        raise ConfigurationError("\n".join(str(problem) for problem in loaded.problems), context={
            "problems": [problem.to_dict() for problem in loaded.problems]})
    return loaded.pipeline


def _given(history: History, parent: RunRecord, before: Dict[str, JobRecord], pipeline: Pipeline,
           options: ResumeOptions) -> Dict[int, Given]:
    marks = _marks(history, parent)
    done = _done_earlier(history, parent, {job.id for job in pipeline.jobs}.difference(before))
    lost = [one.job_id for one in before.values() if one.status == JobStatus.LOST]
    rerun: Set[str] = set()
    for job_id in options.rerun_lost:
        members = named(job_id, lost)
        if not members and not (parent.options.get("rebuilt") and not named(job_id, before)):
            raise ConfigurationError("--rerun-lost: %s is not LOST in run %d%s" % (
                job_id, parent.run_id, suggestion(job_id, lost)))
        rerun.update(members or named(job_id, (job.id for job in pipeline.jobs)))
    given: Dict[int, Given] = {}
    for position, job in enumerate(pipeline.jobs):
        old = before.get(job.id)
        if old is None:
            if job.id in done:
                given[position] = done[job.id]
            elif parent.options.get("rebuilt") and job.id not in rerun:
                given[position] = Given(JobStatus.LOST, "the history was rebuilt, and what became of it is not in it; "
                                        "decide with `--rerun-lost %s`" % in_shell(job.id))
            continue
        if job.id in marks:
            given[position] = Given(JobStatus.SUCCESS, marks[job.id])
            continue
        decided = _decided(old, parent, job.rerun_if_lost or job.id in rerun, options.failed_only)
        if decided is not None:
            given[position] = decided
    return given


def _decided(old: JobRecord, parent: RunRecord, reruns_lost: bool, failed_only: bool) -> Optional[Given]:
    if old.status == JobStatus.SUCCESS:
        return Given(JobStatus.SUCCESS, _kept(old, parent))
    if old.status == JobStatus.SKIPPED and old.reason in (NOT_SELECTED, SKIPPED_BY_OPTION):
        return Given(JobStatus.SKIPPED, old.reason, counts_as_met=old.reason == NOT_SELECTED)
    if old.status == JobStatus.LOST and not reruns_lost:
        return Given(JobStatus.LOST, old.reason if old.reason.startswith(_NOBODY_KNOWS) else
                     "%s%d; decide with `executioner mark-success %d %s --because WHY` or `--rerun-lost %s`" % (
                         _NOBODY_KNOWS, parent.run_id, parent.run_id, in_shell(old.job_id), in_shell(old.job_id)))
    if failed_only and old.status not in FAILURE_STATUSES:
        return Given(JobStatus.SKIPPED, LEFT_OUT, counts_as_met=True)
    return None


def _for_now(one: Given) -> Given:
    """What is not selected in a resume is left out of it alone."""
    return Given(one.status, LEFT_OUT, True) if one.reason == NOT_SELECTED else one


def _done_earlier(history: History, parent: RunRecord, job_ids: Set[str]) -> Dict[str, Given]:
    """Of jobs that the parent did not have: those that a run before it in the chain has as a success."""
    done: Dict[str, Given] = {}
    for run in history.chain(parent.run_id)[1:] if job_ids else ():
        for job in history.jobs(run.run_id):
            if job.job_id in job_ids and job.job_id not in done and job.status == JobStatus.SUCCESS:
                done[job.job_id] = Given(JobStatus.SUCCESS, _kept(job, run))
    return done


def _marks(history: History, parent: RunRecord) -> Dict[str, str]:
    """Jobs that somebody marked as success, in the parent or, where it was not tried since, in a run before it: why."""
    marks: Dict[str, str] = {}
    tried: Set[str] = set()
    for run in history.chain(parent.run_id):
        for job_id, mark in history.marks(run.run_id).items():
            if job_id not in tried:
                marks.setdefault(job_id, "marked as success in run %d by %s: %s" % (run.run_id, mark.who, mark.why))
        tried.update(job.job_id for job in history.jobs(run.run_id) if job.attempts > 0)
    return marks


def _kept(job: JobRecord, run: RunRecord) -> str:
    already = job.reason.startswith(("kept from run ", "marked as success in run "))
    return job.reason if already else "kept from run %d" % run.run_id


def _names(value: object) -> List[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
