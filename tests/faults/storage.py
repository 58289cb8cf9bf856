"""D3, D4, D5: full disks, locked histories, and databases that are not ours or not whole."""
import os
import shutil
import sqlite3
import subprocess
import threading
import time

import faultlib
from faultlib import History, NotRun, Row, fill_up

__all__ = ["ROWS"]


def _mount(folder, size):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0700" % size, "faults", folder],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise NotRun("no tmpfs can be mounted: %s" % done.stderr.decode("utf-8", "replace").strip())


def d3(trials):
    if os.geteuid() != 0:
        raise NotRun("needs root, to mount a small tmpfs")
    trials.make(lambda number: full_disk(trials, number))


def full_disk(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    small = os.path.join(folder, "small")
    os.mkdir(small, 0o700)
    home, mark = os.path.join(small, "home"), "D3-%d-%d" % (os.getpid(), number)
    script, ledger = faultlib.job_script(folder), os.path.join(folder, "ledger")
    jobs = []
    for position in range(16):
        job = {"id": "j%d" % position,
               "command": [script, ledger, "%.2f" % rnd.uniform(0.05, 0.6), "0", "1", "0", "-"]}
        if position >= 4:
            job["dependencies"] = ["j%d" % rnd.randrange(position - 4, position)]
        jobs.append(job)
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4)
    _mount(small, "1m" if rnd.random() < 0.7 else "2m")
    filler = os.path.join(small, "filler")
    err_path = os.path.join(folder, "err")
    try:
        if rnd.random() < 0.5:
            trials.product.run("run", faultlib.config_of(folder, [{"id": "x", "command": "true"}], "first.json"), home=home)
        with open(err_path, "wb") as err:
            child = trials.product.start(["run", config], home=home, mark=mark, stderr=err)
        if rnd.random() < 0.8:
            # On a busy machine most moments lie before the first job.
            faultlib.wait_until(lambda: faultlib.read_ledger(ledger) or child.poll() is not None, 30)
        time.sleep(rnd.uniform(0.0, 1.2))
        began_full = child.poll() is None
        fill_up(filler)
        started_before = sum(1 for entry in faultlib.read_ledger(ledger) if entry.kind == "S")
        again = time.monotonic() + rnd.uniform(0.2, 1.5)
        while time.monotonic() < again:
            time.sleep(0.02)
            if number % 2:
                fill_up(filler)  # what is given up for results is taken as well
        while_full = sum(1 for entry in faultlib.read_ledger(ledger) if entry.kind == "S") - started_before
        os.unlink(filler)
        try:
            child.wait(timeout=90)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            trials.violation("the run does not end although there is space again", number)
        with open(err_path, "rb") as err:
            said = err.read()
        trials.expect(b"Traceback" not in said, "a traceback: %r" % said[-300:], number)
        entries = faultlib.read_ledger(ledger)
        trials.expect(child.returncode in (0, 3), "ended with %s: %r" % (child.returncode, said[-300:]), number)
        if child.returncode == 3 and not entries:
            # It was full before anything had begun: refused with a clear line.
            trials.expect(said.strip(), "exit 3 without a word", number)
            trials.add("refused at the start")
        else:
            trials.expect(child.returncode == 0, "ended with %s: %r" % (child.returncode, said[-300:]), number)
            judge(trials, number, home, entries, jobs)
        trials.expect(while_full <= 4 + 2, "%d jobs were started on a full disk" % while_full, number)
        if began_full:
            trials.add("while it ran")
        trials.done()
    finally:
        faultlib.clear_away(mark)
        for _ in range(100):
            if subprocess.call(["umount", small], stderr=subprocess.DEVNULL) == 0:
                break
            time.sleep(0.05)
        else:
            subprocess.call(["umount", "-l", small], stderr=subprocess.DEVNULL)
        trials.drop(folder)


def judge(trials, number, home, entries, jobs):
    history = History(home, check=True)
    trials.expect(history.integrity == "ok", "integrity %s" % history.integrity, number)
    rows = history.of(history.last().run_id) if history.last() else {}
    for job in jobs:
        starts = [entry for entry in entries if entry.kind == "S" and entry.job == job["id"]]
        ends = [entry for entry in entries if entry.kind == "E" and entry.job == job["id"]]
        row = rows.get(job["id"])
        if len(starts) != 1 or len(ends) != 1 or row is None or row.status != "SUCCESS":
            trials.violation("%s: %d starts, %d ends, the history says %s (%s)" % (
                job["id"], len(starts), len(ends), row and row.status, row and row.reason), number)


def d4(trials):
    trials.make(lambda number: locked(trials, number))


def locked(trials, number):
    """Somebody else holds the database for a while: it is waited for, and nobody sees an error."""
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    trials.product.run("run", faultlib.config_of(folder, [{"id": "x", "command": "true"}], "first.json"), home=home)
    jobs = [{"id": "j%d" % one, "command": "sleep 0.0%d" % rnd.randrange(1, 9)} for one in range(12)]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=3)
    longest = 25.0 if trials.full else 3.0
    holds = [(rnd.uniform(0.0, 0.3), rnd.uniform(0.1, longest if rnd.random() < 0.2 else 1.0),
              rnd.choice(("IMMEDIATE", "EXCLUSIVE"))) for _ in range(2)]
    stop = threading.Event()
    # In most trials it begins to be held when the run is at work.
    waits = rnd.random() < 0.8

    def hold():
        if waits:
            faultlib.wait_until(lambda: stop.is_set() or os.path.exists(os.path.join(home, "logs", "2")), 30)
        for pause, seconds, kind in holds:
            stop.wait(pause)
            db = sqlite3.connect(os.path.join(home, "history.db"), isolation_level=None, timeout=30)
            try:
                db.execute("BEGIN " + kind)
                stop.wait(seconds)
                db.execute("ROLLBACK")
            except sqlite3.Error:
                pass
            finally:
                db.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        done = trials.product.run("run", config, home=home, timeout_s=120)
        said = (done.err + done.out).lower()
        trials.expect(done.code == 0 and b"locked" not in said and not done.traceback, "held for %s: %s" % (
            ["%.1f s" % hold_[1] for hold_ in holds], done.tail()), number)
    except subprocess.TimeoutExpired:
        trials.violation("hangs", number)
    finally:
        stop.set()
        holder.join()
    history = History(home, check=True)
    last = history.last()
    trials.expect(history.integrity == "ok" and last.status == "SUCCESS" and len(history.of(last.run_id)) == len(jobs),
                  "the history says %s" % (last and last.status,), number)
    trials.done()
    trials.drop(folder)


# ---- databases that are not whole, or not ours -----------------------------------------------------------------------

def _text(path, rnd):
    with open(path, "wb") as out:
        out.write(b"not a database, but a text that somebody needs\n" * rnd.randrange(1, 300))


def _other_schema(path, rnd):
    os.unlink(path)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE runs (something TEXT)" if rnd.random() < 0.5 else "CREATE TABLE photos (name TEXT)")
    db.execute("INSERT INTO %s VALUES ('precious')" % db.execute("SELECT name FROM sqlite_master").fetchone()[0])
    db.commit()
    db.close()


def _newer(path, rnd):
    db = sqlite3.connect(path)
    db.execute("INSERT INTO schema_version (version, name, checksum, applied_at) VALUES (9999, 'later', 'x', 0)")
    db.execute("PRAGMA user_version = 9999")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _empty(path, rnd):
    open(path, "wb").close()


def _truncated(path, rnd):
    size = os.path.getsize(path)
    os.truncate(path, rnd.randrange(1, max(2, size // 512)) * 512)


def _flipped(path, rnd):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        for _ in range(rnd.choice((1, 3, 30, 300))):
            data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
        file.seek(0)
        file.write(data)


def _overwritten(path, rnd):
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        file.seek(rnd.randrange(size // 512) * 512)
        file.write(bytes(bytearray(rnd.getrandbits(8) for _ in range(rnd.choice((512, 4096))))))


def _folder(path, rnd):
    os.unlink(path)
    os.mkdir(path)


def _symlink(path, rnd):
    os.rename(path, path + ".elsewhere")
    os.symlink(path + ".elsewhere", path)


def _dangling(path, rnd):
    os.unlink(path)
    os.symlink("/nonexistent/history.db", path)


def _fifo(path, rnd):
    os.unlink(path)
    os.mkfifo(path, 0o600)


def _stray_wal(path, rnd):
    os.unlink(path)
    with open(path + "-wal", "wb") as out:
        out.write(bytes(bytearray(rnd.getrandbits(8) for _ in range(5000))))


def _foreign_wal(path, rnd):
    with open(path + "-wal", "wb") as out:
        out.write(bytes(bytearray(rnd.getrandbits(8) for _ in range(5000))))


#: How to damage it, and whether the command must refuse it.
DAMAGES = ((_text, True), (_other_schema, True), (_newer, True), (_empty, False), (_truncated, False), (_truncated, False),
           (_flipped, False), (_flipped, False), (_flipped, False), (_overwritten, False), (_folder, True), (_symlink, False),
           (_dangling, True), (_fifo, True), (_stray_wal, False), (_foreign_wal, False))


def _content(path):
    if os.path.islink(path):
        return "link", os.readlink(path)
    if os.path.isfile(path):
        with open(path, "rb") as content:
            return "file", content.read()
    return "other", os.path.isdir(path)


def _looks_whole(path):
    """Whether SQLite itself sees no damage, such as one in the text of a statement that made a table."""
    if not os.path.isfile(path):
        return False
    try:
        db = sqlite3.connect("file:%s?mode=ro&immutable=1" % path, uri=True)
        try:
            return db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        finally:
            db.close()
    except (sqlite3.Error, ValueError):  # its message may be no text
        return False


def d5(trials):
    template = trials.folder()
    home = os.path.join(template, "home")
    jobs = [{"id": "j%d" % one, "command": "exit %d" % (one % 2)} for one in range(6)]
    config = faultlib.config_of(template, jobs, continue_on_error=True)
    for _ in range(3):
        trials.product.run("run", config, home=home)

    def trial(number):
        rnd = trials.random(number)
        damage, refused = DAMAGES[number % len(DAMAGES)]
        folder = trials.folder()
        copy = os.path.join(folder, "home")
        shutil.copytree(home, copy)
        path = os.path.join(copy, "history.db")
        for ending in ("-wal", "-shm"):
            if os.path.exists(path + ending):
                os.unlink(path + ending)
        damage(path, rnd)
        before = _content(path)
        unseen = _looks_whole(path)
        words = rnd.choice((("run", config), ("run", config), ("show", "last"), ("runs",), ("status",), ("doctor",),
                            ("logs", "last", "j0"), ("show", "last", "--json")))
        if number < len(DAMAGES):
            # The first round is with the command that writes.
            words = ("run", config)
        what = "%s: %s" % (damage.__name__.strip("_"), words[0])
        try:
            done = trials.product.run(*words, home=copy, timeout_s=30)
        except subprocess.TimeoutExpired:
            trials.violation("%s hangs" % what, number)
            trials.done()
            return
        trials.expect(not done.traceback, "%s: %s" % (what, done.tail()), number)
        trials.expect(done.code in faultlib.DOCUMENTED_EXITS, "%s: %s" % (what, done.tail()), number)
        trials.expect(b"internal error" not in done.err, "%s: %s" % (what, done.tail()), number)
        if refused and words[0] != "doctor":
            trials.expect(done.code == 3, "%s: expected exit 3: %s" % (what, done.tail()), number)
        if refused:
            unseen = False
        if refused or words[0] != "run" or done.code == 3:
            same = _content(path) == before
            # What SQLite's own check does not see may come out only after something was written.
            trials.expect(same or unseen or damage in (_stray_wal, _foreign_wal), "%s: the file was changed: %s" % (
                what, done.tail()), number)
        if done.code == 3:
            trials.expect(done.err.strip() or "--json" in words, "%s: exit 3 without a word" % what, number)
            trials.add("refused")
        trials.done()
        trials.drop(folder)

    trials.make(trial)


ROWS = [
    Row("D3", "results of what runs are kept, nothing new starts, and it goes on when there is space again",
        "a file system of 1 or 2 MiB is filled at a random moment, and freed", "ledger against history", 6, 1000,
        "no ballast; a failed commit fails the run", d3, 1.4, unit="fills", lanes=3),
    Row("D4", "a history that somebody else holds is waited for, and nobody sees an error",
        "BEGIN IMMEDIATE and EXCLUSIVE of another process, 0.1 to 25 s", "exit code, what was said, history", 16, 500,
        "no waiting", d4, 0.7, unit="runs", lanes=4),
    Row("D5", "a database that is not ours or not whole: a clear line, exit 3, and the file is never touched",
        "text, folder, FIFO, links, foreign and newer schema, truncated, flipped bits, stray write-ahead logs",
        "exit code, bytes before and after", 200, 5000, "a new one is made in its place", d5, 1.2, unit="databases",
        lanes=3),
]
