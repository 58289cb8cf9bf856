"""R3: jobs that fail together are not tried again together."""
import collections
import math
import os
import subprocess

import faultlib
from faultlib import Row

__all__ = ["ROWS"]

#: Retries are spread over this, in seconds after the failure.
EARLIEST_S, LATEST_S = 0.5, 4.5
WINDOW_S = 0.1
#: A difference from an even spread that chance gives once in a million trials counts.
CHANCE = 1e-6
#: The first attempt waits, without a process more, until the pipe is opened by somebody and closed; then it fails.
WAITS_AND_FAILS = r"""
if [ "$EXECUTIONER_ATTEMPT" = 1 ]; then
    echo "waits $EXECUTIONER_JOB_ID 0" >>"$1"
    read -r line <"$2"
    exit 1
fi
read -r up rest </proc/uptime
echo "again $EXECUTIONER_JOB_ID $up" >>"$1"
"""


def uptime():
    """Seconds since this machine came up: a clock that a shell can read without a process."""
    with open("/proc/uptime") as clock:
        return float(clock.read().split()[0])


def difference(spread):
    """How far values from 0 to 1 are from an even spread (Kolmogorov and Smirnov), and what is too far for so many."""
    ordered = sorted(spread)
    count = len(ordered)
    far = max(max(float(index + 1) / count - value, value - float(index) / count) for index, value in enumerate(ordered))
    return far, math.sqrt(-math.log(CHANCE / 2) / (2 * count))


def fullest_window(moments):
    """How many moments lie within one window at most."""
    inside, most = collections.deque(), 0
    for moment in sorted(moments):
        inside.append(moment)
        while moment - inside[0] > WINDOW_S:
            inside.popleft()
        most = max(most, len(inside))
    return most


def r3(trials):
    trials.make(lambda number: herd(trials, number))


def herd(trials, number):
    """Two runs, as on two machines, whose jobs fail at the same moment."""
    folder = trials.folder()
    mark = "R3-%d-%d" % (os.getpid(), number)
    each = 60
    barrier = os.path.join(folder, "barrier")
    os.mkfifo(barrier, 0o600)
    jitter = (LATEST_S - EARLIEST_S) / (LATEST_S + EARLIEST_S)
    children, ledgers = [], []
    for side in ("left", "right"):
        ledger = os.path.join(folder, "ledger-" + side)
        jobs = [{"id": "j%d" % one, "command": ["sh", "-c", WAITS_AND_FAILS, "sh", ledger, barrier], "max_retries": 1,
                 "retry_delay": (LATEST_S + EARLIEST_S) / 2, "retry_jitter": jitter} for one in range(each)]
        config = faultlib.config_of(folder, jobs, side + ".json", application_name=side, parallel=True, max_workers=each)
        children.append(trials.product.start(["run", config], home=os.path.join(folder, side), mark=mark))
        ledgers.append(ledger)
    waiting = faultlib.wait_until(lambda: sum(len(lines(ledger)) for ledger in ledgers) >= 2 * each, 60, 0.05)
    trials.expect(waiting, "not all first attempts began", number)
    released = uptime()
    # Blocks until somebody reads, which all do.
    os.close(os.open(barrier, os.O_WRONLY))
    ended = []
    with faultlib.Stalls() as stalls:
        for child in children:
            try:
                ended.append(child.wait(timeout=60))
            except subprocess.TimeoutExpired:
                child.kill()
                ended.append(child.wait())
                trials.violation("a run hangs", number)
        allowance = stalls.allowance_s()
    faultlib.clear_away(mark)
    trials.expect(ended == [0, 0], "the runs ended with %s" % ended, number)
    again = [{words[1]: float(words[2]) - released for words in lines(ledger) if words[0] == "again"} for ledger in ledgers]
    moments = [moment for side in again for moment in side.values()]
    if trials.expect(len(moments) == 2 * each, "%d of %d jobs were tried again" % (len(moments), 2 * each), number):
        if max(moments) > LATEST_S + 0.5:
            # What is started as fast as the machine can shows its speed, not the spread.
            trials.add("rounds left out, the machine did not keep up")
        else:
            judge(trials, number, again, moments, allowance)
            trials.done(len(moments))
    trials.drop(folder)


def lines(ledger):
    """The words of each whole line."""
    try:
        with open(ledger) as content:
            return [line.split() for line in content if line.endswith("\n")]
    except OSError:
        return []


def judge(trials, number, again, moments, allowance):
    """The spread of the retries, in one run and between the two."""
    width = LATEST_S - EARLIEST_S
    trials.expect(min(moments) > EARLIEST_S - 0.05, "a retry came after %.2f s, the earliest is %.2f" % (
        min(moments), EARLIEST_S), number)
    # All of them may be late by what a busy machine takes to see so many ends.
    late = max(0.0, min(moments) - EARLIEST_S)
    far, too_far = difference([min(1.0, max(0.0, (moment - late - EARLIEST_S) / width)) for moment in moments])
    # What was due while nobody was served begins together.
    too_far += min(0.4, allowance / width)
    trials.expect(far < too_far, "the retries are not spread evenly: %.2f from it, of %d %.2f is chance" % (
        far, len(moments), too_far), number)
    mean = len(moments) * WINDOW_S / width
    most = fullest_window(moments)
    limit = mean + 6 * math.sqrt(mean) + (0.05 + min(0.4, allowance / width)) * len(moments)
    trials.most("retries in a tenth of a second at most", most)
    trials.expect(most <= limit, "%d of %d retries began within %g s, %d would be chance" % (
        most, len(moments), WINDOW_S, limit), number)
    left, right = again
    same = sum(1 for job in left if abs(left[job] - right.get(job, 1e9)) < 0.05)
    trials.expect(same < len(left) / 2, "%d of %d jobs are tried again at the same moment in two runs" % (same, len(left)),
                  number)


ROWS = [
    Row("R3", "jobs that fail together are tried again spread evenly over their jitter, and differently in each run",
        "all jobs of two runs fail at one moment", "times that the jobs wrote: the fullest tenth of a second, "
        "Kolmogorov-Smirnov", 120, 20000, "no jitter", r3, 0.4, unit="retries"),
]
