"""INVARIANT: whoever dies, and whenever: no result is lost, what is done is not done again, what nobody knows is LOST.

Each seed is one pipeline, run and resumed until it is over. A failure names the seed that replays it.
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import crashes  # noqa: E402
import simulate  # noqa: E402

from db import truth  # noqa: E402
from executioner import resume  # noqa: E402
from jobs import reconcile as reconcile_module  # noqa: E402
from jobs.engine import Engine  # noqa: E402
from jobs.keeper.record import RecordedRun  # noqa: E402
from jobs.models import JobStatus  # noqa: E402

SLICES = 4
NIGHTS_A_SLICE = 90


@pytest.mark.parametrize("part", [0] + [pytest.param(part, marks=pytest.mark.slow) for part in range(1, SLICES)])
def test_random_deaths_lose_and_double_nothing(part):
    facts = crashes.run_many(part * 100000, NIGHTS_A_SLICE)
    # A simulation that stopped killing would make this test say nothing.
    assert facts["deaths"] > NIGHTS_A_SLICE and facts["lost"] > NIGHTS_A_SLICE / 4
    assert facts["attempts"] > NIGHTS_A_SLICE * 10


def _forgets_the_record(path):
    return RecordedRun()


def _runs_lost_again(old, parent, reruns_lost, failed_only, was=resume._decided):
    return was(old, parent, True, failed_only)


def _runs_done_again(old, parent, reruns_lost, failed_only, was=resume._decided):
    return None if old.status == JobStatus.SUCCESS else was(old, parent, reruns_lost, failed_only)


def _unknown_is_cancelled(outcome_of, *rest):
    outcome = outcome_of(*rest)
    if outcome is not None and outcome.status == JobStatus.LOST:
        outcome.status = JobStatus.CANCELLED
    return outcome


BROKEN = {
    "the record is forgotten": (truth, "read_record", _forgets_the_record),
    "what is lost is run again": (resume, "_decided", _runs_lost_again),
    "what is done is run again": (resume, "_decided", _runs_done_again),
    "what is unknown is cancelled": (reconcile_module, "_outcome", lambda *rest, was=reconcile_module._outcome:
                                     _unknown_is_cancelled(was, *rest)),
    "started before it is kept": (Engine, "_save", lambda self, now, was=Engine._save: (self._act(now), was(self, now))[1]),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
@pytest.mark.slow
def test_the_simulation_notices(name, monkeypatch):
    where, attribute, broken = BROKEN[name]
    monkeypatch.setattr(where, attribute, broken)
    with pytest.raises(simulate.Violation):
        crashes.run_many(0, 100)
