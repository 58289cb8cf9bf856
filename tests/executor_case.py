"""A bench for the local executor: attempts go in by name, outcomes come out by name. Also runs as a program of its own.

As a program it is the runner that tests can kill, or start in hostile surroundings: it reads a description from its
arguments, runs the attempts, and writes each event as a line of JSON.
"""
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from jobs.executors.local import LocalExecutor
from jobs.models import AttemptOutcome, Job
from jobs.ports import AttemptStart, Ended, ExecutorEvent, ExecutorNotice, Started, Withdrawn

#: No test waits longer for anything.
DEADLINE_S = 45.0

Command = Union[str, Sequence[str]]


def python(code: str) -> List[str]:
    """A command that runs a line of Python."""
    return [sys.executable, "-I", "-S", "-c", code]


def wait_until(condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
    """Wait for a condition, and fail by name where it does not come."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited %.0f s in vain: %s" % (within_s, what)
        time.sleep(0.005)


def processes_with(text: str) -> Dict[int, str]:
    """Every process, zombies excepted, whose arguments or environment hold the text: pid and command line."""
    wanted = text.encode()
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            # The first thread may have ended, which looks as if all had.
            threads = [int(thread) for thread in os.listdir("/proc/%s/task" % name)]
            newest = "/proc/%s/task/%d/" % (name, max(threads, default=int(name)))
            line = Path(newest + "cmdline").read_bytes()
            environ = Path(newest + "environ").read_bytes()
        except OSError:
            continue
        if (wanted in line or wanted in environ) and line:
            found[int(name)] = line.replace(b"\0", b" ").decode("utf-8", "replace")
    return found


class Case:
    """An executor on a folder of its own, and what came of the attempts."""

    def __init__(self, folder: Path, slots: int = 4, environment: Optional[Dict[str, str]] = None,
                 **options: Any) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.output.mkdir(exist_ok=True)
        self.record = folder / "record"
        self.environment = dict(os.environ) if environment is None else environment
        self.executor = LocalExecutor(slots, str(self.record), str(self.output), self.environment, **options)
        self.started: Dict[str, Started] = {}
        self.outcomes: Dict[str, AttemptOutcome] = {}
        self.order: List[str] = []
        self.notices: List[ExecutorNotice] = []
        self.withdrawn: List[str] = []
        self.halted: List[str] = []
        self.answers_halts = True
        self.open: List[str] = []
        self.survivors: Optional[List[str]] = None

    def attempt(self, name: str, command: Command, timeout_s: float = 60.0, timeout_reason: str = "timeout",
                environment: Optional[Dict[str, str]] = None, decides_alone: bool = True, **job: Any) -> AttemptStart:
        """An attempt whose token is its name."""
        job.setdefault("working_dir", str(self.folder))
        words = command if isinstance(command, str) else tuple(command)
        return AttemptStart(name, Job(name, words, **job), 1, environment or {}, name + ".out", name + ".err",
                            timeout_s, timeout_reason, decides_alone)

    def start(self, *starts: AttemptStart) -> None:
        """Hand attempts to the executor."""
        self.open += [start.token for start in starts]
        self.executor.start(starts)

    def go(self, name: str, command: Command, **options: Any) -> None:
        """Hand one attempt to the executor."""
        self.start(self.attempt(name, command, **options))

    def run(self, command: Command, **options: Any) -> AttemptOutcome:
        """Run one attempt to its end."""
        name = "job%d" % len(self.order)
        self.go(name, command, **options)
        self.finish()
        return self.outcomes[name]

    def wait(self, timeout_s: Optional[float] = 1.0) -> List[ExecutorEvent]:
        """One ``wait`` of the executor, taken in."""
        events = self.executor.wait(timeout_s)
        for event in events:
            if isinstance(event, Started):
                assert event.token not in self.started, "started twice: %s" % event.token
                self.started[event.token] = event
            elif isinstance(event, Ended):
                assert event.token not in self.outcomes, "ended twice: %s" % event.token
                self.outcomes[event.token] = event.outcome
                self.order.append(event.token)
                self.open.remove(event.token)
                if event.halted:
                    self.halted.append(event.token)
            elif isinstance(event, Withdrawn):
                self.withdrawn.append(event.token)
                self.open.remove(event.token)
            else:
                self.notices.append(event)
        if self.answers_halts and any(isinstance(event, Ended) and event.halted for event in events):
            self.executor.proceed()
        return events

    def finish(self, within_s: float = DEADLINE_S) -> None:
        """Until every attempt has ended or was given back."""
        self.until(lambda: not self.open, "the attempts end", within_s)

    def until(self, condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
        """Wait on the executor until a condition holds."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, "waited in vain for: %s; open: %s" % (what, self.open)
            self.wait(0.05)

    def stdout(self, name: str) -> bytes:
        """What the attempt wrote."""
        return (self.output / (name + ".out")).read_bytes()

    def stderr(self, name: str) -> bytes:
        """What the attempt wrote to its standard error."""
        return (self.output / (name + ".err")).read_bytes()

    def close(self) -> List[str]:
        """Close the executor: what could not be ended."""
        if self.survivors is None:
            self.survivors = self.executor.close()
        return self.survivors


def runner_command(folder: Path, jobs: Sequence[Any], **description: Any) -> List[str]:
    """The command line of a runner in a process of its own; see ``main``."""
    return [sys.executable, __file__, str(folder), json.dumps(dict(description, jobs=jobs))]


def runner_environment() -> Dict[str, str]:
    """What that process needs to find us."""
    return dict(os.environ, PYTHONPATH=str(Path(__file__).resolve().parent.parent))


def main(arguments: Sequence[str]) -> None:
    """A runner: ``executor_case.py FOLDER DESCRIPTION``, a JSON object with ``jobs`` and options of the case."""
    folder = Path(arguments[0])
    description = json.loads(arguments[1])
    original = None
    if description.get("prepare", True):
        from jobs.startup import prepare_process
        original = prepare_process()
    options = description.get("options", {})
    if original is not None:
        options.update(hup_ignored=original.hup_ignored, open_files=original.open_files)
    case = Case(folder, description.get("slots", 4), **options)

    def say(**what: Any) -> None:
        os.write(1, (json.dumps(what) + "\n").encode())

    say(event="keeper", pid=case.executor.keeper_pid)
    case.start(*[case.attempt(name, command, **more) for name, command, more in description["jobs"]])
    while case.open:
        for event in case.wait(None):
            if isinstance(event, Started):
                say(event="started", name=event.token, pid=event.pid)
            elif isinstance(event, Ended):
                outcome = event.outcome
                say(event="ended", name=event.token, status=outcome.status, exit_code=outcome.exit_code,
                    signal=outcome.signal, reason=outcome.reason)
            elif isinstance(event, ExecutorNotice):
                say(event="notice", level=event.level, message=event.message)
    say(event="closed", survivors=case.close())


if __name__ == "__main__":
    main(sys.argv[1:])
