"""Copies what has ended from a home to a server, in batches; whatever is cut off in the middle is done again.

A batch is one transaction there: whole runs, with their jobs, attempts, outputs and events. Only when it is committed
the home notes it. A kill between the two, or a commit whose answer never came, leaves a batch that is there and not
noted: the next attempt finds the runs by their UUIDs and leaves them as they are. So nothing is lost or there twice.
"""
from typing import Callable, Dict, List, NamedTuple, Sequence, Set, Tuple, TypeVar

from db.central import own_host, rows_by_keys
from db.destinations import Waiting, copied, waiting_runs
from db.history import History
from db.interface import Row
from jobs.exceptions import DatabaseError

__all__ = ["Copier", "Progress"]

_T = TypeVar("_T")
#: A batch ends with the run that brings it to so many jobs.
JOBS_AT_ONCE = 5000
RUNS_AT_ONCE = 400
EVENTS_AT_ONCE = 2000
#: How often a batch is made again because another home wrote the same row at the same time.
_COLLISIONS = 3

_RUN = ("run_uuid", "application", "status", "exit_code", "reason", "config_hash", "config_path", "options",
        "job_count", "host", "user_name", "boot_id", "runner_pid", "runner_start", "record_path", "log_dir",
        "started_at", "ended_at")
_HOME = ("home_uuid", "home_host")
_EVENT = ("application", "job_id", "at", "kind", "who", "why", "details")
#: What comes along with a run, besides its events.
_PARTS: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("jobs", ("position", "job_id", "description", "allow_failure", "recovery", "status", "reason", "attempts",
              "exit_code", "signal", "started_at", "ended_at", "duration_s", "cpu_s", "max_rss_bytes")),
    ("attempts", ("position", "attempt", "token", "status", "intended_at", "stdout_path", "stderr_path", "pid",
                  "pid_start", "started_at", "ended_at", "exit_code", "signal", "reason", "stop_reason", "duration_s",
                  "cpu_s", "max_rss_bytes", "survivors", "ready_at")),
    ("outputs", ("position", "name", "value")))


class Progress(NamedTuple):
    """What was copied."""

    runs: int = 0
    jobs: int = 0
    attempts: int = 0
    events: int = 0


def _insert(table: str, columns: Sequence[str]) -> str:
    return "INSERT INTO %s (%s) VALUES (%s)" % (table, ", ".join(columns), ", ".join("?" * len(columns)))


class Copier:
    """Copies the runs of one home to one server.

    :param history: the home's, open for writing
    :param central: the server's, open for writing
    :param destination_id: of the server in the home
    :param clock: gives epoch seconds
    """

    def __init__(self, history: History, central: History, destination_id: int, clock: Callable[[], float]) -> None:
        self._home = history.database
        self._server = central.database
        self._destination = destination_id
        self._clock = clock
        self._home_uuid = history.home_uuid()
        self._counts: Dict[str, int] = {}

    def work(self, tell: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Copy everything that waits.

        :param tell: told after each batch what was copied up to there
        :raises DatabaseError: where the home or the server refuses; what was copied before stays so
        """
        while True:
            batch = self._batch()
            if not batch:
                break
            self._commit(self._copy_runs, batch)
            copied(self._home, self._destination, batch, self._clock())
            self._count("runs", len(batch))
            tell(self._progress())
        self._copy_later_events()
        return self._progress()

    def _progress(self) -> Progress:
        return Progress(**self._counts)

    def _count(self, what: str, number: int) -> None:
        self._counts[what] = self._counts.get(what, 0) + number

    def _batch(self) -> List[Waiting]:
        batch: List[Waiting] = []
        jobs = 0
        for run in waiting_runs(self._home, self._destination, RUNS_AT_ONCE):
            batch.append(run)
            jobs += run.job_count
            if jobs >= JOBS_AT_ONCE:
                break
        return batch

    def _commit(self, write: Callable[[Sequence[_T]], None], what: Sequence[_T]) -> None:
        """One transaction on the server, made again where another home wrote the same row at the same moment."""
        before = dict(self._counts)
        for left in reversed(range(_COLLISIONS)):
            try:
                with self._server.transaction():
                    write(what)
                return
            except DatabaseError as error:
                self._counts = dict(before)
                if error.context.get("cause") != "constraint" or not left:
                    raise

    # ---- runs ----------------------------------------------------------------------------------------------------

    def _copy_runs(self, runs: Sequence[Waiting]) -> None:
        columns = ("run_id", "parent_run_id") + _RUN
        rows = rows_by_keys(self._home, "SELECT %s FROM runs WHERE run_id IN (%%s) ORDER BY run_id"
                            % ", ".join(columns), [run.run_id for run in runs])
        parents = {row[0]: row[1] for row in rows_by_keys(
            self._home, "SELECT run_id, run_uuid FROM runs WHERE run_id IN (%s)",
            sorted({row[1] for row in rows if row[1] is not None}))}
        there: Dict[str, int] = {row[1]: row[0] for row in rows_by_keys(
            self._server, "SELECT run_id, run_uuid FROM runs WHERE run_uuid IN (%s)",
            sorted({row[2] for row in rows} | set(parents.values())))}
        self._copy_configurations({row[2 + _RUN.index("config_hash")]: row[2 + _RUN.index("host")] for row in rows
                                   if row[2] not in there})
        insert = _insert("runs", ("parent_run_id",) + _RUN + _HOME + ("home_run_id", "home_parent_run_id", "copied_at",
                                                                      "untold"))
        now = self._clock()
        new: Dict[int, int] = {}
        known: Dict[int, int] = {}
        hosts: Dict[int, str] = {}
        for row in rows:
            run_id, parent, run_uuid, host = row[0], row[1], row[2], row[2 + _RUN.index("host")]
            hosts[run_id] = host
            if run_uuid in there:
                known[run_id] = there[run_uuid]
                continue
            new[run_id] = there[run_uuid] = self._server.insert(
                insert, (there.get(parents.get(parent, "")),) + tuple(row[2:]) + (
                    self._home_uuid, host, run_id, parent, now, 0), "run_id")
        for table, names in _PARTS:
            self._copy_part(table, names, new, hosts)
        self._copy_events(sorted(known) + sorted(new), {**known, **new}, hosts)

    def _copy_configurations(self, wanted: Dict[str, str]) -> None:
        there = {row[0] for row in rows_by_keys(
            self._server, "SELECT config_hash FROM configurations WHERE config_hash IN (%s)", sorted(wanted))}
        missing = sorted(set(wanted) - there)
        texts = rows_by_keys(
            self._home, "SELECT config_hash, config_text FROM configurations WHERE config_hash IN (%s)", missing)
        if texts:
            self._server.executemany(_insert("configurations", ("config_hash", "config_text") + _HOME),
                                     [(row[0], row[1], self._home_uuid, wanted[row[0]]) for row in texts])

    def _copy_part(self, table: str, names: Tuple[str, ...], new: Dict[int, int], hosts: Dict[int, str]) -> None:
        insert = _insert(table, ("run_id",) + names + _HOME)
        query = "SELECT run_id, %s FROM %s WHERE run_id IN (%%s) ORDER BY run_id" % (", ".join(names), table)
        rows = rows_by_keys(self._home, query, sorted(new))
        if rows:
            self._server.executemany(insert, [(new[row[0]],) + tuple(row[1:]) + (self._home_uuid, hosts[row[0]])
                                              for row in rows])
        if table in ("jobs", "attempts"):
            self._count(table, len(rows))

    # ---- events --------------------------------------------------------------------------------------------------

    def _copy_events(self, run_ids: Sequence[int], places: Dict[int, int], hosts: Dict[int, str]) -> None:
        rows = rows_by_keys(self._home, "SELECT event_id, run_id, %s FROM events WHERE run_id IN (%%s) "
                            "ORDER BY event_id" % ", ".join(_EVENT), run_ids)
        self._add_events(rows, places, hosts)

    def _add_events(self, rows: Sequence[Row], places: Dict[int, int], hosts: Dict[int, str]) -> None:
        """Insert those events that are not there yet."""
        at = 2 + _EVENT.index("at")
        there: Set[Tuple[int, float]] = {(row[0], row[1]) for row in rows_by_keys(
            self._server, "SELECT home_event_id, at FROM events WHERE home_uuid = ? AND home_event_id IN (%s)",
            [row[0] for row in rows], (self._home_uuid,))}
        missing = [row for row in rows if (row[0], row[at]) not in there]
        if missing:
            self._server.executemany(
                _insert("events", ("run_id",) + _EVENT + _HOME + ("home_event_id",)),
                [(None if row[1] is None else places[row[1]],) + tuple(row[2:]) + (
                    self._home_uuid, own_host() if row[1] is None else hosts[row[1]], row[0]) for row in missing])
            self._count("events", len(missing))

    def _copy_later_events(self) -> None:
        """What was done to runs that are there, and to applications whose runs go there, since the last time."""
        row = self._home.fetchone("SELECT events_up_to FROM destinations WHERE destination_id = ?",
                                  (self._destination,))
        up_to = int(row[0]) if row is not None else 0
        query = self._home.paged("SELECT event_id, run_id, %s FROM events WHERE event_id > ? ORDER BY event_id"
                                 % ", ".join(_EVENT))
        while True:
            rows = self._home.fetchall(query, (up_to, EVENTS_AT_ONCE))
            if not rows:
                return
            wanted = self._wanted(rows)
            if wanted:
                self._commit(self._copy_wanted, wanted)
            up_to = rows[-1][0]
            copied(self._home, self._destination, (), self._clock(), up_to)

    def _wanted(self, rows: Sequence[Row]) -> List[Row]:
        """The events that belong there, of those whose run came along with its own or will do so."""
        runs = {row[0] for row in rows_by_keys(
            self._home, "SELECT run_id FROM runs WHERE destination = ? AND uncopied = 0 AND run_id IN (%s)",
            sorted({row[1] for row in rows if row[1] is not None}), (self._destination,))}
        applications: Dict[str, bool] = {}
        found = []
        for row in rows:
            name = row[2 + _EVENT.index("application")]
            if row[1] is None and name is not None and name not in applications:
                last = self._home.fetchone(self._home.paged(
                    "SELECT destination FROM runs WHERE application = ? ORDER BY run_id DESC"), (name, 1))
                applications[name] = last is not None and last[0] == self._destination
            if row[1] in runs if row[1] is not None else applications.get(name, False):
                found.append(row)
        return found

    def _copy_wanted(self, rows: Sequence[Row]) -> None:
        home_runs = rows_by_keys(self._home, "SELECT run_id, run_uuid, host FROM runs WHERE run_id IN (%s)",
                                 sorted({row[1] for row in rows if row[1] is not None}))
        there = {row[1]: row[0] for row in rows_by_keys(
            self._server, "SELECT run_id, run_uuid FROM runs WHERE run_uuid IN (%s)", [row[1] for row in home_runs])}
        places = {row[0]: there[row[1]] for row in home_runs if row[1] in there}
        # A run that somebody took away there stays away, and what was done to it too.
        self._add_events([row for row in rows if row[1] is None or row[1] in places], places,
                         {row[0]: row[2] for row in home_runs})
