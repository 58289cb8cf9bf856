"""Nobody gets in without a token, by no trick; a token does what its role says; other sites' pages get nothing."""
import os
import socket
import stat

import pytest

from api.table import ROUTES
from api.tokens import TokenStore
from api_case import ApiCase, Events, parse_reply
from db_samples import finished_run
from jobs.exceptions import ConfigurationError, StorageError

GUARDED = [route for route in ROUTES if route.role]


def path_of(route: "object") -> str:
    """A path of the route with something in each place."""
    path = route.path  # type: ignore[attr-defined]
    for one in route.in_path:  # type: ignore[attr-defined]
        path = path.replace("{%s}" % one.name, str(one.example))
    return str(path)


def authorizations(api: ApiCase) -> "list[str]":
    """What somebody without a token may try."""
    return ["", "Bearer", "Bearer ", "Bearer x", "Basic " + api.reader, api.reader, "Bearer " + api.reader[:-1],
            "Bearer " + api.reader + "x", "Bearer " + api.reader.upper(), "Bearer\t" + api.reader,
            "Bearer " + api.reader + ", Bearer " + api.reader, "Bearer \xe4\xf6\xfc", "Bearer " + "a" * 8000,
            "Bearer null", "Bearer undefined", "Token " + api.reader, "Bearer " + api.store.all()[0].sha256]


def test_only_these_are_open() -> None:
    assert [route.path for route in ROUTES if not route.role] == [
        "/", "/docs", "/static/{name}", "/openapi.json", "/health"]
    assert all(route.role == "operate" for route in ROUTES if route.method != "GET")


@pytest.mark.parametrize("route", GUARDED, ids=[route.name for route in GUARDED])
def test_no_route_without_a_token(api: ApiCase, route: "object") -> None:
    with api.history() as history:
        finished_run(history, 1, "nightly_etl")
    method = route.method  # type: ignore[attr-defined]
    reply = api.request(method, path_of(route), token=None, body={} if method == "POST" else None)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="executioner"'
    if method == "POST":
        assert api.request(method, path_of(route), token=api.reader, body={}).status == 403


def test_what_else_may_be_tried(api: ApiCase) -> None:
    bodies = set()
    for value in authorizations(api):
        for path in ("/status", "/api/v1/runs"):
            reply = api.request("GET", path, token=None, headers={"Authorization": value})
            assert reply.status in (401, 429), value
            if reply.status == 401:
                bodies.add(reply.body)
    assert len(bodies) == 1
    assert api.get("/status").status == 200


@pytest.mark.parametrize("path", [
    "//status", "/./status", "/health/../status", "/health/%2e%2e/status", "/status%00", "/status/", "/status;x",
    "/%73tatus", "/STATUS", "/health?/status", "/static/../status", "/static/..%2f..%2ftokens.json",
    "/static/%2e%2e/history.db", "/api/v1/../../status", "/api//v1/runs", "/api/v1/runs/1/../../me", "/.", "/static//",
])
def test_paths_are_taken_as_they_come(api: ApiCase, path: str) -> None:
    reply = api.request("GET", path, token=None)
    assert reply.status in (400, 401, 404), reply
    assert b"running" not in reply.body and b"sha256" not in reply.body
    with_token = api.get(path)
    assert with_token.status in (400, 404), with_token


def test_a_token_in_the_query_is_none(api: ApiCase) -> None:
    for query in ("token=", "access_token=", "authorization=Bearer%20"):
        assert api.request("GET", "/status?" + query + api.reader, token=None).status == 401


def test_methods(api: ApiCase) -> None:
    for method in ("HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "get", "POST"):
        reply = api.request(method, "/status", token=None)
        assert reply.status == (401 if method == "HEAD" else 405), method


def test_after_ten_failures_a_second_it_is_429_but_not_for_those_who_have_a_token(api: ApiCase) -> None:
    statuses = [api.get("/status", token="wrong").status for _ in range(14)]
    assert statuses[:10] == [401] * 10 and 429 in statuses[10:]
    assert api.get("/status", token="wrong").headers["retry-after"] == "1"
    assert api.get("/status").status == 200
    assert api.request("GET", "/status", token=None).status == 401


def test_health_tells_strangers_no_more_than_names(api: ApiCase) -> None:
    stranger = api.request("GET", "/health", token=None).json()
    assert sorted(stranger) == ["checks", "status"]
    assert all(sorted(check) == ["name", "ok"] for check in stranger["checks"])
    known = api.get("/health").json()
    assert known["version"] == "9.9" and all("message" in check for check in known["checks"])
    assert api.get("/health", token="wrong").status == 401


@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("LOCALHOST:1", 200), ("127.0.0.1", 200), ("[::1]:99", 200), ("evil.example", 421),
    ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("127.0.0.2", 421), ("localhost@evil", 421),
    ("", 421), ("localhost:", 421), ("localhost:99999999", 421), ("[::2]", 421), ("0.0.0.0", 421), ("localhost ", 200),
    ("localhost,evil", 421), ("2130706433", 421), ("localhost.", 421),
])
def test_hosts(api: ApiCase, host: str, status: int) -> None:
    reply = api.get("/health", headers={"Host": host})
    assert reply.status == status
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("headers, status", [
    ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "https://127.0.0.1:PORT"}, 403),
    ({"Origin": "http://127.0.0.1:PORT"}, 200), ({"Origin": "http://127.0.0.1"}, 403), ({"Origin": ""}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403),
])
def test_other_sites_pages(api: ApiCase, headers: "dict[str, str]", status: int) -> None:
    given = {name: value.replace("PORT", str(api.port)) for name, value in headers.items()}
    assert api.get("/status", headers=given).status == status


def test_a_link_elsewhere_may_lead_to_the_dashboard(api: ApiCase) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert api.get("/", headers=link).status == 200
    assert api.get("/", headers=dict(link, **{"Sec-Fetch-Dest": "iframe"})).status == 403


def test_revoking_closes_doors_and_streams(api: ApiCase) -> None:
    with api.history() as history:
        import db_samples
        run_id = history.create_run(db_samples.new_run(1, boot_id=boot(), runner_pid=os.getpid(),
                                                       runner_start=start()), db_samples.pipeline())
    stream = Events(api, "/api/v1/runs/%d/events" % run_id)
    assert stream.next()[0] == "changes"
    api.store.revoke("reader")
    assert api.get("/status").status == 401
    assert stream.next() is None
    stream.close()


def boot() -> str:
    from jobs.keeper.processes import boot_id
    return boot_id()


def start() -> "int | None":
    from jobs.keeper.processes import start_time
    return start_time(os.getpid())


def test_the_file_of_the_tokens(folder: str) -> None:
    path = os.path.join(folder, "tokens.json")
    store = TokenStore(path)
    assert store.all() == [] and store.find("x") is None
    before = os.umask(0)
    try:
        secret = store.create("one", "read", 0.0)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert secret not in open(path).read()
    assert TokenStore(path).find(secret) == store.all()[0]
    for name, role in (("one", "read"), ("", "read"), ("a b", "read"), ("x" * 65, "read"), ("two", "root")):
        with pytest.raises(ConfigurationError):
            store.create(name, role, 0.0)
    with pytest.raises(ConfigurationError, match="there is no token two; there are: one"):
        store.revoke("two")
    os.chmod(path, 0o644)
    with pytest.raises(StorageError, match="others may read"):
        store.all()
    os.chmod(path, 0o600)
    for damage in ('{"tokens": [{"name": "x"}]}', "[", "[]", '{"tokens": [{"name":"x","role":"god","created":"","sha256":""}]}'):
        with open(path, "w") as out:
            out.write(damage)
        with pytest.raises(StorageError, match="executioner token create"):
            store.all()
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    with pytest.raises(StorageError):
        store.all()


def test_a_broken_token_file_lets_nobody_in(api: ApiCase) -> None:
    os.chmod(api.store.path, 0o666)
    assert api.get("/status").status == 503
    os.chmod(api.store.path, 0o600)
    assert api.get("/status").status == 200


def test_ipv4_only_means_loopback(api: ApiCase) -> None:
    assert api.server.socket.getsockname()[0] == "127.0.0.1"
    assert api.server.socket.family == socket.AF_INET
    assert parse_reply(api.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).status == 200
