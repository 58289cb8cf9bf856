"""What a person sees on a terminal: live progress, colours where wanted, and nothing that moves the cursor unasked."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import Dict, Optional, Tuple

import pytest

from cli_case import Case

_CODES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


def on_terminal(case: Case, *words: str, environ: Optional[Dict[str, str]] = None,
                size: Tuple[int, int] = (24, 100)) -> Tuple[int, str, str]:
    """Run a command with standard error on a terminal: exit code, standard output, and what the terminal got."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", size[0], size[1], 0, 0))
    process = subprocess.Popen(case.command(*words), cwd=case.folder, stdin=subprocess.DEVNULL, stderr=side,
                               env=dict(dict(case.environ, TERM="xterm"), **(environ or {})), stdout=subprocess.PIPE)
    os.close(side)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None  # before the look: what it wrote last is there then
        if select.select([main], [], [], 0.1)[0]:
            try:
                data = os.read(main, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        elif has_ended:
            break
    os.close(main)
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    return process.wait(60), out.decode("utf-8"), seen.decode("utf-8").replace("\r\n", "\n")


def settled(seen: str) -> str:
    """What stays on the screen: status lines that were erased are gone."""
    lines = []
    for line in seen.split("\n"):
        lines.append(_CODES.sub("", line.rpartition("\r\x1b[K")[2]))
    return "\n".join(lines)


JOBS = ({"id": "extract", "command": "sleep 0.6"},
        {"id": "load", "command": "exit 3", "dependencies": ["extract"], "max_retries": 1, "retry_delay": 0},
        {"id": "report", "command": "true", "dependencies": ["load"]})


def test_live_progress(case: Case) -> None:
    case.jobs(*JOBS)
    code, out, seen = on_terminal(case, "run", "config.json")
    assert (code, out) == (1, "")
    assert "0/3 done  running: extract" in seen
    assert "\x1b[32mok    \x1b[0m extract" in seen and "\x1b[31mFAIL  \x1b[0m load" in seen
    screen = case.normalised(settled(seen).encode())
    assert screen.startswith("ok     extract  T s\n"
                             "FAIL   load     exit 3 after 2 tries, T s    HOME/logs/1/load.2.err\n")
    assert "block  report   needs load, which ended FAILED\n" in screen
    assert "\nrun 1 of app FAILED (exit 1): " in screen


def test_a_good_run_ends_with_one_line(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"})
    code, out, seen = on_terminal(case, "run", "config.json", environ={"NO_COLOR": "1"})
    assert (code, out) == (0, "")
    assert case.normalised(settled(seen).encode()) == "ok     a  T s\nrun 1: 1 ok in T s\n"
    assert "\x1b[3" not in seen


def test_a_dumb_terminal_gets_no_codes(case: Case) -> None:
    case.jobs(*JOBS)
    code, _, seen = on_terminal(case, "run", "config.json", environ={"TERM": "dumb"})
    assert code == 1 and "\x1b" not in seen and "\r" not in seen and "ok     extract" in seen


def test_quiet_on_a_terminal(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"})
    assert on_terminal(case, "run", "config.json", "--quiet") == (0, "", "")


def test_json_on_a_terminal_is_alone_on_standard_output(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"})
    code, out, seen = on_terminal(case, "run", "config.json", "--json")
    assert code == 0 and out.startswith("{") and out.endswith("}\n") and "ok" in seen


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (24, 10)])
def test_a_terminal_of_any_size(case: Case, size: Tuple[int, int]) -> None:
    case.jobs({"id": "long-name-of-a-job", "command": "sleep 0.1"})
    code, _, seen = on_terminal(case, "run", "config.json", size=size)
    assert code == 0
    width = size[1] or 80
    for line in seen.split("\r\x1b[K"):
        if "done" in line and "\n" not in line:
            assert len(line) < width


def test_control_characters_never_reach_a_terminal(case: Case) -> None:
    evil = r"\033]0;owned\007\033[2J\302\233\r\b\342\200\256\n"
    case.jobs({"id": "a", "command": "printf '%s' >&2; exit 1" % evil})
    code, _, seen = on_terminal(case, "run", "config.json", environ={"NO_COLOR": "1"})
    assert code == 1
    left = seen.replace("\r\x1b[K", "")
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b\\x0d\\x08\\u202e" in left
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", left)


def test_warnings_are_shown_on_a_terminal(case: Case) -> None:
    case.jobs({"id": "a", "command": "true", "timeout": 600}, run_timeout=60)
    _, _, seen = on_terminal(case, "run", "config.json")
    assert "config.json:1:" in seen and "warning W103" in seen
