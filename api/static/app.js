// The dashboard: who is there, which page the address names, and the bar above all pages.

import { clear, el } from "./dom.js";
import { getJson, hasToken, session, setToken } from "./client.js";
import { applyTheme, themeButton } from "./theme.js";
import { applicationPage } from "./page_application.js";
import { applicationsPage } from "./page_applications.js";
import { comparePage } from "./page_compare.js";
import { runPage } from "./page_run.js";
import { runsPage } from "./page_runs.js";
import { emptyBox } from "./widgets.js";

const main = document.getElementById("main");
const bar = document.getElementById("bar");
let current = null;
let shown = null;

class Context {
  constructor() {
    this.stop = new AbortController();
    this.signal = this.stop.signal;
    this.timers = [];
  }

  // Does something again and again while the page is there and seen; never twice at once.
  every(period, act) {
    let isBusy = false;
    this.timers.push(setInterval(async () => {
      if (isBusy || document.hidden || this.signal.aborted) return;
      isBusy = true;
      try { await act(); } catch (error) { /* the page tells its own problems */ }
      isBusy = false;
    }, period));
  }

  end() {
    this.stop.abort();
    this.timers.forEach(clearInterval);
  }
}

function drawBar() {
  const at = location.hash.slice(2).split(/[/?]/)[0];
  const item = (href, text, names) => el("a", { href, class: "nav", "aria-current": names.includes(at) ? "page" : null }, text);
  clear(bar, el("a", { class: "brand", href: "#/", "aria-label": "Executioner" }, el("img", { src: "/static/icon.svg", alt: "", width: 26, height: 26 }), el("span", {}, "Executioner")),
    session.me ? el("nav", { "aria-label": "Pages" }, item("#/", "Applications", ["", "applications"]), item("#/runs", "Runs", ["runs", "compare"])) : null,
    el("span", { class: "spacer" }), themeButton(),
    session.me ? el("span", { class: "who", title: "role: " + session.me.role }, session.me.name) : null,
    session.me ? el("button", { class: "button small", type: "button", on: { click: () => { setToken(null); start(); } } }, "Leave") : null);
}

function login(told) {
  leave();
  drawBar();
  document.title = "Executioner";
  const input = el("input", { type: "password", autocomplete: "off", required: true, spellcheck: "false", "aria-describedby": "login-help" });
  const problem = el("p", { class: "login-problem", role: "alert" }, told || "");
  const form = el("form", { class: "login", on: { submit: async (event) => {
    event.preventDefault();
    setToken(input.value.trim());
    try {
      session.me = await getJson("/api/v1/me");
      start();
    } catch (error) {
      setToken(null);
      problem.textContent = error.status === 401 ? "This token is not known here." : error.message;
      input.select();
    }
  } } }, el("img", { src: "/static/icon.svg", alt: "", width: 52, height: 52 }), el("h1", {}, "Executioner"), el("label", { class: "field" }, "Token", input), problem,
    el("button", { class: "button primary", type: "submit" }, "Enter"),
    el("p", { id: "login-help", class: "muted" }, "Made on the server, and kept by this tab alone until it is closed:"), el("pre", { class: "command" }, "executioner token create NAME"));
  clear(main, form);
  input.focus();
}

function leave() {
  if (current) current.end();
  current = null;
  shown = null;
  main.className = "";
}

async function route() {
  const [path, search] = (location.hash.slice(2) || "").split("?");
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  const query = new URLSearchParams(search || "");
  drawBar();
  // A job is opened beside its run: the run's page stays.
  if (parts[0] === "runs" && parts[1] && shown && shown.runId === parts[1]) {
    shown.page.openJob(parts[2] === "jobs" && parts[3] ? parts[3] : null);
    if (query.get("view") && query.get("view") !== shown.page.tab) shown.page.show(query.get("view"));
    return;
  }
  leave();
  const context = current = new Context();
  window.scrollTo(0, 0);
  try {
    if (!parts.length) { document.title = "Applications · Executioner"; await applicationsPage(main, context); }
    else if (parts[0] === "applications" && parts.length === 2) { document.title = parts[1] + " · Executioner"; await applicationPage(main, context, parts[1]); }
    else if (parts[0] === "runs" && parts.length === 1) { document.title = "Runs · Executioner"; await runsPage(main, context, query); }
    else if (parts[0] === "compare" && parts.length === 3) { document.title = "Compare · Executioner"; await comparePage(main, context, parts[1], parts[2]); }
    else if (parts[0] === "runs" && /^[0-9]+$/.test(parts[1])) {
      document.title = "Run " + parts[1] + " · Executioner";
      const page = await runPage(main, context, parts[1], query.get("view"));
      if (context.signal.aborted) return;
      shown = { runId: parts[1], page };
      const now = location.hash.slice(2).split("?")[0].split("/").map(decodeURIComponent);
      if (now[1] === parts[1] && now[2] === "jobs" && now[3]) page.openJob(now[3]);
    } else { document.title = "Not here · Executioner"; clear(main, el("div", { class: "page" }, emptyBox("There is no such page", "The bar above leads back."))); }
  } catch (error) {
    if (!context.signal.aborted && !main.childElementCount) clear(main, el("div", { class: "page" }, emptyBox("That did not work", error.message)));
  }
}

async function start() {
  session.onEnd = () => { if (session.me) { setToken(null); login("This token opens nothing any more."); } };
  if (!hasToken()) { login(); return; }
  if (!session.me) {
    try {
      session.me = await getJson("/api/v1/me");
    } catch (error) {
      if (error.status === 401) { setToken(null); login("This token opens nothing any more."); } else { drawBar(); clear(main, el("div", { class: "page" }, emptyBox("That did not work", error.message))); setTimeout(start, 3000); }
      return;
    }
  }
  await route();
}

applyTheme();
// "/" goes to the search of a page.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const search = [...main.querySelectorAll('input[type="search"]')].reverse().find((node) => node.offsetParent !== null);
  if (search) { event.preventDefault(); search.focus(); search.select(); }
});
window.addEventListener("hashchange", () => { if (session.me) route(); });
start();
