"""What the rows of the fault suite share: ledgers, what /proc says, killers, random graphs, and the measure of a row.

The oracle is outside of the product. Jobs append lines to a ledger, processes are counted by reading ``/proc``, files are
compared by their bytes. The history is read with plain ``sqlite3`` only to be compared with the ledger.
"""
import collections
import json
import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

__all__ = ["DONE", "Entry", "History", "NotRun", "Row", "Trials", "JobRow", "RunRow", "Product", "Process",
           "clopper_pearson", "config_of", "job_script", "kill_quietly", "keeper_of", "marked", "processes", "random_graph",
           "read_ledger", "stat_of", "wait_until", "with_argument", "zombies_below"]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MARK = "FAULTS_MARK"
#: Statuses that stand for good.
FINAL = frozenset(("SUCCESS", "FAILED", "TIMEOUT", "ERROR", "SKIPPED", "BLOCKED", "CANCELLED", "LOST"))
#: Exit codes that the command may end with; 128+n for the signals that stop it.
DOCUMENTED_EXITS = frozenset((0, 1, 2, 3, 75, 129, 130, 141, 143))
DONE = "SUCCESS"
#: Of the suite itself; one could be an accident of the machine.
ERRORS_THAT_END_A_ROW = 3


class NotRun(Exception):
    """The row cannot be run here; says why. Reported as such, never as passed."""


# ---- rows ------------------------------------------------------------------------------------------------------------

class Row:
    """One row of the table: what it holds, how it is attacked and counted, and what must make it fail.

    :param function: called with a ``Trials``; makes trials until there are no ``more``
    :param quick: trials at the quick level
    :param full: trials at the full level
    :param share: its part of the time, relative to the other rows
    :param alone: whether its times are measured, so that no other row may run beside it
    :param lanes: trials side by side; more than there are processors where they mostly wait
    """

    def __init__(self, ident, invariant, inject, count, quick, full, teeth, function, share=1.0, alone=False,
                 unit="trials", lanes=1):
        self.ident = ident
        self.invariant = invariant
        self.inject = inject
        self.count = count
        self.quick = quick
        self.full = full
        self.teeth = teeth
        self.function = function
        self.share = share
        self.alone = alone
        self.unit = unit
        self.lanes = lanes


class Trials:
    """The running measure of a row: how many trials there were, what was violated, how much time is left."""

    def __init__(self, ident, level, wanted, seed, deadline, product, verbose=False, lanes=1):
        self.ident = ident
        self.level = level
        self.wanted = wanted
        self.seed = seed
        self.product = product
        self.count = 0
        self.violations = []
        #: What the suite itself could not do: such a trial says nothing about the product, and its row has failed.
        self.errors = []
        self.figures = collections.OrderedDict()
        self.lanes = lanes
        self.started = time.monotonic()
        self._deadline = deadline
        self._verbose = verbose
        self._folders = []
        self._lock = threading.Lock()
        #: One violation is enough (sabotages).
        self.stops_early = False
        #: The number of the trial to begin with; ``--trial N`` replays that one alone.
        self.first = 0
        self.replays = False

    @property
    def full(self):
        """Whether this is the full level."""
        return self.level == "full"

    def more(self):
        """Whether another trial is wanted and there is time for it."""
        if self.stops_early and self.violations:
            return False
        if len(self.errors) >= ERRORS_THAT_END_A_ROW:
            return False
        return (self.replays or self.count < self.wanted) and time.monotonic() < self._deadline

    def left_s(self):
        """Seconds left for this row."""
        return max(0.0, self._deadline - time.monotonic())

    def random(self, trial):
        """The random numbers of one trial: the same for the same seed, row and number."""
        return random.Random("%s/%s/%s" % (self.seed, self.ident, trial))

    def done(self, count=1):
        """Count trials that were made."""
        with self._lock:
            self.count += count

    def violation(self, text, trial=None):
        """Something that must not be, with what is needed to see it again."""
        with self._lock:
            where = "" if trial is None else "seed %s trial %s: " % (self.seed, trial)
            self.violations.append(where + text)
            if self._verbose or len(self.violations) <= 10:
                sys.stderr.write("  %s VIOLATION %s%s\n" % (self.ident, where, text))
                sys.stderr.flush()

    def expect(self, condition, text, trial=None):
        """A violation unless the condition holds."""
        if not condition:
            self.violation(text, trial)
        return condition

    def add(self, name, number=1):
        """Add to a figure that is told with the row."""
        with self._lock:
            self.figures[name] = self.figures.get(name, 0) + number

    def most(self, name, number):
        """Keep the largest of a figure that is told with the row."""
        with self._lock:
            self.figures[name] = max(self.figures.get(name, number), number)

    def so_far(self, not_run=""):
        """The result of the row as it stands, as plain values."""
        with self._lock:
            return collections.OrderedDict(
                id=self.ident, trials=self.count, wanted=self.wanted, violations=len(self.violations),
                first=self.violations[:20], not_run=not_run, broken="\n".join(self.errors), figures=dict(self.figures),
                seconds=round(time.monotonic() - self.started, 1))

    def note(self, text):
        """A line for who watches."""
        if self._verbose:
            sys.stderr.write("  %s %s\n" % (self.ident, text))
            sys.stderr.flush()

    def folder(self, base=None):
        """A fresh folder of mode 0700, removed at the end of the row."""
        path = tempfile.mkdtemp(prefix="faults-%s-" % self.ident.lower(), dir=base)
        with self._lock:
            self._folders.append(path)
        return path

    def drop(self, path):
        """Remove a folder that is not needed any more."""
        shutil.rmtree(path, ignore_errors=True)
        with self._lock:
            if path in self._folders:
                self._folders.remove(path)

    def close(self):
        """Remove what is left of the folders."""
        for path in list(self._folders):
            self.drop(path)

    def make(self, trial):
        """Call ``trial(number)`` for 0, 1, 2 ... until there are no more, in as many threads as the row has lanes."""
        numbers = iter((self.first,) if self.replays else range(self.first, 1 << 30))
        refusals = []

        def work():
            while self.more() and not refusals:
                with self._lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    self._make_one(trial, number)
                except NotRun as refusal:  # told by the caller's thread
                    refusals.append(refusal)

        workers = [threading.Thread(target=work) for _ in range(self.lanes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if refusals:
            raise refusals[0]

    def _make_one(self, trial, number):
        """One trial. What it raises is sorted: of the product, or of the suite itself."""
        try:
            trial(number)
        except NotRun:
            raise
        except subprocess.TimeoutExpired as error:
            self.violation("does not end within %g s: %s" % (error.timeout, error.cmd), number)
            self.done()
        except sqlite3.OperationalError:
            # It could not be asked (no descriptor, no space): that says nothing about what is in it.
            self.error(number)
        except sqlite3.DatabaseError as error:
            self.violation("the history cannot be read: %s" % error, number)
            self.done()
        except Exception:
            self.error(number)

    def error(self, number=None):
        """Note the exception that is being handled: the suite itself has failed here."""
        where = "" if number is None else "seed %s trial %s: " % (self.seed, number)
        with self._lock:
            self.errors.append(where + traceback.format_exc().strip())


def clopper_pearson(violations, trials, confidence=0.95):
    """The upper bound of the probability of a violation, one-sided, at that confidence."""
    if trials <= 0:
        return 1.0
    if violations >= trials:
        return 1.0
    alpha = 1.0 - confidence
    if violations == 0:
        return 1.0 - alpha ** (1.0 / trials)
    low, high = float(violations) / trials, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        total = sum(math.exp(math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
                             + k * math.log(middle) + (trials - k) * math.log1p(-middle))
                    for k in range(violations + 1))
        if total > alpha:
            low = middle
        else:
            high = middle
    return high


# ---- what /proc says -------------------------------------------------------------------------------------------------

class Process:
    """A line of ``/proc/PID/stat``."""

    __slots__ = ("pid", "name", "state", "ppid", "pgrp", "session", "start", "rss", "threads")

    def __init__(self, pid, data):
        before, _, after = data.rpartition(")")
        fields = after.split()
        self.pid = pid
        self.name = before.partition("(")[2]
        self.state = fields[0]
        self.ppid = int(fields[1])
        self.pgrp = int(fields[2])
        self.session = int(fields[3])
        self.threads = int(fields[17])
        self.start = int(fields[19])
        self.rss = int(fields[21]) * 4096

    @property
    def alive(self):
        """Whether it can still do something: its first thread may have ended, which looks as if all had."""
        return self.state not in "ZX" or self.threads > 1


def stat_of(pid):
    """What the kernel says of a process; None where it is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
            return Process(pid, stat.read())
    except (OSError, ValueError, IndexError):
        return None


def processes():
    """Every process, by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = stat_of(int(name))
            if process is not None:
                found[process.pid] = process
    return found


def fill_up(path):
    """Take every byte that is left where a file is, down to the last page."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for size in (65536, 4096, 512, 1):
        try:
            while True:
                os.write(fd, b"x" * size)
        except OSError:
            pass
    os.close(fd)


def newest_thread(pid):
    """The folder in /proc of a thread that has not ended, where any has not: the first one may be gone, or all of them."""
    threads = [int(name) for name in os.listdir("/proc/%d/task" % pid)]
    return "/proc/%d/task/%d" % (pid, max(threads, default=pid))


def cmdline_of(pid):
    """The argument vector of a process; empty where it is gone."""
    try:
        with open(newest_thread(pid) + "/cmdline", "rb") as line:
            return line.read().split(b"\0")[:-1]
    except OSError:
        return []


def marked(mark, of_jobs=False, variable=MARK):
    """Pids of the living processes that carry our mark in their environment.

    :param of_jobs: only those that are an attempt's: runner and keeper have no EXECUTIONER_JOB_ID
    """
    wanted = ("%s=%s" % (variable, mark)).encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(newest_thread(int(name)) + "/environ", "rb") as environ:
                entries = environ.read().split(b"\0")
        except OSError:
            continue
        if wanted not in entries:
            continue
        if of_jobs and not any(entry.startswith(b"EXECUTIONER_JOB_ID=") for entry in entries):
            continue
        process = stat_of(int(name))
        if process is not None and process.alive:
            found.append(process.pid)
    return found


def with_argument(word, looks=1):
    """Pids of the living processes one of whose arguments is the word.

    :param looks: how often to look where nothing is found: what makes its successor and goes can be missed
    """
    wanted = word.encode()
    for look in range(looks):
        if look:
            time.sleep(0.003)
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid() and wanted in cmdline_of(int(name)):
                process = stat_of(int(name))
                if process is not None and process.alive:
                    found.append(process.pid)
        if found:
            return found
    return []


def zombies_below(pid):
    """Pids of dead processes that nobody has reaped, below a process."""
    table = processes()
    return [process.pid for process in table.values() if process.state == "Z" and process.ppid == pid]


def descriptors_of(pid):
    """What a process has open: number and target."""
    found = {}
    try:
        for name in os.listdir("/proc/%d/fd" % pid):
            try:
                found[int(name)] = os.readlink("/proc/%d/fd/%s" % (pid, name))
            except OSError:
                continue
    except OSError:
        pass
    return found


def waited_s(pid="self"):
    """How long the first thread of a process has been ready to run and had no processor, in seconds; 0 where nobody counts.

    A time that was measured on a busy machine says something about the product only when this is taken away.
    """
    try:
        with open("/proc/%s/schedstat" % pid) as counts:
            return int(counts.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Stalls:
    """How long this machine keeps a process waiting that sleeps and works a little: a probe of its own beside a trial.

    A bound in seconds holds where nothing else runs; elsewhere what is measured may be later by a few of these.
    """

    PROBE = ("import sys, time\nworst = 0.0\nwhile True:\n began = time.monotonic()\n time.sleep(0.02)\n sum(range(20000))\n"
             " late = time.monotonic() - began - 0.02\n"
             " if late > worst:\n  worst = late\n  print(worst, flush=True)\n")

    def __enter__(self):
        self._child = subprocess.Popen([sys.executable, "-I", "-S", "-c", self.PROBE], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE)
        self._child.stdout.readline()
        return self

    def __exit__(self, *_):
        if self._child.poll() is None:
            self._child.kill()
            self._child.communicate()

    def allowance_s(self):
        """What a chain of some processes may be later by, in seconds; the probe ends with the question."""
        self._child.kill()
        told = self._child.communicate()[0].split(b"\n")[:-1]
        return 8 * float(told[-1]) if told else 0.0


def children_of(pid):
    """Pids of the living children of a process."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
            below = [stat_of(int(child)) for child in children.read().split()]
    except OSError:  # it is gone, or this kernel does not tell
        below = list(processes().values())
    return [process.pid for process in below if process is not None and process.ppid == pid and process.alive]


def keeper_of(runner_pid):
    """The pid of the keeper of a runner; None where there is none (yet)."""
    for pid in children_of(runner_pid):
        if any(b"executioner-keeper" in part for part in cmdline_of(pid)):
            return pid
    return None


def kill_quietly(pid, number=signal.SIGKILL):
    """Send a signal to a process that may be gone."""
    if pid is None:
        return False
    try:
        os.kill(pid, number)
        return True
    except OSError:
        return False


def wait_until(condition, timeout_s, pause_s=0.01):
    """Wait for a condition; its last value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(pause_s)


def left_of(mark, variable=MARK):
    """Pids of what still carries the mark when it has had its time to go: a keeper ends a moment after its runner."""
    wait_until(lambda: not marked(mark, variable=variable), 20, 0.02)
    return marked(mark, variable=variable)


def clear_away(mark, variable=MARK):
    """Kill everything that still carries the mark. Returns how many there were."""
    count = 0
    for _ in range(50):
        left = marked(mark, variable=variable)
        if not left:
            break
        count = max(count, len(left))
        for pid in left:
            kill_quietly(pid)
        time.sleep(0.02)
    return count


# ---- the product -----------------------------------------------------------------------------------------------------

class Finished:
    """How a command ended."""

    def __init__(self, code, out, err, seconds):
        self.code = code
        self.out = out
        self.err = err
        self.seconds = seconds

    @property
    def traceback(self):
        """Whether it showed its insides."""
        return b"Traceback (most recent call last)" in self.err or b"Traceback (most recent call last)" in self.out

    def tail(self):
        """What it said last, in a line."""
        return "exit %s: %s" % (self.code, self.err[-300:].decode("utf-8", "replace").strip().replace("\n", " | "))


class Product:
    """The command under test: an interpreter and a checkout.

    :param python: the interpreter that runs the command
    :param checkout: the folder that holds ``executioner``
    """

    def __init__(self, python=sys.executable, checkout=ROOT):
        self.python = python
        self.checkout = checkout

    def argv(self, *words):
        """The command line of the command."""
        return [self.python, os.path.join(self.checkout, "executioner")] + [str(word) for word in words]

    @staticmethod
    def environment(home=None, mark=None, **more):
        """What the command is started with."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("EXECUTIONER_", "PYTHON"))}
        if home is not None:
            environment["EXECUTIONER_HOME"] = home
        if mark is not None:
            environment[MARK] = mark
        environment.update(more)
        return environment

    def start(self, words, home=None, mark=None, environment=None, **options):
        """Start the command; its output goes nowhere unless told."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        return subprocess.Popen(self.argv(*words), env=environment or self.environment(home, mark), **options)

    def run(self, *words, home=None, mark=None, environment=None, timeout_s=60.0, prefix=(), **options):
        """Run the command to its end; what it said.

        :raises subprocess.TimeoutExpired: where it does not end; it was killed then
        """
        began = time.monotonic()
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        child = subprocess.Popen(list(prefix) + self.argv(*words),
                                 env=environment or self.environment(home, mark), **options)
        try:
            out, err = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise
        return Finished(child.returncode, out or b"", err or b"", time.monotonic() - began)


# ---- the ledger ------------------------------------------------------------------------------------------------------

Entry = collections.namedtuple("Entry", "kind job run attempt rest")

JOB_SCRIPT = r"""#!/bin/sh
# job LEDGER SECONDS FAILURES CODE HANGS ESCAPEE: writes S, waits, writes E. Its first FAILURES attempts end with
# CODE, its first HANGS attempts hang until they are stopped. ESCAPEE (or -) is left behind in a session of its own.
printf 'S %s %s %s %s\n' "$EXECUTIONER_JOB_ID" "$EXECUTIONER_RUN_ID" "$EXECUTIONER_ATTEMPT" "$$" >>"$1"
if [ "$6" != - ]; then setsid sleep "$6" & fi
if [ "$EXECUTIONER_ATTEMPT" -le "$5" ]; then sleep 60; fi
sleep "$2"
code=0
if [ "$EXECUTIONER_ATTEMPT" -le "$3" ]; then code=$4; fi
printf 'E %s %s %s %s\n' "$EXECUTIONER_JOB_ID" "$EXECUTIONER_RUN_ID" "$EXECUTIONER_ATTEMPT" "$code" >>"$1"
exit "$code"
"""


def job_script(folder):
    """Write the script that the jobs of random graphs run; its path."""
    path = os.path.join(folder, "job")
    with open(path, "w") as script:
        script.write(JOB_SCRIPT)
    os.chmod(path, 0o755)
    return path


def read_ledger(path):
    """Every whole line of a ledger, in the order in which they were written."""
    try:
        with open(path, "rb") as lines:
            data = lines.read()
    except OSError:
        return []
    entries = []
    for line in data.decode("utf-8", "replace").split("\n")[:-1]:
        words = line.split(" ")
        if len(words) >= 5 and words[0] in ("S", "E"):
            entries.append(Entry(words[0], words[1], int(words[2] or -1), int(words[3] or -1), words[4]))
    return entries


def config_of(folder, jobs, name="graph.json", **top):
    """Write a configuration; its path."""
    content = collections.OrderedDict(application_name=top.pop("application_name", "faults"))
    content.update(top)
    content["jobs"] = jobs
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        json.dump(content, out, indent=1)
    os.chmod(path, 0o600)
    return path


def need_keys(product, config, *keys):
    """See that the product knows these keys of a configuration.

    :raises NotRun: where it does not (yet)
    """
    done = product.run("validate", config, timeout_s=30)
    for key in keys:
        if b"." + key.encode() + b": unknown key" in done.out + done.err:
            raise NotRun("this version does not know the key %s" % key)


def random_graph(rnd, folder, count=60, lost_reruns=None, fastest_s=0.01, slowest_s=0.5):
    """A random graph of jobs that write the ledger; path of the configuration, path of the ledger, the jobs by id.

    :param lost_reruns: probability that a job says ``rerun_if_lost``; None = nobody says so
    """
    script = job_script(folder)
    ledger = os.path.join(folder, "ledger")
    jobs = []
    stray = "86400.%09d" % rnd.randrange(10 ** 9)
    for position in range(count):
        job = collections.OrderedDict(id="j%d" % position)
        seconds = "%.3f" % rnd.uniform(fastest_s, slowest_s)
        failures, code, hangs, escapee = 0, 1, 0, "-"
        kind = rnd.random()
        if kind < 0.12:
            failures = rnd.choice((1, 1, 2))
            job["max_retries"] = failures + 1
        elif kind < 0.2:
            # The attempt that does not hang has to be done in time on a slow machine too.
            hangs, seconds = 1, "0.01"
            job["max_retries"] = 3
            job["timeout"] = round(rnd.uniform(0.6, 1.0), 2)
            job["stop_grace"] = 0.2
        elif kind < 0.26:
            failures, code = 99, rnd.choice((2, 7, 255))
            job["allow_failure"] = True
            job["retry_on_status"] = []
        if position % 5 == 4:
            escapee = stray
        if position:
            parents = rnd.sample(range(position), min(position, rnd.choice((0, 1, 1, 2, 3))))
            job["dependencies"] = ["j%d" % parent for parent in sorted(parents)]
        if lost_reruns is not None and rnd.random() < lost_reruns:
            job["rerun_if_lost"] = True
        job["retry_delay"] = 0.05
        job["retry_jitter"] = 0
        job["command"] = [script, ledger, seconds, str(failures), str(code), str(hangs), escapee]
        jobs.append(job)
    path = config_of(folder, jobs, parallel=True, max_workers=rnd.choice((2, 4, 4, 8)), default_timeout=30)
    return path, ledger, {job["id"]: job for job in jobs}, stray


# ---- the history, read with plain sqlite3 ----------------------------------------------------------------------------

RunRow = collections.namedtuple("RunRow", "run_id parent status exit_code reason log_dir")
JobRow = collections.namedtuple("JobRow", "run_id position job status reason attempts exit_code signal duration_s")
AttemptRow = collections.namedtuple("AttemptRow", "run_id job attempt token status exit_code signal started_at ended_at "
                                                  "duration_s stdout_path stderr_path")


class History:
    """What the database of a home says, read once.

    :raises sqlite3.Error: where it cannot be read
    """

    def __init__(self, home, check=False, path=None):
        path = path or os.path.join(home, "history.db")
        self.runs = []
        self.jobs = []
        self.attempts = []
        self.integrity = None
        if not os.path.exists(path):
            return
        connection = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=30)
        try:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if check:
                self.integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if "runs" not in tables:
                return
            self.runs = [RunRow(*row) for row in connection.execute(
                "SELECT run_id, parent_run_id, status, exit_code, reason, log_dir FROM runs ORDER BY run_id")]
            self.jobs = [JobRow(*row) for row in connection.execute(
                "SELECT run_id, position, job_id, status, reason, attempts, exit_code, signal, duration_s FROM jobs "
                "ORDER BY run_id, position")]
            self.attempts = [AttemptRow(*row) for row in connection.execute(
                "SELECT a.run_id, j.job_id, a.attempt, a.token, a.status, a.exit_code, a.signal, a.started_at, "
                "a.ended_at, a.duration_s, a.stdout_path, a.stderr_path FROM attempts a JOIN jobs j ON "
                "j.run_id = a.run_id AND j.position = a.position ORDER BY a.run_id, a.position, a.attempt")]
        finally:
            connection.close()

    def last(self):
        """The newest run; None where there is none."""
        return self.runs[-1] if self.runs else None

    def of(self, run_id):
        """The jobs of a run by id."""
        return {row.job: row for row in self.jobs if row.run_id == run_id}

    def output_of(self, attempt, stream="stdout_path"):
        """The path of an attempt's output."""
        folder = [run.log_dir for run in self.runs if run.run_id == attempt.run_id][0]
        return os.path.join(folder, getattr(attempt, stream))
