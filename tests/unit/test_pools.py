"""Pools: slots that all runs on the host share, kept by the kernel."""
import os
import subprocess
import sys

from jobs.pools import Pools


def test_a_pool_gives_no_more_slots_than_it_has_to_all_runs_together(tmp_path):
    ours, theirs = Pools(str(tmp_path), {"db": 3}), Pools(str(tmp_path), {"db": 3})
    first = ours.take("db", 2)
    assert first == [0, 1]
    assert theirs.take("db", 2) is None
    assert theirs.take("db", 1) == [2]
    assert ours.take("db", 1) is None
    ours.give("db", first)
    assert theirs.take("db", 2) == [0, 1]
    ours.close()
    theirs.close()


def test_what_could_not_be_taken_as_a_whole_is_given_back(tmp_path):
    ours, theirs = Pools(str(tmp_path), {"db": 2}), Pools(str(tmp_path), {"db": 2})
    assert theirs.take("db", 1) == [0]
    assert ours.take("db", 2) is None
    theirs.give("db", [0])
    assert theirs.take("db", 2) == [0, 1]


def test_a_pool_that_another_file_makes_smaller_uses_the_first_slots(tmp_path):
    small, large = Pools(str(tmp_path), {"db": 1}), Pools(str(tmp_path), {"db": 3})
    assert small.take("db", 1) == [0]
    assert large.take("db", 2) == [1, 2]
    assert large.take("db", 1) is None


def test_names_are_kept_apart_whatever_they_hold(tmp_path):
    pools = Pools(str(tmp_path), {"a/b": 1, "a_b": 1, "../x": 1})
    assert [pools.take(name, 1) for name in ("a/b", "a_b", "../x")] == [[0], [0], [0]]
    assert all(entry.startswith("pool-") for entry in os.listdir(str(tmp_path)))
    assert all(os.stat(str(tmp_path / entry)).st_mode & 0o777 == 0o600 for entry in os.listdir(str(tmp_path)))


def test_slots_stay_taken_as_long_as_whoever_inherited_them_lives(tmp_path):
    ours = Pools(str(tmp_path), {"db": 1})
    assert ours.take("db", 1) == [0]
    for descriptor in ours.descriptors:
        os.set_inheritable(descriptor, True)
    heir = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False)
    ours.close()
    others = Pools(str(tmp_path), {"db": 1})
    assert others.take("db", 1) is None
    heir.communicate()
    assert others.take("db", 1) == [0]
