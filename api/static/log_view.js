// The output of an attempt: its end first, more on demand, live while it is written, with search.

import { bytesText, clear, el } from "./dom.js";
import { getOutput, streamEvents } from "./client.js";

const TAIL = 65536;
// Characters that are kept on the page; what came before can be loaded again.
const MOST = 2000000;

export class LogView {
  // head: what stands before the search
  constructor(path, isLive, signal, head) {
    this.path = path;
    this.signal = signal;
    this.isLive = isLive;
    this.text = "";
    this.start = 0;
    this.matches = [];
    this.at = -1;
    this.pre = el("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "Output", "aria-live": "off" });
    this.state = el("span", { class: "muted" });
    this.earlier = el("button", { class: "button small", type: "button", hidden: true, on: { click: () => this.loadEarlier() } }, "Earlier");
    this.find = el("input", { type: "search", placeholder: "Search the output", "aria-label": "Search the output", on: { input: () => this.search(), keydown: (event) => { if (event.key === "Enter") { event.preventDefault(); this.step(event.shiftKey ? -1 : 1); } } } });
    this.count = el("span", { class: "muted count", "aria-live": "polite" });
    this.stick = el("input", { type: "checkbox", checked: true });
    this.wrap = el("input", { type: "checkbox", checked: true, on: { change: () => this.pre.classList.toggle("nowrap", !this.wrap.checked) } });
    this.root = el("div", { class: "log-view" }, el("div", { class: "tools" }, head, this.find, this.count, this.earlier,
      el("label", { class: "check" }, this.wrap, " wrap"), isLive ? el("label", { class: "check" }, this.stick, " follow") : null, this.state), this.pre);
    this.load();
  }

  async load() {
    try {
      const piece = await getOutput(this.path + "?offset=-" + TAIL + "&limit=" + TAIL, this.signal);
      this.text = piece.text;
      this.start = piece.start;
      this.size = piece.size;
      this.draw(true);
      if (!piece.over) await this.follow(piece.next);
    } catch (error) {
      if (this.signal.aborted) return;
      this.state.textContent = error.status === 404 && this.isLive ? "nothing was written yet" : error.message;
      if (error.status === 404 && this.isLive) setTimeout(() => { if (!this.signal.aborted) this.load(); }, 1000);
    }
  }

  async follow(from) {
    await streamEvents(this.path + "?follow=true&offset=" + from, this.signal, (name, data) => {
      if (name !== "output") return;
      this.text += data.text;
      this.size = data.next;
      if (this.text.length > MOST) {
        const cut = this.text.indexOf("\n", this.text.length - MOST) + 1;
        this.start += new TextEncoder().encode(this.text.slice(0, cut)).length;
        this.text = this.text.slice(cut);
      }
      this.later();
    }, (isOn) => { this.state.textContent = isOn ? "live" : "connecting …"; this.state.classList.toggle("live", isOn); });
    this.state.textContent = "";
    this.state.classList.remove("live");
    this.draw(false);
  }

  later() {
    if (this.pending) return;
    this.pending = true;
    setTimeout(() => { this.pending = false; this.draw(this.stick.checked); }, 100);
  }

  async loadEarlier() {
    const from = Math.max(0, this.start - TAIL * 4);
    try {
      const piece = await getOutput(this.path + "?offset=" + from + "&limit=" + Math.max(16, this.start - from), this.signal);
      const height = this.pre.scrollHeight;
      this.text = piece.text + this.text;
      this.start = piece.start;
      this.draw(false);
      this.pre.scrollTop += this.pre.scrollHeight - height;
    } catch (error) {
      this.state.textContent = error.message;
    }
  }

  search() {
    this.at = -1;
    this.draw(false);
    if (this.matches.length) this.step(1);
  }

  step(by) {
    if (!this.matches.length) return;
    this.at = (this.at + by + this.matches.length) % this.matches.length;
    for (const [index, mark] of this.matches.entries()) mark.classList.toggle("current", index === this.at);
    this.matches[this.at].scrollIntoView({ block: "center" });
    this.tell();
  }

  tell() {
    this.count.textContent = this.find.value ? (this.matches.length ? (this.at + 1 || 1) + " of " + this.matches.length + (this.matches.length >= 2000 ? "+" : "") : "not found") : "";
  }

  draw(toEnd) {
    const wanted = this.find.value.toLowerCase();
    this.matches = [];
    const parts = [];
    if (wanted) {
      const low = this.text.toLowerCase();
      let position = 0;
      for (let found = low.indexOf(wanted); found >= 0 && this.matches.length < 2000; found = low.indexOf(wanted, position)) {
        const mark = el("mark", {}, this.text.slice(found, found + wanted.length));
        parts.push(this.text.slice(position, found), mark);
        this.matches.push(mark);
        position = found + wanted.length;
      }
      parts.push(this.text.slice(position));
    } else {
      parts.push(this.text);
    }
    clear(this.pre, this.text ? parts : el("span", { class: "muted" }, this.isLive ? "Nothing was written yet." : "Nothing was written."));
    this.earlier.hidden = this.start <= 0;
    this.earlier.textContent = "Earlier (" + bytesText(this.start) + ")";
    this.tell();
    if (toEnd) this.pre.scrollTop = this.pre.scrollHeight;
  }
}
