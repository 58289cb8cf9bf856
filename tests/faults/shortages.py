"""R1, R2: where descriptors or processes are short, jobs wait for them; none is blamed."""
import errno
import json
import os
import subprocess

import faultlib
from faultlib import History, NotRun, Row

__all__ = ["ROWS"]

HERE = os.path.dirname(os.path.abspath(__file__))


def _judge(trials, number, what, done, home, count):
    """All jobs succeeded at their first attempt; or nothing was begun, and that was said."""
    trials.expect(not done.traceback and b"internal error" not in done.err, "%s: %s" % (what, done.tail()), number)
    if done.code == 3:
        trials.expect(done.err.strip(), "%s: exit 3 without a word" % what, number)
        trials.add("refused at the start")
        history = History(home) if os.path.exists(os.path.join(home, "history.db")) else None
        rows = history.jobs if history is not None else []
    else:
        trials.expect(done.code == 0, "%s: %s" % (what, done.tail()), number)
        history = History(home)
        rows = history.jobs
        trials.expect(len(rows) == count, "%s: %d of %d jobs are in the history" % (what, len(rows), count), number)
        wrong = [row for row in rows if row.status != "SUCCESS" or row.attempts != 1]
        trials.expect(not wrong, "%s: %s" % (what, ["%s %s %s" % (row.job, row.status, row.reason) for row in wrong[:3]]),
                      number)
    blamed = [row for row in rows if row.status in ("FAILED", "ERROR", "TIMEOUT")]
    trials.expect(not blamed, "%s: blamed: %s" % (what, ["%s %s" % (row.job, row.reason) for row in blamed[:3]]), number)
    trials.add("jobs", len(rows))


def r1(trials):
    def trial(number):
        rnd = trials.random(number)
        folder = trials.folder()
        home = os.path.join(folder, "home")
        jobs = [{"id": "j%d" % one, "command": ["sleep", "0.0%d" % rnd.randrange(1, 9)]} for one in range(60)]
        config = faultlib.config_of(folder, jobs, parallel=True, max_workers=50)
        limit = rnd.randrange(10, 64)
        try:
            if number % 2:
                what, done = refused_opens(trials, rnd, config, home)
            else:
                # By the shell, so that this process itself is not short of them.
                what = "%d descriptors" % limit
                done = trials.product.run("run", config, home=home, timeout_s=60,
                                          prefix=["sh", "-c", "ulimit -n %d; exec \"$@\"" % limit, "sh"])
            if number % 2 == 0 and limit < 16 and b"ImportError" in done.err + done.out:
                trials.add("Python itself does not start")
            else:
                _judge(trials, number, what, done, home, len(jobs))
        except subprocess.TimeoutExpired:
            trials.violation("hangs", number)
        trials.done()
        trials.drop(folder)

    trials.make(trial)


def refused_opens(trials, rnd, config, home):
    """The keeper's calls say for a second and a half that there are too many open files, as on a busy machine."""
    plan = {"where": "keeper", "site": rnd.choice(("open_file", "posix_spawn")), "at": rnd.randrange(2, 60),
            "errno": rnd.choice((errno.EMFILE, errno.ENFILE)), "lasting": True, "kill": False}
    command = [trials.product.python, os.path.join(HERE, "entry.py"), trials.product.checkout, "run", config]
    done = subprocess.run(command, env=trials.product.environment(home, None, FAULTS_PLAN=json.dumps(plan)), timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    what = "%s call %d: %s for a while" % (plan["site"], plan["at"], errno.errorcode[plan["errno"]])
    return what, faultlib.Finished(done.returncode, done.stdout, done.stderr, 0.0)


def _pids_folder():
    """The folder of the controller that limits processes; made for us alone.

    :raises NotRun: where there is none, or it is not ours to use
    """
    for parent in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        path = os.path.join(parent, "faults-%d" % os.getpid())
        try:
            os.mkdir(path)
        except OSError:
            continue
        if os.path.exists(os.path.join(path, "pids.max")):
            return path
        os.rmdir(path)
    raise NotRun("no control group that limits processes can be made here")


def r2(trials):
    group = _pids_folder()
    try:
        trials.make(lambda number: few_processes(trials, number, group))
    finally:
        faultlib.wait_until(lambda: not open(os.path.join(group, "cgroup.procs")).read().strip(), 5)
        os.rmdir(group)


def few_processes(trials, number, group):
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    jobs = [{"id": "j%d" % one, "command": ["sleep", "0.%02d" % rnd.randrange(1, 20)]} for one in range(60)]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=40)
    # One is not enough for two processes of ours; with two, no job could ever start, and it would be waited for for ever.
    limit = rnd.choice([1] + list(range(3, 24)))
    with open(os.path.join(group, "pids.max"), "w") as out:
        out.write(str(limit))
    prefix = ["sh", "-c", "echo $$ >%s/cgroup.procs; exec \"$@\"" % group, "sh"]
    what = "%d processes" % limit
    try:
        done = trials.product.run("run", config, home=home, timeout_s=60, prefix=prefix)
        _judge(trials, number, what, done, home, len(jobs))
    except subprocess.TimeoutExpired:
        trials.violation("%s: hangs" % what, number)
    trials.done()
    trials.drop(folder)


ROWS = [
    Row("R1", "no job is blamed for a shortage of descriptors; all complete", "10 to 63 descriptors, and opens that are refused for a while; 50 jobs at once",
        "statuses and attempts in the history", 16, 200, "a shortage is a failure of the job", r1, 0.7, unit="runs",
        lanes=2),
    Row("R2", "no job is blamed for a shortage of processes; all complete", "a control group of 1 to 23 processes, 40 jobs at once",
        "the same", 12, 200, "the same", r2, 0.7, unit="runs"),
]
