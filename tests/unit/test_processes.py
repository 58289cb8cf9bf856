"""What /proc tells about a process, at the moments when it tells little."""
import os
import select
import subprocess
import sys
import time

import pytest

from jobs.keeper import processes

pytestmark = pytest.mark.needs_linux

#: Becomes another program again and again, says so when it has done that often enough, and stays.
BECOMES_ANOTHER = "test $0 -gt 0 && exec sh -c \"$1\" $(($0 - 1)) \"$1\"; echo done; read line"


@pytest.mark.parametrize("times", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_process_that_becomes_another_program_keeps_its_mark(times):
    environment = {b"PATH": os.environb[b"PATH"], processes.MARK: b"the-mark"}
    process = subprocess.Popen(["sh", "-c", BECOMES_ANOTHER, str(times), BECOMES_ANOTHER], env=environment,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        looks, without = 0, 0
        while not select.select([process.stdout], [], [], 0)[0]:
            looks += 1
            without += processes.mark_of(process.pid) != "the-mark"
    assert looks > 20 and without == 0


@pytest.mark.parametrize("environment, mark", [({}, None), ({b"OTHER": b"x"}, None), ({processes.MARK: b"m"}, "m")])
def test_a_process_without_a_mark_has_none(environment, mark):
    with subprocess.Popen(["/bin/cat"], env=environment, stdin=subprocess.PIPE) as process:
        assert processes.mark_of(process.pid) == mark


def test_a_process_that_is_gone_has_no_mark():
    with subprocess.Popen(["/bin/true"]) as process:
        pass
    assert processes.mark_of(process.pid) is None
    assert processes.stat_of(process.pid) is None


def test_a_process_that_is_reaped_while_its_threads_are_listed_has_no_mark(monkeypatch):
    """Its first thread has ended, so the others are asked; by the time their list is read they are gone too."""
    first_thread_ends = ("import ctypes, threading, time\n"
                         "threading.Thread(target=time.sleep, args=(600,)).start()\n"
                         "ctypes.CDLL(None).pthread_exit(None)\n")
    list_folder = os.listdir
    with subprocess.Popen([sys.executable, "-c", first_thread_ends], env={processes.MARK: b"m"}) as process:
        while processes.stat_of(process.pid).state != "Z":
            time.sleep(0.001)
        assert processes.mark_of(process.pid) == "m"
        opened = os.open("/proc/%d/task" % process.pid, os.O_RDONLY)
        listed = []

        def reaped_before_it_is_read(_path):
            process.kill()
            process.wait()
            listed.append(list_folder(opened))
            return listed[-1]

        monkeypatch.setattr(os, "listdir", reaped_before_it_is_read)
        assert processes.mark_of(process.pid) is None
    os.close(opened)
    assert listed == [[]]


def test_threads_of_the_kernel_are_not_waited_for():
    looked = [stat for stat in map(processes.stat_of, map(int, filter(str.isdigit, os.listdir("/proc")))) if stat is not None]
    kernel = [stat for stat in looked if stat.pid == 2 or stat.ppid == 2]
    if not kernel or kernel[0].name != "kthreadd":
        pytest.skip("the threads of the kernel are not seen from here")
    assert [stat.name for stat in kernel if stat.is_between_programs] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: needs root")
def test_processes_of_others_are_not_waited_for():
    """Who may not read their environment sees no end of it in /proc either."""
    code = ("import os, sys, time; os.setgid(65534); os.setuid(65534)\n"
            "from jobs.keeper import processes\n"
            "began = time.monotonic()\n"
            "marks = [processes.mark_of(int(name)) for name in os.listdir('/proc') if name.isdigit()]\n"
            "sys.exit(time.monotonic() - began > 10 or not marks)\n")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, env={"PYTHONPATH": root})
    assert process.wait() == 0
