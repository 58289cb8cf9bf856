// One application: how its runs went and how long they took, what is held, what was done to it.

import { agoText, clear, durationText, el, plural, svg, timeNode, timeText } from "./dom.js";
import { getJson, mayOperate, pathOf, postJson } from "./client.js";
import { statusPill, statusWord } from "./status.js";
import { startRun } from "./page_applications.js";
import { ask, heading, link, notice, problemBox } from "./widgets.js";

export async function applicationPage(main, context, name) {
  const page = el("div", { class: "page" });
  clear(main, page);
  const load = async () => {
    let found;
    try {
      found = await getJson(pathOf("applications", name) + "?runs=100", context.signal);
    } catch (error) {
      if (!context.signal.aborted) clear(page, problemBox(error, load));
      return;
    }
    if (page.contains(document.activeElement) && page.dataset.drawn === JSON.stringify(found)) return;
    page.dataset.drawn = JSON.stringify(found);
    const ended = found.runs.filter((run) => run.status !== "RUNNING");
    const good = ended.filter((run) => run.status === "SUCCESS");
    const durations = good.map((run) => run.duration).sort((a, b) => a - b);
    const at = (share) => durations.length ? durations[Math.min(durations.length - 1, Math.floor(durations.length * share))] : null;
    const fact = (value, text) => el("div", { class: "fact" }, el("b", {}, value), el("span", {}, text));
    clear(page,
      el("nav", { class: "crumbs", "aria-label": "Where you are" }, el("a", { href: "#/" }, "Applications"), " / ", el("span", {}, name)),
      heading(name, el("a", { class: "button", href: "#/runs?application=" + encodeURIComponent(name) }, "All runs"),
        mayOperate() ? el("button", { class: "button primary", type: "button", on: { click: () => startRun(name, load) } }, "Run") : null),
      el("p", { class: "muted path" }, found.config),
      el("div", { class: "facts" }, fact(ended.length ? Math.round(good.length / ended.length * 100) + " %" : "–", "of the last " + ended.length + " succeeded"),
        fact(durationText(at(0.5)), "usually"), fact(durationText(at(0.95)), "19 of 20 are shorter"), fact(agoText(found.last.started), "last start")),
      el("section", { class: "panel" }, el("h2", {}, "How long the last " + plural(found.runs.length, "run") + " took"), chart(found.runs)),
      found.held.length ? el("section", { class: "panel" }, el("h2", {}, "Held jobs"), el("ul", { class: "held" }, found.held.map((held) =>
        el("li", {}, el("b", {}, held.job_id), " by " + held.who + (held.why ? ": " + held.why : ""),
          mayOperate() ? el("button", { class: "button small", type: "button", on: { click: () => release(name, held.job_id, load) } }, "Release") : null)))) : null,
      el("section", { class: "panel" }, el("h2", {}, "Last runs"), el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Last runs" }, el("table", { class: "runs short" },
        el("thead", {}, el("tr", {}, ["Run", "Status", "Started", "Took"].map((text) => el("th", { scope: "col", class: text === "Took" ? "number" : null }, text)))),
        el("tbody", {}, found.runs.slice(0, 15).map((run) => el("tr", {},
          el("td", {}, el("a", { href: link("runs", run.run_id) }, "#" + run.run_id)), el("td", {}, statusPill(run.status)),
          el("td", {}, timeNode(run.started)), el("td", { class: "number" }, durationText(run.duration)))))))),
      found.events.length ? el("section", { class: "panel" }, el("h2", {}, "What was done"), el("ul", { class: "journal" }, found.events.map((event) =>
        el("li", {}, timeNode(event.at), el("span", {}, el("b", {}, event.kind), " ", event.job_id || "", " by ", event.who, event.why ? ": " + event.why : ""))))) : null);
  };
  await load();
  context.every(5000, load);
}

export async function release(application, jobId, after) {
  const body = await ask("Release " + jobId + "?", "It starts again when its turn comes, in the run that waits for it too.", "Release");
  if (body === null) return;
  try {
    await postJson(pathOf("applications", application, "jobs", jobId, "release"), body);
    notice(jobId + " is released.");
    after();
  } catch (error) {
    notice(error.message, true);
  }
}

export async function hold(application, jobId, after) {
  const body = await ask("Hold " + jobId + "?", "It does not start any more, in this run and in later ones, until it is released.", "Hold");
  if (body === null) return;
  try {
    await postJson(pathOf("applications", application, "jobs", jobId, "hold"), body);
    notice(jobId + " is held.");
    after();
  } catch (error) {
    notice(error.message, true);
  }
}

function chart(runs) {
  const shown = runs.slice().reverse();
  const longest = Math.max(0.01, ...shown.map((run) => run.duration || 0));
  const height = 130;
  const pitch = 100 / shown.length;
  const lines = [0.25, 0.5, 0.75, 1].map((share) => svg("path", { class: "grid", d: "M0 " + (height - share * (height - 20)) + "H1000" }));
  const bars = shown.map((run, index) => {
    const tall = Math.max(3, (run.duration === null ? longest : run.duration) / longest * (height - 20));
    const told = "run " + run.run_id + ": " + statusWord(run.status) + ", " + timeText(run.started) + ", " + durationText(run.duration);
    return el("a", { class: "chart-bar s-" + run.status, href: link("runs", run.run_id), title: told, "aria-label": told,
      style: { left: index * pitch + "%", width: pitch + "%", height: tall + "px" } });
  });
  return el("div", { class: "chart" }, el("span", { class: "chart-most" }, durationText(longest)),
    svg("svg", { viewBox: "0 0 1000 " + height, preserveAspectRatio: "none", "aria-hidden": "true" }, lines), bars);
}
