"""L1, L2, L3: two runs of an application never overlap, and nothing that is dead or left behind stands in the way."""
import os
import subprocess
import time

import faultlib
from faultlib import Row

__all__ = ["ROWS"]


def l1(trials):
    """A dead run never blocks the next one: after kill -9, and after a reboot."""
    can_reboot = os.geteuid() == 0 and subprocess.call(
        ["unshare", "-m", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    trials.make(lambda number: after_a_dead_run(trials, number, can_reboot))


def after_a_dead_run(trials, number, can_reboot):
    rnd = trials.random(number)
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "L1-%d-%d" % (os.getpid(), number)
    jobs = [{"id": "a%d" % one, "command": "sleep 0.3", "rerun_if_lost": True} for one in range(3)]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=2)
    child = trials.product.start(["run", config], home=home, mark=mark)
    if rnd.random() < 0.6:
        # On a busy machine most moments lie before it has taken any lock.
        faultlib.wait_until(lambda: faultlib.keeper_of(child.pid) or child.poll() is not None, 10, 0.005)
    try:
        child.wait(timeout=rnd.uniform(0, 0.5))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    reboots = can_reboot and rnd.random() < 0.5
    prefix = []
    if reboots:
        # A power cut: nothing of it lives, and the machine says that it is another boot.
        faultlib.clear_away(mark)
        boot = os.path.join(folder, "boot_id")
        with open(boot, "w") as out:
            out.write("%08x-0000-4000-8000-%012x\n" % (rnd.getrandbits(32), rnd.getrandbits(48)))
        prefix = ["unshare", "-m", "sh", "-c",
                  "mount --bind %s /proc/sys/kernel/random/boot_id && exec \"$@\"" % boot, "sh"]
        trials.add("reboots")
    try:
        done = trials.product.run("run", config, home=home, mark=mark, timeout_s=60, prefix=prefix)
        trials.expect(done.code == 0, "after a %s the next run: %s" % ("reboot" if reboots else "kill", done.tail()),
                      number)
    except subprocess.TimeoutExpired:
        trials.violation("the next run hangs", number)
    faultlib.clear_away(mark)
    trials.done()
    trials.drop(folder)


def l2(trials):
    """Fifty starts at once give one run."""
    trials.make(lambda number: at_once(trials, number))


def at_once(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "L2-%d-%d" % (os.getpid(), number)
    ledger, release = os.path.join(folder, "ledger"), os.path.join(folder, "release")
    script = ("printf 'S %%s %%s %%s x\\n' $EXECUTIONER_JOB_ID $EXECUTIONER_RUN_ID $EXECUTIONER_ATTEMPT >>%s; "
              "while [ ! -e %s ]; do sleep 0.05; done; "
              "printf 'E %%s %%s %%s 0\\n' $EXECUTIONER_JOB_ID $EXECUTIONER_RUN_ID $EXECUTIONER_ATTEMPT >>%s") % (
                  ledger, release, ledger)
    config = faultlib.config_of(folder, [{"id": "only", "command": ["sh", "-c", script]}])
    starts = [trials.product.start(["run", config], home=home, mark=mark) for _ in range(50)]
    killed = set()
    if rnd.random() < 0.3:
        # Some are shot while they try.
        for child in rnd.sample(starts, 5):
            time.sleep(rnd.uniform(0, 0.05))
            child.kill()
            killed.add(child.pid)
    faultlib.wait_until(lambda: sum(1 for child in starts if child.poll() is None) <= 1, 180, 0.02)
    running = [child for child in starts if child.poll() is None]
    trials.expect(len(running) <= 1, "%d runs at the same time" % len(running), number)
    open(release, "w").close()
    for child in starts:
        child.wait()
    codes = [child.returncode for child in starts if child.pid not in killed]
    trials.expect(all(code in (0, 75) for code in codes), "exit codes %s" % sorted(set(codes)), number)
    faultlib.wait_until(lambda: not faultlib.marked(mark), 10)
    inside, most = 0, 0
    for entry in faultlib.read_ledger(ledger):
        inside += 1 if entry.kind == "S" else -1
        most = max(most, inside)
    trials.expect(most <= 1, "%d runs overlapped" % most, number)
    if not killed:
        trials.expect(codes.count(0) == 1, "%d runs of 50 starts" % codes.count(0), number)
    faultlib.clear_away(mark)
    trials.done(50)
    trials.drop(folder)


def l3(trials):
    """A daemon that a job has left, on purpose, never stands in the way of the next run."""
    trials.make(lambda number: beside_a_daemon(trials, number))


def beside_a_daemon(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "L3-%d-%d" % (os.getpid(), number)
    daemon = rnd.choice(("setsid sleep 60 &", "nohup sleep 60 >/dev/null 2>&1 &", "(setsid sleep 60 &) &",
                         "setsid sh -c 'exec sleep 60 0<&- 1>&- 2>&-' &", "sleep 60 &"))
    config = faultlib.config_of(folder, [{"id": "starts", "command": ["sh", "-c", daemon + " sleep 0.1"],
                                          "leave_running": True}])
    for turn in range(2):
        try:
            done = trials.product.run("run", config, home=home, mark=mark, timeout_s=50)
            trials.expect(done.code == 0, "turn %d beside %s: %s" % (turn, daemon, done.tail()), number)
        except subprocess.TimeoutExpired:
            trials.violation("turn %d beside %s hangs" % (turn, daemon), number)
    trials.expect(len(faultlib.marked(mark)) >= 2, "the daemon was not left running: %s" % daemon, number)
    faultlib.clear_away(mark)
    trials.done()
    trials.drop(folder)


ROWS = [
    Row("L1", "a dead run never blocks the next one", "kill -9 at random moments; a reboot in half of the trials",
        "exit code of the next run", 20, 1000, "a lock that is the existence of a file", l1, 0.6, unit="starts",
        lanes=2),
    Row("L2", "50 starts at once give one run", "50 simultaneous starts, some of them shot", "ledger intervals, exit codes",
        100, 50000, "check, then create", l2, 1.0, unit="starts"),
    Row("L3", "a daemon left by a job never blocks the next run", "daemons that keep or close their descriptors",
        "exit code of the next run", 10, 500, "the lock is inherited", l3, 0.5, unit="daemons", lanes=2),
]
