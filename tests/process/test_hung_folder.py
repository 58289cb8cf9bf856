"""A working folder that does not answer holds up its own job only: not the keeper, and no neighbour."""
import ctypes
import os
from pathlib import Path
from typing import Iterator

import pytest

from executor_case import Case
from jobs.keeper.mounts import Mounts
from jobs.models import JobStatus, Limits

pytestmark = pytest.mark.needs_linux

_MNT_DETACH = 2


class HungMount:
    """A FUSE file system whose server never says a word, until it goes away."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder)
        self.libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            pytest.skip("not run: no /dev/fuse (%s)" % error)
        options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % self.fd
        if self.libc.mount(b"hung", os.fsencode(self.path), b"fuse", 0, options) != 0:
            os.close(self.fd)
            pytest.skip("not run: %s to mount" % os.strerror(ctypes.get_errno()))

    def end(self) -> None:
        """The server goes away: whoever waits for it is told so."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """Unmount."""
        self.end()
        assert self.libc.umount2(os.fsencode(self.path), _MNT_DETACH) == 0


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[HungMount]:
    """A hung mount beside the test's other files."""
    folder = tmp_path / "hung"
    folder.mkdir()
    found = HungMount(folder)
    yield found
    found.close()


@pytest.mark.slow
def test_a_neighbour_runs_and_the_job_has_its_time_limit(tmp_path: Path, hung: HungMount) -> None:
    """Through a symbolic link as well: nobody looks where it leads by going there."""
    (tmp_path / "link").symlink_to(hung.path)
    case = Case(tmp_path)
    case.go("hangs", "touch %s/ran" % tmp_path, working_dir=str(tmp_path / "link" / "deep"), timeout_s=4.0)
    case.go("bound", "touch %s/ran" % tmp_path, working_dir=hung.path, timeout_s=4.0, limits=Limits(nice=1))
    case.go("neighbour", "true")
    case.until(lambda: "neighbour" in case.outcomes, "the neighbour's end")
    assert "hangs" in case.started and case.order == ["neighbour"]
    case.finish()
    assert case.close() == []
    assert case.outcomes["neighbour"].status == JobStatus.SUCCESS
    assert {case.outcomes[name].status for name in ("hangs", "bound")} == {JobStatus.TIMEOUT}
    assert case.outcomes["hangs"].signal == "SIGTERM" and not (tmp_path / "ran").exists()


def test_a_folder_that_fails_late_is_an_error_that_names_it(tmp_path: Path, hung: HungMount) -> None:
    """As if it had failed at once."""
    case = Case(tmp_path)
    case.go("late", "touch %s/ran" % tmp_path, working_dir=hung.path)
    case.until(lambda: "late" in case.started, "it counts as started")
    hung.end()
    case.finish()
    assert case.close() == []
    outcome = case.outcomes["late"]
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, None) and not (tmp_path / "ran").exists()
    assert outcome.reason.startswith("working folder %s: " % hung.path)


def test_a_folder_that_may_hang_and_answers_is_like_any_other(tmp_path: Path) -> None:
    """Here one of a kind that nobody knows to be safe."""
    if not os.path.ismount("/dev/pts") or not Mounts().may_hang(b"/dev/pts"):
        pytest.skip("not run: no /dev/pts of its own")
    case = Case(tmp_path)
    assert case.run("pwd; exit 3", working_dir="/dev/pts").exit_code == 3
    assert (case.output / "job0.out").read_text() == "/dev/pts\n"
    outcome = case.run("true", working_dir="/dev/pts/none")
    assert (outcome.status, outcome.reason) == (
        JobStatus.ERROR, "working folder /dev/pts/none: No such file or directory")
    outcome = case.run(["/no/such/program"], working_dir="/dev/pts")
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, 127)
    assert case.close() == []


def test_a_mount_made_later_is_seen(tmp_path: Path) -> None:
    """The table is read again when it has changed."""
    mounts = Mounts()
    folder = tmp_path / "blank here"
    folder.mkdir()
    name = os.fsencode(str(folder / "deep"))
    assert not mounts.may_hang(name)
    found = HungMount(folder)
    try:
        assert mounts.may_hang(name)
    finally:
        found.close()
    assert not mounts.may_hang(name)
