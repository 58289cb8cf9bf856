// One job of a run: what became of it and why, each attempt with what it cost, and its output.

import { bytesText, clear, durationText, el, timeNode } from "./dom.js";
import { getJson, mayOperate, pathOf, postJson } from "./client.js";
import { LogView } from "./log_view.js";
import { hold, release } from "./page_application.js";
import { LIVE, statusIcon, statusPill, statusWord } from "./status.js";
import { ask, notice, problemBox } from "./widgets.js";

export function jobPanel(side, page, id) {
  const panel = new JobPanel(side, page, id);
  panel.refresh();
  return panel;
}

class JobPanel {
  constructor(side, page, id) {
    this.side = side;
    this.page = page;
    this.id = id;
    this.path = pathOf("runs", page.runId, "jobs", id);
    this.stop = new AbortController();
    this.attempt = null;
    this.stream = "stdout";
    this.top = el("div", { class: "side-top" });
    this.tries = el("div", { class: "side-tries" });
    this.logHead = el("div", { class: "segments", role: "group", "aria-label": "Output" });
    this.logBody = el("div", { class: "side-log" });
    clear(side, this.top, this.tries, this.logBody);
    this.keys = (event) => { if (event.key === "Escape" && !document.querySelector("dialog")) this.leave(); };
    document.addEventListener("keydown", this.keys);
  }

  leave() {
    location.hash = this.page.address(null).slice(1);
  }

  focus() {
    const heading = this.top.querySelector("h2");
    if (heading) heading.focus({ preventScroll: true });
    else this.wantsFocus = true;
  }

  close() {
    this.stop.abort();
    if (this.log) this.log.abort();
    document.removeEventListener("keydown", this.keys);
    clear(this.side);
  }

  async refresh() {
    if (this.isLoading) { this.again = true; return; }
    this.isLoading = true;
    try {
      this.job = await getJson(this.path, this.stop.signal);
      this.draw();
    } catch (error) {
      if (!this.stop.signal.aborted) clear(this.top, this.closeButton(), problemBox(error));
    }
    this.isLoading = false;
    if (this.again) { this.again = false; this.refresh(); }
  }

  closeButton() {
    return el("button", { class: "icon-button close", type: "button", "aria-label": "Close the job", on: { click: () => this.leave() } }, "×");
  }

  draw() {
    const job = this.job;
    const hadFocus = this.top.contains(document.activeElement) || this.wantsFocus;
    this.wantsFocus = false;
    const acts = [];
    if (mayOperate()) {
      const again = () => this.refresh();
      acts.push(job.held ? ["Release", () => release(this.page.run.application, this.id, again)] : ["Hold", () => hold(this.page.run.application, this.id, again)]);
      if (!LIVE.has(job.status) && this.page.run.status !== "RUNNING" && job.status !== "SUCCESS" && !job.marked) acts.push(["Mark as success", () => this.mark()]);
    }
    const needs = (this.page.dependencies[this.id] || []).map((arrow) => arrow);
    const fact = (name, value) => value === null || value === undefined || value === "" ? null : el("div", {}, el("dt", {}, name), el("dd", {}, value));
    clear(this.top, this.closeButton(), el("h2", { tabindex: "-1" }, job.job_id), el("div", { class: "side-state" }, statusPill(job.status), el("span", { class: "spacer" }),
      acts.map(([label, act]) => el("button", { class: "button small", type: "button", on: { click: act } }, label))),
      job.reason && job.reason !== "exit code 0" ? el("p", { class: "side-reason s-" + job.status }, job.reason) : null,
      job.held ? el("p", { class: "side-note" }, "Held by " + job.held.who + (job.held.why ? ": " + job.held.why : "")) : null,
      job.marked ? el("p", { class: "side-note" }, "Marked as success by " + job.marked.who + (job.marked.why ? ": " + job.marked.why : "")) : null,
      job.description ? el("p", {}, job.description) : null,
      el("dl", { class: "job-facts" }, fact("took", job.attempts ? durationText(job.duration) : null), fact("processor", job.cpu_seconds === null ? null : durationText(job.cpu_seconds)),
        fact("memory", job.max_rss === null ? null : bytesText(job.max_rss)), fact("exit code", job.exit_code === null ? null : String(job.exit_code)), fact("signal", job.signal),
        fact("started", job.started ? timeNode(job.started) : null), fact("may fail", job.allow_failure ? "yes" : null)),
      needs.length ? el("p", { class: "side-needs" }, "waits for ", needs.map((arrow, index) => [index ? ", " : "", el("a", { href: this.page.address(arrow.job) }, arrow.job), arrow.when === "success" ? "" : " (" + arrow.when + ")"])) : null);
    if (hadFocus && !this.tries.contains(document.activeElement)) this.top.querySelector("h2").focus({ preventScroll: true });
    this.drawTries();
  }

  drawTries() {
    const tries = this.job.tries;
    const isNew = !this.attempt || (this.followsLast && tries.length && tries[tries.length - 1].attempt !== this.attempt);
    if (tries.length && isNew) { this.attempt = tries[tries.length - 1].attempt; this.followsLast = true; }
    clear(this.tries, tries.length > 1 || (tries.length && (tries[0].survivors.length || (tries[0].reason && tries[0].reason !== this.job.reason))) ? el("table", { class: "tries-table" },
      el("thead", {}, el("tr", {}, ["Try", "Result", "Started", "Took", "CPU", "Memory"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, tries.map((one) => el("tr", { class: one.attempt === this.attempt ? "chosen" : "" },
        el("td", {}, el("button", { class: "linkish", type: "button", "aria-pressed": String(one.attempt === this.attempt), on: { click: () => { this.attempt = one.attempt; this.followsLast = one === tries[tries.length - 1]; this.drawTries(); } } }, String(one.attempt))),
        el("td", { title: one.reason }, statusIcon(one.status, true), " ", one.reason || statusWord(one.status), one.survivors.length ? el("span", { class: "tag" }, one.survivors.length + " left behind") : null),
        el("td", {}, timeNode(one.started)), el("td", { class: "number" }, durationText(one.duration)), el("td", { class: "number" }, durationText(one.cpu_seconds)), el("td", { class: "number" }, bytesText(one.max_rss)))))) : null);
    if (!tries.length) {
      clear(this.logBody, el("p", { class: "muted pad" }, LIVE.has(this.job.status) ? "It has not started yet." : "It was never started."));
      this.shownLog = null;
      return;
    }
    const pick = (name, text) => el("button", { class: "segment", type: "button", "aria-pressed": String(this.stream === name), on: { click: () => { this.stream = name; this.drawLog(); } } }, text);
    this.pick = () => clear(this.logHead, pick("stdout", "stdout"), pick("stderr", "stderr"));
    if (!this.chosen) { this.chosen = true; if (!LIVE.has(this.job.status) && this.job.status !== "SUCCESS") this.stream = "stderr"; }
    this.drawLog();
  }

  drawLog() {
    const one = this.job.tries.find((attempt) => attempt.attempt === this.attempt);
    const isLive = LIVE.has(one.status);
    const wanted = this.attempt + " " + this.stream;
    if (this.shownLog === wanted) return;
    this.shownLog = wanted;
    this.pick();
    if (this.log) this.log.abort();
    this.log = new AbortController();
    const view = new LogView(this.path + "/attempts/" + this.attempt + "/output/" + this.stream, isLive, this.log.signal, this.logHead);
    clear(this.logBody, view.root);
  }

  async mark() {
    const body = await ask("Mark " + this.id + " as success?", "Its status stays. A resume of this run takes it as done, and so does what depends on it.", "Mark it");
    if (body === null) return;
    body.jobs = [this.id];
    try {
      await postJson(pathOf("runs", this.page.runId, "marks"), body);
      notice(this.id + " is marked; resume the run to go on.");
      this.refresh();
    } catch (error) {
      notice(error.message, true);
    }
  }
}
