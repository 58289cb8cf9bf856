"""The output of attempts: pieces, masked, never cut in a character or a secret, and never another file."""
import os
import random
from typing import List

import pytest

from api.log_files import read_piece
from api_case import ApiCase, Events
from db.history import RunPlaces
from db_samples import ended, intended, job_ended, new_run, pipeline, run_ended, started
from jobs.keeper.processes import boot_id, start_time
from jobs.masking import Masker
from jobs.models import JobStatus

PATH = "/api/v1/runs/1/jobs/job0/attempts/1/output/stdout"


def made(api: ApiCase, is_live: bool = False) -> str:
    """A run with one attempt; the path of its standard output."""
    logs = os.path.join(api.home, "logs", "1")
    os.makedirs(logs)
    more = dict(boot_id=boot_id(), runner_pid=os.getpid(), runner_start=start_time(os.getpid())) if is_live else {}
    with api.history() as history:
        history.create_run(new_run(1, **more), pipeline(jobs=1), lambda run_id: RunPlaces(logs, ""))
        history.journal(1).commit([in_folder(logs), started(1, 0)])
        if not is_live:
            finish(api)
    return os.path.join(logs, "job0.1.out")


def in_folder(logs: str) -> "object":
    """The intent of an attempt that writes there."""
    event = intended(1, 0)
    event.stdout_path, event.stderr_path = os.path.join(logs, "job0.1.out"), os.path.join(logs, "job0.1.err")
    return event


def finish(api: ApiCase) -> None:
    """The attempt, its job and the run end."""
    with api.history() as history:
        history.journal(1).commit([ended(1, 0), job_ended(0), run_ended(1)])


def write(path: str, data: bytes) -> None:
    """Append to the output."""
    with open(path, "ab") as out:
        out.write(data)


def test_pieces(api: ApiCase) -> None:
    path = made(api)
    write(path, b"one\ntwo\nthree\n")
    reply = api.get(PATH)
    assert reply.body == b"one\ntwo\nthree\n" and reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert (reply.headers["x-log-start"], reply.headers["x-log-next"], reply.headers["x-log-size"],
            reply.headers["x-log-over"]) == ("0", "14", "14", "true")
    assert api.get(PATH + "?offset=-7").body == b"three\n"
    assert api.get(PATH + "?offset=4&limit=16").body == b"two\nthree\n"
    assert api.get(PATH + "?offset=99").body == b""
    assert api.get(PATH.replace("attempts/1", "attempts/2")).status == 404
    assert api.get(PATH.replace("job0", "job9")).status == 404
    assert api.get(PATH.replace("stdout", "stdin")).status == 404
    assert api.get(PATH.replace("stdout", "stderr")).status == 404


def test_links_are_not_followed(api: ApiCase, folder: str) -> None:
    path = made(api)
    canary = os.path.join(folder, "canary")
    write(canary, b"canary")
    os.symlink(canary, path)
    assert api.get(PATH).status == 404
    os.unlink(path)
    logs = os.path.dirname(path)
    os.rename(logs, logs + ".real")
    write(os.path.join(logs + ".real", "job0.1.out"), b"inside")
    os.symlink(logs + ".real", logs)
    assert api.get(PATH).status == 404
    os.unlink(logs)
    os.rename(logs + ".real", logs)
    assert api.get(PATH).body == b"inside"
    os.unlink(path)
    os.mkfifo(path)
    assert api.get(PATH).status == 404


@pytest.mark.parametrize("trick", ["../tokens.json", "%2e%2e%2ftokens.json", "..%2f..%2fhistory.db", "/etc/passwd",
                                   "stdout%00", "stdout/../../../tokens.json", "....//", "%252e%252e%252f", "stdout%0a"])
def test_no_other_file(api: ApiCase, trick: str) -> None:
    made(api)
    for path in (PATH.replace("stdout", trick), PATH.replace("job0", trick), PATH.replace("runs/1/", "runs/%s/" % trick)):
        reply = api.get(path)
        assert reply.status in (400, 404), path
        assert b"sha256" not in reply.body and b"root:" not in reply.body


def test_a_path_outside_of_the_run_is_not_opened(api: ApiCase) -> None:
    logs = os.path.join(api.home, "logs", "1")
    os.makedirs(logs)
    with api.history() as history:
        history.create_run(new_run(1), pipeline(jobs=1), lambda run_id: RunPlaces(logs, ""))
        event = intended(1, 0)
        event.stdout_path, event.stderr_path = api.store.path, os.path.join(logs, "..", "..", "tokens.json")
        history.journal(1).commit([event])
    assert api.get(PATH).status == 404
    assert api.get(PATH.replace("stdout", "stderr")).status == 404


def all_pieces(path: str, limit: int, masker: Masker, is_over: bool = True) -> List[str]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        texts, offset = [], 0
        while True:
            piece = read_piece(descriptor, offset, limit, masker, is_over)
            assert piece.start == offset
            if piece.next == offset:
                return texts
            texts.append(piece.text)
            offset = piece.next
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("seed", range(20))
def test_no_piece_cuts_a_character_or_shows_a_part_of_a_secret(folder: str, seed: int) -> None:
    source = random.Random(seed)
    secret = "s3cr\u00e9t-\u20ac-value"
    data = "".join(source.choice(["a", "\u00e4", "\u20ac", "\U0001f600", secret, "\n"])
                   for _ in range(400)).encode("utf-8")
    path = os.path.join(folder, "out")
    write(path, data)
    plain = "".join(all_pieces(path, source.randrange(16, 60), Masker()))
    assert plain == data.decode("utf-8")
    for limit in (16, 31, 64, 4096):
        texts = all_pieces(path, limit, Masker([secret]))
        assert "s3cr" not in "".join(texts)
        assert not [text for text in texts if "value" in text or "\ufffd" in text]


def test_what_is_no_text_is_shown_as_such(api: ApiCase) -> None:
    path = made(api)
    write(path, b"\xff\xfe\x00abc\xc3")
    reply = api.get(PATH)
    assert reply.body.decode("utf-8") == "\ufffd\ufffd\x00abc\ufffd"
    assert reply.headers["x-log-next"] == "7"


def test_follow(api: ApiCase) -> None:
    path = made(api, is_live=True)
    write(path, b"begin\n\xe2\x82")
    stream = Events(api, PATH + "?follow=true")
    assert stream.reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.next() == ("output", {"start": 0, "next": 6, "text": "begin\n"})
    write(path, b"\xac more\n")
    assert stream.next() == ("output", {"start": 6, "next": 15, "text": "\u20ac more\n"})
    broken_at = stream.last_id
    stream.close()
    write(path, b"while nobody looked\n")
    again = Events(api, PATH + "?follow=true", broken_at)
    assert again.next() == ("output", {"start": 15, "next": 35, "text": "while nobody looked\n"})
    write(path, b"the end")
    finish(api)
    events = [again.next()]
    while events[-1][0] != "end":
        events.append(again.next())
    assert "".join(data.get("text", "") for _, data in events) == "the end"
    assert again.next() is None
    again.close()


def test_follow_holds_back_what_may_become_a_secret(folder: str) -> None:
    case = ApiCase(folder, environ={"A_PASSWORD": "hunter2hunter2"})
    try:
        path = made(case, is_live=True)
        write(path, b"say hunter2h")
        stream = Events(case, PATH + "?follow=true")
        assert stream.next()[1]["text"] == "say "
        write(path, b"unter2!\n")
        assert stream.next()[1]["text"] == "***!\n"
        stream.close()
    finally:
        case.close()


def test_lost_is_an_end_too(api: ApiCase) -> None:
    path = made(api, is_live=True)
    write(path, b"x")
    with api.history() as history:
        history.database.execute("UPDATE runs SET runner_pid = 999999999")
    stream = Events(api, PATH + "?follow=true")
    assert stream.next()[1]["text"] == "x"
    assert stream.next()[0] == "end"
    stream.close()
    assert api.get("/api/v1/runs/1").json()["status"] == "LOST"
    assert api.get("/api/v1/runs/1/jobs").json()["jobs"][0]["status"] == JobStatus.LOST
