"""Webhooks against a real server: the signature, retries, redirects, answers of all kinds."""
import hashlib
import hmac
import json
from typing import Any

import pytest

from jobs.exceptions import NotificationError
from monitoring.message import Message
from monitoring.webhook import post, signature
from receivers import HttpReceiver

MESSAGE = Message("subject", "body\n", {"event": "failure", "application": "n\u00e4chtlich", "run_id": 3})


def test_the_body_and_its_signature() -> None:
    with HttpReceiver() as http:
        post(http.url + "/hook?x=1", "k\u00e9y", MESSAGE, "home.7", "2026-01-01T00:00:00.000Z")
    path, headers, body = http.requests[0]
    assert path == "/hook?x=1"
    assert json.loads(body.decode()) == {"event": "failure", "application": "n\u00e4chtlich", "run_id": 3,
                                         "id": "home.7", "sent": "2026-01-01T00:00:00.000Z"}
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["content-type"] == "application/json" and headers["x-executioner-event"] == "failure"
    expected = "sha256=" + hmac.new("k\u00e9y".encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-executioner-signature"] == expected
    assert signature("other", body) != expected and signature("k\u00e9y", body + b" ") != expected


def test_no_secret_no_signature_and_a_user_goes_into_a_header() -> None:
    with HttpReceiver() as http:
        post(http.url.replace("//", "//ann:p%40ss@"), "", MESSAGE, "x", "now")
    headers = {name.lower(): value for name, value in http.requests[0][1].items()}
    assert "x-executioner-signature" not in headers and headers["authorization"] == "Basic YW5uOnBAc3M="


@pytest.mark.parametrize("status, permanent", [(404, True), (401, True), (302, True), (307, True), (408, False),
                                               (429, False), (500, False), (503, False)])
def test_answers(status: int, permanent: bool) -> None:
    with HttpReceiver((status,)) as http:
        with pytest.raises(NotificationError) as caught:
            post(http.url, "", MESSAGE, "x", "now")
    assert str(status) in caught.value.message and bool(caught.value.context["permanent"]) is permanent
    assert len(http.requests) == 1  # never followed


def test_nobody_listens_and_no_certificate(tmp_path: Any) -> None:
    with HttpReceiver() as http:
        url = http.url
        with pytest.raises(NotificationError) as caught:
            post(url.replace("http:", "https:"), "", MESSAGE, "x", "now")
        assert "cannot post to 127.0.0.1" in caught.value.message
    with pytest.raises(NotificationError) as caught:
        post(url + "/secret-path", "", MESSAGE, "x", "now")
    assert "secret-path" not in caught.value.message and not caught.value.context["permanent"]
