"""G1: the log is rotated while it is written; no line is lost or torn."""
import glob
import json
import os
import time

import faultlib
from faultlib import Row

__all__ = ["ROWS"]

JOBS = 250


def g1(trials):
    trials.make(lambda number: rotate(trials, number))


def rotate(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    log = os.path.join(home, "logs", "executioner.jsonl")
    copies = rnd.random() < 0.25
    # Two applications write the same log.
    configs = [faultlib.config_of(folder, [{"id": "j%d" % one, "command": ["true"]} for one in range(JOBS)], name + ".json",
                                  application_name=name, parallel=True, max_workers=2) for name in ("one", "two")]
    children = [trials.product.start(["run", config], home=home) for config in configs]
    count = 0
    while any(child.poll() is None for child in children):
        time.sleep(rnd.uniform(0.01, 0.05))
        if not os.path.exists(log):
            continue
        count += 1
        if copies:
            # As logrotate's copytruncate: what comes between is lost, and that alone.
            with open(log, "rb") as content:
                data = content.read()
            os.truncate(log, 0)
            with open("%s.%06d" % (log, count), "wb") as out:
                out.write(data)
        else:
            os.rename(log, "%s.%06d" % (log, count))
            if rnd.random() < 0.5:
                try:
                    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                except FileExistsError:
                    pass
    for child in children:
        trials.expect(child.returncode == 0, "a run ended with %s" % child.returncode, number)
    lines, ended = 0, {}
    for path in glob.glob(log + "*"):
        with open(path, "rb") as content:
            data = content.read()
        if b"\0" in data:
            trials.violation("NUL bytes in %s" % os.path.basename(path), number)
        if data and not data.endswith(b"\n"):
            trials.expect(copies, "a torn line at the end of %s" % os.path.basename(path), number)
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            lines += 1
            try:
                record = json.loads(line.decode("utf-8"))
            except ValueError:
                trials.expect(copies, "a torn line: %r" % line[:100], number)
                continue
            if record.get("event") == "job_ended":
                key = record.get("application"), record.get("job_id")
                ended[key] = ended.get(key, 0) + 1
    if not copies:
        trials.expect(len(ended) == 2 * JOBS, "%d of %d ends of jobs are in the logs" % (len(ended), 2 * JOBS), number)
    doubled = [key for key, times in ended.items() if times > 1]
    trials.expect(not doubled or copies, "told twice: %s" % doubled[:3], number)
    trials.add("rotations", count)
    trials.done(lines)
    trials.drop(folder)


ROWS = [
    Row("G1", "no line of the log is lost or torn by rotation", "rename, rename and create, copy and truncate (there only what came "
        "between may be lost) every 10 to 50 ms; two runs write", "lines, JSON, one end for each job", 8000, 1000000,
        "the descriptor is kept", g1, 0.6, unit="lines"),
]
