"""K1, K2, K5: runner and keeper are killed at random moments; nothing is lost, done twice or told wrongly."""
import json
import os
import subprocess
import threading
import time

import faultlib
from faultlib import History, Row
from verdicts import disagreements

__all__ = ["ROWS"]

#: A graph that is not done after so many shots is left to finish.
SHOTS_A_GRAPH = 40
#: How long a run that nobody shoots may take, in seconds.
PATIENCE_S = 180.0


class Campaign:
    """One random graph: started, shot, resumed, shot again ... and at last left to finish."""

    def __init__(self, trials, number, keeper_too=False, watch=False):
        self.trials = trials
        self.number = number
        self.keeper_too = keeper_too
        self.watch = watch
        self.rnd = trials.random(number)
        self.folder = trials.folder()
        self.home = os.path.join(self.folder, "home")
        self.mark = "%s-%s-%d-%d" % (trials.ident, trials.seed, number, os.getpid())
        # Where a living job is to be looked for, some have to live for longer than a question takes.
        self.config, self.ledger, self.jobs, self.stray = faultlib.random_graph(
            self.rnd, self.folder, lost_reruns=0.5 if keeper_too else None, count=16 if watch else 60,
            slowest_s=1.8 if watch else 0.5)
        self.environment = trials.product.environment(self.home, self.mark)
        #: Jobs that the operator has said may be run again after LOST: run id -> ids.
        self.allowed = {}
        self.shots = 0

    def fail(self, text):
        self.trials.violation(text, self.number)

    def words(self):
        """The next command, as an operator would type it."""
        history = self.history()
        if not history.runs:
            return ["run", self.config]
        words = ["run", self.config, "--resume", "last"]
        if self.keeper_too:
            # What is LOST is run again only when somebody says so: here always.
            for job in sorted(self.lost_now(history)):
                words += ["--rerun-lost", job]
        return words

    def history(self, check=False):
        return History(self.home, check)

    def lost_now(self, history):
        last = history.last()
        return {row.job for row in history.of(last.run_id).values() if row.status == "LOST"}

    def shoot(self):
        """Start or resume, and kill at a random moment; True where it ended by itself before that."""
        child = self.trials.product.start(self.words(), environment=self.environment, start_new_session=True)
        moment = self.rnd.uniform(0.0, 0.5) if self.rnd.random() < 0.85 else self.rnd.uniform(0.5, 2.0)
        # All numbers are drawn always, so that a trial is the same whatever the machine does.
        both, first, at_work = self.rnd.random() < 0.5, self.rnd.random() < 0.5, self.rnd.random() < 0.6
        if at_work or self.keeper_too and both:
            # On a busy machine most moments lie before there is a keeper, and before the first job.
            faultlib.wait_until(lambda: self.is_at_work(child.pid) or child.poll() is not None, 10, 0.005)
        try:
            child.wait(timeout=moment)
            return child.returncode
        except subprocess.TimeoutExpired:
            pass
        self.trials.add("kills with jobs at work", 1 if self.is_at_work(child.pid) else 0)
        keeper = faultlib.keeper_of(child.pid)
        if not (self.keeper_too and both):
            keeper = None
        if keeper is not None and first:
            faultlib.kill_quietly(keeper)
        child.kill()
        if keeper is not None and not first:
            faultlib.kill_quietly(keeper)
        child.wait()
        self.shots += 1
        self.trials.done()
        if keeper is not None:
            self.trials.add("kills of both")
        return None

    @staticmethod
    def is_at_work(runner):
        """Whether a runner has a keeper that has a job."""
        keeper = faultlib.keeper_of(runner)
        return keeper is not None and bool(faultlib.children_of(keeper))

    def run(self):
        try:
            if self.watch:
                self.run_watched()
            else:
                self.attack()
                self.finish()
                self.judge()
        finally:
            left = faultlib.clear_away(self.mark)
            if left:
                self.fail("%d processes were left at the end" % left)
            self.trials.drop(self.folder)

    def attack(self):
        while self.shots < SHOTS_A_GRAPH and self.trials.more():
            code = self.shoot()
            if code is not None:
                if code not in (0, 1):
                    self.fail("a run ended with %s" % code)
                last = self.history().last()
                if last is not None and last.status in ("SUCCESS", "FAILED"):
                    return

    def finish(self):
        """Let it come to its end, resuming as often as jobs are LOST."""
        for _ in range(8):
            last = self.history().last()
            if last is not None and last.status == "SUCCESS":
                break
            words = self.words()
            try:
                done = self.trials.product.run(*words, environment=self.environment, timeout_s=PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.fail("a resume did not end within %g s" % PATIENCE_S)
                return
            if done.traceback or done.code not in (0, 1):
                self.fail("%s: %s" % (" ".join(words[2:]) or "run", done.tail()))
                return

    def judge(self):
        """Compare the history with what the jobs wrote down themselves."""
        history = self.history(check=True)
        entries = faultlib.read_ledger(self.ledger)
        self.trials.add("graphs")
        self.trials.add("job starts", sum(1 for entry in entries if entry.kind == "S"))
        self.trials.add("LOST", sum(1 for row in history.jobs if row.status == "LOST"))
        for text in disagreements(history, entries, self.jobs, self.keeper_too):
            self.fail(text)

    # ---- K5 --------------------------------------------------------------------------------------------------------

    def run_watched(self):
        """As ever, while ``status`` is asked again and again and compared with /proc."""
        over = threading.Event()
        attacker = threading.Thread(target=self._attack_and_finish, args=(over,))
        attacker.start()
        try:
            while not over.is_set():
                self.query()
        finally:
            attacker.join()

    def _attack_and_finish(self, over):
        try:
            while self.shots < 8 and self.trials.more() and self.trials.left_s() > 5:
                self.shoot_uncounted()
            self.finish()
        except Exception:
            self.trials.error(self.number)
        finally:
            over.set()

    def shoot_uncounted(self):
        child = self.trials.product.start(self.words(), environment=self.environment, start_new_session=True)
        faultlib.wait_until(lambda: self.is_at_work(child.pid) or child.poll() is not None, 10, 0.01)
        try:
            child.wait(timeout=self.rnd.uniform(0.0, 1.2))
            self.shots = SHOTS_A_GRAPH
            return
        except subprocess.TimeoutExpired:
            pass
        child.kill()
        child.wait()
        self.shots += 1
        self.trials.add("kills")
        # Dead for a while: the moment in which others still say "running".
        time.sleep(self.rnd.choice((0.0, 0.3, 3.0, 3.0)))

    def alive_jobs(self):
        """Attempts whose leader lives: (run, job, attempt) -> pid, from the environment of the processes."""
        found = {}
        for pid in faultlib.marked(self.mark, of_jobs=True):
            try:
                with open("/proc/%d/environ" % pid, "rb") as environ:
                    variables = dict(entry.partition(b"=")[::2] for entry in environ.read().split(b"\0"))
            except OSError:
                continue
            process = faultlib.stat_of(pid)
            if process is None or process.session != pid or process.name == "sleep" and b"86400." in b" ".join(
                    faultlib.cmdline_of(pid)):
                continue
            try:
                found[int(variables[b"EXECUTIONER_RUN_ID"]), variables[b"EXECUTIONER_JOB_ID"].decode()] = pid
            except (KeyError, ValueError):
                continue
        return found

    def query(self):
        if not os.path.exists(os.path.join(self.home, "history.db")):
            time.sleep(0.02)
            return
        told_before = len(faultlib.read_ledger(self.ledger))
        before, began = self.alive_jobs(), time.monotonic()
        try:
            done = self.trials.product.run("status", "--json", environment=self.environment, timeout_s=30)
        except subprocess.TimeoutExpired:
            self.fail("status hangs")
            return
        after = self.alive_jobs()
        quiet = len(faultlib.read_ledger(self.ledger)) == told_before
        self.trials.done()
        if done.traceback or done.code != 0:
            self.fail("status: %s" % done.tail())
            return
        try:
            told = json.loads(done.out.decode("utf-8"))
        except ValueError:
            self.fail("status --json is no JSON: %r" % done.out[:200])
            return
        self.note_ends(before, after)
        shown = {}
        for run in told["running"]:
            for job in run.get("jobs", ()):
                shown[run["run_id"], job["job_id"]] = job["status"]
        for key, status in shown.items():
            # What began and ended during the question was seen by nobody but the ledger.
            if status == "RUNNING" and quiet and key not in before and key not in after and self.long_gone(key, began):
                self.fail("status says RUNNING for %s of run %d, which is dead" % (key[1], key[0]))
        for key in before:
            # Its start is shown within a fifth of a second; only what lived long enough counts, on a busy machine longer.
            if after.get(key) == before[key] and self.lives_for(before[key]) > 1.0 + 5 * done.seconds \
                    and shown.get(key) != "RUNNING":
                self.fail("status says %s for %s of run %d, which runs" % (shown.get(key), key[1], key[0]))

    _ended = None

    def note_ends(self, before, after):
        if self._ended is None:
            self._ended = {}
        for key in after:
            self._ended[key] = time.monotonic()

    def long_gone(self, key, began):
        """Whether it was dead for a second before the question: between two attempts it may be waiting."""
        seen = (self._ended or {}).get(key)
        return seen is not None and began - seen > 1.0

    @staticmethod
    def lives_for(pid):
        process = faultlib.stat_of(pid)
        if process is None:
            return 0.0
        with open("/proc/uptime") as uptime:
            return float(uptime.read().split()[0]) - process.start / float(os.sysconf("SC_CLK_TCK"))


def k1(trials):
    trials.make(lambda number: Campaign(trials, number).run())


def k2(trials):
    trials.make(lambda number: Campaign(trials, number, keeper_too=True).run())


def k5(trials):
    trials.make(lambda number: Campaign(trials, number, watch=True).run())


ROWS = [
    Row("K1", "no result is lost, nothing that was done is run again, no order is broken, every graph completes",
        "kill -9 of the runner at random moments; random graphs of 60 jobs with retries, timeouts and escapees",
        "ledger against history, integrity_check, /proc", 200, 10000, "results reset to pending; record ignored", k1, 4.0,
        unit="kills", lanes=8),
    Row("K2", "the same; an outcome that nobody can know is LOST, and is run again only where that was said",
        "kill -9 of the runner, and in half of the shots of the keeper too", "ledger against history, /proc", 100, 3000,
        "LOST treated as pending", k2, 3.0, unit="kills", lanes=8),
    Row("K5", "status never says RUNNING for a dead job, nor anything else for a living one",
        "status --json again and again while runners are killed", "answers against /proc", 150, 100000,
        "the history believed", k5, 1.5, unit="answers"),
]
