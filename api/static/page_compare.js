// Two runs side by side: what came out differently, and what took how much longer.

import { clear, durationText, el, endsNode, plural, timeNode } from "./dom.js";
import { everyPage } from "./client.js";
import { statusIcon, statusPill, statusWord } from "./status.js";
import { VirtualList } from "./virtual.js";
import { emptyBox, link, problemBox } from "./widgets.js";

export async function comparePage(main, context, left, right) {
  const page = el("div", { class: "page" });
  clear(main, page);
  const jobs = [];
  let both = null;
  try {
    await everyPage("/api/v1/runs/" + Number(left) + "/compare/" + Number(right) + "?limit=1000", context.signal, (one) => { both = both || one; jobs.push(...one.jobs); });
  } catch (error) {
    if (!context.signal.aborted) clear(page, problemBox(error));
    return;
  }
  // How much longer means something only of what ran on both sides.
  const ran = (side) => side !== null && side.attempts > 0 && side.duration !== null;
  const rows = jobs.map((job) => ({ job, delta: ran(job.left) && ran(job.right) ? job.right.duration - job.left.duration : null, differs: !job.left || !job.right || job.left.status !== job.right.status || job.left.exit_code !== job.right.exit_code }));
  const most = Math.max(0.001, ...rows.map((row) => Math.abs(row.delta)));
  const only = el("input", { type: "checkbox" });
  const draw = () => {
    const shown = rows.filter((row) => !only.checked || row.differs);
    shown.sort((a, b) => Number(b.differs) - Number(a.differs) || Math.abs(b.delta) - Math.abs(a.delta) || a.job.job_id.localeCompare(b.job.job_id));
    list.set(shown);
    none.hidden = shown.length > 0;
    list.root.hidden = !shown.length;
  };
  const side = (one) => one === null ? el("span", { class: "side muted" }, "not there")
    : el("span", { class: "side" }, statusIcon(one.status, true), el("span", {}, statusWord(one.status), one.exit_code ? " (" + one.exit_code + ")" : ""), el("span", { class: "number" }, one.attempts ? durationText(one.duration) : "–"));
  const list = new VirtualList(matchMedia("(max-width: 640px)").matches ? 66 : 42, (row) => el("div", { class: "compare-row" + (row.differs ? " differs" : "") },
    el("span", { class: "label", title: row.job.job_id }, endsNode(row.job.job_id)), side(row.job.left), side(row.job.right),
    row.delta === null ? el("span", { class: "delta muted" }, el("span", { class: "number" }, "–")) : el("span", { class: "delta" },
      el("span", { class: "number" }, Math.abs(row.delta) < 0.0005 ? "same" : (row.delta > 0 ? "+" : "−") + durationText(Math.abs(row.delta))),
      el("span", { class: "delta-bar " + (row.delta > 0 ? "longer" : "shorter"), "aria-hidden": "true", style: { width: Math.abs(row.delta) / most * 100 + "%" } }))), { class: "compare-list", label: "Jobs of both runs" });
  const none = emptyBox("No job came out differently", "What took longer or shorter is shown without the filter.");
  only.addEventListener("change", draw);
  const head = (run) => el("div", { class: "panel compare-head" }, el("p", {}, el("a", { class: "strong", href: link("runs", run.run_id) }, "Run " + run.run_id), statusPill(run.status)),
    el("p", { class: "muted" }, run.application + " · ", timeNode(run.started), " · ", el("span", { class: "number" }, durationText(run.duration))));
  const different = rows.filter((row) => row.differs).length;
  clear(page, el("nav", { class: "crumbs", "aria-label": "Where you are" }, el("a", { href: "#/runs" }, "Runs"), " / ", el("span", {}, "compare")),
    el("div", { class: "page-head" }, el("h1", {}, "Run " + both.left.run_id + " and run " + both.right.run_id)),
    el("div", { class: "compare-heads" }, head(both.left), head(both.right)),
    el("p", { class: "summary" }, different ? el("b", {}, plural(different, "job") + " came out differently") : "Every job came out the same", " · ",
      both.same_configuration ? "the same configuration" : "the configuration has changed in between", el("label", { class: "check right" }, only, " only what differs")),
    el("div", { class: "panel flush" }, el("div", { class: "compare-row compare-titles", "aria-hidden": "true" }, el("span", {}, "job"), el("span", {}, "run " + both.left.run_id), el("span", {}, "run " + both.right.run_id), el("span", {}, "longer or shorter")), list.root, none));
  draw();
}
