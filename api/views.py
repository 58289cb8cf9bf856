"""The routes that only read."""
import os
import pkgutil
import re
from calendar import timegm
from typing import Dict, Iterator, List, Optional, Set, Tuple

from api.errors import Refusal
from api.figures import api_families
from api.graphs import GraphCache
from api.live import event_bytes, stream_of_run
from api.log_files import follow, open_output, read_piece
from api.messages import Response, Wait, json_response
from api.readers import Reader
from api.routes import Call
from api.service import Service
from api.shapes import attempt_document, event_document, job_document, run_document, short_run
from api.truths import attempts_of, counts_of, jobs_of, true_runs
from db.history import History
from db.truth import true_jobs
from jobs.group_ids import about
from jobs.hidden import HiddenParts
from jobs.models import FINAL_STATUSES, RunStatus
from jobs.records import AttemptRecord, JobRecord, RunRecord
from jobs.shapes import job_fields, run_fields
from monitoring.figures import families_of
from monitoring.pool_use import pool_uses
from monitoring.prometheus import CONTENT_TYPE, Family, json_families, render

__all__ = ["STATIC"]

Document = Dict[str, object]
#: The files of the dashboard, and what they are.
STATIC: Dict[str, str] = dict({"app.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}, **{
    name + ".js": "text/javascript; charset=utf-8" for name in (
        "app", "client", "critical", "docs", "dom", "graph", "job_panel", "layout", "log_view", "minimap",
        "page_application", "page_applications", "page_compare", "page_run", "page_runs", "report", "status",
        "theme", "timeline", "virtual", "widgets")})
_EVENT_ID = re.compile(r"[A-Za-z0-9-]{0,64}\Z")
_KEEP_S = 30.0
#: While something runs, an answer is kept for so long at most: a runner may die without a commit.
_KEEP_RUNNING_S = 0.1
_KEEP_METRICS_S = 1.0
_STATUS_JOBS = 500
_ATTEMPTS_A_PAGE = 1000
_GRAPHS = GraphCache()


# ---- the three that stand outside ------------------------------------------------------------------------------------

def health(service: Service, call: Call) -> Response:
    """Whether all is well; how far it is not, only for those with a token."""
    checks = service.vitals()
    is_ok = all(check.ok for check in checks)
    document: Document = {"status": "ok" if is_ok else "failing"}
    if call.token is None:
        # One for each name: how many applications there are is nobody's business.
        names = list(dict.fromkeys(check.name for check in checks))
        document["checks"] = [{"name": name, "ok": all(check.ok for check in checks if check.name == name)}
                              for name in names]
        return json_response(document, 200 if is_ok else 503)
    document.update(version=service.version, checks=[
        {"name": check.name, "ok": check.ok, "message": check.message} for check in checks])
    return service.reply(document, (), 200 if is_ok else 503)


def metrics(service: Service, call: Call) -> Response:
    """The metrics for Prometheus, or as JSON."""
    wanted = call.text_or_none("format")
    accepts = call.request.headers.get("accept", "")
    is_json = wanted == "json" or (wanted is None and "application/json" in accepts and "text/plain" not in accepts)
    with service.readers.take() as reader:
        if reader is None:
            families: List[Family] = []
        else:
            history = reader.history
            families = reader.cached("metrics", lambda: (
                families_of(history, service.version, service.now(), service.locks), _KEEP_METRICS_S))
    families = families + api_families(service.answered, service.started_at)
    if is_json:
        return service.reply(json_families(families))
    text = service.secrets.masker(()).mask_text(render(families))
    return Response(200, text.encode("utf-8", "backslashreplace"), CONTENT_TYPE)


def status(service: Service, call: Call) -> Response:
    """What runs now, and the last run of each application."""
    with service.readers.take() as reader:
        if reader is None:
            return json_response({"running": [], "last": {}, "queue": 0, "pools": {}})
        history = reader.history
        return reader.cached("status", lambda: _status(service, history))


def _status(service: Service, history: History) -> Tuple[Response, float]:
    running: List[Document] = []
    over: List[RunRecord] = []
    paths: Set[str] = set()
    queued = 0
    for run in history.open_runs():
        jobs = true_jobs(history, run)
        run = true_runs(history, [run])[0]
        if run.status != RunStatus.RUNNING:
            over.append(run)
            continue
        queued += sum(1 for job in jobs if job.status in ("PENDING", "QUEUED"))
        shown = jobs if len(jobs) <= _STATUS_JOBS else _most_telling(jobs)
        running.append(dict(run_fields(run), job_count=len(jobs), jobs=[job_fields(job) for job in shown]))
        paths.add(run.config_path)
    last: Dict[str, RunRecord] = {}
    for application in history.applications():
        finished = history.last_finished(application)
        if finished is not None:
            last[application] = finished
    for run in over:
        known = last.get(run.application)
        if known is None or known.run_id < run.run_id:
            last[run.application] = run
    paths.update(run.config_path for run in last.values())
    document = {"running": running, "last": {name: run_fields(run) for name, run in sorted(last.items())},
                "queue": queued, "pools": _pools(service, history) if running else {}}
    return service.reply(document, paths), _KEEP_RUNNING_S if running or over else _KEEP_S


def _pools(service: Service, history: History) -> Document:
    return {one.name: {"slots": one.slots, "taken": one.taken} for one in pool_uses(history, service.locks)}


def _most_telling(jobs: List[JobRecord]) -> List[JobRecord]:
    """Of a large run those that run, then those that failed, then others, in the order of the file."""
    rank = {"RUNNING": 0, "RETRYING": 1, "QUEUED": 2, "FAILED": 3, "TIMEOUT": 3, "ERROR": 3, "LOST": 3}
    chosen = sorted(jobs, key=lambda job: (rank.get(job.status, 9), job.position))[:_STATUS_JOBS]
    return sorted(chosen, key=lambda job: job.position)


# ---- who I am --------------------------------------------------------------------------------------------------------

def whoami(service: Service, call: Call) -> Response:
    """The name and the role of the token."""
    assert call.token is not None
    return json_response({"name": call.token.name, "role": call.token.role, "version": service.version})


# ---- applications ----------------------------------------------------------------------------------------------------

def applications(service: Service, call: Call) -> Response:
    """Every application with the strip of its last runs."""
    after, limit, strip = call.text_or_none("after") or "", call.number("limit"), call.number("runs")
    with service.readers.take() as reader:
        if reader is None:
            return json_response({"applications": [], "next": None})
        name, history = "applications %d %d %s" % (limit, strip, after), reader.history
        return reader.cached(name, lambda: _applications(service, history, after, limit, strip))


def _applications(service: Service, history: History, after: str, limit: int, strip: int) -> Tuple[Response, float]:
    names = [name for name in history.applications() if name > after]
    found: List[Document] = []
    paths: Set[str] = set()
    is_running = False
    for name in names[:limit]:
        runs = true_runs(history, history.runs(name, limit=strip))
        is_running = is_running or any(run.status == RunStatus.RUNNING for run in runs)
        paths.update(run.config_path for run in runs[:1])
        found.append({"application": name, "config": runs[0].config_path if runs else "",
                      "last": run_document(runs[0]) if runs else None, "runs": [short_run(run) for run in runs],
                      "held": sorted(history.holds(name))})
    document = {"applications": found, "next": names[limit - 1] if len(names) > limit else None}
    return service.reply(document, paths), _KEEP_RUNNING_S if is_running else _KEEP_S


def application(service: Service, call: Call) -> Response:
    """One application: its last runs, what is held, what usually takes how long."""
    name = call.text("application")
    with service.readers.take() as reader:
        if reader is None or reader.history.last_run(name) is None:
            raise Refusal("not_found", "no application of that name has run here")
        history = reader.history
        runs = true_runs(history, history.runs(name, limit=call.number("runs")))
        held = history.holds(name)
        events = history.application_events(name, limit=50)
        usual = history.usual_durations(name)
    return service.reply({
        "application": name, "config": runs[0].config_path, "last": run_document(runs[0]),
        "runs": [short_run(run) for run in runs],
        "held": [{"job_id": job_id, "who": event.who, "why": event.why} for job_id, event in sorted(held.items())],
        "events": [event_document(event) for event in events],
        "usual_durations": {job_id: round(seconds, 3) for job_id, seconds in usual.items()},
    }, [runs[0].config_path])


# ---- runs ------------------------------------------------------------------------------------------------------------

def runs(service: Service, call: Call) -> Response:
    """A page of runs, newest first."""
    limit, before = call.number("limit"), call.number_or_none("before")
    since, until = _instant(call, "since"), _instant(call, "until")
    with service.readers.take() as reader:
        if reader is None:
            return json_response({"runs": [], "next": None})
        history = reader.history
        if until is not None:
            bound = _first_after(history, until)
            before = bound if before is None or (bound is not None and bound < before) else before
        found = history.runs(call.text_or_none("application"), call.text_or_none("status"), limit + 1, before)
        is_more = len(found) > limit
        found = found[:limit]
        if since is not None:
            recent = [run for run in found if run.started_at is None or run.started_at >= since]
            is_more = is_more and len(recent) == len(found)
            found = recent
        found = true_runs(history, found)
    return service.reply({"runs": [run_document(run) for run in found],
                          "next": found[-1].run_id if is_more and found else None},
                         {run.config_path for run in found})


def _instant(call: Call, name: str) -> Optional[float]:
    """Epoch seconds of a time that was given."""
    text = call.text_or_none(name)
    if text is None:
        return None
    # The 31st of a shorter month is the 1st of the next.
    year, month, day, hour, minute, second = (int(part) for part in re.split("[-T:]", text[:19]))
    return float(timegm((year, month, day, hour, minute, second)))


def _first_after(history: History, instant: float) -> Optional[int]:
    """The id of the first run that started after an instant: ids grow as time does, so halving finds it."""
    newest = history.runs(limit=1)
    if not newest or (newest[0].started_at or 0.0) <= instant:
        return None
    low, high = 0, newest[0].run_id  # low started before or at it, high after it
    while low + 1 < high:
        middle = (low + high) // 2
        found = history.runs(limit=1, before=middle + 1)
        if found and (found[0].started_at or 0.0) > instant:
            high = found[0].run_id
            if high > middle:
                low = middle
        else:
            low = middle
    return high


def _run_of(reader: Optional[Reader], call: Call, name: str = "run_id") -> Tuple[History, RunRecord]:
    run = reader.history.run(call.number(name), with_jobs=False) if reader is not None else None
    if reader is None or run is None:
        raise Refusal("not_found", "there is no run %d" % call.number(name))
    return reader.history, run


def run(service: Service, call: Call) -> Response:
    """One run without its jobs."""
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        counts = counts_of(history, found)
        marks = history.marks(found.run_id)
        found = true_runs(history, [found])[0]
        document = run_document(found, counts)
        document["marked"] = sorted(marks)
    return service.reply(document, [found.config_path])


def jobs(service: Service, call: Call) -> Response:
    """A page of a run's jobs, in the order of the file."""
    limit = call.number("limit")
    wanted = call.text_or_none("status")
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        records = jobs_of(history, found, [wanted] if wanted else (), limit + 1, call.number("after"))
        held, marks = history.holds(found.application), history.marks(found.run_id)
    page = records[:limit]
    return service.reply({
        "jobs": [job_document(record, about(record.job_id, held), marks.get(record.job_id)) for record in page],
        "next": page[-1].position if len(records) > limit else None}, [found.config_path])


def _job_of(history: History, found: RunRecord, job_id: str) -> JobRecord:
    for record in jobs_of(history, found):
        if record.job_id == job_id:
            return record
    raise Refusal("not_found", "run %d has no job of that name" % found.run_id)


def job(service: Service, call: Call) -> Response:
    """One job of a run with its attempts."""
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        record = _job_of(history, found, call.text("job_id"))
        attempts = attempts_of(history, found, record.job_id)
        held, marks = history.holds(found.application), history.marks(found.run_id)
    document = job_document(record, about(record.job_id, held), marks.get(record.job_id))
    document["tries"] = [attempt_document(attempt) for attempt in attempts]
    return service.reply(document, [found.config_path])


def attempts(service: Service, call: Call) -> Response:
    """A page of a run's attempts: what its timeline is drawn from."""
    after, limit = call.number("after"), call.number("limit")
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        page: List[AttemptRecord] = []
        following: Optional[int] = None
        for attempt in attempts_of(history, found):
            if attempt.position <= after:
                continue
            if len(page) >= limit and attempt.position != page[-1].position:
                following = page[-1].position
                break
            page.append(attempt)
    return service.reply({"attempts": [attempt_document(one) for one in page], "next": following}, [found.config_path])


def graph(service: Service, call: Call) -> Response:
    """The arrows of a run, by the configuration that it ran."""
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        text = history.configuration(found.config_hash)
    arrows = _GRAPHS.get(found.config_hash, text) if text is not None else {}
    return service.reply({"run_id": found.run_id, "dependencies": {
        job_id: [{"job": other, "when": when} for other, when in pairs] for job_id, pairs in arrows.items() if pairs}},
        [found.config_path])


def configuration(service: Service, call: Call) -> Response:
    """The configuration that a run ran, secret values replaced."""
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        text = history.configuration(found.config_hash)
    if text is None:
        raise Refusal("not_found", "the configuration of run %d is not kept any more" % found.run_id)
    masker = service.secrets.masker([found.config_path])
    return Response(200, masker.mask_text(text).encode("utf-8", "backslashreplace"), "text/plain; charset=utf-8")


def journal(service: Service, call: Call) -> Response:
    """What was done to a run or noticed in it, oldest first."""
    limit = call.number("limit")
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        events = history.events(found.run_id, after=call.number("after"), limit=limit + 1)
    page = events[:limit]
    return service.reply({"events": [event_document(event) for event in page],
                          "next": page[-1].event_id if len(events) > limit else None}, [found.config_path])


def compare(service: Service, call: Call) -> Response:
    """Two runs, job by job: what came out differently, and what took how much longer."""
    with service.readers.take() as reader:
        history, left = _run_of(reader, call)
        _, right = _run_of(reader, call, "other_id")
        sides = [{record.job_id: record for record in jobs_of(history, one)} for one in (left, right)]
        left, right = true_runs(history, [left, right])
    order = list(sides[0]) + [job_id for job_id in sides[1] if job_id not in sides[0]]
    rows = [{"job_id": job_id, "left": _side(sides[0].get(job_id)), "right": _side(sides[1].get(job_id))}
            for job_id in order]
    start, limit = call.number("after"), call.number("limit")
    page = rows[start:start + limit]
    return service.reply({
        "left": run_document(left), "right": run_document(right),
        "same_configuration": left.config_hash == right.config_hash, "jobs": page,
        "next": start + limit if len(rows) > start + limit else None}, [left.config_path, right.config_path])


def _side(record: Optional[JobRecord]) -> Optional[Document]:
    if record is None:
        return None
    return {"status": record.status, "reason": record.reason, "exit_code": record.exit_code,
            "attempts": record.attempts, "duration": record.duration_s, "cpu_seconds": record.cpu_s,
            "max_rss": record.max_rss_bytes}


def events(service: Service, call: Call) -> Response:
    """The run as it changes, as server-sent events."""
    with service.readers.take() as reader:
        _, found = _run_of(reader, call)
    last = call.request.headers.get("last-event-id", "")
    if not _EVENT_ID.match(last):
        raise Refusal("bad_request", "Last-Event-ID is none that this server gave")

    def stream(wait: Wait) -> Iterator[bytes]:
        return stream_of_run(service.watches, found.run_id, last, lambda path: service.secrets.masker([path]),
                             call.still_admitted, wait)

    return Response(200, b"", "text/event-stream; charset=utf-8", stream=stream)


# ---- output ----------------------------------------------------------------------------------------------------------

def output(service: Service, call: Call) -> Response:
    """A piece of what an attempt wrote, or all of it as it is written."""
    with service.readers.take() as reader:
        history, found = _run_of(reader, call)
        attempt = _attempt_of(history, found, call)
    path = attempt.stdout_path if call.text("stream") == "stdout" else attempt.stderr_path
    descriptor = open_output(found.log_dir, path)
    masker = service.secrets.masker([found.config_path])
    if call.flag("follow"):
        return _followed(service, call, attempt, descriptor, HiddenParts(path))
    try:
        piece = read_piece(descriptor, call.number("offset"), call.number("limit"), masker,
                           attempt.status in FINAL_STATUSES, HiddenParts(path))
    finally:
        os.close(descriptor)
    return Response(200, piece.text.encode("utf-8"), "text/plain; charset=utf-8", {
        "X-Log-Start": str(piece.start), "X-Log-Next": str(piece.next), "X-Log-Size": str(piece.size),
        "X-Log-Over": "true" if attempt.status in FINAL_STATUSES else "false"})


def _attempt_of(history: History, found: RunRecord, call: Call) -> AttemptRecord:
    for attempt in attempts_of(history, found, call.text("job_id")):
        if attempt.attempt == call.number("attempt"):
            return attempt
    raise Refusal("not_found", "run %d has no such attempt" % found.run_id)


def _followed(service: Service, call: Call, attempt: AttemptRecord, descriptor: int,
              hidden: HiddenParts) -> Response:
    last = call.request.headers.get("last-event-id", "")
    offset = int(last) if last.isdigit() and len(last) < 18 else call.number("offset")

    def is_over() -> bool:
        with service.readers.take() as reader:
            history, found = _run_of(reader, call)
            return _attempt_of(history, found, call).status in FINAL_STATUSES

    with service.readers.take() as reader:
        masker = service.secrets.masker([_run_of(reader, call)[1].config_path])

    def stream(wait: Wait) -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        for piece, is_last in follow(descriptor, offset, masker, is_over, call.still_admitted, wait,
                                     hidden):
            if piece.text or piece.next > piece.start:
                yield event_bytes("output", {"start": piece.start, "next": piece.next, "text": piece.text},
                                  str(piece.next))
            if is_last:
                yield event_bytes("end", {"next": piece.next}, str(piece.next))
            elif not piece.text:
                yield b": still here\n\n"

    return Response(200, b"", "text/event-stream; charset=utf-8", stream=stream)


# ---- the dashboard ---------------------------------------------------------------------------------------------------

def static_bytes(name: str) -> bytes:
    """A file of the dashboard, from a folder, an install or an archive alike."""
    data = pkgutil.get_data("api", "static/" + name)
    if data is None:
        raise Refusal("not_found", "there is no such file")
    return data


def page(service: Service, call: Call) -> Response:
    """The dashboard's one page."""
    return Response(200, static_bytes("index.html"), "text/html; charset=utf-8")


def static_file(service: Service, call: Call) -> Response:
    """A file of the dashboard."""
    name = call.text("name")
    kind = STATIC.get(name)
    if kind is None:
        raise Refusal("not_found", "there is no such file")
    return Response(200, static_bytes(name), kind)
