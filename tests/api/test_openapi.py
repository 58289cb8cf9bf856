"""The OpenAPI document is what the server does, and the documentation names every route."""
import os
from typing import Any, Dict

import pytest

from api.errors import PROBLEMS
from api.openapi import build_document
from api.table import ROUTES
from api_case import ROOT, ApiCase
from db_samples import finished_run

DOCUMENT: Dict[str, Any] = build_document(ROUTES)


def test_it_is_served_and_whole(api: ApiCase) -> None:
    served = api.request("GET", "/openapi.json", token=None).json()
    assert served["openapi"] == "3.1.0"
    assert {(path, method.upper()) for path, methods in served["paths"].items() for method in methods} == {
        (route.path, route.method) for route in ROUTES}
    text = api.request("GET", "/openapi.json", token=None).body.decode()
    names = set(served["components"]["schemas"])
    import re
    assert {found for found in re.findall(r'"#/components/schemas/(\w+)"', text)} <= names


def test_the_page_needs_nothing_from_elsewhere(api: ApiCase) -> None:
    page = api.request("GET", "/docs", token=None)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert "http://" not in text and "https://" not in text and "<script>" not in text and "style=" not in text
    assert all("<code>%s</code>" % route.path in text for route in ROUTES)


def test_the_documentation_names_every_route_and_problem() -> None:
    with open(os.path.join(ROOT, "docs", "api.md"), encoding="utf-8") as source:
        text = source.read()
    missing = [route.path for route in ROUTES if "`%s %s`" % (route.method, route.path) not in text]
    missing += [code for code in PROBLEMS if "| %d | `%s` | %s |" % (PROBLEMS[code][0], code, PROBLEMS[code][1]) not in text]
    assert not missing


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET" and route.name not in (
    "events", "output", "static_file")], ids=lambda route: route.name)
def test_answers_have_their_shape(api: ApiCase, route: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with api.history() as history:
        finished_run(history, 1, "nightly_etl")
        finished_run(history, 2, "nightly_etl")
    path = route.path.replace("{job_id}", "job0").replace("{application}", "nightly_etl").replace(
        "{run_id}", "1").replace("{other_id}", "2")
    reply = api.get(path)
    assert reply.status == 200
    content = DOCUMENT["paths"][route.path]["get"]["responses"]["200"]["content"]
    kind = reply.headers["content-type"].split(";")[0]
    assert kind in content
    if kind == "application/json":
        jsonschema.validate(reply.json(), dict(content[kind]["schema"], components=DOCUMENT["components"]))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_problems_are_documented(api: ApiCase, route: Any) -> None:
    path = route.path
    for one in route.in_path:
        path = path.replace("{%s}" % one.name, str(one.example))
    documented = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
    for token in (None, api.reader, api.operator, "wrong"):
        for more in ({}, {"headers": {"Host": "evil"}}, {"headers": {"Origin": "http://evil"}}, {"body": b"["}):
            status = api.request(route.method, path, token=token, **more).status
            assert str(status) in documented, (token, more, status)
