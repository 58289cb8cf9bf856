// The history: every run, filtered, a page more whenever the end comes into sight; two of them can be compared.

import { clear, durationText, el, timeNode } from "./dom.js";
import { getJson } from "./client.js";
import { statusPill } from "./status.js";
import { emptyBox, field, heading, link, problemBox } from "./widgets.js";

const PAGE = 100;

export async function runsPage(main, context, query) {
  const option = (value, text) => el("option", { value, selected: query.get("status") === value }, text);
  // A change of the filter is a new page: the control that made it keeps the focus.
  const focused = main.contains(document.activeElement) ? document.activeElement.name : "";
  const application = el("input", { type: "search", name: "application", placeholder: "any", value: query.get("application") || "", list: "known", autocomplete: "off" });
  const known = el("datalist", { id: "known" });
  const status = el("select", { name: "status" }, option("", "any"), option("RUNNING", "running"), option("SUCCESS", "succeeded"), option("FAILED", "failed"),
    option("CANCELLED", "cancelled"), option("LOST", "lost"));
  const since = el("input", { type: "date", name: "since", value: query.get("since") || "" });
  const until = el("input", { type: "date", name: "until", value: query.get("until") || "" });
  const chosen = [];
  const compare = el("a", { class: "button primary", hidden: true }, "Compare");
  const hint = el("span", { class: "muted hint", "aria-live": "polite" }, "Pick two to compare");
  const body = el("tbody", {});
  const foot = el("div", { class: "more", "aria-live": "polite" });
  const table = el("table", { class: "runs" }, el("caption", { class: "hidden" }, "Runs, newest first"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "pick" }, el("span", { class: "hidden" }, "Compare")),
      ["Run", "Application", "Status", "Started", "Took", "What happened"].map((text) => el("th", { scope: "col", class: text === "Took" ? "number" : null }, text)))), body);
  const panel = el("div", { class: "panel table-scroll", tabindex: "0", role: "region", "aria-label": "Runs" }, table);
  clear(main, el("div", { class: "page" }, heading("Runs", hint, compare),
    el("form", { class: "filters", on: { submit: (event) => { event.preventDefault(); apply(); } } }, field("Application", application), known, field("Status", status),
      field("From", since), field("To", until), el("button", { class: "button", type: "submit" }, "Filter")),
    panel, foot));

  const apply = () => {
    const wanted = new URLSearchParams();
    for (const [name, control] of [["application", application], ["status", status], ["since", since], ["until", until]]) {
      if (control.value.trim()) wanted.set(name, control.value.trim());
    }
    location.hash = "#/runs" + (wanted.toString() ? "?" + wanted : "");
  };
  for (const control of [status, since, until]) control.addEventListener("change", apply);
  for (const control of [application, status, since, until]) if (control.name === focused) control.focus({ preventScroll: true });

  const pick = (run, box) => {
    if (box.checked) chosen.push(run.run_id);
    else chosen.splice(chosen.indexOf(run.run_id), 1);
    const ready = chosen.length === 2;
    compare.hidden = !ready;
    hint.textContent = ready ? "" : chosen.length ? "Pick one more" : "Pick two to compare";
    if (ready) compare.setAttribute("href", link("compare", Math.min(...chosen), Math.max(...chosen)));
    for (const other of body.querySelectorAll("input")) other.disabled = ready && !other.checked;
  };
  const row = (run) => {
    const box = el("input", { type: "checkbox", "aria-label": "Compare run " + run.run_id, on: { change: () => pick(run, box) } });
    return el("tr", {}, el("td", { class: "pick" }, box), el("td", {}, el("a", { class: "strong", href: link("runs", run.run_id) }, "#" + run.run_id)),
      el("td", {}, el("a", { class: "plain", href: link("applications", run.application) }, run.application)), el("td", {}, statusPill(run.status)),
      el("td", {}, timeNode(run.started)), el("td", { class: "number" }, durationText(run.duration)),
      el("td", { class: "reason" }, run.reason || (run.parent_run_id ? "resumes run " + run.parent_run_id : "")));
  };
  const day = (value, last) => { const [year, month, date] = value.split("-").map(Number); return new Date(year, month - 1, date + (last ? 1 : 0)).toISOString().slice(0, 19) + "Z"; };
  let before = null;
  let isLoading = false;
  const more = async () => {
    if (isLoading) return;
    isLoading = true;
    const wanted = new URLSearchParams({ limit: PAGE });
    if (query.get("application")) wanted.set("application", query.get("application"));
    if (query.get("status")) wanted.set("status", query.get("status"));
    if (query.get("since")) wanted.set("since", day(query.get("since"), false));
    if (query.get("until")) wanted.set("until", day(query.get("until"), true));
    if (before !== null) wanted.set("before", before);
    try {
      const page = await getJson("/api/v1/runs?" + wanted, context.signal);
      body.append(...page.runs.map(row));
      panel.hidden = !body.childElementCount;
      hint.hidden = body.childElementCount < 2;
      before = page.next;
      clear(foot, before !== null ? el("button", { class: "button", type: "button", on: { click: more } }, "Older runs")
        : body.childElementCount ? el("span", { class: "muted" }, "That is all.") : [...query].length ? emptyBox("No run is like that", "Fewer filters find more.") : emptyBox("Nothing has run yet", "As soon as a configuration is run with this home, it stands here.", "executioner run pipeline.json"));
    } catch (error) {
      if (!context.signal.aborted) clear(foot, problemBox(error, more));
    }
    isLoading = false;
  };
  await more();
  if (typeof IntersectionObserver === "function") {
    const watcher = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && before !== null) more(); }, { rootMargin: "600px" });
    watcher.observe(foot);
    context.signal.addEventListener("abort", () => watcher.disconnect());
  }
  getJson("/api/v1/applications?limit=200&runs=1", context.signal).then((page) =>
    clear(known, page.applications.map((one) => el("option", { value: one.application }))), () => {});
}
