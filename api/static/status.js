// What each status is called, and its sign: a shape as well as a colour.

import { el, svg } from "./dom.js";

export const STATUSES = ["RUNNING", "RETRYING", "QUEUED", "PENDING", "FAILED", "TIMEOUT", "ERROR", "LOST", "BLOCKED",
  "CANCELLED", "SKIPPED", "SUCCESS"];
export const LIVE = new Set(["RUNNING", "RETRYING", "QUEUED", "PENDING"]);
export const BAD = new Set(["FAILED", "TIMEOUT", "ERROR", "LOST"]);

const WORDS = { SUCCESS: "succeeded", FAILED: "failed", TIMEOUT: "timed out", ERROR: "could not start", LOST: "lost",
  BLOCKED: "blocked", CANCELLED: "cancelled", SKIPPED: "skipped", RUNNING: "running", RETRYING: "waiting to retry",
  QUEUED: "queued", PENDING: "waiting" };

const GLYPHS = { SUCCESS: "M4.6 8.300 7 10.600 11.400 5.800", FAILED: "M5.500 5.500 10.500 10.500M10.500 5.500 5.500 10.500",
  TIMEOUT: "M8 4.800V8.200L10.300 9.700", ERROR: "M8 4.600V8.600M8 11.200V11.250",
  LOST: "M6.200 6.300a1.900 1.900 0 1 1 2.700 1.800c-.6.3-.9.6-.9 1.200M8 11.450v.05",
  BLOCKED: "M4.900 8H11.100", CANCELLED: "M5.800 5.800H10.200V10.200H5.800Z", SKIPPED: "M5.200 5.200 8 8 5.200 10.800M8.600 5.200 11.400 8 8.600 10.800",
  RETRYING: "M10.900 6.700a3.200 3.200 0 1 0 .3 2M11.100 4.600V6.900H8.800" };

export function statusWord(status) {
  return WORDS[status] || status.toLowerCase();
}

// A filled disc with its sign; what has not ended yet is a ring.
export function statusParts(status) {
  if (status === "RUNNING") {
    return [svg("circle", { class: "ring", cx: 8, cy: 8, r: 5.75 }), svg("path", { class: "spin", d: "M8 2.25A5.75 5.75 0 0 1 13.750 8" })];
  }
  if (status === "PENDING" || status === "QUEUED") {
    return [svg("circle", { class: "ring solid", cx: 8, cy: 8, r: 5.75, "stroke-dasharray": status === "QUEUED" ? "2.5 2" : null })];
  }
  return [svg("circle", { class: "disc", cx: 8, cy: 8, r: 7 }), svg("path", { class: "glyph", d: GLYPHS[status] || "" })];
}

export function statusIcon(status, isSilent) {
  return svg("svg", { class: "sign s-" + status, viewBox: "0 0 16 16", width: 16, height: 16, role: isSilent ? null : "img",
    "aria-label": isSilent ? null : statusWord(status), "aria-hidden": isSilent ? "true" : null, focusable: "false" },
    statusParts(status));
}

export function statusPill(status) {
  return el("span", { class: "pill s-" + status }, statusIcon(status, true), statusWord(status));
}

// How many jobs are in which status: one bar, and the numbers as words.
export function countsBar(counts) {
  const present = STATUSES.filter((status) => counts[status]).reverse();
  const bar = el("div", { class: "counts-bar", "aria-hidden": "true" }, present.map((status) =>
    el("span", { class: "s-" + status, style: { "flex-grow": String(counts[status]) } })));
  const words = el("ul", { class: "counts" }, present.map((status) =>
    el("li", {}, statusIcon(status, true), el("b", {}, counts[status].toLocaleString()), " " + statusWord(status))));
  return [bar, words];
}
