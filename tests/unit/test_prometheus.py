"""The Prometheus text: escapes, numbers, histograms; and promtool's own opinion where it is installed."""
import os
import shutil
import subprocess
import time
import urllib.request
from typing import Any

import pytest

from db.history import History
from db_samples import finished_run
from jobs.models import RunStatus
from monitoring.figures import MOST_JOBS, families_of
from monitoring.prometheus import Sample, add_histogram, gauge, histogram, json_families, label_text, render
from servers import free_port


def test_one_family() -> None:
    family = gauge("x_bytes", "A back\\slash,\na line.")
    family.samples.append(Sample((("job", 'a"\\\n\u00fc'),), 1.5))
    family.samples.append(Sample((), float("inf")))
    assert render([family, gauge("y", "empty")]) == (
        '# HELP x_bytes A back\\\\slash,\\na line.\n# TYPE x_bytes gauge\nx_bytes{job="a\\"\\\\\\n\u00fc"} 1.5\n'
        "x_bytes +Inf\n")
    assert json_families([family])[0]["samples"] == [
        {"name": "x_bytes", "labels": {"job": 'a"\\\n\u00fc'}, "value": 1.5}]
    assert label_text("\udcff") == "\\udcff"


def test_numbers() -> None:
    family = gauge("x", "h")
    family.samples.extend([Sample((), value) for value in (0.0, 3.0, 1e15, 0.1, -2.0, float("nan"), float("-inf"))])
    assert [line.split()[1] for line in render([family]).splitlines()[2:]] == [
        "0", "3", "1000000000000000.0", "0.1", "-2", "NaN", "-Inf"]


def test_a_histogram_is_cumulative() -> None:
    family = histogram("x_seconds", "h")
    add_histogram(family, (("a", "b"),), ["1", "5", "+Inf"], {"1": 2, "+Inf": 1}, 99.5)
    assert render([family]).splitlines()[2:] == [
        'x_seconds_bucket{a="b",le="1"} 2', 'x_seconds_bucket{a="b",le="5"} 2', 'x_seconds_bucket{a="b",le="+Inf"} 3',
        'x_seconds_sum{a="b"} 99.5', 'x_seconds_count{a="b"} 3']


@pytest.fixture
def history(tmp_path: Any) -> Any:
    with History.open(str(tmp_path / "history.db")) as opened:
        for number in range(1, 5):
            finished_run(opened, number, "night\u00e9 \"x\"", 3,
                         RunStatus.FAILED if number == 2 else RunStatus.SUCCESS)
        finished_run(opened, 9, "wide", MOST_JOBS + 1)
        yield opened


def value_of(text: str, start: str) -> str:
    return [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(start)][0]


def test_what_is_said_of_a_history(history: History) -> None:
    text = render(families_of(history, "1.2", 5000.0, "/nowhere"))
    app = 'application="night\u00e9 \\"x\\""'
    assert value_of(text, 'executioner_runs_total{%s,status="success"}' % app) == "3"
    assert value_of(text, 'executioner_runs_total{%s,status="failed"}' % app) == "1"
    assert value_of(text, 'executioner_jobs_total{%s,status="success"}' % app) == "12"
    assert value_of(text, "executioner_job_cpu_seconds_total{%s}" % app) == "3"
    assert value_of(text, 'executioner_job_duration_seconds_bucket{%s,le="5"}' % app) == "12"
    assert value_of(text, 'executioner_job_wait_seconds_bucket{%s,le="5"}' % app) == "0"
    assert value_of(text, 'executioner_job_wait_seconds_bucket{%s,le="15"}' % app) == "12"
    assert value_of(text, "executioner_job_wait_seconds_sum{%s}" % app) == "66"
    assert value_of(text, "executioner_last_success_timestamp_seconds{%s}" % app) == "1020"
    assert value_of(text, 'executioner_job_last_max_rss_bytes{%s,job="job1"}' % app) == "4096"
    assert 'application="wide",job=' not in text
    assert value_of(text, 'executioner_metrics_left_out{kind="job"}') == str(MOST_JOBS + 1)


def test_counters_survive_pruning(history: History) -> None:
    from db.keeping import delete_run
    before = render(families_of(history, "1.2", 5000.0, "/nowhere")).split("# HELP executioner_notifications_waiting")[0]
    delete_run(history, 1)
    after = render(families_of(history, "1.2", 5000.0, "/nowhere")).split("# HELP executioner_notifications_waiting")[0]
    assert [line for line in before.splitlines() if "_total" in line] == [
        line for line in after.splitlines() if "_total" in line]


def test_what_was_kept_from_an_earlier_run_is_not_counted_again(history: History) -> None:
    from db_samples import job_ended, new_run, pipeline, places, run_ended, whole_job
    run_id = history.create_run(new_run(20, settled=[job_ended(0, reason="kept from run 1", attempts=0)]),
                                pipeline("resumed", 2), places)
    history.journal(run_id).commit(whole_job(run_id, 1) + [run_ended(run_id)])
    text = render(families_of(history, "1.2", 5000.0, "/nowhere"))
    assert value_of(text, 'executioner_jobs_total{application="resumed",status="success"}') == "1"
    assert value_of(text, 'executioner_attempts_total{application="resumed"}') == "1"


def test_promtool_has_nothing_against_it(history: History) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("not run: promtool is not installed")
    text = render(families_of(history, "1.2", time.time(), "/nowhere")).encode("utf-8")
    done = subprocess.Popen(["promtool", "check", "metrics"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    out = done.communicate(text)[0]
    assert (done.returncode, out) == (0, b"")


@pytest.mark.slow
def test_a_real_prometheus_scrapes_it(history: History, tmp_path: Any) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("not run: prometheus is not installed")
    import json
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from monitoring.prometheus import CONTENT_TYPE
    text = render(families_of(history, "1.2", time.time(), "/nowhere")).encode("utf-8")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: e\n  static_configs:\n"
                      "  - targets: ['127.0.0.1:%d']\n" % server.server_port)
    process = subprocess.Popen(
        ["prometheus", "--config.file=%s" % config, "--storage.tsdb.path=%s" % (tmp_path / "tsdb"),
         "--web.listen-address=127.0.0.1:%d" % port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found: Any = []
        deadline = time.monotonic() + 60
        query = "http://127.0.0.1:%d/api/v1/query?query=executioner_runs_total" % port
        while not found and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(query, timeout=5) as answer:
                    found = json.loads(answer.read().decode())["data"]["result"]
            except OSError:
                pass
            time.sleep(0.2)
        assert {(one["metric"]["application"], one["metric"]["status"]): one["value"][1] for one in found} == {
            ('night\u00e9 "x"', "success"): "3", ('night\u00e9 "x"', "failed"): "1", ("wide", "success"): "1"}
    finally:
        process.terminate()
        process.wait(60)
        server.shutdown()
        server.server_close()
    assert os.path.isdir(str(tmp_path / "tsdb"))
