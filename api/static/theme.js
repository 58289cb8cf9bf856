// Light or dark: as the system says, until somebody switches.

import { el } from "./dom.js";

const THEME = "executioner-theme";

export function applyTheme() {
  const chosen = localStorage.getItem(THEME);
  if (chosen) document.documentElement.dataset.theme = chosen;
}

export function isDark() {
  return (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

export function themeButton() {
  const words = () => "Switch to " + (isDark() ? "light" : "dark");
  const button = el("button", { class: "icon-button theme", type: "button", "aria-label": words(), title: words(), on: { click: () => {
    const next = isDark() ? "light" : "dark";
    localStorage.setItem(THEME, next);
    document.documentElement.dataset.theme = next;
    button.setAttribute("aria-label", words());
    button.title = words();
  } } }, "◐");
  return button;
}
