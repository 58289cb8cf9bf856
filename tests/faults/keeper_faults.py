"""Sent to the keeper with its own code: lets the N-th call of ``jobs.system`` fail there, as ``entry.py`` says."""
import os
import time

from jobs import system

_SITES = ("open_file", "write", "unlink", "chdir", "stat", "wait4")


def _install():
    plan = os.environ.get("FAULTS_PLAN", "")
    # No json here: the keeper has none, and a plan is flat.
    words = dict(part.split(":") for part in plan.strip("{}").replace('"', "").replace(" ", "").split(",") if ":" in part)
    out = os.environ.get("FAULTS_COUNT")
    counts = {}

    def failing(name, real):
        def call(*arguments, **options):
            counts[name] = counts.get(name, 0) + 1
            number = int(words.get("at", "0"))
            mine = words.get("where") == "keeper" and words.get("site") == name
            if mine and counts[name] == number:
                counts["until"] = time.monotonic() + 1.5
            if mine and (counts[name] == number or words.get("lasting") == "true"
                         and time.monotonic() < counts.get("until", 0)):
                if words.get("kill") == "true":
                    os.kill(os.getpid(), 9)
                raise OSError(int(words["errno"]), os.strerror(int(words["errno"])))
            if out:
                fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                os.write(fd, ("keeper %s %d\n" % (name, counts[name])).encode())
                os.close(fd)
            return real(*arguments, **options)
        return call

    for name in _SITES:
        if hasattr(system, name):
            setattr(system, name, failing(name, getattr(system, name)))
    spawn = getattr(os, "posix_spawn", None)
    if spawn is not None:
        setattr(os, "posix_spawn", failing("posix_spawn", spawn))


_install()
