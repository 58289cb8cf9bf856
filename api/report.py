"""A run as one self-contained page: no file beside it, no request, only what is in it is executed.

The drawing code is the dashboard's: its modules are joined to one script, whose hash the page's own policy names.
"""
import base64
import hashlib
import json
import re
from typing import Dict, List, Set

from api.graphs import arrows_of
from api.log_files import open_output, read_piece
from api.shapes import attempt_document, job_document, run_document
from api.truths import attempts_of, counts_of, jobs_of, true_runs
from api.views import static_bytes
from api.errors import Refusal
from db.history import History
from jobs.group_ids import about
from jobs.hidden import HiddenParts
from jobs.masking import Masker
from jobs.models import FAILURE_STATUSES
from jobs.records import AttemptRecord, JobRecord, RunRecord
from jobs.times import utc_text

__all__ = ["report_page"]

#: In an order in which each stands after what it uses.
MODULES = ("dom", "status", "layout", "critical", "minimap", "graph", "virtual", "timeline", "report")
TAIL_BYTES = 16 * 1024
MOST_FAILURES = 50
_IMPORT = re.compile(r"^import \{[^}]*\} from \"[^\"]*\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)

Document = Dict[str, object]


def report_page(history: History, run: RunRecord, masker: Masker, now: float, refresh_s: int = 0) -> bytes:
    """The page of a run, as it is now.

    :param masker: knows what is secret
    :param now: epoch seconds
    :param refresh_s: browsers load it again after so many seconds; 0 = never
    """
    jobs = jobs_of(history, run)
    attempts = attempts_of(history, run)
    held, marks = history.holds(run.application), history.marks(run.run_id)
    counts = counts_of(history, run)
    text = history.configuration(run.config_hash)
    shown = true_runs(history, [run])[0]
    failed = [job for job in jobs if job.status in FAILURE_STATUSES][:MOST_FAILURES]
    data: Document = {
        "written": utc_text(now), "run": run_document(shown, counts),
        "jobs": [job_document(job, about(job.job_id, held), marks.get(job.job_id)) for job in jobs],
        "attempts": [attempt_document(attempt) for attempt in attempts],
        "dependencies": {job_id: [{"job": other, "when": when} for other, when in arrows]
                         for job_id, arrows in (arrows_of(text) if text is not None else {}).items() if arrows},
        "failures": [_failure(run, job, attempts, masker) for job in failed]}
    title = "%s #%d: %s" % (shown.application, shown.run_id, shown.status)
    return _page(masker.mask_text(title), masker.mask_value(data) if masker else data, refresh_s)


def _failure(run: RunRecord, job: JobRecord, attempts: List[AttemptRecord], masker: Masker) -> Document:
    last = [attempt for attempt in attempts if attempt.position == job.position][-1:]
    return {"job": job_document(job), "stdout": _tail(run, last[0].stdout_path, masker) if last else "",
            "stderr": _tail(run, last[0].stderr_path, masker) if last else ""}


def _tail(run: RunRecord, path: str, masker: Masker) -> str:
    import os
    try:
        descriptor = open_output(run.log_dir, path)
    except Refusal:
        return ""
    try:
        return read_piece(descriptor, -TAIL_BYTES, TAIL_BYTES, masker, True, HiddenParts(path)).text
    finally:
        os.close(descriptor)


def script() -> str:
    """The modules of the drawing as one script."""
    parts: List[str] = []
    names: Set[str] = set()
    for name in MODULES:
        source = _EXPORT.sub("", _IMPORT.sub("", static_bytes(name + ".js").decode("utf-8")))
        own = set(re.findall(r"^(?:async )?(?:function\*?|class|const|let) (\w+)", source, re.MULTILINE))
        assert not own & names, "two modules of the report have the same name: %s" % (own & names)
        names |= own
        parts.append(source)
    return "\n".join(parts).replace("</", "<\\/")


def _hash(text: str) -> str:
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _page(title: str, data: object, refresh_s: int) -> bytes:
    code, style = script(), static_bytes("app.css").decode("utf-8")
    # Nothing in the data can end its element: no "<" is left in it.
    embedded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    policy = "default-src 'none'; script-src %s; style-src %s; base-uri 'none'; form-action 'none'" % (
        _hash(code), _hash(style))
    from html import escape
    refresh = "<meta http-equiv=\"refresh\" content=\"%d\">" % refresh_s if refresh_s else ""
    return ("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\"><title>%s</title>"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
            "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">%s"
            "<style>%s</style></head><body class=\"report\"><main id=\"main\"></main>"
            "<noscript><p class=\"noscript\">The report is drawn by JavaScript that is in this file.</p></noscript>"
            "<script type=\"application/json\" id=\"data\">%s</script><script type=\"module\">%s</script></body></html>"
            "\n"
            % (escape(policy), escape(title), refresh, style, embedded, code)).encode("utf-8", "backslashreplace")
