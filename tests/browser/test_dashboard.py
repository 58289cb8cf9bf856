"""People at the dashboard: a run that fails, is tried again, and is resumed from the page; reading, keys, sizes."""
import importlib.util
import json
import os
import subprocess
import time
from typing import Any, Optional

import pytest

import demo_home
from browser_case import Tab
from config.items import label_of
from db_samples import finished_run
from demo_pages import STATES, open_state, write_reports


def axe_script() -> Optional[str]:
    """Where the script of axe-core is: ``AXE_CORE``, or the Python package that carries it."""
    found = [os.environ.get("AXE_CORE", ""), "node_modules/axe-core/axe.min.js"]
    package = importlib.util.find_spec("axe_playwright_python")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        found.append(os.path.join(folder, "axe.min.js"))
    return next((path for path in found if path and os.path.exists(path)), None)


def run(site: Any, jobs: "list[dict[str, Any]]", **top: Any) -> None:
    """Run a configuration of the application ``shop`` once."""
    path = os.path.join(site.folder, "shop.json")
    with open(path, "w") as out:
        json.dump(dict(top, application_name="shop", parallel=True, max_workers=3, jobs=jobs), out)
    os.chmod(path, 0o600)
    launcher = site.server.tend.__self__
    subprocess.run(launcher._command + ["run", path, "--quiet"], env=launcher._environ, stderr=subprocess.DEVNULL)


def test_a_token_is_asked_for(tab: Any) -> None:
    page = tab.page
    page.goto(tab.origin)
    page.wait_for_selector(".login")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=This token is not known here.")
    page.get_by_label("Token").fill(tab.site.reader)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Nothing has run yet")
    assert page.evaluate("localStorage.length") == 0 and page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Leave").click()
    page.wait_for_selector(".login")


def test_a_run_that_fails_is_tried_again_and_resumed(tab: Any) -> None:
    mended = os.path.join(tab.site.folder, "mended")
    run(tab.site, [
        {"id": "extract", "command": "echo rows"},
        {"id": "load", "dependencies": ["extract"], "max_retries": 1, "retry_delay": 0.1,
         "command": "echo 'no such table: orders' >&2; test -e %s" % mended},
        {"id": "report", "command": "echo done", "dependencies": ["load"]}])
    page = tab.enter()
    page.get_by_role("link", name="shop", exact=True).click()
    page.wait_for_selector("h1:has-text('shop')")
    page.get_by_role("link", name="#1").click()
    page.wait_for_selector(".pill:has-text('failed')")
    page.locator("[data-job=load]").click()
    page.wait_for_selector(".side-panel h2:has-text('load')")
    page.wait_for_selector(".side-panel .log:has-text('no such table: orders')")
    assert page.locator(".tries-table tbody tr").count() == 2
    page.keyboard.press("Escape")
    page.wait_for_selector(".side-panel", state="hidden")
    open(mended, "w").close()
    page.get_by_role("button", name="Resume").click()
    page.get_by_label("Why (optional)").fill("table is there now")
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    page.wait_for_selector("h1:has-text('#2')")
    page.wait_for_selector(".pill:has-text('succeeded')")
    page.get_by_role("tab", name="Jobs").click()
    page.wait_for_selector(".job-row >> nth=2")
    page.get_by_role("tab", name="Journal").click()
    page.wait_for_selector("text=table is there now")
    page.get_by_role("tab", name="Timeline").click()
    page.wait_for_selector(".timeline-row")


def test_a_live_run_is_watched_and_cancelled(tab: Any) -> None:
    run(tab.site, [{"id": "first", "command": "true"}])
    go = os.path.join(tab.site.folder, "go")
    open(go, "w").close()
    with open(os.path.join(tab.site.folder, "shop.json"), "w") as out:
        json.dump({"application_name": "shop", "jobs": [
            {"id": "first", "command": "echo one; while test -e %s; do sleep 0.02; done; echo two" % go},
            {"id": "second", "command": "sleep 60", "dependencies": ["first"]}]}, out)
    page = tab.enter()
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Run it").click()
    page.wait_for_selector("h1:has-text('#2')")
    page.wait_for_selector(".node.s-RUNNING[data-job=first]")
    page.locator("[data-job=first]").click()
    page.wait_for_selector(".log:has-text('one')")
    os.unlink(go)
    page.wait_for_selector(".log:has-text('two')")
    page.wait_for_selector(".node.s-SUCCESS[data-job=first]")
    page.wait_for_selector(".node.s-RUNNING[data-job=second]")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    page.wait_for_selector(".page-head .pill:has-text('cancelled')")
    deadline = time.monotonic() + 60
    while tab.site.server.tend() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_reader_sees_no_acts(tab: Any) -> None:
    with tab.site.history() as history:
        finished_run(history, 1)
    page = tab.enter("#/runs/1", tab.site.reader)
    page.wait_for_selector(".node")
    assert page.get_by_role("button", name="Run again").count() == 0
    page.goto(tab.origin + "#/")
    page.wait_for_selector(".app")
    assert page.get_by_role("button", name="Run").count() == 0


def test_hold_and_release(tab: Any) -> None:
    with tab.site.history() as history:
        finished_run(history, 1)
    page = tab.enter("#/runs/1/jobs/job1")
    page.get_by_role("button", name="Hold").click()
    page.get_by_role("dialog").get_by_role("button", name="Hold").click()
    page.wait_for_selector("text=Held by operator (token)")
    page.get_by_role("button", name="Release").click()
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    page.wait_for_selector(".side-note", state="hidden")


def test_history_filters_and_compare(tab: Any) -> None:
    with tab.site.history() as history:
        for number in range(1, 131):
            finished_run(history, number, "nightly" if number % 2 else "weekly")
    page = tab.enter("#/runs")
    page.wait_for_selector(".runs tbody tr >> nth=99")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_selector(".runs tbody tr >> nth=129")
    page.get_by_label("Application").fill("weekly")
    page.get_by_role("button", name="Filter").click()
    tab.expect(".runs tbody tr").to_have_count(65)
    page.get_by_label("Compare run 130").check()
    page.get_by_label("Compare run 128").check()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.wait_for_selector("h1:has-text('Run 128 and run 130')")
    page.wait_for_selector(".compare-row >> nth=2")


def test_keys_alone(tab: Any) -> None:
    with tab.site.history() as history:
        os.makedirs(os.path.join(tab.site.home, "logs"))
        run_id = demo_home.record_run(history, tab.site.home, "etl", demo_home.ETL, time.time() - 900, 1, ["load"])
    page = tab.enter("#/runs/%d" % run_id)
    page.wait_for_selector(".node")
    page.get_by_role("tab", name="Graph").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "Timeline"
    page.keyboard.press("ArrowLeft")
    page.locator(".node[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    name = page.evaluate("document.activeElement.dataset.job")
    assert name in ("fetch_orders", "fetch_customers", "fetch_rates")
    page.keyboard.press("Enter")
    page.wait_for_selector(".side-panel h2:has-text('%s')" % name)
    page.keyboard.press("Escape")
    page.wait_for_selector(".side-panel", state="hidden")
    tab.expect(".node[data-job='%s']" % name).to_be_focused()


def test_a_view_has_an_address(tab: Any) -> None:
    with tab.site.history() as history:
        finished_run(history, 1)
    page = tab.enter("#/runs/1?view=timeline")
    page.wait_for_selector(".timeline-row >> nth=2")
    page.get_by_role("tab", name="Jobs").click()
    page.wait_for_selector(".job-row")
    page.keyboard.press("/")
    tab.expect("[aria-label='Find a job']").to_be_focused()
    page.keyboard.type("job2")
    tab.expect(".job-row").to_have_count(1)
    page.get_by_role("link", name="job2").click()
    page.wait_for_selector(".side-panel h2:has-text('job2')")
    assert page.url.endswith("#/runs/1/jobs/job2?view=jobs")
    page.reload()
    page.wait_for_selector(".job-row.chosen")
    page.go_back()
    page.wait_for_selector(".side-panel", state="hidden")


def test_a_job_is_found_in_the_graph(tab: Any) -> None:
    with tab.site.history() as history:
        finished_run(history, 1, jobs=20)
    page = tab.enter("#/runs/1")
    page.get_by_label("Find in the graph").fill("job1")
    tab.expect(".node.hit").to_have_count(11)
    page.get_by_label("Find in the graph").fill("job17")
    page.keyboard.press("Enter")
    tab.expect(".node[data-job=job17]").to_be_focused()


def test_the_theme_can_be_switched_and_stays(tab: Any) -> None:
    page = tab.enter()
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch to dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    page.wait_for_selector("h1")
    assert before != dark == page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_nobody_is_kept_out(browser: Any, site: Any, nothing: Any, scheme: str, width: int) -> None:
    script = axe_script()
    if script is None:
        pytest.skip("not run: axe-core is missing (pip install -r requirements-browser.txt)")
    full, empty = site, nothing
    os.makedirs(os.path.join(full.home, "logs"))
    found = demo_home.fill(full.home, time.time())
    files = os.path.join(site.folder, "files")
    os.makedirs(files)
    write_reports(full.home, files, found, time.time())
    opened = Tab(browser, site, viewport={"width": width, "height": 850}, color_scheme=scheme)
    source = open(script).read()
    problems = []
    for state in STATES:
        case = {"full": full, "empty": empty}[state.home]
        page = opened.context.new_page()
        page.set_default_timeout(60000)
        page.on("pageerror", lambda error: opened.complaints.append("%s: %s" % (state.name, error)))  # noqa: B023
        page.on("console", lambda message: opened.complaints.append("%s: %s" % (state.name, message.text))  # noqa: B023
                if "Content Security Policy" in message.text else None)
        open_state(page, state, "http://127.0.0.1:%d/" % case.port, case.operator, found, files)
        page.evaluate(source)
        result = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
        # A status page is for a screen on a wall: to be loaded again by itself is what it is for.
        problems += ["%s: %s: %s" % (state.name, one["id"], one["nodes"][0]["html"][:160]) for one in result["violations"]
                     if (state.name, one["id"]) != ("status_page", "meta-refresh")]
        width_of_page = page.evaluate("document.documentElement.scrollWidth")
        if width_of_page > width:
            problems.append("%s is %d wide" % (state.name, width_of_page))
        page.close()
    opened.context.close()
    assert not problems, "\n".join(problems)
    assert not opened.complaints


def test_a_run_of_many_jobs_is_quick(tab: Any) -> None:
    with tab.site.history() as history:
        finished_run(history, 1, "huge", jobs=5000)
    page = tab.enter()
    page.goto(tab.origin + "#/runs/1")
    page.wait_for_selector(".job-row >> nth=5")
    assert page.locator(".job-row").count() < 80
    page.get_by_role("tab", name="Timeline").click()
    page.wait_for_selector(".timeline-row >> nth=5")
    assert page.locator(".timeline-row").count() < 80
    page.get_by_role("tab", name="Graph").click()
    page.wait_for_selector(".node")
    assert page.locator(".node").count() <= 400


def test_jobs_of_items_and_of_inner_files(tab: Any) -> None:
    with open(os.path.join(tab.site.folder, "inner.json"), "w") as out:
        json.dump({"jobs": [{"id": "a", "command": "echo inner ${EXECUTIONER_ITEM}"}]}, out)
    os.chmod(os.path.join(tab.site.folder, "inner.json"), 0o600)
    run(tab.site, [
        {"id": "load", "for_each": ["x y", "in/\u00e9.csv", "?a=b&c#d%20"], "command": "echo wrote ${item}"},
        {"id": "n", "for_each": ["east"], "config": "inner.json", "dependencies": ["load"]},
        {"id": "report", "command": "true", "dependencies": ["n"]}])
    page = tab.enter("#/runs/1")
    page.wait_for_selector(".pill:has-text('succeeded')")
    page.wait_for_selector("[data-job=\"n[east]/a\"]")
    assert page.locator(".node").count() == 5
    strange = "load[%s]" % label_of("?a=b&c#d%20")
    for job, text in ((strange, "wrote ?a=b&c#d%20"), ("load[x y]", "wrote x y"), ("load[in/\u00e9.csv]", "wrote in/\u00e9.csv"), ("n[east]/a", "inner east")):
        page.locator("[data-job=\"%s\"]" % job).first.click()
        page.wait_for_selector(".side-panel h2:has-text('%s')" % job)
        page.wait_for_selector(".side-panel .log:has-text('%s')" % text)
        # The address alone leads there as well.
        tab.enter("#" + page.url.partition("#")[2])
        page.wait_for_selector(".side-panel h2:has-text('%s')" % job)
        page.keyboard.press("Escape")
        page.wait_for_selector(".side-panel", state="hidden")
