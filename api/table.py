"""Every route of the API, in one table."""
from functools import lru_cache
from typing import Callable, Tuple

from api import acts, views
from api.openapi import docs_page, openapi_document
from api.messages import Response
from api.routes import Answer, Call, Parameter, Route, RouteTable, body_field, parameter
from api.service import Service
from api.tokens import OPERATE, READ
from jobs.models import FINAL_STATUSES, LIVE_STATUSES, RUN_STATUSES

__all__ = ["ROUTES", "TABLE"]

Handler = Callable[[Service, Call], Response]
_LARGEST = 10 ** 18 - 1
_RUN = parameter("run_id", "the run's number", "integer", 1, _LARGEST, example=1)
_OTHER = parameter("other_id", "the other run's number", "integer", 1, _LARGEST, example=1)
_APPLICATION = parameter("application", "the application's name", minimum=1, maximum=256, example="nightly_etl")
_JOB = parameter("job_id", "the job's id", minimum=1, maximum=1024, example="load")
_ATTEMPT = parameter("attempt", "the attempt, from 1", "integer", 1, 10 ** 9, example=1)
_STREAM = parameter("stream", "which output", choices=("stdout", "stderr"), example="stdout")
_WHY = body_field("why", "why, for whoever reads the history later", maximum=500)
_JOB_STATUSES = tuple(sorted(FINAL_STATUSES)) + tuple(LIVE_STATUSES)


def _limit(most: int, usual: int) -> Parameter:
    return parameter("limit", "how many at most", "integer", 1, most, default=usual)


def _after(text: str) -> Parameter:
    return parameter("after", text, "integer", -1, _LARGEST, default=-1)


_INSTANT = (r"[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T"
            r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z")
_OF_RUN = ("not_found", "storage")
_OF_ACT = ("not_found", "conflict", "storage")


def _read(path: str, name: str, text: str, handler: Handler, answer: Answer,
          in_path: Tuple[Parameter, ...] = (), in_query: Tuple[Parameter, ...] = (),
          problems: Tuple[str, ...] = ("storage",)) -> Route:
    return Route("GET", path, READ, name, text, handler, answer, in_path, in_query, problems=problems)


def _act(path: str, name: str, text: str, handler: Handler, answer: Answer, in_path: Tuple[Parameter, ...],
         in_body: Tuple[Parameter, ...], problems: Tuple[str, ...] = _OF_ACT) -> Route:
    return Route("POST", path, OPERATE, name, text, handler, answer, in_path, (), in_body, problems)


@lru_cache(maxsize=1)
def _openapi() -> Response:
    return openapi_document(ROUTES)


@lru_cache(maxsize=1)
def _docs() -> Response:
    return docs_page(ROUTES)


ROUTES: Tuple[Route, ...] = (
    Route("GET", "/", "", "page", "The dashboard.", views.page, Answer(200, "a page", "", "text/html"), is_page=True),
    Route("GET", "/docs", "", "docs", "This API as a page.", lambda _service, _call: _docs(),
          Answer(200, "a page", "", "text/html"), is_page=True),
    Route("GET", "/static/{name}", "", "static_file", "A file of the dashboard.", views.static_file,
          Answer(200, "the file", "", "*/*"),
          (parameter("name", "the file's name", minimum=1, maximum=64, example="app.css"),), problems=("not_found",)),
    Route("GET", "/openapi.json", "", "openapi", "This API as an OpenAPI 3.1 document.",
          lambda _service, _call: _openapi(), Answer(200, "the document", "Object")),
    Route("GET", "/health", "", "health", "Whether all is well: 200, or 503. Details only with a token.", views.health,
          Answer(200, "all is well", "Health"), problems=("failing",)),
    _read("/status", "status", "What runs now, and the last run of each application.", views.status,
          Answer(200, "the state of things", "Status")),
    _read("/metrics", "metrics", "The metrics for Prometheus; as JSON where asked for.", views.metrics,
          Answer(200, "the metrics", "", "text/plain"),
          in_query=(parameter("format", "text or json, over what Accept says", choices=("text", "json")),)),
    _read("/api/v1/me", "whoami", "The name and the role of the token.", views.whoami, Answer(200, "me", "Me"),
          problems=()),
    _read("/api/v1/applications", "applications", "Every application with the strip of its last runs.",
          views.applications, Answer(200, "a page of applications", "Applications"),
          in_query=(_limit(200, 50), parameter("after", "only names after this one"),
                    parameter("runs", "how long the strip is", "integer", 1, 100, default=30))),
    _read("/api/v1/applications/{application}", "application",
          "One application: its last runs, held jobs, usual durations.", views.application,
          Answer(200, "the application", "Application"), (_APPLICATION,),
          (parameter("runs", "how many runs", "integer", 1, 200, default=50),), _OF_RUN),
    _act("/api/v1/applications/{application}/runs", "start",
         "Start the configuration that the application ran last.", acts.start,
         Answer(201, "started; 202 where its number is not known yet", "Started"), (_APPLICATION,), (_WHY,)),
    _act("/api/v1/applications/{application}/jobs/{job_id}/hold", "hold",
         "Keep a job from starting, now and in later runs.", acts.hold, Answer(200, "what is held", "Held"),
         (_APPLICATION, _JOB), (_WHY,)),
    _act("/api/v1/applications/{application}/jobs/{job_id}/release", "release", "Let a held job start again.",
         acts.release, Answer(200, "what is still held", "Held"), (_APPLICATION, _JOB), (_WHY,)),
    _read("/api/v1/runs", "runs", "Runs, newest first.", views.runs, Answer(200, "a page of runs", "Runs"),
          in_query=(parameter("application", "only of this application", minimum=1, maximum=256),
                    parameter("status", "only with this status", choices=tuple(sorted(RUN_STATUSES))),
                    parameter("since", "only those that started at this time or later", pattern=_INSTANT,
                              example="2026-01-01T00:00:00Z"),
                    parameter("until", "only those that started before this time or at it", pattern=_INSTANT,
                              example="2026-01-28T23:59:59Z"),
                    parameter("before", "only smaller numbers: `next` of the page before", "integer", 1, _LARGEST),
                    _limit(200, 50))),
    _read("/api/v1/runs/{run_id}", "run", "One run, without its jobs.", views.run, Answer(200, "the run", "Run"),
          (_RUN,), problems=_OF_RUN),
    _read("/api/v1/runs/{run_id}/jobs", "jobs", "The jobs of a run, in the order of its file.", views.jobs,
          Answer(200, "a page of jobs", "Jobs"), (_RUN,),
          (parameter("status", "only with this status", choices=_JOB_STATUSES), _limit(1000, 200),
           _after("only larger positions: `next` of the page before")), _OF_RUN),
    _read("/api/v1/runs/{run_id}/jobs/{job_id}", "job", "One job of a run, with its attempts.", views.job,
          Answer(200, "the job", "JobWithTries"), (_RUN, _JOB), problems=_OF_RUN),
    _read("/api/v1/runs/{run_id}/jobs/{job_id}/attempts/{attempt}/output/{stream}", "output",
          "A piece of what an attempt wrote, secrets masked; with follow=true as server-sent events.", views.output,
          Answer(200, "the text; X-Log-Start, X-Log-Next and X-Log-Size are bytes of the file", "", "text/plain"),
          (_RUN, _JOB, _ATTEMPT, _STREAM),
          (parameter("offset", "first byte; negative = so many before the end", "integer", -(1 << 40), 1 << 50,
                     default=0),
           parameter("limit", "bytes at most", "integer", 16, 1 << 20, default=1 << 16),
           parameter("follow", "go on until the attempt has ended", "boolean", default=False)), _OF_RUN),
    _read("/api/v1/runs/{run_id}/attempts", "attempts", "The attempts of a run: its timeline.", views.attempts,
          Answer(200, "a page of attempts", "Attempts"), (_RUN,),
          (_limit(2000, 1000), _after("only larger positions: `next` of the page before")), _OF_RUN),
    _read("/api/v1/runs/{run_id}/graph", "graph",
          "What each job of a run waits for; for a group, its members, or the first of very many.", views.graph,
          Answer(200, "the arrows", "Graph"), (_RUN,), problems=_OF_RUN),
    _read("/api/v1/runs/{run_id}/configuration", "configuration", "The configuration that a run ran, secrets replaced.",
          views.configuration, Answer(200, "the text", "", "text/plain"), (_RUN,), problems=_OF_RUN),
    _read("/api/v1/runs/{run_id}/journal", "journal", "What was done to a run or noticed in it.", views.journal,
          Answer(200, "a page of events", "Journal"), (_RUN,),
          (_limit(500, 100), parameter("after", "only larger ids", "integer", 0, _LARGEST, default=0)), _OF_RUN),
    _read("/api/v1/runs/{run_id}/events", "events",
          "The run as it changes, as server-sent events; Last-Event-ID goes on where a stream broke.", views.events,
          Answer(200, "events: changes, end", "", "text/event-stream"), (_RUN,), problems=_OF_RUN + ("busy",)),
    _read("/api/v1/runs/{run_id}/compare/{other_id}", "compare", "Two runs, job by job.", views.compare,
          Answer(200, "a page of jobs", "Comparison"), (_RUN, _OTHER),
          (_limit(1000, 500), parameter("after", "so many jobs are left out", "integer", 0, _LARGEST, default=0)),
          _OF_RUN),
    _act("/api/v1/runs/{run_id}/cancel", "cancel", "Ask a run to stop.", acts.cancel,
         Answer(202, "asked", "Cancelled"), (_RUN,),
         (_WHY, body_field("now", "do not give the jobs their grace", "boolean", default=False))),
    _act("/api/v1/runs/{run_id}/resume", "resume", "Go on where a run ended: keep what succeeded, run the rest.",
         acts.resume, Answer(201, "started; 202 where its number is not known yet", "Started"), (_RUN,),
         (_WHY, body_field("failed_only", "only the jobs that failed", "boolean", default=False),
          body_field("with_current_config", "take the file as it is now", "boolean", default=False),
          body_field("rerun_lost", "run these again, whatever became of them", "strings", 0, 1000))),
    _act("/api/v1/runs/{run_id}/marks", "mark", "Have a resume take jobs as done.", acts.mark,
         Answer(200, "what is marked", "Marked"), (_RUN,),
         (_WHY, body_field("jobs", "ids of jobs", "strings", 1, 1000, required=True))),
)
TABLE = RouteTable(ROUTES)
