"""W1: the power is cut at random system calls of a whole run; what was acknowledged is still there."""
import os
import random
import shutil
import sqlite3
import subprocess

import faultlib
import powercut
from faultlib import History, NotRun, Row

__all__ = ["ROWS"]

CUTS_A_TRACE = 150
#: One in so many images is given to the product itself, to be resumed.
RESUMED = 50


def graph(folder, rnd):
    """A small graph with retries, whose jobs write their ledger outside of the disk that is modelled."""
    script, ledger = faultlib.job_script(folder), os.path.join(folder, "ledger")
    jobs = []
    for position in range(10):
        failures = 1 if rnd.random() < 0.2 else 0
        job = {"id": "j%d" % position, "rerun_if_lost": True, "max_retries": 2, "retry_delay": 0.05,
               "command": [script, ledger, "0.0%d" % rnd.randrange(1, 9), str(failures), "1", "0", "-"]}
        if position:
            job["dependencies"] = ["j%d" % parent for parent in
                                   sorted(rnd.sample(range(position), min(position, rnd.choice((0, 1, 1, 2)))))]
        jobs.append(job)
    return jobs, ledger, faultlib.config_of(folder, jobs, parallel=True, max_workers=rnd.choice((1, 2, 4)))


def w1(trials):
    if not powercut.can_trace():
        raise NotRun("strace is not here, or may not trace")
    trials.make(lambda number: cuts_of_a_trace(trials, number))


def cuts_of_a_trace(trials, number):
    rnd = trials.random(number)
    folder = os.path.realpath(trials.folder())
    root = os.path.join(folder, "disk")
    os.mkdir(root, 0o700)
    home = os.path.join(root, "home")
    jobs, ledger, config = graph(folder, rnd)
    # The first run in a home makes it; later ones find a history.
    earlier = number % 3
    for _ in range(earlier):
        trials.product.run("run", config, home=home, timeout_s=60)
    if os.path.exists(ledger):
        os.unlink(ledger)
    disk = powercut.Disk(root, [ledger])
    trace = os.path.join(folder, "trace")
    code = powercut.record(trials.product.argv("run", config), trace, env=trials.product.environment(home),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    trials.expect(code == 0, "the run under strace ended with %s" % code, number)
    calls = powercut.read_trace(trace)
    os.unlink(trace)
    if not os.path.exists(ledger):
        trials.violation("the run under strace started nothing", number)
        return
    shutil.rmtree(root)
    try:
        for point in sorted(rnd.randrange(1, len(calls) + 1) for _ in range(CUTS_A_TRACE)):
            if not trials.more():
                break
            while disk.position < point:
                disk.feed(calls[disk.position])
            mode = rnd.choice(powercut.MODES)
            os.mkdir(root, 0o700)
            disk.image(root, mode, rnd)
            acknowledged = disk.acknowledged(ledger)
            what = "trace %d cut at call %d of %d, %s" % (number, point, len(calls), mode)
            judge(trials, number, what, home, acknowledged, jobs, earlier + 1)
            if rnd.randrange(RESUMED) == 0:
                resume(trials, number, what, home, config, ledger, acknowledged, jobs)
            shutil.rmtree(root)
            trials.done()
            trials.add(mode)
    finally:
        trials.add("system calls replayed", disk.position)
        if disk.unresolved:
            trials.violation("the model is not sure: %s" % "; ".join(disk.unresolved[:3]), number)
        trials.drop(folder)


def entries_of(data):
    entries = []
    for line in data.decode("utf-8", "replace").split("\n")[:-1]:
        words = line.split(" ")
        entries.append(faultlib.Entry(words[0], words[1], int(words[2]), int(words[3]), words[4]))
    return entries


def judge(trials, number, what, home, acknowledged, jobs, run_id):
    """Compare what the disk holds with what was acted upon before the cut."""
    entries = entries_of(acknowledged)
    path = os.path.join(home, "history.db")
    if not os.path.exists(path):
        trials.expect(not entries, "%s: jobs had begun, there is no history" % what, number)
        return
    copy = os.path.join(os.path.dirname(os.path.dirname(home)), "look")
    os.mkdir(copy)
    try:
        for ending in ("", "-wal", "-journal"):
            if os.path.exists(path + ending):
                shutil.copy(path + ending, os.path.join(copy, "history.db" + ending))
        try:
            db = sqlite3.connect(os.path.join(copy, "history.db"))
            integrity = db.execute("PRAGMA integrity_check").fetchone()[0]
            db.close()
            trials.expect(integrity == "ok", "%s: integrity %s" % (what, integrity), number)
            history = History(None, path=os.path.join(copy, "history.db"))
        except sqlite3.Error as error:
            trials.violation("%s: the history does not open: %s" % (what, error), number)
            return
    finally:
        shutil.rmtree(copy)
    attempts = {(row.job, row.attempt): row for row in history.attempts if row.run_id == run_id}
    statuses = history.of(run_id)
    by_id = {job["id"]: job for job in jobs}
    for entry in entries:
        if entry.kind != "S":
            continue
        if (entry.job, entry.attempt) not in attempts:
            trials.violation("%s: %s attempt %d had begun, the history knows nothing of it" % (
                what, entry.job, entry.attempt), number)
        if entry.attempt > 1 and attempts.get((entry.job, entry.attempt - 1)) is not None \
                and attempts[entry.job, entry.attempt - 1].status != "FAILED":
            trials.violation("%s: %s was tried again, its failure is lost" % (what, entry.job), number)
        for parent in by_id[entry.job].get("dependencies", ()):
            trials.add("results acknowledged")
            if parent not in statuses or statuses[parent].status != "SUCCESS":
                trials.violation("%s: %s had begun, the success of %s is lost (%s)" % (
                    what, entry.job, parent, statuses.get(parent) and statuses[parent].status), number)


def resume(trials, number, what, home, config, ledger, acknowledged, jobs):
    """Another boot: the product itself says what became of the run, and finishes it."""
    if os.geteuid() != 0:
        return
    entries = entries_of(acknowledged)
    folder = os.path.dirname(ledger)
    boot = os.path.join(folder, "boot_id")
    with open(boot, "w") as out:
        out.write("11111111-2222-4333-8444-%012d\n" % random.randrange(10 ** 12))
    with open(ledger, "wb") as out:
        out.write(acknowledged)
    history = History(home) if os.path.exists(os.path.join(home, "history.db")) else None
    known = history is not None and history.last() is not None
    settled = known and history.last().status == "SUCCESS"
    words = ["run", config] + (["--resume", "last"] if known else [])
    prefix = ["unshare", "-m", "sh", "-c", "mount --bind %s /proc/sys/kernel/random/boot_id && exec \"$@\"" % boot, "sh"]
    try:
        done = trials.product.run(*words, home=home, prefix=prefix, timeout_s=60)
    except subprocess.TimeoutExpired:
        trials.violation("%s: the resume hangs" % what, number)
        return
    trials.expect(done.code == 0 and not done.traceback, "%s: the resume: %s" % (what, done.tail()), number)
    again = faultlib.read_ledger(ledger)[len(entries):]
    by_id = {job["id"]: job for job in jobs}
    certain = set()
    for entry in entries:
        if entry.kind == "S":
            certain.update(by_id[entry.job].get("dependencies", ()))
    for entry in again:
        if entry.kind == "S" and (entry.job in certain or settled):
            trials.violation("%s: %s had succeeded for certain and was run again" % (what, entry.job), number)
    trials.add("resumed")


ROWS = [
    Row("W1", "nothing that was acted upon is lost, the history always opens, a resume completes",
        "the power is cut at a random system call of a whole run: unsynchronised data dropped, kept, or kept at random and "
        "torn at 512 bytes", "images of the simulated disk against the ledger, integrity_check, the product's own resume",
        900, 30000, "synchronous=NORMAL; no fsync of the folder", w1, 3.0, unit="cuts"),
]
