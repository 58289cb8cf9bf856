// The page that stands by itself: a run's graph, timeline, failures and the ends of their output.

import { clear, durationText, el, seconds, timeNode } from "./dom.js";
import { criticalPath } from "./critical.js";
import { GraphView } from "./graph.js";
import { countsBar, statusIcon, statusPill, statusWord } from "./status.js";
import { TimelineView } from "./timeline.js";

const known = JSON.parse(document.getElementById("data").textContent);
const fact = (name, value) => value === null || value === "" ? null : el("div", {}, el("dt", {}, name), el("dd", {}, value));

function section(title, kind, ...inside) {
  return [el("h2", { class: "section" }, title), el("section", { class: "panel " + kind, "aria-label": title }, inside)];
}

function failure(one) {
  const job = one.job;
  const output = (name, text) => text ? [el("h4", { class: "muted" }, name), el("pre", { class: "log", tabindex: "0", "aria-label": name + " of " + job.job_id }, text)] : null;
  return el("article", { class: "failure", id: "job-" + job.position }, el("h3", { class: "failure-name" }, statusIcon(job.status, true), " ", job.job_id),
    el("p", { class: "run-reason s-" + job.status }, statusWord(job.status) + (job.reason ? ": " + job.reason : "")), job.description ? el("p", {}, job.description) : null,
    el("dl", { class: "run-facts" }, fact("took", durationText(job.duration)), fact("tries", String(job.attempts)), fact("exit code", job.exit_code === null ? "" : String(job.exit_code)), fact("signal", job.signal)),
    output("stderr", one.stderr), output("stdout", one.stdout));
}

function draw() {
  const { run, jobs, attempts, dependencies, failures } = known;
  const path = criticalPath(jobs, dependencies);
  const positions = new Map(failures.map((one) => [one.job.job_id, one.job.position]));
  const graph = new GraphView(jobs, dependencies, { open: (id) => { if (positions.has(id)) document.getElementById("job-" + positions.get(id)).scrollIntoView(); } });
  const timeline = new TimelineView({});
  const rows = jobs.map((job) => el("tr", {}, el("td", {}, statusPill(job.status)), el("td", { class: "strong job-cell" }, job.job_id), el("td", { class: "number" }, job.attempts ? durationText(job.duration) : "–"),
    el("td", { class: "number" }, String(job.attempts)), el("td", {}, job.reason)));
  clear(document.getElementById("main"), el("div", { class: "page wide" },
    el("div", { class: "page-head" }, el("h1", {}, run.application + " ", el("span", { class: "muted" }, "#" + run.run_id)), statusPill(run.status)),
    el("dl", { class: "run-facts" }, run.status === "RUNNING" ? fact("running for", durationText(seconds(known.written) - seconds(run.started))) : fact("took", durationText(run.duration)), fact("started", timeNode(run.started)), fact("ended", run.ended ? timeNode(run.ended) : ""), fact("by", run.user + " on " + run.host), fact("configuration", run.config)),
    run.reason && run.status !== "SUCCESS" ? el("p", { class: "run-reason s-" + run.status }, run.reason) : null, countsBar(run.counts),
    section("Graph", "flush", graph.root), failures.length ? section("What failed", "", failures.map(failure)) : null, section("Timeline", "flush", timeline.root),
    el("h2", { class: "section" }, "All jobs"), el("section", { class: "panel table-scroll", tabindex: "0", role: "region", "aria-label": "All jobs" }, el("table", {}, el("thead", {}, el("tr", {}, ["Status", "Job", "Took", "Tries", "Reason"].map((text) => el("th", { scope: "col", class: ["Took", "Tries"].includes(text) ? "number" : null }, text)))), el("tbody", {}, rows))),
    el("footer", {}, "Written by Executioner, ", timeNode(known.written), ". Secret values are ***.")));
  graph.appear();
  graph.markCritical(path);
  timeline.set(run, jobs, attempts, path);
}

draw();
