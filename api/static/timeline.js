// The timeline of a run: for each job when it waited for its turn, when it ran, and when it waited to be tried again.

import { clear, durationText, el, endsNode, seconds, svg } from "./dom.js";
import { statusIcon, statusWord } from "./status.js";
import { VirtualList } from "./virtual.js";

const ROW = 30;
// Where there is no room for names beside the bars, they stand above them.
const NARROW = 620;
const NARROW_ROW = 46;
const BAR_TOP = 5;

function onlyTry(job) {
  const ready = typeof job.waited === "number" ? new Date((seconds(job.started) - job.waited) * 1000).toISOString() : null;
  return { status: job.status, started: job.started, ended: job.ended, ready };
}

export class TimelineView {
  constructor(options) {
    this.options = options || {};
    this.order = "start";
    this.onlyCritical = false;
    this.critical = new Set();
    this.axis = svg("svg", { class: "axis", height: 26, "aria-hidden": "true" });
    this.list = new VirtualList(ROW, (job) => this.row(job), { class: "timeline-rows", label: "Timeline of the jobs", whole: this.options.whole });
    const choice = (value, text) => el("option", { value }, text);
    this.select = el("select", { "aria-label": "Order of the timeline", on: { change: () => { this.order = this.select.value; this.draw(); } } },
      choice("start", "by start"), choice("file", "by place in the file"), choice("duration", "longest first"), choice("wait", "longest wait first"));
    this.check = el("input", { type: "checkbox", on: { change: () => { this.onlyCritical = this.check.checked; this.draw(); } } });
    this.legend = el("ul", { class: "legend" },
      [["waiting", "waited for its turn"], ["running", "ran"], ["retry", "between tries"], ["crit", "critical path"]].map(([name, text]) =>
        el("li", {}, el("span", { class: "swatch " + name, "aria-hidden": "true" }), text)));
    this.root = el("div", { class: "timeline" },
      el("div", { class: "tools" }, this.select, el("label", { class: "check" }, this.check, " only the critical path"), this.legend),
      el("div", { class: "timeline-head" }, el("span", { class: "label" }, "job"), this.axis), this.list.root);
    this.resize = typeof ResizeObserver === "function" ? new ResizeObserver(() => this.draw()) : null;
    if (this.resize) this.resize.observe(this.root);
  }

  set(run, jobs, attempts, critical) {
    this.run = run;
    this.jobs = jobs;
    this.critical = new Set(critical);
    this.tries = new Map();
    for (const attempt of attempts) {
      if (!this.tries.has(attempt.job_id)) this.tries.set(attempt.job_id, []);
      this.tries.get(attempt.job_id).push(attempt);
    }
    // What was tried once tells all by itself, and is newer.
    for (const job of jobs) if (job.started && (job.attempts <= 1 || !this.tries.has(job.job_id))) this.tries.set(job.job_id, [onlyTry(job)]);
    this.draw();
  }

  draw() {
    if (!this.run || !this.root.isConnected) return;
    this.begin = seconds(this.run.started) || 0;
    const last = Math.max(this.begin, ...this.lasts());
    this.now = this.run.status === "RUNNING" ? Math.max(last, Date.now() / 1000) : null;
    this.end = Math.max(this.now || last, seconds(this.run.ended) || 0, this.begin + 0.05);
    const width = this.root.clientWidth || 800;
    const isNarrow = width < NARROW;
    this.root.classList.toggle("narrow", isNarrow);
    this.list.rowHeight = isNarrow ? NARROW_ROW : ROW;
    this.label = isNarrow ? 12 : Math.min(300, Math.max(170, width * 0.24));
    this.width = Math.max(120, width - this.label - (isNarrow ? 12 : 92));
    this.root.style.setProperty("--label", this.label + "px");
    let jobs = this.jobs.filter((job) => this.tries.has(job.job_id) || job.attempts);
    if (this.onlyCritical) jobs = jobs.filter((job) => this.critical.has(job.job_id));
    const first = (job) => { const tries = this.tries.get(job.job_id); return tries ? seconds(tries[0].started || tries[0].intended) : Infinity; };
    const keys = { start: first, file: (job) => job.position, duration: (job) => -(job.duration || 0), wait: (job) => -(job.waited || 0) };
    const keyed = jobs.map((job) => [keys[this.order](job), job]);
    keyed.sort((a, b) => a[0] - b[0] || a[1].position - b[1].position);
    this.drawAxis();
    this.list.set(keyed.map((pair) => pair[1]));
    this.list.draw();
  }

  * lasts() {
    for (const tries of this.tries.values()) {
      for (const attempt of tries) yield seconds(attempt.ended) || seconds(attempt.started) || this.begin;
    }
  }

  x(at) {
    return (at - this.begin) / (this.end - this.begin) * this.width;
  }

  drawAxis() {
    const span = this.end - this.begin;
    const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400];
    const wanted = Math.max(2, this.width / 110);
    const step = steps.find((one) => span / one <= wanted) || 86400 * Math.ceil(span / 86400 / wanted);
    const parts = [];
    this.ticks = [];
    for (let at = 0; at <= span + 1e-9; at += step) {
      const x = this.x(this.begin + at);
      this.ticks.push(x);
      if (x < this.width - 64 || at === 0) parts.push(svg("text", { x: x + 4, y: 17 }, at === 0 ? "0" : "+" + durationText(at).replace(/ 00 (s|min)$/, "")));
      parts.push(svg("path", { d: "M" + x + " 6V26" }));
    }
    this.axis.setAttribute("width", this.width);
    clear(this.axis, parts);
  }

  row(job) {
    const tries = this.tries.get(job.job_id) || [];
    const parts = this.ticks.map((x) => svg("path", { class: "grid", d: "M" + x + " 0V" + ROW }));
    const bar = (from, to, name, y, height) => svg("rect", { class: name, x: this.x(from), y, width: Math.max(2, this.x(to) - this.x(from)), height, rx: 3 });
    tries.forEach((attempt, index) => {
      const from = seconds(attempt.started || attempt.intended);
      const ready = seconds(attempt.ready) || from; // of old runs it is not known
      const to = seconds(attempt.ended) || this.now || from;
      if (index) parts.push(svg("path", { class: "bar-retry", d: "M" + this.x(seconds(tries[index - 1].ended) || from) + " 15H" + this.x(ready) }));
      if (from > ready) parts.push(bar(ready, from, "bar-waiting", 11, 8));
      parts.push(bar(from, to, "bar s-" + attempt.status, 6, 18));
    });
    if (job.status === "RETRYING" && tries.length && this.now) {
      parts.push(svg("path", { class: "bar-retry", d: "M" + this.x(seconds(tries[tries.length - 1].ended) || this.now) + " 15H" + this.x(this.now) }));
    }
    if (this.now) parts.push(svg("path", { class: "now", d: "M" + this.x(this.now) + " 0V" + ROW }));
    const waited = typeof job.waited === "number" ? ", waited " + durationText(job.waited) : "";
    const told = job.job_id + ": " + statusWord(job.status) + waited + ", took " + durationText(job.duration) +
      (tries.length > 1 ? ", " + tries.length + " tries" : "") + (this.critical.has(job.job_id) ? ", on the critical path" : "");
    const name = this.options.href ? el("a", { class: "label", href: this.options.href(job.job_id), title: told, "aria-label": told, data: { key: job.job_id } }, statusIcon(job.status, true), endsNode(job.job_id))
      : el("span", { class: "label", title: told }, statusIcon(job.status, true), endsNode(job.job_id));
    const isNarrow = this.list.rowHeight === NARROW_ROW;
    const height = isNarrow ? ROW - 2 * BAR_TOP : ROW;
    return el("div", { class: "timeline-row" + (this.critical.has(job.job_id) ? " critical" : "") }, name,
      svg("svg", { width: this.width, height, viewBox: "0 " + (isNarrow ? BAR_TOP : 0) + " " + this.width + " " + height, "aria-hidden": "true" }, parts), el("span", { class: "took" }, durationText(job.duration)));
  }
}
