"""D2, K4: each call to the operating system fails in its turn, or is the last thing that a process does."""
import errno
import json
import os
import subprocess

import faultlib
import powercut
from faultlib import History, Row
from verdicts import disagreements

__all__ = ["ROWS"]

HERE = os.path.dirname(os.path.abspath(__file__))
ERRNOS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EAGAIN)
#: System calls with an effect that stays, and those by which SQLite works.
EFFECTS = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "mkdir", "openat")
#: What the kernel may say to each; the others would be inventions.
NATURAL = {"open": (errno.ENOSPC, errno.EIO, errno.EMFILE), "write": (errno.ENOSPC, errno.EIO),
           "pipe": (errno.EMFILE,), "dup": (errno.EMFILE,), "posix_spawn": (errno.EAGAIN, errno.ENOMEM),
           "stat": (errno.EIO,), "listdir": (errno.EIO, errno.EMFILE), "unlink": (errno.EIO, errno.ENOSPC),
           "open_file": (errno.ENOSPC, errno.EIO, errno.EMFILE), "chdir": (errno.EIO,), "openat": (
               errno.ENOSPC, errno.EIO, errno.EMFILE), "pwrite64": (errno.ENOSPC, errno.EIO),
           "fsync": (errno.EIO, errno.ENOSPC), "fdatasync": (errno.EIO, errno.ENOSPC), "ftruncate": (errno.EIO,),
           "rename": (errno.ENOSPC, errno.EIO), "replace": (errno.ENOSPC, errno.EIO), "mkdir": (errno.ENOSPC, errno.EIO)}


class Ground:
    """A home with one run in it, a graph, and what its calls are when nothing fails."""

    def __init__(self, trials):
        self.trials = trials
        self.folder = trials.folder()
        self.points = self._count()

    def graph(self, folder):
        script, ledger = faultlib.job_script(folder), os.path.join(folder, "ledger")
        jobs = [
            {"id": "a", "command": [script, ledger, "0.02", "0", "1", "0", "-"]},
            {"id": "b", "command": [script, ledger, "0.02", "1", "1", "0", "-"], "max_retries": 2, "retry_delay": 0.05},
            {"id": "c", "command": [script, ledger, "0.05", "0", "1", "0", "-"], "dependencies": ["a"]},
            {"id": "d", "command": [script, ledger, "0.02", "0", "1", "0", "-"], "dependencies": ["b", "c"]},
            {"id": "e", "command": [script, ledger, "0.02", "0", "1", "0", "-"], "dependencies": ["d"]},
        ]
        for job in jobs:
            job["rerun_if_lost"] = True
        config = faultlib.config_of(folder, jobs, parallel=True, max_workers=2)
        return {job["id"]: job for job in jobs}, ledger, config

    def command(self, config):
        product = self.trials.product
        return [product.python, os.path.join(HERE, "entry.py"), product.checkout, "run", config]

    def _count(self):
        """Every point at which something can fail: (how, site, number)."""
        folder = os.path.join(self.folder, "count")
        os.mkdir(folder)
        _, _, config = self.graph(folder)
        home, out, trace = (os.path.join(folder, name) for name in ("home", "counts", "trace"))
        environment = self.trials.product.environment(home, None, FAULTS_COUNT=out)
        done = subprocess.run(self.command(config), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError("without a fault: %d %r" % (done.returncode, done.stdout[-500:]))
        counts = {}
        for line in open(out).read().splitlines():
            where, site, count = line.split()
            counts[where, site] = max(counts.get((where, site), 0), int(count))
        points = [(where, site, at) for (where, site), count in sorted(counts.items()) for at in range(1, count + 1)
                  if site in NATURAL]
        if powercut.can_trace():
            home = os.path.join(folder, "home2")
            environment = self.trials.product.environment(home)
            subprocess.call(["strace", "-o", trace, "-e", "trace=" + ",".join(EFFECTS)] + self.command(config),
                            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seen = {}
            for line in open(trace, errors="replace"):
                site = line.partition("(")[0]
                seen[site] = seen.get(site, 0) + 1
                # Only what concerns the history and the files of the home.
                if site in EFFECTS and (home in line or site in ("pwrite64", "fsync", "fdatasync", "ftruncate", "write")):
                    points.append(("strace", site, seen[site]))
        return points

    def trial(self, number, rnd, point, error, lasting, kill):
        """Run the graph with one fault, then let it come to its end without one."""
        trials = self.trials
        where, site, at = point
        what = "%s %s call %d %s" % (where, site, at, "kills" if kill else errno.errorcode[error] + (
            " for a while" if lasting else ""))
        folder = trials.folder()
        jobs, ledger, config = self.graph(folder)
        home, mark = os.path.join(folder, "home"), "%s-%d-%d" % (trials.ident, os.getpid(), number)
        command = self.command(config)
        environment = trials.product.environment(home, mark)
        if where == "strace":
            action = "signal=KILL" if kill else "error=%s" % errno.errorcode[error]
            when = "%d+" % at if lasting and not kill else str(at)
            only = [] if kill else ["-P", os.path.join(home, "history.db"), "-P", os.path.join(home, "history.db-wal")]
            command = ["strace", "-o", os.devnull, "-e", "trace=" + site] + only + [
                "-e", "inject=%s:%s:when=%s" % (site, action, when)] + command
        else:
            environment["FAULTS_PLAN"] = json.dumps({"where": where, "site": site, "at": at, "errno": error,
                                                     "lasting": lasting, "kill": kill})
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        try:
            err = child.communicate(timeout=90)[1]
        except subprocess.TimeoutExpired:
            for pid in faultlib.marked(mark):
                faultlib.kill_quietly(pid)
            child.kill()
            child.communicate()
            trials.violation("%s: hangs" % what, number)
            err = b""
        code = child.returncode
        said = err.decode("utf-8", "replace").strip().replace("\n", " | ")[-300:]
        trials.expect("Traceback" not in said and "internal error" not in said, "%s: %s" % (what, said), number)
        if not kill:
            trials.expect(code in (0, 1, 2, 3), "%s: ended with %s %s" % (what, code, said), number)
            trials.expect(code == 0 or said, "%s: exit %s without a word" % (what, code), number)
        entries = faultlib.read_ledger(ledger)
        done = {entry.job for entry in entries if entry.kind == "E" and entry.rest == "0"}
        if code == 0 and not kill:
            trials.expect(done == set(jobs), "%s: exit 0, but only %s are done" % (what, sorted(done)), number)
        self.aftermath(number, what, home, mark, jobs, ledger, config, kill)
        faultlib.clear_away(mark)
        trials.done()
        trials.drop(folder)

    def aftermath(self, number, what, home, mark, jobs, ledger, config, kill):
        """The next command finds everything in order, and finishes the graph."""
        trials = self.trials
        for _ in range(4):
            path = os.path.join(home, "history.db")
            history = History(home) if os.path.exists(path) else None
            if history is not None and history.last() is not None and history.last().status == "SUCCESS":
                break
            words = ["run", config] + (["--resume", "last"] if history is not None and history.runs else [])
            try:
                done = trials.product.run(*words, home=home, mark=mark, timeout_s=90)
            except subprocess.TimeoutExpired:
                trials.violation("%s: the next run hangs" % what, number)
                return
            if done.code not in (0, 1) or done.traceback:
                trials.violation("%s: the next run: %s" % (what, done.tail()), number)
                return
        left = faultlib.left_of(mark)
        trials.expect(not left, "%s: processes were left: %s" % (what, left), number)
        for text in disagreements(History(home, check=True), faultlib.read_ledger(ledger), jobs, may_be_lost=True):
            trials.violation("%s: %s" % (what, text), number)


def d2(trials):
    ground = Ground(trials)
    cases = [(point, error, lasting) for point in ground.points for error in NATURAL[point[1]] if error in ERRNOS + (errno.ENOMEM,)
             for lasting in (False, True) if point[0] != "strace" or point[1] != "write"]
    trials.random("order").shuffle(cases)
    trials.figures["call sites x errors"] = len(cases)
    trials.make(lambda number: ground.trial(number, trials.random(number), *cases[number % len(cases)], False))


def k4(trials):
    ground = Ground(trials)
    cases = [point for point in ground.points if point[0] != "runner"]
    trials.random("order").shuffle(cases)
    trials.figures["points"] = len(cases)
    trials.make(lambda number: ground.trial(number, trials.random(number), cases[number % len(cases)], 0, False, True))


ROWS = [
    Row("D2", "no call that fails shows a traceback, loses a result or hangs", "the N-th call of each kind in runner and "
        "keeper, and of SQLite's below Python, fails with ENOSPC, EIO, EMFILE, EAGAIN or ENOMEM, once and for a second and a half",
        "exit code, what was said, ledger against history after a resume", 150, 4000, "errors passed over", d2, 2.0,
        unit="faults", lanes=3),
    Row("K4", "the same as K1, at every step", "kill -9 of runner or keeper at its N-th call with an effect that stays",
        "ledger against history after a resume", 120, 4000, "the intent is committed after the start", k4, 1.6, unit="kills",
        lanes=3),
]
