"""The command with one call to the operating system that fails: ``entry.py CHECKOUT run CONFIG ...``.

``FAULTS_PLAN`` is JSON: ``{"where": "runner" | "keeper", "site": NAME, "at": N, "errno": E, "lasting": bool, "kill": bool}``:
the N-th call of that name fails with E, or all for a second and a half, or the process is killed there. ``FAULTS_COUNT`` names a file to
which runner and keeper append how many calls of each name they made. Nothing in the product knows of this.
"""
import atexit
import json
import os
import signal
import stat
import sys
import time

#: How long a lasting failure lasts.
LASTS_S = 1.5
#: What fails, and whether only on regular files: a pipe is never full of disk.
RUNNER_SITES = {"open": False, "write": True, "pwrite": True, "fsync": False, "mkdir": False, "rename": False,
                "replace": False, "unlink": False, "ftruncate": True, "pipe": False, "posix_spawn": False, "stat": False,
                "listdir": False, "dup": False}


def install(plan, counts):
    """Put counting calls, one of which fails, in the place of those of ``os``."""
    for name, only_files in RUNNER_SITES.items():
        if hasattr(os, name):
            setattr(os, name, failing(name, getattr(os, name), only_files, plan, counts))


def failing(name, real, only_files, plan, counts):
    """A call that counts, and fails when it is its turn."""
    fstat = os.fstat

    def call(*arguments, **options):
        if only_files:
            try:
                if not stat.S_ISREG(fstat(arguments[0]).st_mode):
                    return real(*arguments, **options)
            except OSError:
                return real(*arguments, **options)
        counts[name] = counts.get(name, 0) + 1
        if plan.get("where") != "runner" or plan["site"] != name:
            return real(*arguments, **options)
        if counts[name] == plan["at"]:
            plan["until"] = time.monotonic() + LASTS_S
        if counts[name] == plan["at"] or plan.get("lasting") and time.monotonic() < plan.get("until", 0):
            if plan.get("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(plan["errno"], os.strerror(plan["errno"]))
        return real(*arguments, **options)

    return call


def main():
    """Run the command line of the checkout."""
    checkout = sys.argv.pop(1)
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = checkout
    plan = json.loads(os.environ.get("FAULTS_PLAN", "{}"))
    counts = {}
    import executioner.bootstrap
    problem = executioner.bootstrap.prepare()
    if problem is not None:
        raise SystemExit(problem)
    sys.path.append(here)
    import jobs.engine
    import jobs.keeper.launch as launch
    import keeper_faults
    # So that a trial does not take the patience that an operator wants.
    jobs.engine.STORAGE_RETRY_S, jobs.engine.STORAGE_PATIENCE_S = 0.1, 2.0
    real_code_of = launch._code_of
    launch._code_of = lambda modules: real_code_of(tuple(modules[:-1]) + (keeper_faults,) + tuple(modules[-1:]))
    out = os.environ.get("FAULTS_COUNT")
    if out:
        atexit.register(note, out, counts)
    install(plan, counts)
    return executioner.bootstrap.main()


def note(path, counts):
    """Tell how many calls there were."""
    with open(path, "a") as lines:
        for name, count in counts.items():
            lines.write("runner %s %d\n" % (name, count))


if __name__ == "__main__":
    sys.exit(main())
