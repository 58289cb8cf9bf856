"""M1: a run of very many jobs does not grow."""
import os
import time

import faultlib
from faultlib import History, Row

__all__ = ["ROWS"]

LIMIT_BYTES = 20 << 20


def m1(trials):
    count = trials.wanted
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "M1-%d" % os.getpid()
    # A tenth of the jobs waits for the others, so that the graph is not flat.
    jobs = [{"id": "j%d" % one, "command": ["true"]} for one in range(count)]
    for position in range(10, count, 10):
        jobs[position]["dependencies"] = ["j%d" % (position - 10)]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4)
    child = trials.product.start(["run", config], home=home, mark=mark)
    logs = os.path.join(home, "logs", "1")
    first, last, at, keeper = {}, {}, 0, None
    deadline = time.monotonic() + trials.left_s() + 100
    pause = 0.1
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(pause)
        began = time.monotonic()
        keeper = keeper or faultlib.keeper_of(child.pid)
        if keeper is None:
            continue
        done = progress(logs) if not first else at
        # Counting very many files takes time; the run is to have it.
        pause = max(0.1, 10 * (time.monotonic() - began))
        sample = sizes(child.pid, keeper)
        if sample is None:
            continue
        if done >= count // 10 and not first:
            first, at = sample, done
        if done >= count // 10:
            last = {name: max(last.get(name, 0), value) for name, value in sample.items()}
        trials.expect(sample["zombies"] <= 8, "%d zombies" % sample["zombies"])
    if child.poll() is None:
        child.kill()
        faultlib.clear_away(mark)
        trials.violation("did not end in its time")
    trials.expect(child.returncode == 0, "ended with %s" % child.returncode)
    history = History(home, check=True)
    good = sum(1 for row in history.jobs if row.status == "SUCCESS")
    trials.expect(good == count and history.integrity == "ok", "%d of %d jobs are SUCCESS, integrity %s" % (
        good, count, history.integrity))
    trials.expect(not faultlib.left_of(mark), "processes were left")
    if trials.expect(bool(first), "the run was over before it could be measured"):
        for name in ("runner", "keeper"):
            growth = last[name] - first[name]
            trials.figures["bytes that the %s grew from job %d on" % (name, at)] = growth
            trials.figures["bytes of the %s" % name] = last[name]
            trials.expect(growth < LIMIT_BYTES, "the %s grew by %d bytes from job %d to %d" % (name, growth, at, count))
        for name in ("runner descriptors", "keeper descriptors"):
            trials.expect(last[name] - first[name] <= 16, "%s: %d, later %d" % (name, first[name], last[name]))
        for name in ("runner threads", "keeper threads"):
            trials.expect(last[name] - first[name] <= 0, "%s: %d, later %d" % (name, first[name], last[name]))
    trials.done(good)
    trials.drop(folder)


def progress(logs):
    """How many jobs have begun: two files for each."""
    try:
        # The number of names from the size of the folder would be a guess; scandir is quick enough.
        return sum(1 for _ in os.scandir(logs)) // 2
    except OSError:
        return 0


def sizes(runner, keeper):
    """Memory, descriptors, threads, and the zombies below."""
    found = {}
    for name, pid in (("runner", runner), ("keeper", keeper)):
        process = faultlib.stat_of(pid)
        if process is None or not process.alive:
            return None
        found[name] = process.rss
        found[name + " descriptors"] = len(faultlib.descriptors_of(pid))
        try:
            found[name + " threads"] = len(os.listdir("/proc/%d/task" % pid))
        except OSError:
            return None
    found["zombies"] = sum(len(faultlib.zombies_below(pid)) for pid in (runner, keeper))
    return found


ROWS = [
    Row("M1", "each process grows by less than 20 MB from a tenth of the jobs to all, without zombies, more descriptors or threads",
        "very many jobs in one run", "/proc sampled up to ten times a second", 5000, 100000, "results kept in a list", m1, 1.5,
        unit="jobs"),
]
