// The graph of a run as SVG: one element a job, drawn once; what changes later is only its class and its words.

import { clear, durationText, el, plural, svg } from "./dom.js";
import { criticalPath } from "./critical.js";
import { layered } from "./layout.js";
import { MiniMap } from "./minimap.js";
import { BAD, LIVE, statusParts, statusWord } from "./status.js";

// More than that is no picture any more: then what matters and its neighbours are drawn.
const MOST_JOBS = 400;
const MOST_NEIGHBOURS = 8;
const SIZES = [
  { most: 40, height: 46, gapX: 34, gapY: 14, least: 104, widest: 250 },
  { most: 400, height: 28, gapX: 44, gapY: 6, least: 84, widest: 220 },
];
const FONT = "600 12.5px ";
const SMALLEST = 0.15;
const LARGEST = 2;
// Smaller letters than that nobody reads.
const READABLE = 0.75;
const PAD = 16;
const REBUILD_MS = 5000;

export class GraphView {
  constructor(jobs, dependencies, options) {
    this.options = options || {};
    this.dependencies = dependencies;
    this.scale = 1;
    this.nodes = new Map();
    this.critical = [];
    this.pen = document.createElement("canvas").getContext("2d");
    this.note = el("p", { class: "muted graph-note" });
    this.canvas = svg("svg", { class: "graph-canvas", role: "group", "aria-label": "Graph of the jobs. Arrow keys move between jobs, Enter opens one." });
    this.scroll = el("div", { class: "graph-scroll" }, this.canvas);
    this.map = new MiniMap(this.scroll);
    const button = (label, text, act) => el("button", { class: "icon-button", type: "button", "aria-label": label, title: label, on: { click: act } }, text);
    this.find = el("input", { type: "search", placeholder: "Find in the graph", "aria-label": "Find in the graph", on: {
      input: () => this.search(), keydown: (event) => { if (event.key === "Enter") { event.preventDefault(); this.step(event.shiftKey ? -1 : 1); } } } });
    this.found = el("span", { class: "muted count", "aria-live": "polite" });
    const sample = (name, text) => el("li", {}, svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, svg("path", { class: "edge " + name, d: "M1 5H25" })), text);
    this.legend = el("ul", { class: "legend" }, sample("critical", "critical path"), sample("stopped", "went no further"), sample("when-failure", "on failure"));
    this.tools = el("div", { class: "graph-tools", role: "group", "aria-label": "Zoom" },
      button("Smaller", "−", () => this.zoom(this.scale / 1.25)),
      button("Larger", "+", () => this.zoom(this.scale * 1.25)),
      button("Fit", "⤢", () => this.fit()));
    this.root = el("div", { class: "graph" }, el("div", { class: "tools" }, this.find, this.found, this.legend, this.tools),
      el("div", { class: "graph-frame" }, this.scroll, this.map.root), this.note);
    this.scroll.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(this.scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1), event);
    }, { passive: false });
    this.scroll.addEventListener("scroll", () => { this.place = [this.scroll.scrollLeft, this.scroll.scrollTop]; }, { passive: true });
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
    this.pen.font = FONT + getComputedStyle(document.body).fontFamily;
    const widths = chosen.map((job) => Math.ceil(Math.min(size.widest, Math.max(size.least, this.pen.measureText(job.job_id).width + 46))));
    const drawn = layered(chosen.length, arrows, size, widths);
    this.width = drawn.width + PAD * 2;
    this.height = drawn.height + PAD * 2;
    this.edges = arrows.map(([from, to], index) => ({ from: chosen[from].job_id, to: chosen[to].job_id, kind: kinds[index],
      node: svg("path", { class: "edge when-" + kinds[index], d: drawn.paths[index], "marker-end": "url(#arrow)" }) }));
    this.nodes = new Map();
    const layer = svg("g", {});
    chosen.forEach((job, index) => {
      const node = this.node(job, drawn.nodes[index], size);
      this.nodes.set(job.job_id, node);
      layer.append(node.root);
    });
    const marker = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7.5, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
      svg("path", { class: "arrow-head", d: "M0 1 7.500 4 0 7Z" }));
    clear(this.canvas, svg("defs", {}, marker), svg("g", { transform: "translate(" + PAD + " " + PAD + ")" }, this.edges.map((edge) => edge.node), layer));
    this.note.textContent = chosen.length < jobs.length ? "This run has " + plural(jobs.length, "job") +
      ". Drawn are the " + chosen.length + " that matter most now: what runs, what failed, the critical path, and what is next to them. The list and the timeline have all." : "";
    this.note.hidden = chosen.length >= jobs.length;
    const first = this.nodes.values().next().value;
    if (first) first.root.setAttribute("tabindex", "0");
    this.map.set(this.width, this.height, chosen.map((job) => ({ job, at: this.nodes.get(job.job_id).at })), size.height, PAD);
    this.markCritical(this.critical);
    this.markStopped();
    this.search();
    this.needsFit = true;
  }

  choose(jobs) {
    if (jobs.length <= MOST_JOBS) return jobs;
    const wanted = new Set();
    const add = (job) => { if (wanted.size < MOST_JOBS / 2) wanted.add(job.job_id); };
    jobs.filter((job) => BAD.has(job.status)).forEach(add);
    jobs.filter((job) => job.status === "RUNNING" || job.status === "RETRYING").forEach(add);
    const path = new Set(criticalPath(jobs, this.dependencies));
    jobs.filter((job) => path.has(job.job_id)).forEach(add);
    jobs.forEach((job) => { if (wanted.size < 20) add(job); });
    // Few neighbours of each, or a gate with hundreds of jobs behind it would be all there is; what was stopped is told.
    const near = new Set(wanted);
    const counts = new Map();
    const join = (of, other, isTelling) => {
      const count = (counts.get(of) || 0) + 1;
      if (near.size >= MOST_JOBS || (count > MOST_NEIGHBOURS && !isTelling)) return;
      counts.set(of, count);
      near.add(other);
    };
    for (const job of jobs) {
      for (const arrow of this.dependencies[job.job_id] || []) {
        if (wanted.has(job.job_id)) join(job.job_id, arrow.job, false);
        else if (wanted.has(arrow.job)) join(arrow.job, job.job_id, job.status === "BLOCKED");
      }
    }
    return jobs.filter((job) => near.has(job.job_id));
  }

  node(job, at, size) {
    const isTall = size.height > 40;
    const sign = svg("g", { class: "sign", transform: "translate(10 " + (size.height / 2 - 8) + ")" });
    const title = svg("text", { class: "node-title", x: 34, y: isTall ? 20 : size.height / 2 + 4.5 }, this.short(job.job_id, at.width - 44));
    const words = isTall ? svg("text", { class: "node-words", x: 34, y: 36 }) : null;
    const hint = svg("title", {});
    const root = svg("g", { class: "node", transform: "translate(" + at.x + " " + at.y + ")", role: "link", tabindex: "-1", data: { job: job.job_id } },
      hint, svg("rect", { class: "node-box", width: at.width, height: size.height, rx: 8 }), sign, title, words);
    root.addEventListener("click", () => this.open(job.job_id));
    root.addEventListener("pointerenter", () => this.highlight(job.job_id));
    root.addEventListener("pointerleave", () => this.highlight(null));
    root.addEventListener("focus", () => this.highlight(job.job_id));
    root.addEventListener("blur", () => this.highlight(null));
    const node = { root, sign, words, hint, at, status: null };
    this.show(node, job);
    return node;
  }

  // The two ends of a text that is wider than its place.
  short(text, width) {
    if (this.pen.measureText(text).width <= width) return text;
    let most = text.length - 1;
    const cut = () => text.slice(0, Math.ceil(most * 0.6)) + "…" + text.slice(text.length - Math.floor(most * 0.4));
    while (most > 2 && this.pen.measureText(cut()).width > width) most -= 1;
    return cut();
  }

  show(node, job) {
    if (node.status !== job.status) {
      if (node.status !== null) node.root.classList.remove("s-" + node.status);
      node.root.classList.add("s-" + job.status);
      clear(node.sign, statusParts(job.status));
      node.status = job.status;
    }
    const tries = job.attempts > 1 ? " · try " + job.attempts : "";
    const words = (LIVE.has(job.status) ? statusWord(job.status) : job.attempts ? durationText(job.duration) : statusWord(job.status)) + tries + (job.held ? " · held" : "");
    if (node.words) node.words.textContent = words;
    const told = job.job_id + ": " + statusWord(job.status) + (job.reason ? ", " + job.reason : "");
    // The element "title" is both what a pointer is told and the name for a screen reader.
    node.hint.textContent = told + (job.description ? "\n" + job.description : "");
  }

  update(jobs, changed) {
    this.jobs = jobs;
    let isMissing = jobs.length < this.shown.length;
    for (const job of changed) {
      const node = this.nodes.get(job.job_id);
      if (node) this.show(node, job);
      else if (BAD.has(job.status) || job.status === "RUNNING") isMissing = true;
    }
    this.map.update(changed);
    this.markStopped();
    if (isMissing && !this.rebuilding) {
      this.rebuilding = setTimeout(() => {
        this.rebuilding = null;
        const { scrollLeft, scrollTop } = this.scroll;
        const focused = this.canvas.contains(document.activeElement) ? document.activeElement.dataset.job : null;
        this.build(this.jobs);
        this.needsFit = false;
        this.zoom(this.scale);
        this.scroll.scrollTo(scrollLeft, scrollTop);
        this.mark(this.chosen || null);
        if (focused && this.nodes.has(focused)) this.nodes.get(focused).root.focus({ preventScroll: true });
      }, REBUILD_MS);
    }
  }

  markCritical(path) {
    this.critical = path;
    const on = new Set(path);
    for (const [id, node] of this.nodes) node.root.classList.toggle("critical", on.has(id));
    const steps = new Set(path.slice(1).map((id, index) => path[index] + "\n" + id));
    for (const edge of this.edges) edge.node.classList.toggle("critical", steps.has(edge.from + "\n" + edge.to));
  }

  // The way that a failure took: from what failed to all that did not start for it.
  markStopped() {
    const status = (id) => this.nodes.get(id).status;
    for (const edge of this.edges) {
      const from = status(edge.from);
      edge.node.classList.toggle("stopped", edge.kind === "success" && status(edge.to) === "BLOCKED" && (BAD.has(from) || from === "BLOCKED"));
    }
  }

  mark(id) {
    this.chosen = id;
    for (const [other, node] of this.nodes) node.root.classList.toggle("chosen", other === id);
    if (id !== null && this.nodes.has(id)) this.reveal(id);
  }

  // Scroll only where the job is out of sight.
  reveal(id) {
    const { at } = this.nodes.get(id);
    const left = this.offset().x + (at.x + PAD) * this.scale, top = this.offset().y + (at.y + PAD) * this.scale;
    const width = at.width * this.scale, height = this.size.height * this.scale;
    const view = this.scroll;
    if (left < view.scrollLeft || left + width > view.scrollLeft + view.clientWidth) view.scrollLeft = left + width / 2 - view.clientWidth / 2;
    if (top < view.scrollTop || top + height > view.scrollTop + view.clientHeight) view.scrollTop = top + height / 2 - view.clientHeight / 2;
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

  // ---- search ---------------------------------------------------------------------------------------------------

  search() {
    const wanted = this.find.value.trim().toLowerCase();
    this.hits = wanted ? this.shown.filter((job) => job.job_id.toLowerCase().includes(wanted)).map((job) => job.job_id) : [];
    const hits = new Set(this.hits);
    this.canvas.classList.toggle("searched", wanted !== "");
    for (const [id, node] of this.nodes) node.root.classList.toggle("hit", hits.has(id));
    this.hitAt = -1;
    this.found.textContent = wanted ? (hits.size ? plural(hits.size, "job") : "not found") : "";
    if (hits.size) this.reveal(this.hits[0]);
  }

  step(by) {
    if (!this.hits.length) return;
    this.hitAt = (this.hitAt + by + this.hits.length) % this.hits.length;
    const id = this.hits[this.hitAt];
    this.reveal(id);
    this.highlight(id);
    this.found.textContent = (this.hitAt + 1) + " of " + plural(this.hits.length, "job");
    if (this.hits.length === 1) this.nodes.get(id).root.focus();
  }

  // ---- keys -----------------------------------------------------------------------------------------------------

  open(id) {
    if (this.options.open) this.options.open(id);
  }

  key(event) {
    const act = { "+": () => this.zoom(this.scale * 1.25), "-": () => this.zoom(this.scale / 1.25), 0: () => this.fit() }[event.key];
    if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); return; }
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
      if (best === null || cost < best.cost) best = { cost, node, other };
    }
    if (best) {
      target.setAttribute("tabindex", "-1");
      best.node.root.setAttribute("tabindex", "0");
      best.node.root.focus({ preventScroll: true });
      this.reveal(best.other);
    }
  }

  // ---- zoom -----------------------------------------------------------------------------------------------------

  // Where the drawing begins inside of what is scrolled: it stands in the middle where there is room.
  offset() {
    return { x: Math.max(0, (this.scroll.clientWidth - this.width * this.scale) / 2), y: Math.max(0, (this.scroll.clientHeight - this.height * this.scale) / 2) };
  }

  // What is in the middle of the view, or under the pointer, stays there.
  zoom(scale, at) {
    const view = this.scroll;
    const box = view.getBoundingClientRect();
    const x = at ? at.clientX - box.left : view.clientWidth / 2, y = at ? at.clientY - box.top : view.clientHeight / 2;
    const before = this.offset();
    const pointX = (view.scrollLeft + x - before.x) / this.scale, pointY = (view.scrollTop + y - before.y) / this.scale;
    this.scale = Math.min(LARGEST, Math.max(SMALLEST, scale));
    this.canvas.setAttribute("width", this.width * this.scale);
    this.canvas.setAttribute("height", this.height * this.scale);
    this.canvas.setAttribute("viewBox", "0 0 " + this.width + " " + this.height);
    this.canvas.classList.toggle("far", this.scale < 0.5);
    const after = this.offset();
    view.scrollTo(pointX * this.scale + after.x - x, pointY * this.scale + after.y - y);
    this.map.look(this.scale);
  }

  // How large it may be to be seen as a whole.
  whole() {
    return Math.min((this.scroll.clientWidth - 2) / this.width, this.mostHeight() / this.height);
  }

  fit() {
    const scale = this.whole();
    this.zoom(scale > 0 ? Math.min(1, scale) : 1);
  }

  mostHeight() {
    return parseFloat(getComputedStyle(this.scroll).maxHeight) || 700;
  }

  // All of it where that is readable; else so large that it is, with what runs or failed in sight.
  begin() {
    const scale = this.whole();
    this.zoom(scale > 0 ? Math.min(1, scale < READABLE ? 0.9 : scale) : 1);
    this.needsFit = false;
    this.scroll.scrollTo(0, 0);
    const telling = this.shown.find((job) => BAD.has(job.status)) || this.shown.find((job) => job.status === "RUNNING");
    if (telling) this.reveal(telling.job_id);
  }

  // What was taken out of the page and comes back has forgotten where it was scrolled to.
  appear() {
    if (this.needsFit && this.scroll.clientWidth) this.begin();
    else if (this.place) this.scroll.scrollTo(...this.place);
    this.map.look(this.scale);
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
