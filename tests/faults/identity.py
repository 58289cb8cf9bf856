"""P8, P9: as process 1 nothing is left unreaped, and a pid that was used again is nobody's business."""
import os
import signal
import subprocess
import sys
import time

import faultlib
from faultlib import History, NotRun, Row

__all__ = ["ROWS"]



def _can_unshare():
    if os.geteuid() != 0 or subprocess.call(["unshare", "-pf", "--mount-proc", "true"], stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL) != 0:
        raise NotRun("no process namespace can be made here")


def p8(trials):
    _can_unshare()
    trials.make(lambda number: first_process(trials, number))


def first_process(trials, number):
    """The runner is process 1, as in a container without an init."""
    rnd = trials.random(number)
    folder = trials.folder()
    home, mark = os.path.join(folder, "home"), "P8-%d-%d" % (os.getpid(), number)
    jobs = [{"id": "j%d" % one, "stop_grace": 0.2,
             "command": rnd.choice(("true", "sleep 0.2", "setsid sleep 60 &", "(sleep 0.1; exit 3) & (sleep 60 &) & sleep 0.05",
                                    "setsid sh -c 'sleep 0.1 & sleep 0.05' & true",
                                    # What loses its parent and ends while its job goes on.
                                    "(sleep 0.1 &); sleep 1.2", "(setsid sleep 0.1 &); (sleep 0.2 &); sleep 1"))}
            for one in range(20)]
    stops = rnd.random() < 0.3
    if stops:
        jobs.append({"id": "long", "command": "setsid sleep 60 & sleep 60", "priority": 9, "stop_grace": 0.2})
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4)
    child = subprocess.Popen(["unshare", "-pf", "--mount-proc"] + trials.product.argv("run", config),
                             env=trials.product.environment(home, mark), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    zombies, began = {}, time.monotonic()
    now = began
    told = False
    while child.poll() is None and time.monotonic() - began < 40:
        runners = faultlib.children_of(child.pid)
        if runners:
            # Where this process itself was not served, its children were not either.
            if time.monotonic() - now > 0.2:
                zombies = {}
            now = time.monotonic()
            ours = faultlib.processes()
            below = {process.pid for process in ours.values() if process.state == "Z" and process.ppid != child.pid
                     and (process.ppid in runners or ours.get(process.ppid) and ours[process.ppid].ppid in runners)}
            zombies = {pid: zombies.get(pid, now) for pid in below}
            for pid, since in zombies.items():
                if now - since > 0.5:
                    trials.violation("a zombie for half a second: %d" % pid, number)
                    zombies[pid] = now + 1000
            # A signal that process 1 does not handle yet is lost: that is the kernel's rule for it.
            if stops and not told and now - began > 1.0 and faultlib.keeper_of(runners[0]):
                told = faultlib.kill_quietly(runners[0], signal.SIGTERM)
        time.sleep(0.02)
    if child.poll() is None:
        for pid in faultlib.children_of(child.pid):
            faultlib.kill_quietly(pid)
        child.kill()
        trials.violation("hangs%s" % (" after TERM" if stops else ""), number)
    err = child.communicate()[1]
    wanted = (143, -15, 137, 15) if stops else (0,)
    # Process 1 cannot die of a signal that it sends to itself: the code has to say it.
    trials.expect(child.returncode in wanted, "ended with %s %r" % (child.returncode, err[-200:]), number)
    left = faultlib.left_of(mark)
    trials.expect(not left, "processes were left: %s" % left, number)
    faultlib.clear_away(mark)
    history = History(home)
    status = history.last().status if history.last() else None
    trials.expect(status == ("CANCELLED" if stops else "SUCCESS"), "the run is %s" % status, number)
    trials.done(len(jobs))
    trials.drop(folder)


#: Runs in a process namespace of its own: the command, and somebody who takes each pid as soon as it is free.
TAKER = r"""
import os, signal, subprocess, sys, time
ledger, log = sys.argv[1:3]
command = sys.argv[3:]
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
victims, taken, hits = {}, set(), 0

def victim():
    os.setsid()
    os.environ.clear()
    me = os.getpid()
    def told(number, frame):
        os.write(out, b"signal %d to %d\n" % (number, me))
    for number in range(1, 32):
        if number not in (9, 19, 17):
            try:
                signal.signal(number, told)
            except (OSError, ValueError):
                pass
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        time.sleep(0.1)
    os._exit(0)

def reap():
    for pid in list(victims):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            del victims[pid]
            if os.WIFSIGNALED(status):
                os.write(out, b"signal %d to %d\n" % (os.WTERMSIG(status), pid))

while child.poll() is None:
    reap()
    try:
        with open(ledger) as lines:
            pids = [int(line.split()[1]) for line in lines if line.startswith("P ") and line.endswith("\n")]
    except OSError:
        pids = []
    for pid in pids[-60:]:
        if pid in taken:
            continue
        if os.path.exists("/proc/%d" % pid):
            continue
        for _ in range(3):
            with open("/proc/sys/kernel/ns_last_pid", "w") as last:
                last.write(str(pid - 1))
            got = os.fork()
            if got == 0:
                victim()
            victims[got] = True
            if got == pid:
                hits += 1
                break
        taken.add(pid)
    time.sleep(0.0005)
deadline = time.monotonic() + 3
while victims and time.monotonic() < deadline:
    reap()
    time.sleep(0.02)
os.write(out, b"hits %d\n" % hits)
sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)
"""
#: Its leader goes when it is told to, or at once; what it leaves has a session of its own, so that the leader's number is
#: free while the job is still being stopped, and ends at other moments.
LEAVER = """
printf 'P %s\\n' $$ >>"$1"
for s in 0.2 0.5 0.9; do
    setsid sh -c 'printf "P %s\\n" $$ >>"$1"; trap "" TERM; sleep $2; sleep $2' sh "$1" $s &
done
trap 'exit 1' TERM
if [ $2 = stays ]; then sleep 20 & wait; fi
exit 0
"""


def p9(trials):
    _can_unshare()
    if not os.path.exists("/proc/sys/kernel/ns_last_pid"):
        raise NotRun("the kernel does not let pids be chosen")
    trials.make(lambda number: reuse(trials, number))


def reuse(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home, ledger, log = (os.path.join(folder, name) for name in ("home", "ledger", "victims"))
    mark = "P9-%d-%d" % (os.getpid(), number)
    jobs = [{"id": "j%d" % one, "timeout": round(rnd.uniform(0.2, 0.6), 2), "stop_grace": round(rnd.uniform(0.1, 0.4), 2),
             "allow_failure": True, "command": ["sh", "-c", LEAVER, "sh", ledger, rnd.choice(("stays", "leaves"))]}
            for one in range(16)]
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=3)
    child = subprocess.Popen(["unshare", "-pf", "--mount-proc", sys.executable, "-I", "-S", "-c", TAKER, ledger, log]
                             + trials.product.argv("run", config), env=trials.product.environment(home, mark),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        err = child.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        for pid in faultlib.children_of(child.pid):
            faultlib.kill_quietly(pid)
        child.kill()
        child.communicate()
        trials.violation("hangs", number)
        return
    trials.expect(child.returncode == 0, "ended with %s %r" % (child.returncode, err[-300:]), number)
    hits = 0
    for line in open(log).read().splitlines() if os.path.exists(log) else []:
        if line.startswith("hits "):
            hits = int(line.split()[1])
        else:
            trials.violation("a stranger got a %s" % line, number)
    trials.done(hits)
    trials.add("jobs", len(jobs))
    faultlib.clear_away(mark)
    trials.drop(folder)


ROWS = [
    Row("P8", "as process 1 the runner leaves no zombie, and TERM stops it", "run as process 1 of a namespace, with escapees",
        "/proc from outside, sampled every 20 ms", 60, 1000, "only known children are reaped", p8, 0.7, unit="jobs"),
    Row("P9", "a process that got a pid of ours is never signalled", "each pid of a job is given to a stranger as soon as it is free",
        "what the strangers saw", 30, 2000, "the group is signalled after its leader was reaped", p9, 0.9, unit="pids used again"),
]
