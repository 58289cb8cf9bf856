"""``plan``: what would run, in which order and why, and how long it would take."""
from typing import TYPE_CHECKING, Dict, List

from executioner.console import Console
from executioner.home import locate
from executioner.loading import PIPELINE_OPTIONS, SELECTION_OPTIONS, given_jobs, load, selection
from executioner.options import Arguments, CommandSpec, Option
from executioner.own_history import open_own
from jobs.exceptions import EXIT_OK

if TYPE_CHECKING:
    from executioner.rehearsal import Rehearsal
    from jobs.graph import Graph
    from jobs.models import Job, Pipeline

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "CONFIG", 1, 1,
    PIPELINE_OPTIONS + SELECTION_OPTIONS + (Option("--json", "one JSON document on standard output"),),
    "Shows what a run would start, in which order and why, the critical path, and how long it would take by the\n"
    "history of the application. Decided by the scheduler itself, on a run where every job succeeds. Writes nothing.",
    (("executioner plan pipeline.json", "the whole pipeline"),
     ("executioner plan pipeline.json --from load --workers 4", "a part of it, four jobs at once")))


def execute(arguments: Arguments, console: Console) -> int:
    """Plan a run."""
    from executioner.rehearsal import rehearse
    from executioner.unsure import unsure_jobs
    from jobs.graph import Graph

    pipeline = load(arguments, console).pipeline
    assert pipeline is not None
    graph = Graph(pipeline.jobs)
    chosen = selection(arguments, pipeline, graph)
    usual_s: Dict[str, float] = {}
    unsure: Dict[str, str] = {}
    home = locate(arguments.one("home"), console.environ).of_file(pipeline.database_path)
    history = open_own(home, arguments.flag("allow_network_fs"))
    if history is not None:
        with history:
            usual_s = history.usual_durations(pipeline.application)
            unsure = unsure_jobs(history, pipeline)
    if usual_s:
        graph.weigh(usual_s, sorted(usual_s.values())[len(usual_s) // 2])
    rehearsal = rehearse(pipeline, graph, given_jobs(chosen, len(pipeline.jobs)), usual_s, unsure)
    critical = [position for position in graph.critical_path() if position not in rehearsal.left_out]
    for line in (_json_lines if arguments.flag("json") else _lines)(pipeline, graph, rehearsal, critical, usual_s):
        console.out.line(line)
    return EXIT_OK


def _lines(pipeline: "Pipeline", graph: "Graph", rehearsal: "Rehearsal", critical: List[int],
           usual_s: Dict[str, float]) -> List[str]:
    from executioner.render import count_text, duration_or_dash, table
    from jobs.times import duration_text

    slots = pipeline.max_workers if pipeline.parallel else 1
    levels = _levels(graph)
    if not rehearsal.steps:
        return ["plan of %s: there is nothing to run" % pipeline.application] + _left_out(graph, rehearsal)
    lines = ["plan of %s: %s in %s, %d at once" % (
        pipeline.application, count_text(len(rehearsal.steps), "job"),
        count_text(len({levels[step.position] for step in rehearsal.steps}), "level"), slots)]
    unknown = sum(1 for step in rehearsal.steps if step.duration_s is None)
    if len(rehearsal.steps) > unknown:
        lines.append("expected time: %s by the history%s" % (
            duration_text(rehearsal.duration_s),
            "; %s never succeeded yet and counted as nothing" % count_text(unknown, "job") if unknown else ""))
    path = " -> ".join(graph.ids[position] for position in critical)
    known = [usual_s[graph.ids[position]] for position in critical if graph.ids[position] in usual_s]
    lines.append("critical path: %s%s" % (path, " (%s)" % duration_text(sum(known)) if known else ""))
    lines.append("")
    lines += table(("ORDER", "LEVEL", "JOB", "STARTS AFTER", "TAKES", "WHY THEN"), [
        (str(order), str(levels[step.position] + 1), graph.ids[step.position],
         duration_text(step.starts_s) if usual_s else "-", duration_or_dash(step.duration_s),
         _why(pipeline.jobs[step.position]))
        for order, step in enumerate(rehearsal.steps, 1)], right=(0, 1, 3, 4))
    return lines + _left_out(graph, rehearsal)


def _left_out(graph: "Graph", rehearsal: "Rehearsal") -> List[str]:
    if not rehearsal.left_out:
        return []
    width = max(len(graph.ids[position]) for position in rehearsal.left_out)
    return ["", "not run where all goes well:"] + [
        "  %s  %s" % (graph.ids[position].ljust(width), reason)
        for position, reason in sorted(rehearsal.left_out.items())]


def _json_lines(pipeline: "Pipeline", graph: "Graph", rehearsal: "Rehearsal", critical: List[int],
                usual_s: Dict[str, float]) -> List[str]:
    from executioner.render import run_json_lines

    levels = _levels(graph)
    known = any(step.duration_s is not None for step in rehearsal.steps)
    jobs: List[Dict[str, object]] = [
        {"job_id": graph.ids[step.position], "order": order, "level": levels[step.position] + 1,
         "starts_after": round(step.starts_s, 6) if known else None,
         "duration": None if step.duration_s is None else round(step.duration_s, 6),
         "needs": [{"job": needed.job, "when": needed.when} for needed in pipeline.jobs[step.position].dependencies],
         "why": _why(pipeline.jobs[step.position])}
        for order, step in enumerate(rehearsal.steps, 1)]
    return list(run_json_lines({
        "application": pipeline.application, "config": pipeline.config_path,
        "max_workers": pipeline.max_workers if pipeline.parallel else 1,
        "expected_duration": round(rehearsal.duration_s, 6) if known else None,
        "critical_path": [graph.ids[position] for position in critical],
        "not_run": {graph.ids[position]: reason for position, reason in sorted(rehearsal.left_out.items())}}, jobs))


def _levels(graph: "Graph") -> Dict[int, int]:
    return {position: level for level, positions in enumerate(graph.levels()) for position in positions}


def _why(job: "Job") -> str:
    """Why the job starts no earlier: what it needs, and what puts it before others."""
    names = [needed.job if needed.when == "success" else "%s (%s)" % (needed.job, needed.when)
             for needed in job.dependencies]
    if not names:
        text = "needs nothing"
    elif job.join is not None and job.join < len(names):
        text = "needs %d of %s" % (job.join, ", ".join(names))
    else:
        text = "needs " + ", ".join(names)
    return text + ("; priority %d" % job.priority if job.priority else "") + (
        "; may be up to date by then" if job.may_be_up_to_date and names else "")
