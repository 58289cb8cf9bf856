// A run as it happens: its graph, its timeline, its jobs, what was done to it; and one of its jobs beside them.

import { clear, durationText, el, endsNode, plural, seconds, timeNode } from "./dom.js";
import { everyPage, getJson, getOutput, mayOperate, pathOf, postJson, streamEvents } from "./client.js";
import { criticalPath } from "./critical.js";
import { GraphView } from "./graph.js";
import { jobPanel } from "./job_panel.js";
import { BAD, countsBar, LIVE, statusIcon, statusPill, statusWord } from "./status.js";
import { TimelineView } from "./timeline.js";
import { VirtualList } from "./virtual.js";
import { ask, emptyBox, link, notice, problemBox } from "./widgets.js";

const TABS = [["graph", "Graph"], ["timeline", "Timeline"], ["jobs", "Jobs"], ["journal", "Journal"], ["configuration", "Configuration"]];

export async function runPage(main, context, runId, view) {
  const page = new RunPage(main, context, runId, view);
  await page.open();
  return page;
}

class RunPage {
  constructor(main, context, runId, view) {
    this.main = main;
    this.context = context;
    this.runId = runId;
    this.jobs = [];
    this.byPosition = new Map();
    this.attempts = [];
    this.dependencies = {};
    this.tab = null;
    this.wanted = view;
    this.jobId = null;
  }

  async open() {
    const base = "/api/v1/runs/" + this.runId;
    this.base = base;
    this.head = el("div", { class: "run-head" });
    this.body = el("div", { class: "run-body" });
    this.side = el("aside", { class: "side-panel", hidden: true, "aria-label": "Job" });
    this.tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Views of the run" });
    clear(this.main, el("div", { class: "page wide" }, this.head, this.tabs, el("div", { class: "run-split" }, this.body, this.side)));
    let graph;
    try {
      [this.run, graph] = await Promise.all([getJson(base, this.context.signal), getJson(base + "/graph", this.context.signal)]);
    } catch (error) {
      if (!this.context.signal.aborted) clear(this.main, el("div", { class: "page" }, problemBox(error, () => this.open())));
      throw error;
    }
    this.dependencies = graph.dependencies;
    this.drawHead();
    let first;
    const arrived = new Promise((resolve) => { first = resolve; });
    const stream = streamEvents(base + "/events", this.context.signal, (name, data) => {
      if (name !== "changes") return;
      this.take(data);
      if (this.jobs.length >= data.run.job_count) first();
    }, (isOn) => { this.isLive = isOn; this.drawHead(); });
    stream.then(() => { first(); this.ended(); }, (error) => { first(); notice(error.message, true); });
    await arrived;
    if (this.context.signal.aborted) return;
    this.makeTabs();
    this.show(TABS.some(([name]) => name === this.wanted) ? this.wanted : this.jobs.length > 400 && !this.jobs.some((job) => BAD.has(job.status)) ? "jobs" : "graph");
    this.context.every(1000, () => this.tick());
  }

  // What the clock alone changes while the run goes on.
  async tick() {
    if (this.run.status !== "RUNNING") return;
    this.drawHead();
    if (this.tab === "jobs") this.list.later();
    if (this.tab === "timeline") await this.drawTimeline();
  }

  // ---- what the stream tells --------------------------------------------------------------------------------------

  take(data) {
    if (data.all) { this.jobs = []; this.byPosition.clear(); }
    this.run = data.run;
    const changed = [];
    for (const job of data.jobs) {
      if (!this.byPosition.has(job.position)) { this.byPosition.set(job.position, this.jobs.length); this.jobs.push(job); } else this.jobs[this.byPosition.get(job.position)] = job;
      changed.push(job);
    }
    this.changed = (this.changed || []).concat(changed);
    if (!this.pending) {
      this.pending = true;
      requestAnimationFrame(() => { this.pending = false; this.drawChanges(); });
    }
  }

  drawChanges() {
    const changed = this.changed || [];
    this.changed = [];
    this.drawHead();
    if (this.graph) this.graph.update(this.jobs, changed);
    if (this.tab === "jobs" && this.list) this.drawJobs();
    if (this.panel && changed.some((job) => job.job_id === this.jobId)) this.panel.refresh();
    if (changed.some((job) => job.attempts > 1)) this.isStale = true;
  }

  async ended() {
    if (this.context.signal.aborted) return;
    this.drawHead();
    if (this.tab === "timeline") this.drawTimeline();
    if (this.graph) this.graph.markCritical(criticalPath(this.jobs, this.dependencies));
    if (this.panel) this.panel.refresh();
  }

  // A job itself tells of its last attempt: the others are asked for where there are any.
  async loadAttempts() {
    if (!this.isStale || this.isLoading) return;
    this.isStale = false;
    this.isLoading = true;
    const found = [];
    try {
      await everyPage(this.base + "/attempts?limit=2000", this.context.signal, (page) => found.push(...page.attempts));
      this.attempts = found;
    } catch (error) {
      this.isStale = true;
    }
    this.isLoading = false;
  }

  // ---- head ---------------------------------------------------------------------------------------------------

  makeHead() {
    const { application, run_id: id } = this.run;
    this.slots = { state: el("span", { class: "head-state" }), acts: el("div", { class: "page-actions" }), facts: el("dl", { class: "run-facts" }), reason: el("div", {}), counts: el("div", {}) };
    this.took = el("dd", {});
    this.put = {};
    clear(this.head,
      el("nav", { class: "crumbs", "aria-label": "Where you are" }, el("a", { href: "#/" }, "Applications"), " / ", el("a", { href: link("applications", application) }, application), " / ", el("span", {}, "run " + id)),
      el("div", { class: "page-head" }, el("h1", {}, el("span", {}, application + " "), el("span", { class: "muted" }, "#" + id)), this.slots.state, this.slots.acts),
      this.slots.facts, this.slots.reason, this.slots.counts);
  }

  // A part is made again only where it says something else: nothing flickers, and no button goes away under a pointer.
  drawHead() {
    const run = this.run;
    const isRunning = run.status === "RUNNING";
    if (!this.slots) this.makeHead();
    const draw = (name, told, make) => {
      const text = JSON.stringify(told);
      if (this.put[name] === text) return;
      this.put[name] = text;
      clear(this.slots[name], make());
    };
    document.title = statusWord(run.status) + " · run " + run.run_id + " of " + run.application;
    draw("state", [run.status, this.isLive], () => [statusPill(run.status), isRunning ? el("span", { class: "live-dot" + (this.isLive ? " on" : "") }, this.isLive ? "live" : "connecting …") : null]);
    draw("acts", [run.status], () => this.acts(isRunning).map(([label, kind, act]) => el("button", { class: "button " + kind, type: "button", on: { click: act } }, label)));
    draw("facts", [run.status, run.started, run.ended], () => [[isRunning ? "running for" : "took", this.took], ["started", timeNode(run.started)], run.ended ? ["ended", timeNode(run.ended)] : null,
      ["by", run.user + " on " + run.host], run.parent_run_id ? ["resumes", el("a", { href: link("runs", run.parent_run_id) }, "run " + run.parent_run_id)] : null]
      .filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), value === this.took ? value : el("dd", {}, value))));
    draw("reason", [run.reason, run.status], () => [run.reason && run.status !== "SUCCESS" ? el("p", { class: "run-reason s-" + run.status }, run.reason) : null]);
    draw("counts", [run.counts], () => countsBar(run.counts || {}));
    const took = durationText(isRunning ? Math.max(0, Math.round(Date.now() / 1000 - seconds(run.started))) : run.duration);
    if (this.took.textContent !== took) this.took.textContent = took;
  }

  acts(isRunning) {
    const acts = [];
    if (mayOperate()) {
      if (isRunning) acts.push(["Cancel", "danger", () => this.cancel()]);
      else {
        if (this.run.status !== "SUCCESS") acts.push(["Resume", "primary", () => this.resume()]);
        acts.push(["Run again", "", () => this.again()]);
      }
    }
    if (!isRunning) acts.push([["Compare", el("span", { class: "wide-only" }, " with the run before")], "", () => this.compare()]);
    return acts;
  }

  async act(path, body, done) {
    try {
      const answer = await postJson(path, body);
      done(answer);
    } catch (error) {
      notice(error.message, true);
    }
  }

  async cancel() {
    const body = await ask("Cancel run " + this.runId + "?", "Nothing new starts; what runs gets its stop signal, then its grace, then KILL.", "Cancel the run", { isBad: true, checks: [["now", "without grace: KILL at once"]] });
    if (body) await this.act(this.base + "/cancel", body, () => notice("Run " + this.runId + " is being cancelled."));
  }

  async resume() {
    const lost = this.jobs.filter((job) => job.status === "LOST" && !job.marked).map((job) => job.job_id);
    const checks = [["failed_only", "only the jobs that failed"], ["with_current_config", "with the file as it is now"]];
    if (lost.length) checks.push(["rerun_lost", "run again what was lost: " + lost.slice(0, 5).join(", ") + (lost.length > 5 ? " …" : "")]);
    const body = await ask("Resume run " + this.runId + "?", "A new run keeps what succeeded and runs the rest.", "Resume", { checks });
    if (body === null) return;
    if (body.rerun_lost) body.rerun_lost = lost;
    await this.act(this.base + "/resume", body, (answer) => {
      notice(answer.run_id ? "Run " + answer.run_id + " goes on where run " + this.runId + " ended." : "The run is starting.");
      if (answer.run_id) location.hash = link("runs", answer.run_id).slice(1);
    });
  }

  async again() {
    const body = await ask("Run " + this.run.application + " again?", "Starts the configuration that it ran last, as it is now.", "Run it");
    if (body) await this.act(pathOf("applications", this.run.application, "runs"), body, (answer) => { if (answer.run_id) location.hash = link("runs", answer.run_id).slice(1); });
  }

  async compare() {
    const page = await getJson("/api/v1/runs?limit=1&before=" + this.runId + "&application=" + encodeURIComponent(this.run.application), this.context.signal);
    if (page.runs.length) location.hash = link("compare", page.runs[0].run_id, this.runId).slice(1);
    else notice("This is the first run of " + this.run.application + ".");
  }

  // ---- tabs -----------------------------------------------------------------------------------------------------

  makeTabs() {
    clear(this.tabs, TABS.map(([name, text]) => el("button", { class: "tab", type: "button", role: "tab", id: "tab-" + name, "aria-controls": "view", tabindex: "-1", on: { click: () => this.show(name) } }, text)));
    this.tabs.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const names = TABS.map(([name]) => name);
      this.show(names[(names.indexOf(this.tab) + by + names.length) % names.length]);
      document.getElementById("tab-" + this.tab).focus();
    });
    this.body.setAttribute("role", "tabpanel");
    this.body.id = "view";
  }

  // The address keeps which view it is, so that it can be sent to somebody.
  address(jobId) {
    const view = this.tab === null || this.tab === "graph" ? "" : "?view=" + this.tab;
    return (jobId === null ? link("runs", this.runId) : link("runs", this.runId, "jobs", jobId)) + view;
  }

  show(name) {
    if (!TABS.some(([one]) => one === name)) return;
    if (this.tab !== null) { this.tab = name; history.replaceState(null, "", this.address(this.jobId)); }
    this.tab = name;
    for (const [one] of TABS) {
      const tab = document.getElementById("tab-" + one);
      tab.setAttribute("aria-selected", String(one === name));
      tab.setAttribute("tabindex", one === name ? "0" : "-1");
    }
    this.body.setAttribute("aria-labelledby", "tab-" + name);
    ({ graph: () => this.showGraph(), timeline: () => this.showTimeline(), jobs: () => this.showJobs(), journal: () => this.showJournal(), configuration: () => this.showConfiguration() })[name]();
  }

  showGraph() {
    if (!this.graph) {
      this.graph = new GraphView(this.jobs, this.dependencies, { open: (id) => { location.hash = this.address(id).slice(1); } });
    }
    clear(this.body, el("div", { class: "panel flush" }, this.graph.root));
    this.graph.appear();
    this.graph.mark(this.jobId);
    if (this.run.status !== "RUNNING") this.graph.markCritical(criticalPath(this.jobs, this.dependencies));
  }

  showTimeline() {
    if (!this.timeline) this.timeline = new TimelineView({ href: (id) => this.address(id) });
    clear(this.body, el("div", { class: "panel flush" }, this.timeline.root));
    this.drawTimeline();
  }

  async drawTimeline() {
    const draw = () => this.timeline.set(this.run, this.jobs, this.attempts, criticalPath(this.jobs, this.dependencies));
    draw();
    if (!this.isStale) return;
    await this.loadAttempts();
    if (!this.context.signal.aborted) draw();
  }

  showJobs() {
    if (!this.list) {
      this.find = el("input", { type: "search", placeholder: "Find a job", "aria-label": "Find a job", on: { input: () => this.drawJobs() } });
      const group = (value, text) => el("option", { value }, text);
      this.which = el("select", { "aria-label": "Which jobs", on: { change: () => this.drawJobs() } }, group("all", "all jobs"), group("bad", "failed"), group("live", "not ended"), group("good", "succeeded"), group("other", "skipped, blocked, cancelled"));
      this.found = el("span", { class: "muted", "aria-live": "polite" });
      this.list = new VirtualList(46, (job) => this.jobRow(job), { class: "job-list", label: "Jobs" });
      this.none = emptyBox("No job is like that", "Another word or \"all jobs\" may find it.");
      this.listRoot = el("div", { class: "panel flush" }, el("div", { class: "tools" }, this.find, this.which, this.found), this.list.root, this.none);
    }
    clear(this.body, this.listRoot);
    this.drawJobs();
  }

  drawJobs() {
    const wanted = this.find.value.trim().toLowerCase();
    const groups = { all: () => true, bad: (job) => BAD.has(job.status), live: (job) => LIVE.has(job.status), good: (job) => job.status === "SUCCESS",
      other: (job) => ["SKIPPED", "BLOCKED", "CANCELLED"].includes(job.status) };
    const shown = this.jobs.filter((job) => groups[this.which.value](job) && (!wanted || job.job_id.toLowerCase().includes(wanted) || job.description.toLowerCase().includes(wanted)));
    this.found.textContent = shown.length === this.jobs.length ? plural(shown.length, "job") : shown.length.toLocaleString() + " of " + plural(this.jobs.length, "job");
    const rank = (job) => BAD.has(job.status) ? 0 : job.status === "RUNNING" || job.status === "RETRYING" ? 1 : 2;
    this.none.hidden = shown.length > 0;
    this.list.root.hidden = !shown.length;
    this.list.set(shown.sort((a, b) => rank(a) - rank(b) || a.position - b.position));
  }

  jobRow(job) {
    return el("div", { class: "job-row" + (job.job_id === this.jobId ? " chosen" : "") }, statusIcon(job.status),
      el("a", { class: "job-name", href: this.address(job.job_id), data: { key: job.job_id }, "aria-label": job.job_id, title: job.job_id }, endsNode(job.job_id)),
      el("span", { class: "job-why" }, job.held ? el("span", { class: "tag" }, "held") : null, job.marked ? el("span", { class: "tag" }, "marked as success") : null,
        LIVE.has(job.status) || BAD.has(job.status) || !job.attempts ? (job.reason || job.description) : job.description),
      el("span", { class: "number tries" }, job.attempts > 1 ? job.attempts + " tries" : ""), el("span", { class: "number" }, job.status === "RUNNING" && job.started ? durationText(Math.max(0, Date.now() / 1000 - seconds(job.started))) : job.attempts ? durationText(job.duration) : "–"));
  }

  async showJournal() {
    const list = el("ul", { class: "journal" });
    clear(this.body, el("div", { class: "panel" }, list));
    try {
      await everyPage(this.base + "/journal?limit=500", this.context.signal, (page) => list.append(...page.events.map((event) =>
        el("li", {}, timeNode(event.at), el("span", {}, el("b", {}, event.kind.replace(/_/g, " ")), event.job_id ? [" ", el("a", { href: this.address(event.job_id) }, event.job_id)] : null,
          event.who ? " by " + event.who : "", event.why ? ": " + event.why : "")))));
      if (!list.childElementCount) list.append(el("li", { class: "muted" }, "Nobody did anything to this run, and nothing was tried again."));
    } catch (error) {
      if (!this.context.signal.aborted) clear(this.body, problemBox(error));
    }
  }

  async showConfiguration() {
    const pre = el("pre", { class: "log code", tabindex: "0", "aria-label": "Configuration" });
    clear(this.body, el("div", { class: "panel flush" }, el("div", { class: "tools" }, el("span", { class: "path" }, this.run.config), el("span", { class: "muted" }, "as this run read it; secret values are ***")), pre));
    try {
      const piece = await getOutput(this.base + "/configuration", this.context.signal);
      pre.textContent = piece.text;
    } catch (error) {
      if (!this.context.signal.aborted) pre.textContent = error.message;
    }
  }

  // ---- one job beside -------------------------------------------------------------------------------------------

  openJob(id) {
    if (this.panel) this.panel.close();
    this.panel = null;
    const was = this.jobId;
    this.jobId = id;
    this.side.hidden = id === null;
    this.main.classList.toggle("with-side", id !== null);
    if (id !== null) {
      this.panel = jobPanel(this.side, this, id);
      this.panel.focus();
    } else if (was !== null) {
      const row = this.body.querySelector('[data-key="' + CSS.escape(was) + '"], [data-job="' + CSS.escape(was) + '"]');
      if (row) row.focus({ preventScroll: true });
    }
    if (this.graph) this.graph.mark(id);
    if (this.tab === "jobs" && this.list) this.list.later();
  }

  jobOf(id) {
    return this.jobs.find((job) => job.job_id === id);
  }
}
