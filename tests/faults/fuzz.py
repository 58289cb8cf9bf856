"""F1, F2, F3: whatever a file or a command line says, there is an answer, soon, and never a traceback."""
import json
import os
import subprocess
import threading
import time

import faultlib
from faultlib import Row

__all__ = ["ROWS"]

HERE = os.path.dirname(os.path.abspath(__file__))
#: An input that has no answer after so long hangs, in seconds.
HANGS_S = 20.0


def batch(trials, kind, first, count, rows):
    """Run one batch in a fresh interpreter; how many of its inputs were valid."""
    folder = trials.folder(base="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    child = subprocess.Popen(
        [trials.product.python, os.path.join(HERE, "fuzz_worker.py"), trials.product.checkout, kind, str(trials.seed),
         str(first), str(count), folder], env=trials.product.environment(None, "fuzz-%d" % os.getpid()),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    state = {"at": first, "done": None, "valid": 0}

    def read():
        for raw in child.stdout:
            line = raw.decode("utf-8", "replace").strip()
            if line.startswith("at "):
                state["at"] = int(line[3:])
            elif line.startswith("done "):
                state["done"], state["valid"] = [int(word) for word in line.split()[1:]]
            elif line.startswith("{"):
                found = json.loads(line)
                if found["row"] in rows:
                    trials.violation(found["text"])

    reader = threading.Thread(target=read)
    reader.start()
    seen, since = None, 0.0
    while child.poll() is None:
        time.sleep(0.05)
        # Time without a processor does not count.
        now = time.monotonic() - faultlib.waited_s(child.pid)
        if state["at"] != seen:
            seen, since = state["at"], now
        elif now - since > HANGS_S:
            trials.violation("%s %d: hangs" % (kind, state["at"]))
            child.kill()
    reader.join()
    child.stderr.close()
    child.stdout.close()
    if state["done"] is None:
        if rows != ["F3"]:
            trials.violation("%s %d: the process ended with %s" % (kind, state["at"], child.wait()))
        state["done"] = max(0, state["at"] - first)
    trials.drop(folder)
    return state["done"], state["valid"]


def fuzz(trials, kind, rows, size, valid_only=False):
    def trial(number):
        done, valid = batch(trials, kind, number * size, size, rows)
        trials.done(valid if valid_only else done)
        if kind == "configurations" and not valid_only:
            trials.add("valid", valid)
        if valid_only:
            trials.add("configurations tried", done)

    trials.make(trial)


def f1(trials):
    fuzz(trials, "configurations", ["F1"], 1000)


def f2(trials):
    fuzz(trials, "command lines", ["F2"], 250)
    faultlib.clear_away("fuzz-%d" % os.getpid())


def f3(trials):
    fuzz(trials, "configurations", ["F3"], 1000, valid_only=True)


ROWS = [
    Row("F1", "no configuration leads to a traceback, a hang, or an answer that is not documented",
        "mutations of valid configurations: types, keys, sizes, numbers, surrogates, NUL, depth, cycles, damaged text and "
        "bytes", "exit code, time, and what was said", 5000, 1000000, "RecursionError passed on", f1, 1.5, unit="configurations",
        lanes=2),
    Row("F3", "every configuration that validates can be planned and rehearsed", "the valid ones among these",
        "exit code of plan and of run --dry-run", 1000, 200000, "validator and builder disagree", f3, 1.0,
        unit="valid configurations", lanes=2),
    Row("F2", "no command line leads to a traceback, a hang, or an exit code that is not documented",
        "mutated words, odd environments, FIFOs, devices, folders and unreadable files", "the same", 2000, 100000,
        "errors of options passed on", f2, 1.5, unit="command lines", lanes=2),
]
