"""The fault suite itself: its bound, its model of a disk, its rows and its sabotages. ``run.py`` makes the trials."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time

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
@pytest.mark.slow
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


def make_row(trial, wanted=6, lanes=2):
    """A row of its own, run to its end: what it has found."""
    trials = faultlib.Trials("T1", "quick", wanted, "1", time.monotonic() + 60, faultlib.Product(), lanes=lanes)

    def counted(number):
        trial(trials, number)
        trials.done()

    trials.make(counted)
    return trials.so_far()


def test_what_the_suite_stumbles_over_is_told_in_its_row_and_is_no_violation():
    def stumbles_once(trials, number):
        if number == 1:
            int("not a number")

    result = make_row(stumbles_once)
    assert result["trials"] >= 5 and result["violations"] == 0
    assert "seed 1 trial 1" in result["broken"] and "not a number" in result["broken"]
    assert run.state_of(result) == "failed"


def test_what_stumbles_always_ends_its_row():
    def stumbles(trials, number):
        raise OSError("always")

    result = make_row(stumbles, lanes=1)
    assert result["trials"] == 0 and result["broken"].count("OSError: always") == faultlib.ERRORS_THAT_END_A_ROW


def test_a_history_that_is_damaged_and_a_command_that_hangs_are_violations():
    def finds(trials, number):
        if number == 0:
            raise sqlite3.DatabaseError("database disk image is malformed")
        if number == 1:
            raise subprocess.TimeoutExpired(["run"], 60)

    result = make_row(finds)
    assert result["violations"] == 2 and result["broken"] == ""


def test_a_row_that_cannot_be_run_here_says_so():
    def refuses(trials, number):
        raise faultlib.NotRun("no root")

    with pytest.raises(faultlib.NotRun):
        make_row(refuses)


def test_one_trial_is_replayed_alone_and_whole():
    seen = []
    trials = faultlib.Trials("T1", "quick", 5, "1", time.monotonic() + 60, faultlib.Product())
    trials.first, trials.replays = 17, True

    def trial(number):
        while len(seen) < 20 and trials.more():
            seen.append(number)
            trials.done()

    trials.make(trial)
    assert seen == [17] * 20


def test_a_row_that_dies_is_a_failed_row_with_what_it_had_found(tmp_path):
    options = run.arguments(["--only", "S4", "--trials", "100000"])  # more than can end before it is killed
    row = run.all_rows()["S4"]
    running = run.Running(row, options, 30.0, str(tmp_path))
    assert faultlib.wait_until(lambda: os.path.exists(running.out), 60)
    os.kill(running.child.pid, 9)
    result = faultlib.wait_until(running.result, 60)
    assert "ended with -9" in result["broken"] and run.state_of(result) == "failed"
    assert result["id"] == "S4"
    # A file that is no result, in place of it.
    (tmp_path / "S4.json").write_text("[")
    assert run.state_of(running.result()) == "failed"


def test_what_an_earlier_run_has_left_can_be_put_into_the_document(tmp_path):
    ident = list(run.all_rows())[0]
    facts = {"commit": "c0ffee", "date": "d", "kernel": "k", "cpus": 2, "file_system": "f", "python": "3", "sqlite": "3", "seed": "1",
             "level": "full", "rows": [{"id": ident, "trials": 4321, "violations": 0, "broken": "", "not_run": "", "figures": {}}]}
    (tmp_path / "faults.json").write_text(json.dumps(facts))
    document = str(tmp_path / "proven.md")
    assert run.main(["--merge", str(tmp_path / "faults.json"), "--proven", document]) == 0
    line = run.kept_lines(document)[ident]
    assert "4321 " in line and "full, c0ffee" in line
    # Sabotages stay beside it, whatever is put in after them.
    for caught in ([["k1-results-pending", "K1", True, "x"]], [["l2-check-then-create", "L2", False, "x"]], []):
        (tmp_path / "faults.json").write_text(json.dumps(dict(facts, sabotages=caught)))
        assert run.main(["--merge", str(tmp_path / "faults.json"), "--proven", document]) == 0
    text = run.read(document)
    assert "1 of 2 sabotages caught" in text and "| k1-results-pending | K1 | yes |" in text and "4321 " in text


def test_an_even_spread_is_told_from_a_herd():
    import herd
    far, limit = herd.difference([(one + 0.5) / 100 for one in range(100)])
    assert far < 0.01 < limit
    far, limit = herd.difference([0.5] * 100)
    assert far == 0.5 > limit
    assert herd.fullest_window([0, 0.05, 0.1, 0.11, 5]) == 3
