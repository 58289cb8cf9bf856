"""C1, C2: clocks that jump and nights that are an hour too long change nothing."""
import datetime
import json
import os
import re
import subprocess
import time

import faultlib
from faultlib import History, Row

__all__ = ["ROWS", "command", "set_offset"]

HERE = os.path.dirname(os.path.abspath(__file__))
JUMPS_S = (3600.0, -3600.0, 86400.0, -86400.0, 1.0, -1.0, 30.0, -7200.0, 40000000.0)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "CET-1CEST", "")
#: Seconds before and after which an hour is skipped or comes twice, in Berlin, New York and on Lord Howe.
NIGHTS = (1616893200.0, 1635642000.0, 1615705200.0, 1636264800.0, 1633190400.0, 1617465600.0)


def set_offset(path, seconds):
    """Let the clock jump, at the next question, so far from the real one."""
    with open(path + ".new", "w") as out:
        out.write("%r" % seconds)
    os.rename(path + ".new", path)


def command(trials, *words):
    """The command line of the command with a clock that jumps."""
    product = trials.product
    return [product.python, os.path.join(HERE, "clock_entry.py"), product.checkout] + list(words)


def c1(trials):
    trials.make(lambda number: jumps(trials, number))


def jumps(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, ledger, offset = (os.path.join(folder, name) for name in ("home", "ledger", "offset"))
    script = faultlib.job_script(folder)
    jobs = [{"id": "first", "command": [script, ledger, "0.3", "0", "1", "0", "-"]},
            {"id": "slow", "command": [script, ledger, "0", "0", "1", "9", "-"], "timeout": 0.6, "stop_grace": 0.2,
             "allow_failure": True, "retry_on_status": []},
            {"id": "again", "command": [script, ledger, "0.05", "1", "1", "0", "-"], "max_retries": 1, "retry_delay": 0.5,
             "retry_jitter": 0, "max_retry_time": 60},
            {"id": "last", "command": [script, ledger, "0.2", "0", "1", "0", "-"], "dependencies": ["first", "again"]}]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4, run_timeout=60)
    set_offset(offset, 0.0)
    began = time.monotonic()
    child = subprocess.Popen(command(trials, "run", config), env=trials.product.environment(home, None, FAULTS_OFFSET=offset),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    jumped, total = 0, 0.0
    with faultlib.Stalls() as stalls:
        while child.poll() is None and time.monotonic() - began < 60:
            time.sleep(rnd.uniform(0.01, 0.2))
            total += rnd.choice(JUMPS_S)
            if abs(total) > 1e9:
                total = 0.0
            set_offset(offset, total)
            jumped += 1
        took = time.monotonic() - began
        allowance = stalls.allowance_s()
    if child.poll() is None:
        child.kill()
        trials.violation("hangs", number)
    err = child.communicate()[1]
    trials.expect(child.returncode == 0, "ended with %s %r" % (child.returncode, err[-200:]), number)
    trials.expect(took < 5 + 5 * allowance, "took %.1f s" % took, number)
    history = History(home)
    rows = history.of(history.last().run_id)
    for job, status, least, most in (("first", "SUCCESS", 0.3, 0.8), ("slow", "TIMEOUT", 0.6, 1.3),
                                     ("again", "SUCCESS", 0.6, 1.4), ("last", "SUCCESS", 0.2, 0.7)):
        row = rows.get(job)
        trials.expect(row is not None and row.status == status and row.duration_s is not None
                      and least - 0.05 <= row.duration_s <= most + allowance, "%s: %s after %s s" % (
                          job, row and row.status, row and row.duration_s), number)
    for row in history.attempts:
        trials.expect(row.duration_s is None or row.duration_s >= 0, "%s: %s s" % (row.job, row.duration_s), number)
    order = [entry.job for entry in faultlib.read_ledger(ledger) if entry.kind == "S"]
    trials.expect(order and order[-1] == "last" and order.count("again") == 2, "order %s" % order, number)
    trials.done(jumped)
    trials.drop(folder)


def _epoch(text):
    """Epoch seconds of an ISO 8601 time in UTC; None where it is none."""
    match = re.match(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z$", text or "")
    if not match:
        return None
    moment = datetime.datetime.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp() + float(match.group(2) or 0)


def c2(trials):
    cases = [(zone, night, before) for zone in ZONES for night in NIGHTS for before in (-1800.0, -0.3, 1800.0, 5400.0)]

    def trial(number):
        order = list(cases)
        trials.random("order").shuffle(order)
        zone, night, before = order[number % len(order)]
        folder = trials.folder()
        home, offset = os.path.join(folder, "home"), os.path.join(folder, "offset")
        config = faultlib.config_of(folder, [{"id": "a", "command": "sleep 0.2"}, {"id": "b", "command": "true",
                                                                                  "dependencies": ["a"]}])
        set_offset(offset, night + before - time.time())
        environment = trials.product.environment(home, None, FAULTS_OFFSET=offset)
        if zone:
            environment["TZ"] = zone
        else:
            environment.pop("TZ", None)
        what = "TZ=%s, %+.0f s" % (zone, before)
        done = subprocess.run(command(trials, "run", config, "--json"), env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        trials.expect(done.returncode == 0, "%s: ended with %d %r" % (what, done.returncode, done.stderr[-200:]), number)
        shown = json.loads(done.stdout.decode("utf-8"))
        rows = {row.job: row for row in History(home).attempts}
        for job in shown["jobs"]:
            row = rows[job["job_id"]]
            for name, kept in (("started", row.started_at), ("ended", row.ended_at)):
                told = _epoch(job[name])
                trials.expect(told is not None and abs(told - kept) < 0.002 and abs(kept - night - before) < 20,
                              "%s: %s %s is told as %s, kept as %s, was about %s" % (
                                  what, job["job_id"], name, job[name], kept, night + before), number)
        trials.expect(_epoch(shown["ended"]) >= _epoch(shown["started"]), "%s: it ended before it began" % what, number)
        trials.done()
        trials.drop(folder)

    trials.make(trial)


ROWS = [
    Row("C1", "durations, timeouts, retries and order do not depend on the wall clock",
        "a wall clock that jumps by seconds, hours and days while a run goes on, in runner and keeper",
        "history against what was asked for", 100, 10000, "durations by the wall clock", c1, 0.8, alone=True, unit="jumps",
        lanes=2),
    Row("C2", "times are the same instants in every zone, on the nights with an hour more or less too",
        "8 zones x 6 nights x 4 moments", "the history and --json against the clock", 24, 192, "local time", c2, 0.5, unit="runs",
        lanes=2),
]
