"""M1, M2: a run of very many jobs does not grow, and neither does a home in which there are very many runs."""
import os
import subprocess
import time

import clocks
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


#: Runs of the soak that are kept, and how far above that it may be before a prune is due.
KEPT_RUNS = 6
MINUTE_S = 60.0
#: Into so many parts at least the day is cut; the last one may not need much more than the second.
PARTS = 5


def m2(trials):
    """Cron starts the same graph at each minute of a day; the clock is the only thing that is not real."""
    rnd = trials.random("soak")
    folder = trials.folder()
    home, ledger, offset = (os.path.join(folder, name) for name in ("home", "ledger", "offset"))
    mark = "M2-%d" % os.getpid()
    script = faultlib.job_script(folder)
    jobs = [{"id": "load", "command": [script, ledger, "0", "0", "1", "0", "-"]},
            {"id": "talk", "command": ["sh", "-c", "head -c 60000 /dev/zero | tr '\\\\0' x"], "dependencies": ["load"]},
            {"id": "flaky", "command": [script, ledger, "0", "1", "1", "0", "-"], "max_retries": 1, "retry_delay": 0.01,
             "rerun_if_lost": True}]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=2, retention={"runs": KEPT_RUNS})
    began = time.time()
    parts, minute = [], 0
    environment = trials.product.environment(home, mark, FAULTS_OFFSET=offset)
    command = clocks.command(trials, "run", config)
    each = min(60, max(1, trials.wanted // PARTS))
    # Three parts have to be measured, however slow the machine is.
    while trials.more() or minute < min(trials.wanted, 2 * each + 1):
        # The time of that minute, however long the earlier ones took.
        clocks.set_offset(offset, began + minute * MINUTE_S - time.time())
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
        shot = minute_of(trials, minute, child, rnd)
        size = size_of(home, mark)
        if minute % each == 0:
            parts.append(dict(size))
        parts[-1] = {name: max(parts[-1].get(name, 0), value) for name, value in size.items()}
        minute += 1
        trials.done()
        trials.add("kills", shot)
        if minute % 100 == 0:
            os.rename(os.path.join(home, "logs", "executioner.jsonl"), os.path.join(folder, "rotated"))
    judge_soak(trials, home, mark, parts)
    faultlib.clear_away(mark)
    trials.drop(folder)


def minute_of(trials, minute, child, rnd):
    """One run, some of which are killed: whether it was."""
    shoots, moment = rnd.random() < 0.15, rnd.uniform(0.0, 0.3)
    both = rnd.random() < 0.3
    try:
        err = child.communicate(timeout=moment if shoots else 60)[1]
        # A slow machine may reach a minute while an orphan still runs.
        trials.expect(child.returncode == 0, "minute %d ended with %s %r" % (minute, child.returncode, err[-200:]))
        return 0
    except subprocess.TimeoutExpired:
        if not shoots:
            trials.violation("minute %d does not end" % minute)
    keeper = faultlib.keeper_of(child.pid) if both else None
    child.kill()
    faultlib.kill_quietly(keeper)
    child.communicate()
    return 1


def size_of(home, mark):
    """What there is in a home, in figures that may not grow for ever."""
    found = {}
    for name, path in (("folders of runs", "logs"), ("records", "records"), ("locks", "locks")):
        try:
            found[name] = len(os.listdir(os.path.join(home, path)))
        except OSError:
            found[name] = 0
    for name in ("history.db", "history.db-wal"):
        try:
            found["bytes of " + name] = os.path.getsize(os.path.join(home, name))
        except OSError:
            found["bytes of " + name] = 0
    return found


def judge_soak(trials, home, mark, parts):
    """The home is as large as it was, the history whole, and nothing is left."""
    runs = History(home, check=True)
    trials.expect(runs.integrity == "ok", "integrity %s" % runs.integrity)
    trials.figures["runs kept"] = len(runs.runs)
    trials.expect(faultlib.wait_until(lambda: not faultlib.marked(mark), 20), "processes were left")
    for name in parts[-1]:
        trials.figures[name] = parts[-1][name]
    if len(parts) < 3:
        raise RuntimeError("the time was up before anything could be compared")
    for name, value in parts[-1].items():
        before = parts[1][name]
        allowed = before * 1.3 + (262144 if name.startswith("bytes") else 5)
        trials.expect(value <= allowed, "%s: %d in the second part, %d in the last" % (name, before, value))


ROWS = [
    Row("M1", "each process grows by less than 20 MB from a tenth of the jobs to all, without zombies, more descriptors or threads",
        "very many jobs in one run", "/proc sampled up to ten times a second", 5000, 100000, "results kept in a list", m1, 1.5,
        unit="jobs"),
    Row("M2", "a home does not grow with the number of runs, and every minute's run ends well", "the minutes of a day as cron "
        "starts them, on a clock that is told the time; one run in seven is killed, in some the keeper too",
        "exit codes; sizes and numbers of files, the last part of the day against the second", 30, 1440, "nothing is ever pruned",
        m2, 1.0, unit="minutes"),
]
