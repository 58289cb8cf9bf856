// The whole graph, small: where one is in it, and where what failed and what runs is. For a pointer; keys need none.

import { clear, svg } from "./dom.js";

const WIDTH = 170;
const HEIGHT = 110;

export class MiniMap {
  // scroll: the element in which the graph is scrolled
  constructor(scroll) {
    this.scroll = scroll;
    this.scale = 1;
    this.marks = new Map();
    this.layer = svg("g", {});
    this.view = svg("rect", { class: "mini-view", rx: 2 });
    this.root = svg("svg", { class: "mini-map", "aria-hidden": "true", focusable: "false" }, this.layer, this.view);
    this.root.setAttribute("hidden", "");
    scroll.addEventListener("scroll", () => this.look(this.scale), { passive: true });
    if (typeof ResizeObserver === "function") new ResizeObserver(() => this.look(this.scale)).observe(scroll);
    let isHeld = false;
    this.root.addEventListener("pointerdown", (event) => { isHeld = true; this.root.setPointerCapture(event.pointerId); this.go(event); });
    this.root.addEventListener("pointermove", (event) => { if (isHeld) this.go(event); });
    for (const name of ["pointerup", "pointercancel"]) this.root.addEventListener(name, () => { isHeld = false; });
  }

  // places: each with a job and where it is
  set(width, height, places, boxHeight, pad) {
    this.width = width;
    this.height = height;
    this.small = Math.min(WIDTH / width, HEIGHT / height);
    this.root.setAttribute("width", Math.ceil(width * this.small));
    this.root.setAttribute("height", Math.ceil(height * this.small));
    this.root.setAttribute("viewBox", "0 0 " + width + " " + height);
    this.view.setAttribute("stroke-width", 1.5 / this.small);
    this.marks.clear();
    clear(this.layer, places.map(({ job, at }) => {
      const mark = svg("rect", { class: "mini-job s-" + job.status, x: at.x + pad, y: at.y + pad, width: at.width, height: boxHeight });
      this.marks.set(job.job_id, mark);
      return mark;
    }));
  }

  update(changed) {
    for (const job of changed) {
      const mark = this.marks.get(job.job_id);
      if (mark) mark.setAttribute("class", "mini-job s-" + job.status);
    }
  }

  look(scale) {
    this.scale = scale;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.scroll;
    const isWhole = this.width * scale <= clientWidth + 2 && this.height * scale <= clientHeight + 2;
    this.root.toggleAttribute("hidden", isWhole || clientWidth < 500);
    this.view.setAttribute("x", scrollLeft / scale);
    this.view.setAttribute("y", scrollTop / scale);
    this.view.setAttribute("width", Math.min(this.width, clientWidth / scale));
    this.view.setAttribute("height", Math.min(this.height, clientHeight / scale));
  }

  go(event) {
    const box = this.root.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * this.width, y = (event.clientY - box.top) / box.height * this.height;
    this.scroll.scrollTo(x * this.scale - this.scroll.clientWidth / 2, y * this.scale - this.scroll.clientHeight / 2);
  }
}
