"""What must agree in a history, beyond what the database itself sees to: asked by ``db check`` and after a rebuild."""
from typing import FrozenSet, List, Tuple

from db.interface import DatabaseInterface
from jobs.models import FAILS_RUN, FINAL_STATUSES, RUN_STATUSES, JobStatus, RunStatus

__all__ = ["inconsistencies"]

#: No more of a kind are named.
_MOST = 10


def _listed(words: FrozenSet[str]) -> str:
    return ", ".join("'%s'" % word for word in sorted(words))


_FINAL = _listed(FINAL_STATUSES)
_ENDED = _listed(RUN_STATUSES - {RunStatus.RUNNING})
#: A query that finds nothing where all is well, and what is wrong with a row that it gives.
_RULES: Tuple[Tuple[str, str], ...] = (
    ("SELECT run_id, status FROM runs WHERE status NOT IN (%s) ORDER BY run_id" % _listed(RUN_STATUSES),
     "run %s has the status %s, which there is not"),
    ("SELECT run_id, job_id, status FROM jobs WHERE status NOT IN (%s, '%s') ORDER BY run_id, position"
     % (_FINAL, JobStatus.PENDING), "run %s: job %s has the status %s, which there is not"),
    ("SELECT r.run_id, r.status, j.job_id, j.status FROM runs r JOIN jobs j ON j.run_id = r.run_id "
     "WHERE r.status IN (%s) AND j.status = '%s' ORDER BY r.run_id, j.position" % (_ENDED, JobStatus.PENDING),
     "run %s is %s, but its job %s is %s"),
    ("SELECT run_id, status FROM runs WHERE status IN (%s) AND (ended_at IS NULL OR exit_code IS NULL) ORDER BY run_id"
     % _ENDED, "run %s is %s, but has no end or no exit code"),
    ("SELECT run_id FROM runs WHERE status = '%s' AND ended_at IS NOT NULL ORDER BY run_id" % RunStatus.RUNNING,
     "run %s runs, but has an end"),
    ("SELECT r.run_id, j.job_id, j.status FROM runs r JOIN jobs j ON j.run_id = r.run_id WHERE r.status = '%s' "
     "AND j.allow_failure = 0 AND j.status IN (%s) ORDER BY r.run_id, j.position"
     % (RunStatus.SUCCESS, _listed(frozenset(FAILS_RUN))), "run %s is SUCCESS, but its job %s is %s"),
    ("SELECT r.run_id, r.job_count, count(j.run_id) FROM runs r LEFT JOIN jobs j ON j.run_id = r.run_id "
     "GROUP BY r.run_id HAVING r.job_count <> count(j.run_id) OR max(j.position) <> r.job_count - 1 ORDER BY r.run_id",
     "run %s should have %s jobs, numbered from 0, and has %s"),
    ("SELECT run_id, parent_run_id FROM runs WHERE parent_run_id >= run_id ORDER BY run_id",
     "run %s resumes run %s, which came later"),
    ("SELECT j.run_id, j.job_id, a.attempt, a.status FROM jobs j JOIN attempts a ON a.run_id = j.run_id "
     "AND a.position = j.position WHERE j.status IN (%s) AND (a.status NOT IN (%s) OR a.ended_at IS NULL) "
     "ORDER BY j.run_id, j.position" % (_FINAL, _FINAL), "run %s: job %s is over, but its attempt %s is %s"),
    ("SELECT j.run_id, j.job_id, j.attempts, count(a.attempt) FROM jobs j LEFT JOIN attempts a "
     "ON a.run_id = j.run_id AND a.position = j.position WHERE j.status IN (%s) GROUP BY j.run_id, j.position "
     "HAVING j.attempts > count(a.attempt) ORDER BY j.run_id, j.position" % _FINAL,
     "run %s: job %s had %s attempts, and %s are recorded"),
    ("SELECT run_id, position, max(attempt), count(*) FROM attempts GROUP BY run_id, position "
     "HAVING max(attempt) <> count(*) OR min(attempt) <> 1 ORDER BY run_id, position",
     "run %s: the attempts of job number %s go to %s, and there are %s"),
    ("SELECT j.run_id, j.job_id, a.status FROM jobs j "
     "JOIN attempts a ON a.run_id = j.run_id AND a.position = j.position "
     "AND a.attempt = j.attempts WHERE j.status = '%s' AND a.status <> '%s' ORDER BY j.run_id, j.position"
     % (JobStatus.SUCCESS, JobStatus.SUCCESS), "run %s: job %s is SUCCESS, but its last attempt is %s"),
)


def inconsistencies(database: DatabaseInterface) -> List[str]:
    """What does not agree, a line each; at most ten of a kind.

    :raises DatabaseError: where the database cannot be read
    """
    found: List[str] = []
    for query, words in _RULES:
        rows = database.fetchall(query)
        found += [words % tuple(row) for row in rows[:_MOST]]
        if len(rows) > _MOST:
            found.append("and %d more of that kind" % (len(rows) - _MOST))
    if database.fetchone("SELECT 1 FROM meta WHERE name = 'home_uuid'") is None:
        found.append("the home's UUID is missing")
    return found
