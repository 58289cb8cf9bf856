"""P1, P2: whatever a job does to get away, nothing of it is left after its timeout, nor after its end."""
import os
import sys

import faultlib
from escapee import STYLES
from faultlib import History, Row

__all__ = ["ROWS"]

HERE = os.path.dirname(os.path.abspath(__file__))
#: Run by a job after each other job: who of it is still there?
LOOK = r"""
import os, sys
tag, out = sys.argv[1:3]
found = []
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        try:
            # The first thread may have ended, which looks as if all had.
            threads = [int(thread) for thread in os.listdir("/proc/%s/task" % name)]
            with open("/proc/%s/task/%d/cmdline" % (name, max(threads, default=int(name))), "rb") as line:
                words = line.read().split(b"\0")
            with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stat:
                state = stat.read().rpartition(")")[2].split()[0]
        except (OSError, ValueError, IndexError):
            continue
        if tag.encode() in words and (state not in "ZX" or len(threads) > 1):
            found.append(name)
with open(out, "a") as lines:
    lines.write("%s %s\n" % (tag, " ".join(found)))
"""


def escapes(trials, stays):
    def trial(number):
        rnd = trials.random(number)
        styles = list(STYLES)
        rnd.shuffle(styles)
        if number % 3 == 0:
            one_by_one(trials, number, rnd, styles, stays)
        else:
            together(trials, number, rnd, styles, stays)

    trials.make(trial)


def job_of(trials, rnd, style, tag, stays):
    job = {"id": style, "command": [sys.executable, "-I", "-S", os.path.join(HERE, "escapee.py"), style, tag,
                                    "stays" if stays else "leaves"],
           "stop_grace": round(rnd.uniform(0.05, 0.3), 2), "timeout": 60}
    if style in ("multiprocessing", "terminal"):
        job["command"].remove("-S")
    if stays:
        job["timeout"] = round(rnd.uniform(0.5, 1.2), 2)
    return job


def one_by_one(trials, number, rnd, styles, stays):
    """Each job alone, and after each one a job that looks whether anything of it is left."""
    folder = trials.folder()
    seen = os.path.join(folder, "seen")
    jobs, tags = [], {}
    for style in styles:
        tags[style] = "tag-%s-%d-%d-%s" % (trials.ident, os.getpid(), number, style)
        jobs.append(job_of(trials, rnd, style, tags[style], stays))
        jobs.append({"id": "after-" + style, "dependencies": [{"job": style, "when": "done"}],
                     "priority": 1, "command": [sys.executable, "-I", "-S", "-c", LOOK, tags[style], seen]})
    finish(trials, number, folder, jobs, tags, stays, max_workers=1)
    with_left = {line.split(" ", 1)[0]: line.split(" ", 1)[1].strip() for line in open(seen).read().splitlines()} \
        if os.path.exists(seen) else {}
    for style, tag in tags.items():
        if tag not in with_left:
            trials.violation("%s: the job after it did not run" % style, number)
        elif with_left[tag]:
            trials.violation("%s: the next job still saw %s" % (style, with_left[tag]), number)
    trials.drop(folder)


def together(trials, number, rnd, styles, stays):
    """All at once, so that strays without a mark could be of any of them."""
    folder = trials.folder()
    tags = {style: "tag-%s-%d-%d-%s" % (trials.ident, os.getpid(), number, style) for style in styles}
    jobs = [job_of(trials, rnd, style, tags[style], stays) for style in styles]
    finish(trials, number, folder, jobs, tags, stays, parallel=True, max_workers=rnd.choice((3, 7, 15)))
    trials.drop(folder)


def finish(trials, number, folder, jobs, tags, stays, **top):
    home, mark = os.path.join(folder, "home"), "%s-%d-%d" % (trials.ident, os.getpid(), number)
    config = faultlib.config_of(folder, jobs, continue_on_error=True, **top)
    done = trials.product.run("run", config, home=home, mark=mark, timeout_s=120)
    # The command is over: not one of them may be there, not even for a moment.
    for style, tag in tags.items():
        left = faultlib.with_argument(tag, looks=4 if style == "respawner" else 1)
        trials.expect(not left, "%s: left after the run: %s" % (style, left), number)
        for pid in left:
            faultlib.kill_quietly(pid)
    left = faultlib.left_of(mark)
    trials.expect(not left, "processes of the run were left: %s" % left, number)
    faultlib.clear_away(mark)
    trials.expect(not done.traceback, "a traceback: %s" % done.tail(), number)
    history = History(home)
    rows = history.of(history.last().run_id) if history.last() else {}
    for style in tags:
        row = rows.get(style)
        wanted = "TIMEOUT" if stays else "SUCCESS"
        trials.expect(row is not None and row.status == wanted, "%s: expected %s, the history says %s (%s)" % (
            style, wanted, row and row.status, row and row.reason), number)
    trials.done(len(tags))


def p1(trials):
    escapes(trials, True)


def p2(trials):
    escapes(trials, False)


ROWS = [
    Row("P1", "nothing of a job is left after its timeout", "%d ways to get away, alone and side by side" % len(STYLES),
        "/proc by unique arguments, by the next job and after the run", 42, 200 * len(STYLES), "only the group is killed", p1, 2.0,
        unit="timeouts", lanes=4),
    Row("P2", "nothing of a job is left after it ended well", "the same ways", "the same", 42, 200 * len(STYLES),
        "no sweep at the end of a job", p2, 1.0, unit="ends", lanes=4),
]
