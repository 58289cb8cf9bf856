"""Whatever stands in ids, descriptions, reasons, names and output: it is text, in the dashboard and in the report."""
import os
import random
from typing import Any, List

from api.report import report_page
from db.history import RunPlaces
from db_samples import ended, intended, job_ended, new_run, run_ended, started
from jobs.masking import NO_SECRETS
from jobs.models import Job, JobStatus, Pipeline, RunStatus

SEEDS = [
    "<script>hit()</script>", "<img src=x onerror=hit()>", "\"><svg onload=hit()>", "'-hit()-'", "javascript:hit()",
    "</script><script>hit()</script>", "<!--<script>", "]]><script>hit()</script>", "{{7*7}}${hit()}", "<a href=javascript:hit()>x</a>",
    "</pre><iframe srcdoc='<script>parent.hit()</script>'>", "\u202eabc\u2066", "<style>*{display:none}</style>", "&lt;script&gt;hit()",
    "<math><mi xlink:href=javascript:hit()>", "<base href=//evil>", "<meta http-equiv=refresh content=0;url=//evil>", "\x00\x1b[31m",
    "<form action=//evil><input autofocus onfocus=hit()>", "__proto__", "constructor", "<object data=data:text/html,x>",
    "<details open ontoggle=hit()>", "<body onload=hit()>", "--><img src=x onerror=hit()>", "\u2028hit()\u2029",
]


def hostile(count: int) -> List[str]:
    """That many different strings."""
    source = random.Random(11)
    found = list(SEEDS)
    while len(found) < count:
        found.append("".join(source.choice(SEEDS + list("<>\"'&/ =`\\")) for _ in range(source.randrange(1, 4))) + str(len(found)))
    return found[:count]


def record(site: Any) -> int:
    """A run of a hundred jobs with three hostile strings each, and in output, reasons and the name."""
    texts = hostile(300)
    logs = os.path.join(site.home, "logs", "1")
    os.makedirs(logs)
    jobs = [Job(texts[place].replace("\x00", "") + "#%d" % place, "true", description=texts[place + 100]) for place in range(100)]
    made = Pipeline("<script>hit()</script>", jobs, config_path="/<img src=x onerror=hit()>", config_text='{"jobs": []}', config_hash="x")
    with site.history() as history:
        run_id = history.create_run(new_run(1, user="<b>u</b>", host="<i>h</i>"), made, lambda number: RunPlaces(logs, ""))
        events: List[Any] = []
        for place, job in enumerate(jobs):
            for name in ("out", "err"):
                with open(os.path.join(logs, "%d.%s" % (place, name)), "wb") as out:
                    out.write(texts[place + 200].encode("utf-8") * 3)
            intent, start = intended(run_id, place), started(run_id, place)
            end, over = ended(run_id, place, status=JobStatus.FAILED, exit_code=1, reason=texts[place + 200]), job_ended(
                place, JobStatus.FAILED, texts[place + 200], exit_code=1)
            for event in (intent, start, end, over):
                event.job_id = job.id
            intent.stdout_path, intent.stderr_path = (os.path.join(logs, "%d.%s" % (place, name)) for name in ("out", "err"))
            events += [intent, start, end, over]
        history.journal(run_id).commit(events + [run_ended(run_id, RunStatus.FAILED, 1, "<img src=x onerror=hit()>")])
        history.add_event("mark_success", 5.0, run_id, job_id=jobs[0].id, who="<b>x</b>", why="<script>hit()</script>")
        history.add_event("hold", 5.0, application=made.application, job_id=jobs[1].id, who="<b>x</b>", why=texts[1])
    return run_id


def check(page: Any) -> None:
    """Nothing was executed, and nothing of it became an element."""
    assert page.evaluate("window.hits || 0") == 0
    assert page.evaluate("document.querySelectorAll('iframe, object, embed, base, math, details, form[action], img[src=x], main style').length") == 0


def test_the_dashboard(tab: Any) -> None:
    run_id = record(tab.site)
    tab.page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; };")
    for address in ("#/", "#/runs", "#/applications/%3Cscript%3Ehit()%3C%2Fscript%3E", "#/compare/1/1"):
        page = tab.enter(address)
        page.reload()
        page.wait_for_selector(".app, .runs tbody tr, .chart, .compare-row")
        check(page)
    page = tab.enter("#/runs/%d" % run_id)
    page.reload()
    page.wait_for_selector(".node >> nth=99")
    for view in ("timeline", "jobs", "journal", "configuration", "graph"):
        page.click("#tab-" + view)
        page.wait_for_timeout(150)
        check(page)
    for place in (0, 1, 2, 5, 10, 17):
        page.locator(".node").nth(place).dispatch_event("click")
        page.wait_for_selector(".side-panel .log")
        page.wait_for_timeout(100)
        check(page)


def test_the_report(tab: Any, tmp_path: Any) -> None:
    run_id = record(tab.site)
    path = os.path.join(str(tmp_path), "report.html")
    with tab.site.history() as history:
        with open(path, "wb") as out:
            out.write(report_page(history, history.run(run_id, with_jobs=False), NO_SECRETS, 0.0))
    tab.page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; };")
    tab.page.goto("file://" + path)
    tab.page.wait_for_selector(".node >> nth=99")
    check(tab.page)
    assert tab.page.locator(".failure").count() == 50
    assert [url for url in tab.foreign if not url.startswith("file://" + path)] == []
    tab.foreign.clear()
