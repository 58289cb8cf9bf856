"""S1 to S4: exit statuses, inherited signals, the stop protocol, and closed streams, whoever our parent is."""
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import faultlib
from faultlib import History, Row

__all__ = ["ROWS"]

#: Signals that end a process that does nothing about them.
DEADLY = [number for number in range(1, 65) if number not in (17, 18, 19, 20, 21, 22, 23, 28, 32, 33)]

#: Bring ourselves into a state that a parent may be in, and become the command.
PARENTS = {
    "plain": "",
    "SIGCHLD ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "SIGCHLD blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])",
    # Children that are not the command's own end while it runs, and were dead before it began.
    "foreign children": "[os.fork() or (time.sleep(0.05 * n), os._exit(n)) for n in range(12)]",
    "other reaper": "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.fork() or (os.fork() or (time.sleep(0.3), os._exit(3)), os._exit(4))",
}
BECOME = ("import ctypes, os, signal, sys, time\n"
          "%s\n"
          "os.execv(sys.argv[1], sys.argv[1:])\n")


def as_child_of(parent, argv):
    """The argument vector that runs another one as the child of a strange parent."""
    return [sys.executable, "-I", "-S", "-c", BECOME % parent] + argv


def number_of(name):
    """The number of a signal from any of the ways to write it; None where there is none."""
    if name is None:
        return None
    text = str(name).upper()
    for offset, sign in (("SIGRTMIN", 1), ("SIGRTMAX", -1)):
        match = re.match(offset + r"(?:([+-])(\d+))?$", text)
        if match:
            return int(getattr(signal, offset)) + (int(match.group(2) or 0) * (1 if match.group(1) != "-" else -1))
    if hasattr(signal, text):
        return int(getattr(signal, text))
    digits = re.search(r"\d+", text)
    return int(digits.group()) if digits else None


def s1(trials):
    """Every exit code and every deadly signal, under every parent."""
    parents = list(PARENTS)
    trials.make(lambda number: statuses(trials, number, parents[number % len(parents)]))


def statuses(trials, number, parent):
    rnd = trials.random("%s/%s" % (number, parent))
    folder = trials.folder()
    home = os.path.join(folder, "home")
    jobs = [{"id": "c%d" % code, "command": ["sh", "-c", "exit %d" % code]} for code in range(256)]
    jobs += [{"id": "s%d" % one, "command": ["sh", "-c", "kill -%d $$; sleep 5" % one]} for one in DEADLY]
    jobs += [{"id": "x%d" % code, "command": "true; exit %d" % code} for code in range(0, 256, 15)]
    for job in jobs:
        job["allow_failure"] = True
    rnd.shuffle(jobs)
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=rnd.choice((1, 4, 8)), continue_on_error=True,
                                default_retry_on_exit_codes=[])
    child = subprocess.Popen(as_child_of(PARENTS[parent], trials.product.argv("run", config)),
                             env=trials.product.environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    try:
        err = child.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        trials.violation("%s: the run hangs" % parent, number)
        return
    trials.expect(child.returncode == 0, "%s: the run ended with %s: %r" % (parent, child.returncode, err[-200:]), number)
    history = History(home)
    rows = history.of(history.last().run_id) if history.last() else {}
    for job in jobs:
        wanted = int(job["id"][1:])
        row = rows.get(job["id"])
        if row is None:
            trials.violation("%s: %s is not in the history" % (parent, job["id"]), number)
        elif job["id"][0] == "s":
            if number_of(row.signal) != wanted or row.exit_code is not None or row.status != "FAILED":
                trials.violation("%s: signal %d is told as %s, exit code %s, %s" % (
                    parent, wanted, row.signal, row.exit_code, row.status), number)
        else:
            good = ("SUCCESS",) if wanted == 0 else ("FAILED", "ERROR") if wanted in (126, 127) else ("FAILED",)
            if row.exit_code != wanted or row.signal is not None or row.status not in good:
                trials.violation("%s: exit code %d is told as %s, signal %s, %s" % (
                    parent, wanted, row.exit_code, row.signal, row.status), number)
    trials.done(len(jobs))
    trials.drop(folder)


def s2(trials):
    """A polite job can be stopped whatever was ignored or blocked when the run began."""
    # The signal that stops a job comes first, so that a slow machine gets to it.
    numbers = [signal.SIGTERM] + [number for number in range(1, 32) if number not in (9, 15, 19)]
    cases = [(how, int(number)) for number in numbers for how in ("ignored", "blocked")]

    def trial(index):
        how, number = cases[index % len(cases)]
        folder = trials.folder()
        home = os.path.join(folder, "home")
        out = os.path.join(folder, "status")
        # What it does about TERM is read from outside of it; then it sleeps politely.
        jobs = [{"id": "polite", "timeout": 1.0, "stop_grace": 300,
                 "command": ["sh", "-c", "while read -r line; do case $line in SigBlk*|SigIgn*) echo \"$line\";; "
                                             "esac; done </proc/$$/status >%s; exec sleep 300" % out]}]
        config = faultlib.config_of(folder, jobs)
        parent = ("signal.signal(%d, signal.SIG_IGN)" if how == "ignored" else
                  "signal.pthread_sigmask(signal.SIG_BLOCK, [%d])") % number
        child = subprocess.Popen(as_child_of(parent, trials.product.argv("run", config)),
                                 env=trials.product.environment(home), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, err = child.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            trials.violation("signal %d %s: the run hangs, or TERM did not stop the job" % (number, how), index)
            return
        trials.expect(child.returncode == 1, "signal %d %s: the run ended with %s %r" % (
            number, how, child.returncode, err[-200:]), index)
        masks = dict(line.split(":") for line in open(out).read().splitlines()) if os.path.exists(out) else {}
        for field in ("SigBlk", "SigIgn"):
            if int(masks.get(field, "ffff").strip(), 16) & (1 << 14):
                trials.violation("signal %d %s: TERM is in %s of the job" % (number, how, field), index)
        trials.done()
        trials.drop(folder)

    trials.make(trial)


STOP_JOB = r"""
printf 'S %s %s %s %s\n' "$EXECUTIONER_JOB_ID" "$EXECUTIONER_RUN_ID" "$EXECUTIONER_ATTEMPT" "$$" >>"$1"
case $2 in
polite) exec sleep 400;;
stubborn) trap '' TERM INT HUP; sleep 200; sleep 200;;
quick) exit 0;;
failing) exit 9;;
esac
"""


def s3(trials):
    trials.make(lambda number: stop(trials, number))


def stop(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, ledger = os.path.join(folder, "home"), os.path.join(folder, "ledger")
    mark = "S3-%d-%d" % (os.getpid(), number)
    script = os.path.join(folder, "job")
    with open(script, "w") as out:
        out.write(STOP_JOB)
    case = rnd.choice(("INT", "TERM", "HUP", "INT INT", "TERM TERM", "nohup", "group INT"))
    phase = rnd.choice(("start", "running", "running", "retrying", "busy"))
    kinds = {"start": ["polite", "stubborn"], "running": ["polite", "stubborn"], "retrying": ["failing", "polite"],
             "busy": ["quick"] * 150}[phase]
    jobs = []
    for position, kind in enumerate(kinds):
        job = {"id": "%s%d" % (kind, position), "command": ["sh", script, ledger, kind],
               # Who asks twice does not want to wait for this.
               "stop_grace": 300 if case in ("INT INT", "TERM TERM") else 0.5}
        if kind == "failing":
            job.update(max_retries=5, retry_delay=30, retry_on_exit_codes=[9])
        jobs.append(job)
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4)
    err_path = os.path.join(folder, "err")
    with open(err_path, "wb") as err:
        argv = trials.product.argv("run", config)
        ignore = None
        if case == "nohup":
            # Before it is there: the hang-up may come at once.
            def ignore():
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
        child = subprocess.Popen(argv, env=trials.product.environment(home, mark), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=err, start_new_session=True, preexec_fn=ignore)
    entries = []
    if phase == "start":
        time.sleep(rnd.uniform(0.0, 0.25))
    else:
        wanted = {"running": 2, "retrying": 2, "busy": rnd.randrange(1, 100)}[phase]
        faultlib.wait_until(lambda: len(faultlib.read_ledger(ledger)) >= wanted or child.poll() is not None, 30)
        if phase == "retrying":
            time.sleep(0.05)
    numbers = {"INT": (2,), "TERM": (15,), "HUP": (1,), "INT INT": (2, 2), "TERM TERM": (15, 15), "nohup": (1, 15),
               "group INT": (2,)}[case]
    for position, one in enumerate(numbers):
        if position:
            time.sleep(rnd.uniform(0.0, 0.2) if case != "nohup" else 0.3)
            if case == "nohup" and phase in ("running", "retrying") and child.poll() is not None:
                trials.violation("nohup: the hang-up ended the run with %s" % child.returncode, number)
        if child.poll() is None:
            os.killpg(child.pid, one) if case == "group INT" else os.kill(child.pid, one)
    what = "%s, %s" % (case, phase)
    try:
        child.wait(timeout=60)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        trials.violation("%s: the run does not stop" % what, number)
    left = faultlib.left_of(mark)
    trials.expect(not left, "%s: processes were left: %s" % (what, left), number)
    faultlib.clear_away(mark)
    code = child.returncode
    last = numbers[-1] if case == "nohup" else numbers[0]
    allowed = [-last, 128 + last] + ([0] if phase == "busy" else [])
    with open(err_path, "rb") as err:
        said = err.read()
    if code == 1 and phase == "start" and not os.path.exists(home) and trials.product.checkout.encode() not in said:
        # Python itself was interrupted before it had come to a line of ours.
        allowed.append(1)
        trials.add("before our first line")
    trials.expect(code in allowed, "%s: ended with %s %r" % (what, code, said[-200:]), number)
    trials.expect(b"Traceback" not in said or trials.product.checkout.encode() not in said,
                  "%s: a traceback: %r" % (what, said[-300:]), number)
    entries = faultlib.read_ledger(ledger)
    try:
        history = History(home, check=True)
    except sqlite3.Error as error:
        history = None
        if phase != "start":
            trials.violation("%s: the history cannot be read: %s" % (what, error), number)
    if history is not None and history.last() is not None:
        judge_stopped(trials, number, what, history, entries, code)
        wal = os.path.join(home, "history.db-wal")
        if history.last().status != "RUNNING" and os.path.exists(wal) and os.path.getsize(wal):
            # The second signal ends at once what only tells of the end any more; all is committed by then.
            if len(numbers) == 2 and case != "nohup" and code != 0:
                trials.add("ended while it told of the end")
            else:
                trials.violation("%s: the history was not closed" % what, number)
    elif entries:
        trials.violation("%s: jobs were started, nothing is in the history" % what, number)
    trials.done()
    trials.drop(folder)


def judge_stopped(trials, number, what, history, entries, code):
    run = history.last()
    trials.expect(history.integrity == "ok", "%s: integrity %s" % (what, history.integrity), number)
    if code == 0 or run.status == "SUCCESS" and what.endswith("busy"):
        return  # the signal came when all was done
    if run.status == "RUNNING" and not entries:
        return  # it was shot before it could listen: nothing had begun
    trials.expect(run.status == "CANCELLED", "%s: the run is %s (%s)" % (what, run.status, run.reason), number)
    for row in history.of(run.run_id).values():
        started = any(entry.job == row.job for entry in entries)
        good = ("CANCELLED", "SUCCESS") if started else ("CANCELLED", "BLOCKED")
        if row.job.startswith("failing"):
            good = ("CANCELLED", "FAILED")
        trials.expect(row.status in good, "%s: %s is %s" % (what, row.job, row.status), number)
        trials.expect(row.status != "SUCCESS" or row.job.startswith("quick"), "%s: %s is told as SUCCESS" % (
            what, row.job), number)


#: What has this process open? The descriptor of the question itself is not counted.
LOOK = r"""
import os, sys, time
names = os.listdir("/proc/self/fd")
found = []
for name in names:
    try:
        found.append("%s %s" % (name, os.readlink("/proc/self/fd/" + name)))
    except OSError:
        pass
with open(sys.argv[1], "w") as out:
    out.write("\n".join(found))
open(sys.argv[2], "w").close()
while os.path.exists(sys.argv[2]):
    time.sleep(0.02)
"""


def s4(trials):
    """Closed streams: no file of ours, and none of a job, ever gets a number from 0 to 2."""
    trials.make(lambda number: closed_streams(trials, number))


def closed_streams(trials, number):
    closed = [fd for fd in (0, 1, 2) if (number % 7 + 1) >> fd & 1]
    redirections = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[fd] for fd in closed)
    folder = trials.folder()
    home, out, ready = (os.path.join(folder, name) for name in ("home", "out", "ready"))
    jobs = [{"id": "look", "command": [sys.executable, "-I", "-S", "-c", LOOK, out, ready]}]
    config = faultlib.config_of(folder, jobs)
    argv = trials.product.argv("run", config)
    child = subprocess.Popen(["sh", "-c", 'exec "$@" ' + redirections, "sh"] + argv, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=trials.product.environment(home))
    what = "closed %s" % closed
    faultlib.wait_until(lambda: os.path.exists(ready) or child.poll() is not None, 20)
    for name, pid in (("runner", child.pid), ("keeper", faultlib.keeper_of(child.pid))):
        if pid is None:
            continue
        for fd, target in faultlib.descriptors_of(pid).items():
            if fd <= 2 and not target.startswith("/dev/"):
                trials.violation("%s: descriptor %d of the %s is %s" % (what, fd, name, target), number)
    if os.path.exists(ready):
        os.unlink(ready)
    child.wait(timeout=30)
    trials.expect(child.returncode == 0, "%s: ended with %d" % (what, child.returncode), number)
    lines = dict(line.split(" ", 1) for line in open(out).read().splitlines()) if os.path.exists(out) else {}
    trials.expect(sorted(lines) == ["0", "1", "2"] and lines["0"] == "/dev/null" and "/logs/" in lines["1"]
                  and "/logs/" in lines["2"], "%s: the job has %s" % (what, lines), number)
    trials.expect(History(home, check=True).integrity == "ok", "%s: the history is damaged" % what, number)
    trials.done()
    trials.drop(folder)


ROWS = [
    Row("S1", "every exit code and every signal is told as it was", "all 256 codes and all deadly signals as the child of a "
        "parent that ignores or blocks SIGCHLD, has other children, or is a subreaper", "history against the truth",
        len(PARENTS) * 328, 20 * len(PARENTS) * 328, "SIGCHLD is not reset", s1, 1.2, unit="statuses"),
    Row("S2", "TERM always stops a polite job", "each signal ignored, and blocked, when the run begins",
        "time until it is gone; its masks in /proc", 58, 580, "masks are inherited", s2, 1.2, unit="starts",
        lanes=4),
    Row("S3", "a stop is obeyed: exit code, CANCELLED, no survivors, history closed",
        "INT, TERM, HUP, twice, to the group, under nohup; at the start, while running, retrying and committing",
        "exit code, /proc, history, ledger", 40, 2000, "the second signal is ignored; handler at work", s3, 1.2, unit="stops",
        lanes=2),
    Row("S4", "no file ever gets the number of a standard stream", "all seven ways to close 0, 1 and 2",
        "/proc/PID/fd of runner, keeper and job", 7, 70, "streams are not filled", s4, 0.5, unit="starts"),
]
