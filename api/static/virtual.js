// A list of any length: only the rows in sight are elements.

import { clear, el } from "./dom.js";

export class VirtualList {
  // render(item, index) gives the element of a row.
  constructor(rowHeight, render, options) {
    this.rowHeight = rowHeight;
    this.render = render;
    this.items = [];
    this.inside = el("div", { class: "virtual-inside", role: "list" });
    this.root = el("div", { class: "virtual " + ((options && options.class) || ""), tabindex: "0", role: "region", "aria-label": (options && options.label) || "List" }, this.inside);
    this.rows = new Map();
    this.root.addEventListener("scroll", () => this.later(false), { passive: true });
    this.observer = typeof ResizeObserver === "function" ? new ResizeObserver(() => this.later(false)) : null;
    if (this.observer) this.observer.observe(this.root);
    this.whole = Boolean(options && options.whole);
  }

  set(items) {
    this.items = items;
    this.later();
  }

  // isFresh: rows may say something else than before; where they are scrolled only, those in sight stay.
  later(isFresh = true) {
    this.isFresh = this.isFresh || isFresh;
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.draw(this.isFresh); });
  }

  draw(isFresh = true) {
    this.isFresh = false;
    const height = this.rowHeight;
    const count = this.items.length;
    const room = this.whole ? count * height : this.root.clientHeight || 600;
    const first = this.whole ? 0 : Math.max(0, Math.floor(this.root.scrollTop / height) - 6);
    const last = this.whole ? count : Math.min(count, Math.ceil((this.root.scrollTop + room) / height) + 6);
    this.inside.style.setProperty("height", count * height + "px");
    const focused = document.activeElement && this.inside.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    if (isFresh) { clear(this.inside); this.rows.clear(); }
    for (const [index, row] of this.rows) if (index < first || index >= last) { row.remove(); this.rows.delete(index); }
    let next = this.inside.firstChild;
    for (let index = first; index < last; index += 1) {
      if (this.rows.has(index)) { next = this.rows.get(index).nextSibling; continue; }
      const row = this.render(this.items[index], index);
      row.setAttribute("role", "listitem");
      row.setAttribute("aria-posinset", index + 1);
      row.setAttribute("aria-setsize", count);
      row.style.setProperty("transform", "translateY(" + index * height + "px)");
      row.style.setProperty("height", height + "px");
      this.rows.set(index, row);
      this.inside.insertBefore(row, next);
    }
    if (focused && !this.inside.contains(document.activeElement)) {
      for (const node of this.inside.querySelectorAll("[data-key]")) if (node.dataset.key === focused) { node.focus({ preventScroll: true }); break; }
    }
  }

  reveal(index) {
    const top = index * this.rowHeight;
    if (top < this.root.scrollTop || top + this.rowHeight > this.root.scrollTop + this.root.clientHeight) {
      this.root.scrollTop = Math.max(0, top - this.root.clientHeight / 2);
    }
  }
}
