// Elements, SVG and the words for times and sizes. Text goes in as text only: no markup is ever made of data.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function clear(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// ---- words ------------------------------------------------------------------------------------------------------

export function durationText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  if (seconds < 60) return Math.round(seconds) + " s";
  const whole = Math.round(seconds);
  if (whole < 3600) return Math.floor(whole / 60) + " min " + String(whole % 60).padStart(2, "0") + " s";
  if (whole < 86400) return Math.floor(whole / 3600) + " h " + String(Math.floor(whole / 60) % 60).padStart(2, "0") + " min";
  return Math.floor(whole / 86400) + " d " + (Math.floor(whole / 3600) % 24) + " h";
}

export function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let index = 0;
  while (bytes >= 1024 && index < units.length - 1) { bytes /= 1024; index += 1; }
  return (index && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)) + " " + units[index];
}

const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const SAME_YEAR = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const OTHER_YEAR = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export function clockText(iso) {
  return iso ? CLOCK.format(new Date(iso)) : "–";
}

export function timeText(iso) {
  if (!iso) return "–";
  const then = new Date(iso);
  const now = new Date();
  if (DAY.format(now) === DAY.format(then)) return CLOCK.format(then);
  return (now.getFullYear() === then.getFullYear() ? SAME_YEAR : OTHER_YEAR).format(then);
}

export function agoText(iso) {
  if (!iso) return "–";
  const seconds = (Date.now() - Date.parse(iso)) / 1000;
  if (seconds < 5) return "just now";
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return count + " " + unit + (count === 1 ? "" : "s") + " ago";
  }
  return "just now";
}

// The whole of it: in the reader's zone, and in UTC as log and history have it.
export function fullTime(iso) {
  return FULL.format(new Date(iso)) + "\n" + iso.slice(0, 19).replace("T", " ") + " UTC";
}

// A time in the reader's zone; the whole of it on hover.
export function timeNode(iso, words) {
  if (!iso) return el("span", { class: "muted" }, "–");
  return el("time", { datetime: iso, title: fullTime(iso) }, words || timeText(iso));
}

// A long name that may lose its middle where there is no room: names of jobs often begin alike.
export function endsNode(text) {
  const cut = text.length > 24 ? text.length - 9 : text.length;
  return el("span", { class: "ends" }, el("span", {}, text.slice(0, cut)), cut < text.length ? el("span", {}, text.slice(cut)) : null);
}

export function plural(count, noun) {
  return count.toLocaleString() + " " + noun + (count === 1 ? "" : "s");
}

export function seconds(iso) {
  return iso ? Date.parse(iso) / 1000 : null;
}
