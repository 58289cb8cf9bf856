"""The pages of the dashboard and the states of each that are worth a look: for pictures, and for axe."""
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from api.report import report_page
from db.history import History
from jobs.masking import NO_SECRETS

__all__ = ["State", "STATES", "open_state", "write_reports"]

_LOADED = ".app, .runs tbody tr, .compare-row, .empty, .tab, .chart"


class State(NamedTuple):
    """A page, how it is brought about, and what says that it is there.

    :param address: with the names of ``demo_home.fill`` in it, ``{night}``; "file:NAME" is a report
    """

    name: str
    address: str
    ready: str = _LOADED
    act: Optional[Callable[[Any], object]] = None
    #: "alice" operates, "" has no token.
    token: str = "alice"
    #: The home: "full", or "empty".
    home: str = "full"


def _tab(name: str) -> Callable[[Any], object]:
    return lambda page: page.click("#tab-" + name)


def _button(name: str) -> Callable[[Any], object]:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def _wrong_token(page: Any) -> None:
    page.get_by_label("Token").fill("exec_wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector(".login-problem:has-text('not known')")


def _search_log(page: Any) -> None:
    page.wait_for_selector(".side-panel .log:has-text('Traceback')")
    page.get_by_label("Search the output").fill("line")


def _find_in_graph(page: Any) -> None:
    page.get_by_label("Find in the graph").fill("shop")


def _pick_two(page: Any) -> None:
    for place in (0, 2):
        page.locator(".runs input").nth(place).check()


def _find_no_job(page: Any) -> None:
    page.click("#tab-jobs")
    page.wait_for_selector(".job-row")
    page.get_by_label("Find a job").fill("no such job")


STATES: List[State] = [
    State("login", "#/", ".login", token=""),
    State("login_wrong", "#/", ".login", _wrong_token, token=""),
    State("applications", "#/", ".app"),
    State("applications_empty", "#/", ".empty", home="empty"),
    State("applications_none", "#/", ".app", lambda page: page.get_by_label("Find an application").fill("zzz")),
    State("application", "#/applications/nightly_warehouse_refresh", ".chart"),
    State("application_unknown", "#/applications/nobody", ".empty"),
    State("runs", "#/runs", ".runs tbody tr"),
    State("runs_picked", "#/runs?application=nightly_etl", ".runs tbody tr", _pick_two),
    State("runs_none", "#/runs?application=nightly_etl&status=LOST", ".empty"),
    State("runs_empty", "#/runs", ".empty", home="empty"),
    State("page_unknown", "#/nowhere", ".empty"),
    State("run_unknown", "#/runs/99999", ".empty"),
    State("run_graph_small", "#/runs/{etl_failed}", ".node"),
    State("run_graph", "#/runs/{night}", ".node"),
    State("run_graph_live", "#/runs/{night_live}", ".node"),
    State("run_graph_found", "#/runs/{night}", ".node", _find_in_graph),
    State("run_graph_large", "#/runs/{live}", ".node"),
    State("run_graph_huge", "#/runs/{huge}", ".tab", _tab("graph")),
    State("run_timeline", "#/runs/{night}", ".tab", _tab("timeline")),
    State("run_timeline_live", "#/runs/{night_live}", ".tab", _tab("timeline")),
    State("run_timeline_huge", "#/runs/{huge}", ".tab", _tab("timeline")),
    State("run_jobs", "#/runs/{night}", ".tab", _tab("jobs")),
    State("run_jobs_none", "#/runs/{night}", ".tab", _find_no_job),
    State("run_jobs_huge", "#/runs/{huge}", ".tab", _tab("jobs")),
    State("run_journal", "#/runs/{night}", ".tab", _tab("journal")),
    State("run_journal_empty", "#/runs/{large}", ".tab", _tab("journal")),
    State("run_configuration", "#/runs/{night}", ".tab", _tab("configuration")),
    State("job_failed", "#/runs/{etl_failed}/jobs/load", ".side-panel .log", _search_log),
    State("job_tried", "#/runs/{night}/jobs/extract_web_events", ".side-panel .log"),
    State("job_live", "#/runs/{night_live}/jobs/stage_netsuite_general_ledger", ".side-panel h2"),
    State("job_blocked", "#/runs/{night}/jobs/page_the_person_on_call", ".side-panel h2"),
    State("job_held", "#/runs/{night_live}/jobs/train_churn_model", ".side-panel h2"),
    State("job_unknown", "#/runs/{night}/jobs/nobody", ".side-panel .empty"),
    State("dialog_resume", "#/runs/{night}", ".tab", _button("Resume")),
    State("dialog_cancel", "#/runs/{night_live}", ".tab", _button("Cancel")),
    State("compare", "#/compare/{night_good}/{night}", ".compare-row .side"),
    State("compare_same", "#/compare/{large}/{large}", ".compare-row .side",
          lambda page: page.get_by_label("only what differs").check()),
    State("docs", "docs", ".route"),
    State("report", "file:report.html", ".node"),
    State("report_large", "file:large.html", ".node"),
    State("status_page", "file:status.html", ".node"),
]


def write_reports(home: str, folder: str, found: Dict[str, int], now: float) -> None:
    """The files that stand by themselves."""
    with History.open(os.path.join(home, "history.db")) as history:
        for name, key, refresh_s in (("report", "night", 0), ("large", "live", 0), ("status", "night_live", 10)):
            run = history.run(found[key], with_jobs=False)
            assert run is not None
            with open(os.path.join(folder, name + ".html"), "wb") as out:
                out.write(report_page(history, run, NO_SECRETS, now, refresh_s))


def open_state(page: Any, state: State, origin: str, secret: str, found: Dict[str, int], folder: str) -> None:
    """Bring a page into a state.

    :param origin: "http://127.0.0.1:PORT/"
    :param secret: a token that may operate
    :param folder: where ``write_reports`` wrote
    """
    if state.address.startswith("file:"):
        page.goto("file://" + os.path.join(folder, state.address[5:]))
    else:
        page.goto(origin + "static/icon.svg")
        page.evaluate("token => sessionStorage[token ? 'setItem' : 'removeItem']('executioner-token', token)", secret if state.token else "")
        page.goto(origin + state.address.format_map(found))
    page.wait_for_selector(state.ready)
    if state.act is not None:
        state.act(page)
    page.wait_for_timeout(500)
