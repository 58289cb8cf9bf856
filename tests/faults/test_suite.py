"""The fault suite itself: its bound, its model of a disk, its rows and its sabotages. ``run.py`` makes the trials."""
import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import faultlib  # noqa: E402
import powercut  # noqa: E402
import run  # noqa: E402


def test_the_bound_is_that_of_clopper_and_pearson():
    assert faultlib.clopper_pearson(0, 10000) == pytest.approx(0.0002995, rel=1e-3)
    for violations, trials in ((1, 20), (5, 50), (3, 400)):
        bound = faultlib.clopper_pearson(violations, trials)
        # By its definition: so few or fewer are seen with a probability of 5 %.
        term = (1 - bound) ** trials
        total = term
        for seen in range(violations):
            term *= (trials - seen) / (seen + 1) * bound / (1 - bound)
            total += term
        assert total == pytest.approx(0.05, rel=1e-6)
    assert faultlib.clopper_pearson(3, 3) == 1.0


def test_every_row_says_what_it_does_and_has_a_sabotage():
    rows = run.all_rows()
    assert len(rows) >= 30
    for row in rows.values():
        assert row.invariant and row.inject and row.count and row.teeth and row.unit
        assert 0 < row.quick <= row.full
    assert set(rows) == {ident for _, ident in run.sabotages([])}


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not here")
@pytest.mark.parametrize("path", [path for path, _ in run.sabotages([])], ids=os.path.basename)
def test_a_sabotage_still_applies(path):
    done = subprocess.run(["patch", "-p1", "-s", "-F0", "--dry-run", "-i", path], cwd=faultlib.ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")


@pytest.mark.skipif(not powercut.can_trace(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("journal, synchronous, loses", powercut.PROOFS)
def test_the_model_of_a_disk_tells_the_modes_of_sqlite_apart(journal, synchronous, loses):
    lost, corrupt = powercut.prove(journal, synchronous, 60, 40, 1)
    assert corrupt == 0
    assert lost["kept"] == 0
    assert (lost["dropped"] + lost["random"] > 0) == loses


def test_a_row_of_a_lower_level_does_not_replace_one_of_a_higher(tmp_path):
    path = str(tmp_path / "proven.md")
    row = list(run.all_rows().values())[0]
    facts = {"commit": "c", "date": "d", "kernel": "k", "cpus": 2, "file_system": "f", "python": "3", "sqlite": "3",
             "seed": "1", "level": "full"}
    result = {"trials": 1000, "violations": 0, "broken": "", "not_run": "", "figures": {}}
    run.write_proven(path, [row], [result], facts)
    run.write_proven(path, [row], [dict(result, trials=5)], dict(facts, level="quick"))
    assert "1000 " + row.unit in run.kept_lines(path)[row.ident]
    run.write_proven(path, [row], [dict(result, trials=2000)], facts)
    assert "2000 " + row.unit in run.kept_lines(path)[row.ident]


def test_a_row_that_found_nothing_to_do_has_failed():
    result = {"trials": 0, "violations": 0, "broken": "", "not_run": "", "figures": {}}
    assert run.state_of(result) == "failed"
    assert run.state_of(dict(result, trials=1)) == "passed"
    assert run.state_of(dict(result, trials=9, violations=1)) == "failed"
    assert run.state_of(dict(result, not_run="no root")) == "not run"
