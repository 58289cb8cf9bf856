"""The routes that act: the same acts as on the command line, recorded with the name of the token."""
from contextlib import contextmanager
from typing import Iterator, List, Optional

from api.errors import Refusal
from api.launcher import Launched
from api.messages import Response
from api.routes import Call
from api.service import Service
from api.truths import true_runs
from db import acts
from db.history import History
from jobs.exceptions import EXIT_OK
from jobs.group_ids import named
from jobs.models import RunStatus
from jobs.records import RunRecord

#: The kind of the event that says who started a run over HTTP.
START = "start"

__all__ = ["cancel", "hold", "mark", "release", "resume", "start"]


def _who(call: Call) -> str:
    assert call.token is not None
    return "%s (token)" % call.token.name


def _why(call: Call) -> str:
    return call.text_or_none("why") or ""


@contextmanager
def _writing(service: Service, call: Call) -> Iterator[History]:
    """The history, open for one act; an act is rare, so nothing is kept open for it."""
    with service.readers.take() as reader:
        if reader is None:
            raise Refusal("not_found", "nothing was ever run here")
    with History.open(service.history_path, lock_timeout_s=5.0) as history:
        yield history
    service.report("INFO", "api_act", "%s by %s" % (call.route.name, _who(call)), None)


def _run(history: History, call: Call) -> RunRecord:
    found = history.run(call.number("run_id"), with_jobs=False)
    if found is None:
        raise Refusal("not_found", "there is no run %d" % call.number("run_id"))
    return found


def cancel(service: Service, call: Call) -> Response:
    """Ask a run to stop; its end is not waited for."""
    with _writing(service, call) as history:
        run = _run(history, call)
        if run.status != RunStatus.RUNNING:
            raise Refusal("conflict", "run %d has ended already: %s" % (run.run_id, run.status))
        is_over = acts.cancel(history, run, _who(call), _why(call), lambda seconds: False, call.flag("now"))
        status = (history.run(run.run_id, with_jobs=False) or run).status
    return service.reply({"run_id": run.run_id, "status": status, "is_over": is_over}, [run.config_path], 202)


def hold(service: Service, call: Call) -> Response:
    """Keep a job from starting."""
    name, job_id = call.text("application"), call.text("job_id")
    with _writing(service, call) as history:
        last = history.last_run(name)
        if last is None or not named(job_id, (job.job_id for job in history.jobs(last.run_id))):
            raise Refusal("not_found", "the last run of this application has no job of that name")
        acts.hold(history, name, job_id, _who(call), _why(call))
        held = sorted(history.holds(name))
    return service.reply({"application": name, "held": held})


def release(service: Service, call: Call) -> Response:
    """Let a held job start again."""
    name, job_id = call.text("application"), call.text("job_id")
    with _writing(service, call) as history:
        acts.release(history, name, job_id, _who(call), _why(call))
        held = sorted(history.holds(name))
    return service.reply({"application": name, "held": held})


def mark(service: Service, call: Call) -> Response:
    """Have a resume take jobs as done."""
    with _writing(service, call) as history:
        run = _run(history, call)
        known = [job.job_id for job in history.jobs(run.run_id)]
        unknown = [job_id for job_id in call.texts("jobs") if not named(job_id, known)]
        if unknown:
            raise Refusal("not_found", "run %d has no job %s" % (run.run_id, unknown[0]))
        acts.mark_success(history, run, call.texts("jobs"), _who(call), _why(call))
        marked = sorted(history.marks(run.run_id))
    return service.reply({"run_id": run.run_id, "marked": marked}, [run.config_path])


def start(service: Service, call: Call) -> Response:
    """Start the configuration that an application ran last."""
    name = call.text("application")
    with service.readers.take() as reader:
        last = reader.history.last_run(name) if reader is not None else None
        if last is None:
            raise Refusal("not_found", "no application of that name has run here")
    return _launch(service, call, last, ["run", last.config_path, "--quiet"])


def resume(service: Service, call: Call) -> Response:
    """Go on where a run ended."""
    with service.readers.take() as reader:
        parent = reader.history.run(call.number("run_id"), with_jobs=False) if reader is not None else None
        if reader is None or parent is None:
            raise Refusal("not_found", "there is no run %d" % call.number("run_id"))
        parent = true_runs(reader.history, [parent])[0]
        if parent.status == RunStatus.RUNNING:
            raise Refusal("conflict", "run %d still runs" % parent.run_id)
        if parent.status == RunStatus.SUCCESS:
            raise Refusal("conflict", "run %d succeeded; there is nothing to resume" % parent.run_id)
    words = ["run", parent.config_path, "--quiet", "--resume", str(parent.run_id)]
    if call.flag("failed_only"):
        words.append("--failed-only")
    if call.flag("with_current_config"):
        words.append("--with-current-config")
    for job_id in call.texts("rerun_lost"):
        words.append("--rerun-lost=" + job_id)
    return _launch(service, call, parent, words)


def _launch(service: Service, call: Call, of: RunRecord, words: List[str]) -> Response:
    """Start a run, and tell its number where it has one within some seconds."""
    def run_of(pid: int) -> Optional[int]:
        with service.readers.take() as reader:
            if reader is None:
                return None
            for run in reader.history.runs(of.application, limit=5):
                if run.runner_pid == pid and run.run_id > of.run_id:
                    return run.run_id
        return None

    launched: Launched = service.launcher.start(words, run_of)
    service.report("INFO", "api_act", "%s of %s by %s" % (call.route.name, of.application, _who(call)), None)
    if launched.run_id is None and launched.exit_code not in (None, EXIT_OK):
        raise Refusal("conflict", service.secrets.masker([of.config_path]).mask_text(launched.message)
                      or "the command ended with exit code %d" % (launched.exit_code or 0))
    if launched.run_id is not None:
        with History.open(service.history_path, lock_timeout_s=5.0) as history:
            history.add_event(START, service.now(), launched.run_id, who=_who(call), why=_why(call))
    return service.reply({"application": of.application, "run_id": launched.run_id}, [of.config_path],
                         201 if launched.run_id is not None else 202)
