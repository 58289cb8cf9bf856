"""P4, P11, P12: nobody waits for a pipe that is held; timeouts fire on time, with a dead runner too; cron gets its prompt back."""
import os
import select
import subprocess
import time

import faultlib
from faultlib import History, Row

__all__ = ["ROWS"]

#: What holds the streams of a job when the job itself has ended.
HOLDERS = ("sleep 30 & ", "setsid sleep 30 & ", "(while :; do echo x; sleep 0.01; done) & ",
           "setsid sh -c 'while :; do echo y >&2; sleep 0.01; done' & ", "nohup sleep 30 & ")


def p4(trials):
    """The end of a job is told at once, whoever still holds its streams."""
    trials.make(lambda number: held_streams(trials, number))


def held_streams(trials, number):
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "P4-%d-%d" % (os.getpid(), number)
    ends = os.path.join(folder, "ends")
    jobs = [{"id": "h%d" % position, "stop_grace": 0.1,
             "command": ["sh", "-c", holder + "date +%%s.%%N >>%s.%d" % (ends, position)]}
            for position, holder in enumerate(HOLDERS)]
    for job, earlier in zip(jobs[1:], jobs):
        job["dependencies"] = [earlier["id"]]
    out_path = os.path.join(folder, "out")
    config = faultlib.config_of(folder, jobs)
    with open(out_path, "wb") as out, faultlib.Stalls() as stalls:
        child = trials.product.start(["run", config], home=home, mark=mark, stdout=out, stderr=out)
        try:
            child.wait(timeout=40)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            trials.violation("the run hangs", number)
        over = time.time()
        allowance = stalls.allowance_s()
    trials.expect(child.returncode == 0, "ended with %s" % child.returncode, number)
    rows = {row.job: row for row in History(home).attempts}
    for position, job in enumerate(jobs):
        try:
            with open("%s.%d" % (ends, position)) as line:
                left = float(line.read())
        except (OSError, ValueError):
            trials.violation("%s did not run" % job["id"], number)
            continue
        row = rows.get(job["id"])
        told = row.ended_at if row is not None else None
        trials.most("ms late at most", int(((told or over) - left) * 1000))
        # The grace of 0.1 s for what is left behind is part of it.
        trials.expect(told is not None and told - left < 0.5 + allowance, "%s ended at %.2f, told at %s" % (
            job["id"], left, told), number)
    with open("%s.%d" % (ends, len(jobs) - 1)) as line:
        last = float(line.read())
    trials.expect(over - last < 1.5 + allowance, "the run ended %.2f s after its last job" % (over - last), number)
    faultlib.clear_away(mark)
    trials.done(len(jobs))
    trials.drop(folder)


#: Notes its own start (clock ticks since boot) and when TERM came (seconds since boot), without a process between.
TIMED = r"""
read -r line </proc/$$/stat
trap 'read -r up rest </proc/uptime; echo "$1 $up $line" >>"$2"; kill $!; exit 1' TERM
sleep 60 >/dev/null 2>&1 &
wait
"""


def p11(trials):
    """Timeouts fire when they should, also when the runner is dead."""
    trials.make(lambda number: timed(trials, number))


def timed(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "P11-%d-%d" % (os.getpid(), number)
    out = os.path.join(folder, "out")
    script = os.path.join(folder, "job")
    with open(script, "w") as text:
        text.write(TIMED)
    limits = {"t%d" % one: round(rnd.uniform(0.2, 3.0), 2) for one in range(10)}
    jobs = [{"id": job, "command": ["sh", script, job, out], "timeout": limit, "stop_grace": 5}
            for job, limit in limits.items()]
    dies = number % 2 == 1
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=10, continue_on_error=True)
    with faultlib.Stalls() as stalls:
        child = trials.product.start(["run", config], home=home, mark=mark)
        if dies:
            # Once the last has begun, none of those that end early need be there any more.
            started = faultlib.wait_until(lambda: begun(home) >= len(limits), 30)
            trials.expect(started, "not all jobs began", number)
            child.kill()
            trials.add("with a dead runner", len(limits))
        try:
            child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            trials.violation("the run hangs", number)
        gone = faultlib.wait_until(lambda: not faultlib.marked(mark), 30)
        allowance = stalls.allowance_s()
    trials.expect(gone, "processes were left", number)
    faultlib.clear_away(mark)
    ticks = float(os.sysconf("SC_CLK_TCK"))
    found = {}
    if os.path.exists(out):
        for line in open(out).read().splitlines():
            words = line.split()
            began = int(line.rpartition(")")[2].split()[19]) / ticks
            found[words[0]] = float(words[1]) - began
    for job, limit in limits.items():
        if not trials.expect(job in found, "%s was never told to stop" % job, number):
            continue
        error = found[job] - limit
        trials.most("ms off at most", int(abs(error) * 1000))
        trials.expect(-0.25 < error < 0.25 + allowance, "%s%s: stopped after %.2f s, its timeout is %.2f s" % (
            job, " (runner dead)" if dies else "", found[job], limit), number)
    trials.done(len(limits))
    trials.drop(folder)


def begun(home):
    """How many attempts the keeper's record says to have begun."""
    folder = os.path.join(home, "records")
    lines = b""
    for name in (os.listdir(folder) if os.path.isdir(folder) else ()):
        with open(os.path.join(folder, name), "rb") as record:
            lines += record.read()
    return sum(line.startswith(b"process ") for line in lines.split(b"\n"))


def p12(trials):
    """Who reads the streams of a runner gets their end when the runner is dead, whatever of its jobs still lives."""
    trials.make(lambda number: end_of_streams(trials, number))


def end_of_streams(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "P12-%d-%d" % (os.getpid(), number)
    jobs = [{"id": "o%d" % one, "command": rnd.choice(("sleep 20", "setsid sleep 20 & sleep 20", "yes >/dev/null"))}
            for one in range(4)]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4)
    reads, writes = os.pipe()
    with faultlib.Stalls() as stalls:
        child = trials.product.start(["run", config], home=home, mark=mark, stdout=writes, stderr=writes)
        os.close(writes)
        faultlib.wait_until(lambda: len(faultlib.marked(mark, of_jobs=True)) >= 4, 30)
        time.sleep(rnd.uniform(0, 0.1))
        child.kill()
        began = time.monotonic()
        ended = False
        while time.monotonic() < began + 15:
            if select.select([reads], [], [], 0.05)[0] and not os.read(reads, 65536):
                ended = True
                break
        took = time.monotonic() - began
        allowance = stalls.allowance_s()
    os.close(reads)
    child.wait()
    trials.most("ms to the end at most", int(took * 1000))
    trials.expect(ended and took < 1.0 + allowance, "the streams of a dead runner stayed open for %.1f s" % took, number)
    faultlib.clear_away(mark)
    trials.done()
    trials.drop(folder)


ROWS = [
    Row("P4", "the end of a job is told within half a second, whoever holds its streams",
        "daemons and writers that keep the streams of a job", "times that the jobs wrote, against the history", 20, 500,
        "wait for the end of the streams", p4, 0.7, alone=True, unit="ends"),
    Row("P11", "timeouts are right to a quarter of a second, with a dead runner too",
        "timeouts of 0.2 to 3 s; the runner is killed in half of the trials", "the kernel's clock in the job", 40, 3000,
        "timeouts kept by the runner", p11, 0.9, alone=True, unit="timeouts"),
    Row("P12", "the streams of a dead runner end within a second", "kill -9 while its jobs live on; a reader as cron is one",
        "time to the end of the pipe", 10, 200, "the keeper inherits the streams", p12, 0.5, alone=True, unit="kills"),
]
