"""What the ledger of a graph and its history must have in common, in sentences about what they have not."""

__all__ = ["disagreements"]


def disagreements(history, entries, jobs, may_be_lost=False, complete=True):
    """Every rule that is broken.

    :param history: of a chain of runs of one graph, each resumed from the one before
    :param entries: what the jobs wrote, in order
    :param jobs: their configuration by id
    :param may_be_lost: whether outcomes may be unknown (both processes were killed)
    :param complete: whether the graph has to be done
    """
    found = []
    if history.integrity not in (None, "ok"):
        found.append("integrity: %s" % history.integrity)
    last = history.last()
    if last is None:
        return found + (["nothing was recorded"] if entries or complete else [])
    if complete:
        found += _incomplete(history, last, jobs)
    statuses = {(row.run_id, row.job): row.status for row in history.jobs}
    if not may_be_lost:
        found += ["%s is LOST in run %d although its keeper lived" % (job, run)
                  for (run, job), status in statuses.items() if status == "LOST"]
    found += _starts(entries, history, statuses)
    found += _order(entries, jobs)
    for entry in entries:
        if entry.kind == "E" and entry.rest == "0":
            status = statuses.get((entry.run, entry.job))
            if status != "SUCCESS" and not (status == "LOST" and may_be_lost) and (complete or status is None):
                found.append("%s ended well in run %d, the history says %s" % (entry.job, entry.run, status))
    return found


def _incomplete(history, last, jobs):
    found = []
    if last.status != "SUCCESS":
        odd = ["%s %s (%s)" % (row.job, row.status, row.reason) for row in history.of(last.run_id).values()
               if row.status not in ("SUCCESS", "SKIPPED") and not jobs[row.job].get("allow_failure")]
        found.append("the graph did not complete: %s (%s); %s" % (last.status, last.reason, "; ".join(odd[:3])))
    stale = [run.run_id for run in history.runs if run.status == "RUNNING"]
    if stale:
        found.append("runs that are still RUNNING: %s" % stale)
    return found


def _starts(entries, history, statuses):
    """Each start is known and happens once; none follows a success."""
    found = []
    known = {(row.run_id, row.job, row.attempt): row for row in history.attempts}
    seen = set()
    done, runs_of = {}, {}
    for entry in entries:
        if entry.kind == "E":
            if entry.rest == "0":
                done[entry.job] = entry.run
            continue
        name = "%s attempt %d of run %d" % (entry.job, entry.attempt, entry.run)
        key = (entry.run, entry.job, entry.attempt)
        if key in seen:
            found.append("%s was started twice" % name)
        seen.add(key)
        row = known.get(key)
        if row is None:
            found.append("%s was started and is not in the history" % name)
        elif row.status == "CANCELLED" and row.started_at is None:
            found.append("%s was started, the history says it never began" % name)
        if entry.job in done and statuses.get((done[entry.job], entry.job)) != "LOST":
            found.append("%s had succeeded in run %d and was run again in run %d" % (entry.job, done[entry.job], entry.run))
        earlier = runs_of.get(entry.job)
        if earlier not in (None, entry.run) and statuses.get((earlier, entry.job)) in ("SUCCESS", "SKIPPED"):
            found.append("%s is %s in run %d and was run again in run %d" % (
                entry.job, statuses[earlier, entry.job], earlier, entry.run))
        runs_of[entry.job] = entry.run
    return found


def _order(entries, jobs):
    """No job starts before what it depends on has ended well, or has ended and may fail."""
    found, ended = [], set()
    for entry in entries:
        job = jobs[entry.job]
        if entry.kind == "E":
            if entry.rest == "0" or job.get("allow_failure"):
                ended.add(entry.job)
            continue
        found += ["%s began before %s had ended" % (entry.job, parent)
                  for parent in job.get("dependencies", ()) if parent not in ended]
    return found
