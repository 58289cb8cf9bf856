// What the pages share: notices, questions before an act, the strip of results, links.

import { durationText, el, svg, timeText } from "./dom.js";
import { statusWord } from "./status.js";

export function notice(text, isBad) {
  const box = document.getElementById("notices");
  const node = el("div", { class: "notice" + (isBad ? " bad" : "") }, el("span", {}, text),
    el("button", { class: "icon-button", type: "button", "aria-label": "Dismiss", on: { click: () => node.remove() } }, "×"));
  box.append(node);
  setTimeout(() => node.remove(), isBad ? 12000 : 6000);
}

export function problemBox(error, again) {
  const words = error.message.charAt(0).toUpperCase() + error.message.slice(1) + (/[.!?]$/.test(error.message) ? "" : ".");
  if (error.status === 404) return el("div", { class: "empty" }, el("h2", {}, "Not here"), el("p", {}, words), el("p", {}, el("a", { href: "#/" }, "Applications"), " · ", el("a", { href: "#/runs" }, "Runs")));
  return el("div", { class: "empty" }, el("h2", {}, "That did not work"), el("p", {}, words),
    again ? el("button", { class: "button", type: "button", on: { click: again } }, "Try again") : null);
}

export function emptyBox(title, text, code) {
  return el("div", { class: "empty" }, el("h2", {}, title), el("p", {}, text), code ? el("pre", {}, code) : null);
}

export function link(...parts) {
  return "#/" + parts.map((part) => encodeURIComponent(part)).join("/");
}

// Asks for a reason, and for what else the act wants to know; null where it is not to be done.
export function ask(title, text, verb, options) {
  const given = options || {};
  return new Promise((resolve) => {
    const why = el("input", { type: "text", maxlength: "500", autocomplete: "off", placeholder: "for whoever reads the history later" });
    const checks = (given.checks || []).map(([name, label]) => ({ name, node: el("input", { type: "checkbox" }), label }));
    const form = el("form", { method: "dialog" }, el("h2", { id: "ask-title" }, title), el("p", {}, text),
      el("label", { class: "field" }, "Why (optional)", why),
      checks.map((check) => el("label", { class: "check" }, check.node, " " + check.label)),
      el("div", { class: "dialog-buttons" },
        el("button", { class: "button", type: "button", on: { click: () => close(null) } }, "Leave it"),
        el("button", { class: "button " + (given.isBad ? "danger" : "primary"), type: "submit" }, verb)));
    const dialog = el("dialog", { class: "dialog", "aria-labelledby": "ask-title" }, form);
    const close = (value) => { resolve(value); dialog.remove(); };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = {};
      if (why.value.trim()) body.why = why.value.trim();
      for (const check of checks) if (check.node.checked) body[check.name] = true;
      close(body);
    });
    dialog.addEventListener("cancel", () => close(null));
    document.body.append(dialog);
    dialog.showModal();
    why.focus();
  });
}

// The last runs of an application, oldest left: a bar each, as high as it took long.
export function strip(runs, most) {
  const shown = runs.slice(0, most).reverse();
  const longest = Math.max(0.001, ...shown.map((run) => run.duration || 0));
  return el("ol", { class: "strip", "aria-label": "Last runs, newest last" }, shown.map((run) => {
    const share = run.duration === null ? 1 : run.duration / longest;
    const told = "run " + run.run_id + ": " + statusWord(run.status) + ", " + timeText(run.started) + ", " + durationText(run.duration);
    return el("li", {}, el("a", { href: link("runs", run.run_id), class: "s-" + run.status, title: told, "aria-label": told, style: { "--h": Math.round(22 + share * 78) + "%" } }));
  }));
}

export function heading(title, ...rest) {
  return el("div", { class: "page-head" }, el("h1", {}, title), el("div", { class: "page-actions" }, rest));
}

export function field(label, control) {
  return el("label", { class: "field" }, label, control);
}

export function chevron() {
  return svg("svg", { viewBox: "0 0 8 12", width: 8, height: 12, "aria-hidden": "true", class: "chevron" }, svg("path", { d: "M1.500 1 6.500 6 1.500 11" }));
}
