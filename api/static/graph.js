// The graph of a run as SVG: one element a job, drawn once; what changes later is only its class and its words.

import { clear, durationText, el, svg } from "./dom.js";
import { layered } from "./layout.js";
import { BAD, LIVE, statusParts, statusWord } from "./status.js";

// More than that is no picture any more: then what matters and its neighbours are drawn.
const MOST_JOBS = 400;
const SIZES = [
  { most: 60, width: 172, height: 46, gapX: 40, gapY: 16 },
  { most: 400, width: 150, height: 28, gapX: 56, gapY: 7 },
];

export class GraphView {
  constructor(jobs, dependencies, options) {
    this.options = options || {};
    this.dependencies = dependencies;
    this.scale = 1;
    this.nodes = new Map();
    this.note = el("p", { class: "muted graph-note" });
    this.canvas = svg("svg", { class: "graph-canvas", role: "group", "aria-label": "Graph of the jobs. Arrow keys move between jobs, Enter opens one." });
    this.scroll = el("div", { class: "graph-scroll" }, this.canvas);
    const button = (label, text, act) => el("button", { class: "icon-button", type: "button", "aria-label": label, title: label, on: { click: act } }, text);
    this.tools = el("div", { class: "graph-tools", role: "group", "aria-label": "Zoom" },
      button("Smaller", "−", () => this.zoom(this.scale / 1.25)),
      button("Larger", "+", () => this.zoom(this.scale * 1.25)),
      button("Fit", "⤢", () => this.fit()));
    this.root = el("div", { class: "graph" }, this.tools, this.scroll, this.note);
    this.scroll.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(this.scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.dragging();
    this.build(jobs);
  }

  build(jobs) {
    this.jobs = jobs;
    const chosen = this.choose(jobs);
    this.shown = chosen;
    const place = new Map(chosen.map((job, index) => [job.job_id, index]));
    const arrows = [];
    const kinds = [];
    chosen.forEach((job, index) => {
      for (const arrow of this.dependencies[job.job_id] || []) {
        if (place.has(arrow.job)) { arrows.push([place.get(arrow.job), index]); kinds.push(arrow.when); }
      }
    });
    const size = SIZES.find((one) => chosen.length <= one.most) || SIZES[SIZES.length - 1];
    this.size = size;
    const drawn = layered(chosen.length, arrows, size);
    const pad = 14;
    this.width = drawn.width + pad * 2;
    this.height = drawn.height + pad * 2;
    this.edges = arrows.map(([from, to], index) => ({ from: chosen[from].job_id, to: chosen[to].job_id,
      node: svg("path", { class: "edge when-" + kinds[index], d: drawn.paths[index], "marker-end": "url(#arrow)" }) }));
    this.nodes = new Map();
    const layer = svg("g", {});
    chosen.forEach((job, index) => {
      const at = drawn.nodes[index];
      const node = this.node(job, at, size);
      this.nodes.set(job.job_id, node);
      layer.append(node.root);
    });
    const marker = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      svg("path", { class: "arrow-head", d: "M0 .8 7.500 4 0 7.200Z" }));
    clear(this.canvas, svg("defs", {}, marker), svg("g", { transform: "translate(" + pad + " " + pad + ")" }, this.edges.map((edge) => edge.node), layer));
    this.note.textContent = chosen.length < jobs.length ? "This run has " + jobs.length.toLocaleString() +
      " jobs. Drawn are the " + chosen.length + " that matter most now: what runs, what failed, and what is next to them. The list and the timeline have all." : "";
    this.note.hidden = chosen.length >= jobs.length;
    const first = this.nodes.values().next().value;
    if (first) first.root.setAttribute("tabindex", "0");
    this.markCritical([]);
    this.needsFit = true;
  }

  choose(jobs) {
    if (jobs.length <= MOST_JOBS) return jobs;
    const wanted = new Set();
    const add = (job) => { if (wanted.size < MOST_JOBS / 2) wanted.add(job.job_id); };
    jobs.filter((job) => BAD.has(job.status)).forEach(add);
    jobs.filter((job) => job.status === "RUNNING" || job.status === "RETRYING").forEach(add);
    jobs.forEach((job) => { if (wanted.size < 40) add(job); });
    const near = new Set(wanted);
    for (const job of jobs) {
      for (const arrow of this.dependencies[job.job_id] || []) {
        if (near.size >= MOST_JOBS) break;
        if (wanted.has(job.job_id)) near.add(arrow.job);
        else if (wanted.has(arrow.job)) near.add(job.job_id);
      }
    }
    return jobs.filter((job) => near.has(job.job_id));
  }

  node(job, at, size) {
    const isTall = size.height > 40;
    const sign = svg("g", { class: "sign", transform: "translate(10 " + (size.height / 2 - 8) + ")" });
    const title = svg("text", { class: "node-title", x: 34, y: isTall ? 20 : size.height / 2 + 4 });
    const words = isTall ? svg("text", { class: "node-words", x: 34, y: 36 }) : null;
    const hint = svg("title", {});
    const root = svg("g", { class: "node", transform: "translate(" + at.x + " " + at.y + ")", role: "link", tabindex: "-1", data: { job: job.job_id } },
      hint, svg("rect", { class: "node-box", width: size.width, height: size.height, rx: 9 }), sign, title, words);
    root.addEventListener("click", () => this.open(job.job_id));
    root.addEventListener("pointerenter", () => this.highlight(job.job_id));
    root.addEventListener("pointerleave", () => this.highlight(null));
    root.addEventListener("focus", () => this.highlight(job.job_id));
    root.addEventListener("blur", () => this.highlight(null));
    const node = { root, sign, title, words, hint, at, status: null };
    const most = Math.floor((size.width - 42) / (isTall ? 7.2 : 6.6));
    title.textContent = job.job_id.length > most ? job.job_id.slice(0, Math.ceil(most * 0.6)) + "…" + job.job_id.slice(job.job_id.length - Math.floor(most * 0.4) + 1) : job.job_id;
    this.show(node, job);
    return node;
  }

  show(node, job) {
    if (node.status !== job.status) {
      node.root.setAttribute("class", "node s-" + job.status + (node.root.classList.contains("critical") ? " critical" : "") + (node.root.classList.contains("chosen") ? " chosen" : ""));
      clear(node.sign, statusParts(job.status));
      node.status = job.status;
    }
    const tries = job.attempts > 1 ? " · try " + job.attempts : "";
    const words = (LIVE.has(job.status) ? statusWord(job.status) : job.attempts ? durationText(job.duration) : statusWord(job.status)) + tries + (job.held ? " · held" : "");
    if (node.words) node.words.textContent = words.length > 26 ? words.slice(0, 25) + "…" : words;
    const told = job.job_id + ": " + statusWord(job.status) + (job.reason ? ", " + job.reason : "");
    // The element "title" is both what a pointer is told and the name for a screen reader.
    node.hint.textContent = told + (job.description ? "\n" + job.description : "");
  }

  update(jobs, changed) {
    this.jobs = jobs;
    for (const job of changed) {
      const node = this.nodes.get(job.job_id);
      if (node) this.show(node, job);
    }
  }

  markCritical(path) {
    const on = new Set(path);
    for (const [id, node] of this.nodes) node.root.classList.toggle("critical", on.has(id));
    const steps = new Set(path.slice(1).map((id, index) => path[index] + "\n" + id));
    for (const edge of this.edges) edge.node.classList.toggle("critical", steps.has(edge.from + "\n" + edge.to));
  }

  mark(id) {
    for (const [other, node] of this.nodes) node.root.classList.toggle("chosen", other === id);
  }

  highlight(id) {
    this.canvas.classList.toggle("focused", id !== null);
    if (id === null) return;
    const near = new Set([id]);
    for (const edge of this.edges) {
      const touches = edge.from === id || edge.to === id;
      edge.node.classList.toggle("near", touches);
      if (touches) { near.add(edge.from); near.add(edge.to); }
    }
    for (const [other, node] of this.nodes) node.root.classList.toggle("near", near.has(other));
  }

  open(id) {
    if (this.options.open) this.options.open(id);
  }

  key(event) {
    const target = event.target.closest("[data-job]");
    if (!target) return;
    const id = target.dataset.job;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.open(id); return; }
    const here = this.nodes.get(id).at;
    const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    let best = null;
    for (const [other, node] of this.nodes) {
      if (other === id) continue;
      const dx = node.at.x - here.x, dy = node.at.y - here.y;
      const along = dx * way[0] + dy * way[1];
      if (along <= 1) continue;
      const cost = along + Math.abs(dx * way[1] + dy * way[0]) * 2.5;
      if (best === null || cost < best.cost) best = { cost, node };
    }
    if (best) {
      target.setAttribute("tabindex", "-1");
      best.node.root.setAttribute("tabindex", "0");
      best.node.root.focus();
    }
  }

  zoom(scale) {
    this.scale = Math.min(2, Math.max(0.25, scale));
    this.canvas.setAttribute("width", this.width * this.scale);
    this.canvas.setAttribute("height", this.height * this.scale);
    this.canvas.setAttribute("viewBox", "0 0 " + this.width + " " + this.height);
  }

  // The whole of it, however small.
  fit() {
    const scale = Math.min((this.scroll.clientWidth - 4) / this.width, this.mostHeight() / this.height);
    this.zoom(scale > 0 ? Math.min(1, scale) : 1);
  }

  mostHeight() {
    return parseFloat(getComputedStyle(this.scroll).maxHeight) || 700;
  }

  // All of it where that is readable; else so large that it is, with what runs or failed in sight.
  begin() {
    const scale = (this.scroll.clientWidth - 4) / this.width;
    this.zoom(scale > 0 ? Math.min(1, scale < 0.7 ? 0.8 : scale) : 1);
    this.needsFit = false;
    const telling = this.shown.find((job) => job.status === "RUNNING") || this.shown.find((job) => BAD.has(job.status));
    if (!telling) return;
    const at = this.nodes.get(telling.job_id).at;
    this.scroll.scrollTop = at.y * this.scale - this.scroll.clientHeight / 2;
    this.scroll.scrollLeft = at.x * this.scale - this.scroll.clientWidth / 2;
  }

  appear() {
    if (this.needsFit && this.scroll.clientWidth) this.begin();
  }

  dragging() {
    let from = null;
    this.scroll.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType !== "mouse" || event.target.closest("[data-job]")) return;
      from = { x: event.clientX + this.scroll.scrollLeft, y: event.clientY + this.scroll.scrollTop };
      this.scroll.classList.add("dragging");
      this.scroll.setPointerCapture(event.pointerId);
    });
    this.scroll.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.scroll.scrollLeft = from.x - event.clientX;
      this.scroll.scrollTop = from.y - event.clientY;
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.scroll.addEventListener(name, () => { from = null; this.scroll.classList.remove("dragging"); });
    }
  }
}
