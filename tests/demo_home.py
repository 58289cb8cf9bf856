"""A home full of runs for looking at: several applications, a large graph, failures with output, a run that goes on.

The runner of the live run is this process, so it is alive as long as the process is.
"""
import hashlib
import json
import os
import random
import time
from typing import Dict, List, Optional, Sequence, Tuple

from db.history import EventKind, History, NewRun, RunPlaces
from jobs.events import (AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, RetryScheduled, RunEnded)
from jobs.keeper.processes import boot_id, start_time
from jobs.models import FAILURE_STATUSES, AttemptOutcome, Dependency, Job, JobStatus, Pipeline, RunStatus, When

__all__ = ["fill", "make_pipeline", "record_run"]

#: Of each job its id, what it waits for ("load", or "load:failure"), how many seconds it usually takes, and what it does.
Shape = List[Tuple[str, Sequence[str], float, str]]

ETL: Shape = [
    ("prepare", (), 2, "an empty work folder"), ("fetch_orders", ("prepare",), 34, "from the shop's replica"),
    ("fetch_customers", ("prepare",), 21, "from the CRM"), ("fetch_rates", ("prepare",), 6, "today's exchange rates"),
    ("clean_orders", ("fetch_orders",), 48, ""), ("clean_customers", ("fetch_customers",), 17, ""),
    ("convert", ("clean_orders", "fetch_rates"), 26, "every amount in euro"),
    ("load", ("convert", "clean_customers"), 75, "into the warehouse, in one transaction"),
    ("check_totals", ("load",), 9, "against the ledger"), ("report_region", ("check_totals",), 22, ""),
    ("report_customer", ("check_totals",), 31, ""), ("publish", ("report_region", "report_customer"), 5, "to the intranet"),
    ("alert", ("load",), 1, "tells the people on call"), ("clean_up", ("publish",), 2, ""),
]
STDERR = """Traceback (most recent call last):
  File "load.py", line 88, in <module>
    main(sys.argv[1:])
  File "load.py", line 61, in main
    copy_into(connection, table, rows)
psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "orders_pkey"
DETAIL:  Key (order_id)=(4711042) already exists.
"""


def large(count: int = 200) -> Shape:
    """A graph of that many jobs: sources, tables, marts."""
    source = random.Random(7)
    shape: Shape = [("connect", (), 1, "")]
    sources = ["extract_%02d" % number for number in range(count // 5)]
    shape += [(name, ("connect",), source.uniform(5, 60), "") for name in sources]
    tables = ["table_%03d" % number for number in range(count // 2)]
    shape += [(name, tuple(sorted(set(source.choices(sources, k=source.randrange(1, 3))))), source.uniform(2, 40), "")
              for name in tables]
    marts = ["mart_%02d" % number for number in range(count - 3 - len(sources) - len(tables))]
    shape += [(name, tuple(sorted(set(source.choices(tables, k=source.randrange(2, 4))))), source.uniform(5, 30), "")
              for name in marts]
    shape += [("verify", tuple(marts), 12, "every mart against its source"), ("publish", ("verify",), 3, "")]
    return shape


SYSTEMS = ("salesforce_opportunity_line_items", "netsuite_general_ledger", "shop_orders", "shop_baskets", "warehouse_stock_movements",
           "zendesk_tickets", "adwords_campaign_performance", "payment_provider_settlements", "hr", "web_events")
REGIONS = ("emea", "north-america", "latin-america", "asia-pacific")


def night() -> Shape:
    """About seventy jobs, as a warehouse runs them at night: long names, items, an inner file, and jobs for the bad case."""
    shape: Shape = [("prepare", (), 2, "an empty work folder"), ("check_free_space", (), 1, "")]
    for name in SYSTEMS:
        shape += [("extract_" + name, ("prepare", "check_free_space"), 14 + len(name), "the rows of yesterday"),
                  ("validate_" + name, ("extract_" + name,), 5 + len(name) / 3, "against the contract of its owner"),
                  ("stage_" + name, ("validate_" + name,), 20 + len(name) / 2, "")]
    shape += [("dim_" + name, ("stage_" + of,), 18, "") for name, of in (
        ("customer", SYSTEMS[0]), ("account", SYSTEMS[1]), ("product", SYSTEMS[2]), ("campaign", SYSTEMS[6]), ("employee", "hr"))]
    shape += [("fact_" + name, needs, took, text) for name, needs, took, text in (
        ("sales", ("dim_customer", "dim_product", "stage_shop_orders"), 88, "orders and what was paid for them"),
        ("ledger", ("dim_account", "stage_payment_provider_settlements"), 41, "double entry, checked"),
        ("stock", ("dim_product", "stage_warehouse_stock_movements"), 37, ""),
        ("marketing_attribution_by_touchpoint", ("dim_campaign", "stage_web_events", "stage_shop_baskets"), 64, ""),
        ("support", ("dim_customer", "stage_zendesk_tickets", "dim_employee"), 22, ""))]
    shape += [("regional_report[%s]" % region, ("fact_sales", "fact_stock"), 26, "one PDF for each region") for region in REGIONS]
    shape += [("close/" + name, needs, took, "") for name, needs, took in (
        ("reconcile", ("fact_ledger", "fact_sales"), 33), ("accruals", ("close/reconcile",), 12), ("journal", ("close/accruals",), 9),
        ("lock_period", ("close/journal",), 1))]
    shape += [("export_" + name, needs, took, text) for name, needs, took, text in (
        ("to_tableau", ("fact_sales", "fact_marketing_attribution_by_touchpoint"), 31, ""),
        ("to_sftp_of_the_auditors", ("close/lock_period",), 8, "PGP, as agreed"),
        ("stock_levels_to_shop", ("fact_stock",), 7, ""), ("churn_features", ("fact_support", "fact_sales"), 55, "for the model"))]
    shape += [("train_churn_model", ("export_churn_features",), 120, ""), ("score_customers", ("train_churn_model",), 44, ""),
              ("ledger_fallback_from_yesterday", ("fact_ledger:failure",), 3, "only where today's cannot be had"),
              ("page_the_person_on_call", ("fact_sales:failure",), 1, "runs only when the sales failed"),
              ("refresh_caches", ("export_to_tableau",), 6, ""), ("mail_the_summary", ("export_to_tableau:done", "close/lock_period:done"), 2, ""),
              ("vacuum", ("mail_the_summary:done",), 40, ""), ("clean_up", ("vacuum:done",), 2, "")]
    return shape


def huge(count: int = 10000, wide: int = 400) -> Shape:
    """That many jobs, in stages of so many, each stage behind a gate."""
    shape: Shape = []
    gate: Sequence[str] = ()
    for stage in range(-(-count // wide)):
        names = ["shard_%02d_%03d" % (stage, number) for number in range(min(wide, count - len(shape)) - 1)]
        shape += [(name, gate, 3 + len(shape) % 7, "") for name in names]
        shape.append(("gate_%02d" % stage, names[-1:], 1, "the stage is done"))
        gate = (shape[-1][0],)
    return shape


def arrow(text: str) -> Dependency:
    """What "load:failure" means."""
    job, _, when = text.partition(":")
    return Dependency(job, when or When.SUCCESS)


def make_pipeline(application: str, shape: Shape) -> Pipeline:
    """The pipeline of a shape, with its text as the history keeps it."""
    jobs = [{"id": name, "command": "./run.sh %s" % name, "dependencies": [
        one if ":" not in one else {"job": arrow(one).job, "when": arrow(one).when} for one in needs]}
            for name, needs, _, _ in shape]
    text = json.dumps({"application_name": application, "parallel": True, "max_workers": 6, "jobs": jobs}, indent=2)
    return Pipeline(application, [Job(name, "./run.sh " + name, text_, tuple(arrow(one) for one in needs))
                                  for name, needs, _, text_ in shape],
                    config_path="/srv/pipelines/%s.json" % application, config_text=text,
                    config_hash=hashlib.sha256(text.encode()).hexdigest())


def record_run(history: History, home: str, application: str, shape: Shape, started_at: float, seed: int,
               failing: Sequence[str] = (), retrying: Sequence[str] = (), until_s: Optional[float] = None,
               workers: int = 6, parent: Optional[int] = None, ends: Optional[Dict[str, Tuple[str, str]]] = None,
               with_output: bool = True) -> int:
    """One run; where ``until_s`` is given, as it was so many seconds after its start, and still going on.

    :param ends: of some jobs the status, and why
    """
    source = random.Random(seed)
    pipeline = make_pipeline(application, shape)
    live = dict(boot_id=boot_id(), runner_pid=os.getpid(), runner_start=start_time(os.getpid())) if until_s else {}
    places: List[str] = []

    def place(run_id: int) -> RunPlaces:
        places.append(os.path.join(home, "logs", "%d" % run_id))
        os.makedirs(places[0], 0o700)
        return RunPlaces(places[0], "")

    run_id = history.create_run(NewRun("%032x" % source.getrandbits(127), started_at, parent, host="etl-1", user="etl",
                                       **live), pipeline, place)  # type: ignore[arg-type]
    journal = history.journal(run_id)
    events: List[Tuple[float, Event]] = []
    ended: Dict[str, Tuple[float, str]] = {}
    slots = [started_at] * workers
    for position, (name, needs, usual_s, _) in enumerate(shape):
        token = "%d.%d.1" % (run_id, position)
        arrows = [arrow(one) for one in needs]
        ready = max([ended[one.job][0] for one in arrows] + [started_at])
        stops = [one for one in arrows if not _lets_on(one, ended[one.job][1])]
        if stops:
            is_skip = stops[0].when == When.FAILURE and ended[stops[0].job][1] in (JobStatus.SUCCESS, JobStatus.SKIPPED)
            status = JobStatus.SKIPPED if is_skip or ended[stops[0].job][1] == JobStatus.SKIPPED else JobStatus.BLOCKED
            ended[name] = (ready, status)
            events.append((ready, JobEnded(position, name, status, "%s did not %s" % (
                stops[0].job, "fail" if is_skip else "succeed"), 0, ready)))
            continue
        slot = min(range(workers), key=lambda one: slots[one])
        begin = max(ready, slots[slot]) + 0.01
        first = begin
        tries = 2 if name in retrying else 1
        for attempt in range(1, tries + 1):
            is_last = attempt == tries
            took = usual_s * source.uniform(0.85, 1.2) * (1 if is_last else 0.3)
            status = JobStatus.SUCCESS if is_last and name not in failing else JobStatus.FAILED
            code: Optional[int] = 0 if status == JobStatus.SUCCESS else 1
            reason = "exit code %s" % code
            if ends and is_last and name in ends:
                (status, reason), code = ends[name], None
            token = "%d.%d.%d" % (run_id, position, attempt)
            base = os.path.join(places[0], "%s.%d" % (name.replace("/", "_"), attempt))
            if with_output:
                _write(base + ".out", "".join("%s row batch %d written\n" % (time.strftime(
                    "%H:%M:%S", time.gmtime(begin + took * step / 40)), step) for step in range(40)))
                _write(base + ".err", STDERR if code else "")
            events.append((begin, AttemptIntended(position, name, attempt, token, base + ".out", base + ".err", begin,
                                                  ready)))
            events.append((begin, AttemptStarted(position, name, attempt, token, 4000 + position, 1, begin)))
            outcome = AttemptOutcome(status, code, None, reason, "", begin, begin + took, took,
                                     took * source.uniform(0.3, 0.95), int(source.uniform(20, 900) * (1 << 20)))
            events.append((begin + took, AttemptEnded(position, name, attempt, token, outcome, begin + took)))
            if not is_last:
                events.append((begin + took, RetryScheduled(position, name, attempt + 1, usual_s * 0.2, "exit code 1",
                                                            begin + took)))
                ready = begin + took + usual_s * 0.2
                begin = ready + 0.01
        end = begin + took
        slots[slot] = end
        ended[name] = (end, status)
        events.append((end, JobEnded(position, name, status, reason, tries, end, code, None, begin,
                                     end - first, outcome.cpu_s, outcome.max_rss_bytes)))
    events.sort(key=lambda pair: pair[0])
    kept = [event for at, event in events if until_s is None or at <= started_at + until_s]
    if until_s is None:
        bad = [name for name, (_, status) in ended.items() if status not in (JobStatus.SUCCESS, JobStatus.SKIPPED)]
        last = max(at for at, _ in events)
        kept.append(RunEnded(run_id, RunStatus.FAILED if bad else RunStatus.SUCCESS, 1 if bad else 0,
                             "%d of %d jobs failed" % (len(bad), len(shape)) if bad else "", last))
    journal.commit(kept)
    return run_id


def _lets_on(of: Dependency, status: str) -> bool:
    """Whether what a job waits for has come."""
    return {When.SUCCESS: status == JobStatus.SUCCESS, When.FAILURE: status in FAILURE_STATUSES}.get(of.when, True)


def _write(path: str, text: str) -> None:
    with open(path, "w") as out:
        out.write(text)


def fill(home: str, now: float) -> Dict[str, int]:
    """Fill a home; the numbers of the runs that are worth a look."""
    found: Dict[str, int] = {}
    source = random.Random(3)
    small: Dict[str, Shape] = {
        "backup_all": [("snapshot", (), 30, ""), ("upload", ("snapshot",), 140, ""), ("verify", ("upload",), 25, "")],
        "billing_close": ETL[:9], "web_logs": ETL[:6], "cert_renewal": [("renew", (), 4, ""), ("reload", ("renew",), 1, "")],
        "mail_digest": ETL[:4],
    }
    with History.open(os.path.join(home, "history.db")) as history:
        for name, shape in small.items():
            for back in range(26, 0, -1):
                failing = [shape[-2][0]] if source.random() < (0.3 if name == "backup_all" else 0.05) else []
                found[name] = record_run(history, home, name, shape, now - back * 86400 - source.uniform(0, 3000),
                                         source.getrandbits(30), failing)
        for back in range(32, 1, -1):
            record_run(history, home, "nightly_etl", ETL, now - back * 86400, back, ["load"] if back in (20, 9) else [],
                       ["fetch_orders"] if back % 6 == 0 else [])
        found["etl_good"] = record_run(history, home, "nightly_etl", ETL, now - 86400 - 9000, 77, [], ["fetch_customers"])
        found["etl_failed"] = record_run(history, home, "nightly_etl", ETL, now - 5400, 78, ["load"], ["fetch_orders"])
        history.add_event(EventKind.MARK_SUCCESS, now - 3000, found["etl_failed"], job_id="load", who="alice@etl-1",
                          why="loaded by hand, ticket 4711")
        history.add_event(EventKind.HOLD, now - 2000, application="billing_close", job_id="convert", who="bob@etl-1",
                          why="rates are wrong today")
        for back in range(12, 0, -1):
            found["large"] = record_run(history, home, "warehouse", large(), now - back * 86400 + 3600, 100 + back,
                                        ["table_017"] if back in (6,) else [], workers=16)
        found["live"] = record_run(history, home, "warehouse", large(), now - 170, 200, ["table_042", "extract_11"], ["table_020"],
                                   until_s=170, workers=16)
        bad = {"stage_shop_baskets": (JobStatus.TIMEOUT, "still running after 60 s: stopped"),
               "validate_hr": (JobStatus.ERROR, "./run.sh: permission denied"),
               "fact_ledger": (JobStatus.LOST, "the machine restarted while it ran; what it did is not known")}
        tried = ["extract_payment_provider_settlements", "extract_web_events", "export_stock_levels_to_shop"]
        for back in range(21, 0, -1):
            found["night_good"] = record_run(history, home, "nightly_warehouse_refresh", night(), now - back * 86400 + 600, 300 + back,
                                             ["export_to_sftp_of_the_auditors"] if back in (4, 13) else [], tried[:1 + back % 3], workers=8)
        found["night"] = record_run(history, home, "nightly_warehouse_refresh", night(), now - 700, 400, ["export_to_tableau"], tried,
                                    workers=8, ends=bad)
        found["night_live"] = record_run(history, home, "nightly_warehouse_refresh", night(), now - 141, 401, ["validate_zendesk_tickets"],
                                         ["stage_salesforce_opportunity_line_items", "validate_web_events"], until_s=141, workers=8,
                                         ends={"validate_hr": bad["validate_hr"]}, parent=found["night"])
        history.add_event(EventKind.HOLD, now - 90, application="nightly_warehouse_refresh", job_id="train_churn_model",
                          who="carol@etl-1", why="waits for the new licence")
        found["huge"] = record_run(history, home, "reprocess_the_archive", huge(), now - 7200, 500, ["shard_03_017", "shard_20_100"],
                                   ["shard_01_001"], workers=120, with_output=False)
    return found
