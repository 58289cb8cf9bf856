"""The API as an OpenAPI 3.1 document, and as a page that needs nothing from elsewhere; both from the route table."""
import json
from html import escape
from typing import Dict, List, Optional, Sequence

from api.errors import PROBLEMS
from api.messages import Response
from api.routes import Parameter, Route

__all__ = ["build_document", "docs_page", "openapi_document"]

Document = Dict[str, object]
_NO_NUL = "^[^\\u0000]*$"
#: What any route may answer: a request that is none, a client that is not to be here, a defect of ours.
_ALWAYS = ("bad_request", "foreign_origin", "method", "too_slow", "target_too_long", "expectation", "misdirected",
           "head_too_large", "body_too_large", "not_implemented", "version", "internal", "busy")


def _ref(name: str) -> Document:
    return {"$ref": "#/components/schemas/" + name}


def _or_null(schema: Document) -> Document:
    kind = schema.get("type")
    return dict(schema, type=[kind, "null"]) if kind is not None else {"anyOf": [schema, {"type": "null"}]}


_TEXT: Document = {"type": "string"}
_INTEGER: Document = {"type": "integer"}
_NUMBER: Document = {"type": "number"}
_FLAG: Document = {"type": "boolean"}
_TIME: Document = {"type": "string", "format": "date-time"}
_OPEN: Document = {"type": "object"}


def _list(of: Document) -> Document:
    return {"type": "array", "items": of}


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


_RUN_FIELDS: Dict[str, Document] = dict(
    run_id=_INTEGER, application=_TEXT, status=_TEXT, exit_code=_or_null(_INTEGER), config=_TEXT,
    started=_or_null(_TIME), ended=_or_null(_TIME), duration=_or_null(_NUMBER))
_JOB_FIELDS: Dict[str, Document] = dict(
    job_id=_TEXT, status=_TEXT, reason=_TEXT, exit_code=_or_null(_INTEGER), signal=_or_null(_TEXT), attempts=_INTEGER,
    started=_or_null(_TIME), ended=_or_null(_TIME), duration=_or_null(_NUMBER), cpu_seconds=_or_null(_NUMBER),
    max_rss=_or_null(_INTEGER), stdout_path=_or_null(_TEXT), stderr_path=_or_null(_TEXT))
_MORE_OF_RUN: Dict[str, Document] = dict(
    reason=_TEXT, parent_run_id=_or_null(_INTEGER), job_count=_INTEGER, host=_TEXT, user=_TEXT, run_uuid=_TEXT,
    config_hash=_TEXT, options=_OPEN)
_BY = _or_null(_object(who=_TEXT, why=_TEXT))
_MORE_OF_JOB: Dict[str, Document] = dict(position=_INTEGER, description=_TEXT, allow_failure=_FLAG,
                                         waited=_or_null(_NUMBER), held=_BY, marked=_BY)
_SIDE = _or_null(_object(status=_TEXT, reason=_TEXT, exit_code=_or_null(_INTEGER), attempts=_INTEGER,
                         duration=_or_null(_NUMBER), cpu_seconds=_or_null(_NUMBER), max_rss=_or_null(_INTEGER)))
_NEXT = _or_null(_INTEGER)

SCHEMAS: Dict[str, Document] = {
    "Object": _OPEN,
    "Problem": _object(code={"type": "string", "enum": list(PROBLEMS)}, error_code=_TEXT, message=_TEXT),
    "Health": {"type": "object", "required": ["status", "checks"], "properties": {
        "status": {"type": "string", "enum": ["ok", "failing"]}, "version": _TEXT,
        "checks": _list({"type": "object", "required": ["name", "ok"],
                         "properties": {"name": _TEXT, "ok": _FLAG, "message": _TEXT}})}},
    "Status": _object(running=_list(_ref("RunningRun")), queue=_INTEGER, pools=_OPEN,
                      last={"type": "object", "additionalProperties": _ref("Outcome")}),
    "Me": _object(name=_TEXT, role={"type": "string", "enum": ["read", "operate"]}, version=_TEXT),
    "Outcome": _object(**_RUN_FIELDS),
    "RunningRun": _object(jobs=_list(_object(**_JOB_FIELDS)), job_count=_INTEGER, **_RUN_FIELDS),
    "Run": _object(**dict(_RUN_FIELDS, **_MORE_OF_RUN)),
    "Runs": _object(runs=_list(_ref("Run")), next=_NEXT),
    "ShortRun": _object(run_id=_INTEGER, status=_TEXT, started=_or_null(_TIME), duration=_or_null(_NUMBER)),
    "Applications": _object(applications=_list(_object(
        application=_TEXT, config=_TEXT, last=_or_null(_ref("Run")), runs=_list(_ref("ShortRun")), held=_list(_TEXT))),
        next=_or_null(_TEXT)),
    "Application": _object(
        application=_TEXT, config=_TEXT, last=_ref("Run"), runs=_list(_ref("ShortRun")),
        held=_list(_object(job_id=_TEXT, who=_TEXT, why=_TEXT)), events=_list(_ref("Event")),
        usual_durations={"type": "object", "additionalProperties": _NUMBER}),
    "Job": _object(**dict(_JOB_FIELDS, **_MORE_OF_JOB)),
    "Jobs": _object(jobs=_list(_ref("Job")), next=_NEXT),
    "Attempt": _object(
        job_id=_TEXT, position=_INTEGER, attempt=_INTEGER, status=_TEXT, ready=_or_null(_TIME),
        intended=_or_null(_TIME), waited=_or_null(_NUMBER), started=_or_null(_TIME), ended=_or_null(_TIME),
        duration=_or_null(_NUMBER), exit_code=_or_null(_INTEGER), signal=_or_null(_TEXT), reason=_TEXT,
        stop_reason=_TEXT, cpu_seconds=_or_null(_NUMBER), max_rss=_or_null(_INTEGER), pid=_or_null(_INTEGER),
        survivors=_list(_TEXT)),
    "JobWithTries": _object(tries=_list(_ref("Attempt")), **dict(_JOB_FIELDS, **_MORE_OF_JOB)),
    "Attempts": _object(attempts=_list(_ref("Attempt")), next=_NEXT),
    "Graph": _object(run_id=_INTEGER, dependencies={"type": "object", "additionalProperties": _list(
        _object(job=_TEXT, when=_TEXT))}),
    "Event": _object(event_id=_INTEGER, at=_or_null(_TIME), kind=_TEXT, run_id=_or_null(_INTEGER), application=_TEXT,
                     job_id=_or_null(_TEXT), who=_TEXT, why=_TEXT, details=_OPEN),
    "Journal": _object(events=_list(_ref("Event")), next=_NEXT),
    "Comparison": _object(left=_ref("Run"), right=_ref("Run"), same_configuration=_FLAG, next=_NEXT,
                          jobs=_list(_object(job_id=_TEXT, left=_SIDE, right=_SIDE))),
    "Started": _object(application=_TEXT, run_id=_or_null(_INTEGER)),
    "Cancelled": _object(run_id=_INTEGER, status=_TEXT, is_over=_FLAG),
    "Held": _object(application=_TEXT, held=_list(_TEXT)),
    "Marked": _object(run_id=_INTEGER, marked=_list(_TEXT)),
}


def _schema(of: Parameter) -> Document:
    if of.kind == "strings":
        return {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": _NO_NUL},
                "minItems": of.minimum, "maxItems": of.maximum}
    schema: Document = {"type": of.kind}
    if of.kind == "integer":
        schema.update(minimum=of.minimum, maximum=of.maximum)
    elif of.kind == "string":
        if of.choices:
            schema["enum"] = list(of.choices)
        elif of.pattern:
            schema["pattern"] = "^(?:%s)$" % of.pattern
        else:
            schema.update(minLength=of.minimum, maxLength=of.maximum, pattern=_NO_NUL)
    if of.default is not None:
        schema["default"] = of.default
    return schema


def _parameters(place: str, of: Sequence[Parameter]) -> List[Document]:
    found: List[Document] = []
    for one in of:
        described: Document = {"name": one.name, "in": place, "description": one.text, "schema": _schema(one),
                               "required": place == "path" or one.required}
        if one.example is not None:
            described["example"] = one.example
        found.append(described)
    return found


def _problem(status: int, codes: Sequence[str]) -> Document:
    return {"description": "; ".join("`%s`: %s" % (code, PROBLEMS[code][1]) for code in codes),
            "content": {"application/json": {"schema": _ref("Problem")}}}


def problems_of(route: Route) -> List[str]:
    """The codes of ``PROBLEMS`` that a route may answer."""
    codes = list(_ALWAYS) + [code for code in route.problems if code in PROBLEMS]
    codes += ["not_authenticated", "too_many_failures"]  # a wrong token is refused on open routes as well
    if route.role == "operate":
        codes.append("role")
    if route.in_body is not None:
        codes.append("media_type")
    if route.in_path:
        codes.append("not_found")
    return [code for code in PROBLEMS if code in codes]


def _operation(route: Route) -> Document:
    answer = route.answer
    content: Document = {answer.content_type: {"schema": _ref(answer.schema) if answer.schema else _TEXT}}
    if route.name == "metrics":
        content["application/json"] = {"schema": {"type": "array", "items": _OPEN}}
    if route.name == "output":
        content["text/event-stream"] = {}
    if route.name == "events":
        content[answer.content_type] = {}  # each event has a shape of its own
    responses: Document = {str(answer.status): {"description": answer.text, "content": content}}
    if answer.status == 201:
        responses["202"] = {"description": "started; its number is not known yet", "content": content}
    by_status: Dict[int, List[str]] = {}
    for code in problems_of(route):
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _problem(status, codes)
    if "failing" in route.problems:
        responses["503"] = {"description": "a check fails, or too many connections", "content": {"application/json": {
            "schema": {"anyOf": [_ref("Health"), _ref("Problem")]}}}}
    operation: Document = {"operationId": route.name, "summary": route.text, "responses": responses,
                           "security": [{"bearer": []}] if route.role else []}
    described = _parameters("path", route.in_path) + _parameters("query", route.in_query)
    if route.name == "events":
        described.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": {
            "type": "string", "pattern": "^[A-Za-z0-9-]{0,64}$"}, "description": "the last event that was seen"})
    if described:
        operation["parameters"] = described
    if route.in_body is not None:
        body: Document = {"type": "object", "additionalProperties": False, "properties": {
            field.name: dict(_schema(field), description=field.text) for field in route.in_body}}
        required = [field.name for field in route.in_body if field.required]
        if required:
            body["required"] = required
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if route.role:
        operation["description"] = "Needs a token with the role `%s`." % route.role
    return operation


def build_document(routes: Sequence[Route]) -> Document:
    """The OpenAPI document of a route table."""
    paths: Dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Executioner", "version": "1",
                 "description": "Runs of job graphs: what runs, what ran, and what is to run. Times are ISO 8601 in "
                                "UTC, durations seconds. Every answer that is no success is a `Problem`."},
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": {"bearer": {
            "type": "http", "scheme": "bearer", "description": "A token of `executioner token create`."}}},
    }


def openapi_document(routes: Sequence[Route]) -> Response:
    """The answer that is the document."""
    return Response(200, json.dumps(build_document(routes), indent=1, ensure_ascii=True).encode("ascii") + b"\n")


def docs_page(routes: Sequence[Route]) -> Response:
    """The same for people."""
    return Response(200, _page(routes).encode("utf-8"), "text/html; charset=utf-8")


def _rows(place: str, of: Optional[Sequence[Parameter]]) -> str:
    return "".join(
        "<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>" % (
            escape(one.name), place, escape(_kind_text(one)), escape(one.text)) for one in of or ())


def _kind_text(of: Parameter) -> str:
    text = {"strings": "list of texts", "string": "text", "integer": "number"}.get(of.kind, of.kind)
    if of.choices:
        text = " | ".join(of.choices)
    if of.default is not None and of.default is not False:
        text += ", %s where not given" % of.default
    return text


def _page(routes: Sequence[Route]) -> str:
    parts = []
    for route in routes:
        rows = _rows("path", route.in_path) + _rows("query", route.in_query) + _rows("body", route.in_body)
        table = ("<table><thead><tr><th>name</th><th>in</th><th>value</th><th>meaning</th></tr></thead>"
                 "<tbody>%s</tbody></table>" % rows) if rows else ""
        parts.append(
            '<section class="route" id="%s"><h2><span class="method %s">%s</span> <code>%s</code></h2><p>%s</p>'
            '<p class="muted">%s &middot; answers %d: %s &middot; or: %s</p>%s</section>' % (
                route.name, route.method.lower(), route.method, escape(route.path), escape(route.text),
                "role <b>%s</b>" % route.role if route.role else "open to all", route.answer.status,
                escape(route.answer.text), ", ".join(
                    "<code>%s</code>" % code for code in problems_of(route) if code not in _ALWAYS), table))
    problems = "".join("<tr><td>%d</td><td><code>%s</code></td><td>%s</td></tr>" % (status, code, escape(text))
                       for code, (status, text) in PROBLEMS.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Executioner API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/app.css">'
        '<script type="module" src="/static/docs.js"></script></head>'
        '<body class="docs"><header class="bar"><a class="brand" href="/" aria-label="Executioner">'
        '<img src="/static/icon.svg" alt="" width="26" height="26"><span>Executioner</span></a>'
        '<nav aria-label="Pages"><a class="nav" href="/">Dashboard</a>'
        '<a class="nav" href="/docs" aria-current="page">API</a></nav></header>'
        '<main class="page"><h1>Executioner API</h1>'
        '<p>Send <code>Authorization: Bearer TOKEN</code>; a token is made by <code>executioner token create NAME'
        "</code>. The same as a document for programs: <a href=\"/openapi.json\">/openapi.json</a>. The dashboard: "
        '<a href="/">/</a>.</p>%s<section class="route"><h2>What is no success</h2><p>A JSON object with '
        "<code>code</code>, <code>error_code</code> and <code>message</code>.</p><table><thead><tr><th>status</th>"
        "<th>code</th><th>meaning</th></tr></thead><tbody>%s</tbody></table></section></main></body></html>\n"
        % ("".join(parts), problems))
