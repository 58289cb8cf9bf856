"""D6: many writers of one history at once: no commit is lost, doubled or refused, and no two ever write at the same moment."""
import collections
import fcntl
import os
import sqlite3
import subprocess
import threading
import time

import faultlib
from faultlib import Row

__all__ = ["ROWS"]

HERE = os.path.dirname(os.path.abspath(__file__))
WRITERS = 8
#: Beside them: what empties the log, what opens and closes (and then empties it), and what only reads.
OTHERS = ("checkpoint", "open", "read", "read")
#: A round ends after so many commits; where the machine is slow, after so many seconds.
ROUND_COMMITS = 500
ROUND_S = 20.0
HELD_S = 0.03


Child = collections.namedtuple("Child", "role process ledger")


class Crowd:
    """Processes that all use one history, and the files in which they tell what they did."""

    def __init__(self, trials, folder):
        self.trials = trials
        self.folder = folder
        self.path = os.path.join(folder, "history.db")
        self.mark = "D6-%s" % os.path.basename(folder)
        self.children = []
        self.count = 0

    def start(self, role):
        """Start one more, under a number of its own."""
        ledger = os.path.join(self.folder, "ledger-%d" % self.count)
        process = subprocess.Popen(
            [self.trials.product.python, os.path.join(HERE, "writers_worker.py"), self.trials.product.checkout, role, self.path,
             str(self.count), ledger], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.trials.product.environment(None, self.mark))
        self.count += 1
        self.children.append(Child(role, process, ledger))

    def shoot(self, rnd):
        """Kill one at random that has begun its work, and let another take its place; False where none has."""
        at_work = [one for one in self.children if os.path.exists(one.ledger)]
        if not at_work:
            return False
        victim = rnd.choice(at_work)
        self.children.remove(victim)
        victim.process.kill()
        victim.process.wait()
        self.start(victim.role)
        return True

    def commits(self):
        """About how many commits there were: from the sizes of what the writers told."""
        total = 0
        for number in range(self.count):
            try:
                total += os.path.getsize(os.path.join(self.folder, "ledger-%d" % number)) // 5
            except OSError:
                continue
        return total

    def end(self):
        """Kill them all."""
        for child in self.children:
            child.process.kill()
        for child in self.children:
            child.process.wait()
        faultlib.clear_away(self.mark)

    def told(self):
        """What each one told: its number, to lists of acknowledged numbers and of sentences."""
        found = {}
        for number in range(self.count):
            acknowledged, sentences = [], []
            try:
                with open(os.path.join(self.folder, "ledger-%d" % number), errors="replace") as lines:
                    for line in lines:
                        kind, _, rest = line.partition(" ")
                        if kind == "A" and line.endswith("\n"):
                            acknowledged.append(int(rest))
                        elif kind == "X":
                            sentences.append(rest.strip())
            except OSError:
                pass
            found[number] = acknowledged, sentences
        return found


def d6(trials):
    trials.make(lambda number: crowded(trials, number))


def crowded(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    crowd = Crowd(trials, folder)
    try:
        subprocess.run([trials.product.python, os.path.join(HERE, "writers_worker.py"), trials.product.checkout, "make", crowd.path,
                        "0", os.devnull], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=60)
        for role in ["write"] * WRITERS + list(OTHERS):
            crowd.start(role)
        over = threading.Event()
        holder = threading.Thread(target=hold, args=(trials, number, crowd.path, over))
        holder.start()
        deadline = time.monotonic() + ROUND_S
        try:
            while crowd.commits() < ROUND_COMMITS and time.monotonic() < deadline:
                time.sleep(rnd.uniform(0.1, 0.5))
                if crowd.shoot(rnd):
                    trials.add("kills")
        finally:
            over.set()
            holder.join()
    finally:
        crowd.end()
    judge(trials, number, crowd)
    trials.drop(folder)


def hold(trials, number, path, over):
    """Take the writers' lock from time to time, as one of them would: nothing may be written while it is held."""
    fd = os.open(os.path.splitext(path)[0] + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not over.is_set():
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.0005)
                continue
            before = state_of(path)
            time.sleep(HELD_S)
            after = state_of(path)
            fcntl.flock(fd, fcntl.LOCK_UN)
            trials.add("times that the lock was held")
            if before != after:
                trials.violation("something was written while another held the writers' lock: %s, then %s" % (before, after),
                                 number)
                return
            over.wait(0.05)
    finally:
        os.close(fd)


def state_of(path):
    """Size and time of the last change of the file and of its log. An empty log is as good as none: opening makes one."""
    found = []
    for ending in ("", "-wal"):
        try:
            stat = os.stat(path + ending)
        except OSError:
            stat = None
        found.append((stat.st_size, stat.st_mtime_ns) if stat is not None and stat.st_size else None)
    return found


def judge(trials, number, crowd):
    """What was acknowledged is there, once, and hardly anything else."""
    told = crowd.told()
    for _, sentences in told.values():
        for sentence in sentences[:2]:
            trials.violation("somebody was told: %s" % sentence, number)
    connection = sqlite3.connect(crowd.path, timeout=30)
    try:
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
        rows = connection.execute("SELECT writer, number FROM faults").fetchall()
        total = connection.execute("SELECT total FROM faults_total").fetchone()[0]
    finally:
        connection.close()
    trials.expect(integrity == "ok", "integrity: %s" % integrity, number)
    trials.expect(total == len(rows), "%d rows, %d were counted" % (len(rows), total), number)
    trials.expect(len(set(rows)) == len(rows), "%d rows are doubled" % (len(rows) - len(set(rows))), number)
    kept = {}
    for writer, one in rows:
        kept.setdefault(writer, set()).add(one)
    for writer, (acknowledged, _) in told.items():
        there = kept.get(writer, set())
        missing = [one for one in acknowledged if one not in there]
        trials.expect(not missing, "writer %d: %d acknowledged commits are lost, such as %s" % (
            writer, len(missing), missing[:1]), number)
        # The last one may have been committed and not told any more.
        trials.expect(len(there) <= len(acknowledged) + 1, "writer %d: %d commits, %d were acknowledged" % (
            writer, len(there), len(acknowledged)), number)
    trials.done(sum(len(acknowledged) for acknowledged, _ in told.values()))


ROWS = [
    Row("D6", "no commit of many writers is lost, doubled or refused, and nothing is written while another holds the lock",
        "8 writers, two that empty the log, two readers, one of them shot every 100 to 500 ms; SQLite %s" % sqlite3.sqlite_version,
        "rows against what the writers noted after each commit; integrity_check; bytes while the lock is held", 500, 2000000,
        "no lock around writes", d6, 0.6, unit="commits"),
]
