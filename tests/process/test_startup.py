"""A runner's first steps, each in a process of its own that was spoilt before."""
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from executor_case import runner_environment


def run(code: str, before: str = "") -> List[str]:
    """Run code in a fresh interpreter whose surroundings were spoilt before it started; the lines that it wrote."""
    spoil = "import os, signal, sys\n%s\nos.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])" % before
    done = subprocess.run([sys.executable, "-c", spoil, code], env=runner_environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


PREPARE = "import os, signal, sys\nfrom jobs.startup import prepare_process, StopSignals\nstate = prepare_process()\n"


def test_a_clean_process_stays_as_it_is() -> None:
    """Nothing to report."""
    assert run(PREPARE + "print(state.hup_ignored)") == ["False"]


def test_hup_that_was_ignored_is_remembered() -> None:
    """``nohup``."""
    assert run(PREPARE + "print(state.hup_ignored, signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)",
               "signal.signal(signal.SIGHUP, signal.SIG_IGN)") == ["True True"]


def test_sigchld_and_the_mask_are_reset() -> None:
    """Else no exit status is true, and no TERM arrives."""
    before = ("signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
              "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])")
    code = PREPARE + ("print(os.waitpid(os.spawnv(os.P_NOWAIT, '/bin/sh', ['sh', '-c', 'exit 9']), 0)[1] >> 8,"
                      " len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),"
                      " signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,"
                      " signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN)")
    assert run(code, before) == ["9 0 True True"]


def test_closed_streams_are_filled(tmp_path: Path) -> None:
    """The next file that is opened is not standard output."""
    code = PREPARE + ("fd = os.open('/dev/null', os.O_RDONLY)\nprint('lost')\nsys.stderr.write('lost too')\n"
                      "open(%r, 'w').write('%%d %%r' %% (fd, sys.stdin.read()))" % str(tmp_path / "seen"))
    assert run(code, "os.closerange(0, 3)") == []
    number, read = (tmp_path / "seen").read_text().split()
    assert int(number) > 2 and read == "''"


def test_descriptors_are_raised_and_the_old_limit_is_remembered() -> None:
    """As far as the hard limit allows."""
    code = PREPARE + "import resource\nprint(state.open_files, resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert run(code, "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))") == ["(64, 512) (512, 512)"]
    assert run(code, "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))") == ["None (512, 512)"]


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_set_uid_is_refused() -> None:
    """A set-uid runner would run anybody's jobs as its owner."""
    code = ("import os\nfrom jobs.exceptions import SecurityError\nfrom jobs.startup import prepare_process\n"
            "os.seteuid(65534)\ntry: prepare_process()\nexcept SecurityError as error: print(error.message)")
    assert run(code) == ["refused to run set-uid or set-gid: real and effective user differ (0, 65534)"]


def test_signals_are_taken_in_order_and_wake() -> None:
    """Numbers come out once, in the order in which they came in; the descriptor becomes readable."""
    code = PREPARE + (
        "import select\nsignals = StopSignals(state.hup_ignored)\nprint(select.select([signals.fd], [], [], 0)[0])\n"
        "for number in (15, 2, 1, 2): os.kill(os.getpid(), number)\n"
        "print(select.select([signals.fd], [], [], 1)[0] == [signals.fd], signals.take(), signals.take(),"
        " select.select([signals.fd], [], [], 0)[0])\n"
        "signals.close()\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
    assert run(code) == ["[]", "True [15, 2, 1, 2] [] []", "True"]
    code = PREPARE + ("signals = StopSignals(state.hup_ignored)\nos.kill(os.getpid(), 1)\nos.kill(os.getpid(), 15)\n"
                      "print(signals.take())")
    assert run(code, "signal.signal(signal.SIGHUP, signal.SIG_IGN)") == ["[15]"]
    assert signal.SIGHUP == 1
