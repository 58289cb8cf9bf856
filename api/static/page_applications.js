// The first page: every application with its last runs, those that need a look first.

import { agoText, clear, durationText, el, plural, timeNode } from "./dom.js";
import { everyPage, mayOperate, pathOf, postJson } from "./client.js";
import { BAD, statusIcon, statusWord } from "./status.js";
import { ask, emptyBox, heading, link, notice, problemBox, strip } from "./widgets.js";

const PERIOD_MS = 3000;

export async function applicationsPage(main, context) {
  const search = el("input", { type: "search", placeholder: "Find an application", "aria-label": "Find an application", class: "search" });
  const summary = el("p", { class: "summary" });
  const list = el("div", { class: "apps" });
  clear(main, el("div", { class: "page" }, heading("Applications", search), summary, list));
  let found = [];
  let drawn = "";
  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    const shown = found.filter((one) => one.application.toLowerCase().includes(wanted));
    const rank = (one) => one.last === null ? 3 : one.last.status === "RUNNING" ? 0 : one.last.status === "SUCCESS" ? 2 : 1;
    shown.sort((a, b) => rank(a) - rank(b) || a.application.localeCompare(b.application));
    if (list.contains(document.activeElement) && document.activeElement.matches("button")) return;
    const focus = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    clear(list, shown.map((one) => card(one, load)));
    if (focus) for (const node of list.querySelectorAll("a")) if (node.getAttribute("href") === focus) { node.focus({ preventScroll: true }); break; }
    if (!found.length) clear(list, emptyBox("Nothing has run yet", "As soon as a configuration is run with this home, it stands here.", "executioner run pipeline.json"));
    else if (!shown.length) clear(list, emptyBox("No application has this in its name", "Another word may find it."));
  };
  const load = async () => {
    const next = [];
    try {
      await everyPage("/api/v1/applications?limit=200&runs=40", context.signal, (page) => next.push(...page.applications));
    } catch (error) {
      if (context.signal.aborted) return;
      if (!found.length) clear(list, problemBox(error, load));
      return;
    }
    found = next;
    const running = found.filter((one) => one.last && one.last.status === "RUNNING").length;
    const bad = found.filter((one) => one.last && (BAD.has(one.last.status))).length;
    search.hidden = summary.hidden = !found.length;
    clear(summary, plural(found.length, "application"), running ? [" · ", el("b", { class: "s-RUNNING ink" }, running + " running")] : null,
      bad ? [" · ", el("b", { class: "s-FAILED ink" }, bad + " whose last run failed")] : found.length ? " · all is well" : null);
    const text = JSON.stringify(found);
    if (text !== drawn) { drawn = text; draw(); }
  };
  search.addEventListener("input", draw);
  await load();
  context.every(PERIOD_MS, load);
}

function card(one, reload) {
  const last = one.last;
  const name = el("a", { class: "app-name", href: link("applications", one.application) }, one.application);
  const facts = last === null ? el("p", { class: "muted" }, "no runs") : el("p", { class: "app-facts" },
    el("a", { href: link("runs", last.run_id) }, "run " + last.run_id), " ", statusWord(last.status), " ",
    timeNode(last.ended || last.started, last.status === "RUNNING" ? "since " + agoText(last.started).replace(" ago", "") : agoText(last.ended || last.started)),
    last.duration === null ? null : " · " + durationText(last.duration),
    one.held.length ? el("span", { class: "tag" }, plural(one.held.length, "job") + " held") : null);
  const start = mayOperate() ? el("button", { class: "button small", type: "button", on: { click: () => startRun(one.application, reload) } }, "Run") : null;
  return el("article", { class: "app" + (last ? " s-" + last.status : "") },
    el("div", { class: "app-sign" }, last ? statusIcon(last.status) : null),
    el("div", { class: "app-what" }, el("h2", {}, name), facts,
      last && last.reason && last.status !== "SUCCESS" ? el("p", { class: "app-reason" }, last.reason) : null),
    strip(one.runs, 40), el("div", { class: "app-act" }, start));
}

export async function startRun(application, after) {
  const body = await ask("Run " + application + "?", "Starts the configuration that it ran last, as it is now.", "Run it");
  if (body === null) return;
  try {
    const started = await postJson(pathOf("applications", application, "runs"), body);
    notice(started.run_id ? "Run " + started.run_id + " of " + application + " has started." : application + " is starting.");
    if (started.run_id) location.hash = link("runs", started.run_id).slice(1);
    else if (after) after();
  } catch (error) {
    notice(error.message, true);
  }
}
