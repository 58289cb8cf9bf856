"""G2: who reads a file that we publish finds it whole, whatever happens to who writes it."""
import json
import multiprocessing
import os
import re
import subprocess
import threading
import time

import faultlib
from faultlib import Row

__all__ = ["ROWS"]

ROUND_S = 4.0
NOBODY = 65534
#: A line of Prometheus' text format: a comment, or a name, labels and a number.
LINE = re.compile(r'# (HELP|TYPE) [a-z_:]+ .+|[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? [-+0-9.eE]+|.* (NaN|[-+]Inf)')


def wrong_in_json(data):
    """What is wrong with it; None where it is whole."""
    try:
        json.loads(data.decode("utf-8"))
        return None
    except ValueError as error:
        return str(error)


def wrong_in_text(data):
    """The same for figures."""
    if not data.endswith(b"\n") or b"executioner_build_info{" not in data:
        return "it has no end"
    for line in data.decode("utf-8").splitlines():
        if not LINE.match(line):
            return "a line %r" % line[:80]
    return None


def wrong_in_page(data):
    """The same for a page."""
    if not data.startswith(b"<!doctype html>") and not data.startswith(b"<!DOCTYPE html>"):
        return "it has no beginning: %r" % data[:40]
    return None if data.rstrip().endswith(b"</html>") else "it has no end"


def reader(paths, user, over, results):
    """Read the files again and again; a process of its own, which may be somebody else's."""
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    reads, found, seen, last = 0, [], {}, {}
    while not over.is_set() and len(found) < 5:
        for path, check in paths:
            try:
                with open(path, "rb") as content:
                    data = content.read()
            except FileNotFoundError:
                # Not there yet; what was there once stays there.
                if path in seen:
                    found.append("%s is gone" % os.path.basename(path))
                continue
            except OSError as error:
                found.append("%s: %s" % (os.path.basename(path), error))
                continue
            reads += 1
            if last.get(path) == data:
                # The writers are to have the processors, too.
                time.sleep(0.0002)
                continue
            last[path] = data
            seen[path] = seen.get(path, 0) + 1
            wrong = check(data)
            if wrong is not None:
                found.append("%s of %d bytes: %s" % (os.path.basename(path), len(data), wrong))
    results.put((reads, sum(seen.values()), found))


def g2(trials):
    trials.make(lambda number: published(trials, number))


def published(trials, number):
    """Runs that write, and are shot; somebody who fills the disk; readers."""
    rnd = trials.random(number)
    folder = trials.folder()
    os.chmod(folder, 0o755)
    small = os.path.join(folder, "disk")
    os.mkdir(small, 0o755)
    fills = os.geteuid() == 0 and rnd.random() < 0.5 and subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "faults", small], stderr=subprocess.DEVNULL) == 0
    public = os.path.join(small, "public")
    os.mkdir(public, 0o755)
    home, mark = os.path.join(small, "home"), "G2-%d-%d" % (os.getpid(), number)
    text, page = os.path.join(public, "executioner.prom"), os.path.join(public, "status.html")
    configs = [faultlib.config_of(folder, [{"id": "a", "command": "true"}, {"id": "b", "command": "false", "allow_failure": True}],
                                  name + ".json", application_name=name, metrics_textfile=text, status_page=page,
                                  retention={"runs": 30}) for name in ("left", "right")]
    own = [(os.path.join(home, "metrics.json"), wrong_in_json), (os.path.join(home, "executioner.prom"), wrong_in_text)]
    theirs = [(text, wrong_in_text), (page, wrong_in_page)]
    over, results = multiprocessing.Event(), multiprocessing.Queue()
    users = [(own + theirs, None), (theirs, NOBODY if os.geteuid() == 0 else None)]
    readers = [multiprocessing.Process(target=reader, args=(paths, user, over, results)) for paths, user in users]
    for one in readers:
        one.start()
    found = []
    try:
        write_and_die(trials, number, configs, home, mark, os.path.join(small, "filler") if fills else None)
    finally:
        over.set()
        found = [results.get(timeout=60) for _ in readers]
        for one in readers:
            one.join()
        if fills:
            faultlib.wait_until(lambda: subprocess.call(["umount", small], stderr=subprocess.DEVNULL) == 0, 10, 0.05)
    for reads, versions, sentences in found:
        trials.done(versions)
        trials.add("reads", reads)
        for sentence in sentences:
            trials.violation("%s%s" % (sentence, ", on a disk that is filled" if fills else ""), number)
    trials.drop(folder)


def write_and_die(trials, number, configs, home, mark, filler):
    """Two applications, run after run; somebody may fill the disk for a while."""
    over = threading.Event()
    helpers = [threading.Thread(target=run_and_shoot, args=(trials, number, side, config, home, "%s-%d" % (mark, side)))
               for side, config in enumerate(configs)]
    filling = threading.Thread(target=fill_and_free, args=(filler, over)) if filler else None
    for helper in helpers + ([filling] if filling else []):
        helper.start()
    for helper in helpers:
        helper.join()
    over.set()
    if filling:
        filling.join()


def run_and_shoot(trials, number, side, config, home, mark):
    """Run after run; each may be shot, with all that it started."""
    rnd = trials.random("%s/%d" % (number, side))
    deadline, runs = time.monotonic() + ROUND_S, 0
    # A slow machine gets its runs, too.
    while time.monotonic() < deadline or runs < 4:
        child = trials.product.start(["run", config], home=home, mark=mark)
        runs += 1
        try:
            child.wait(timeout=rnd.uniform(0.05, 0.4) if rnd.random() < 0.3 else 30)
        except subprocess.TimeoutExpired:
            # What writes after the end of a run dies with it.
            for pid in faultlib.marked(mark):
                faultlib.kill_quietly(pid)
            child.kill()
            child.wait()
            trials.add("kills")
    faultlib.clear_away(mark)


def fill_and_free(path, over):
    """Take the space away and give it back, again and again."""
    while not over.wait(0.15):
        try:
            faultlib.fill_up(path)
        except OSError:
            pass
        over.wait(0.1)
        try:
            os.unlink(path)
        except OSError:
            pass


ROWS = [
    Row("G2", "who reads a file of figures or the status page finds it whole, from its first version on",
        "runs of two applications, and what they leave behind, are shot, the disk is filled and freed; two readers, one of them "
        "another user", "JSON, Prometheus' text format, the end of a page", 60, 100000, "written in place", g2, 0.6, unit="versions read"),
]
