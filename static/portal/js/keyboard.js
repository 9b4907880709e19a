/* Single keys: / filter, ? help, n launch, g and a letter, and j k x Enter in tables. None of them changes anything.
   They are off where <body data-shortcuts="off">; Ctrl or ⌘ K stays, because it takes two keys. */
(() => {
  "use strict";
  const off = () => document.body.dataset.shortcuts === "off";
  const G_WINDOW_MS = 1200;
  let gPressed = -Infinity;

  const typing = (element) => element?.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true]");
  const busy = () => document.querySelector("dialog[open], [popover]:popover-open");

  function rows() {
    return [...document.querySelectorAll("table[data-rows] tbody tr")].filter((row) => row.offsetParent !== null);
  }

  function rowMove(step) {
    const all = rows();
    if (!all.length) return false;
    const at = all.findIndex((row) => row.classList.contains("is-current"));
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
    all.forEach((row) => row.classList.toggle("is-current", row === next));
    rowLink(next)?.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  const rowLink = (row) => row?.querySelector(".cell-name a[href]:not([aria-expanded])");
  const rowCurrent = () => document.querySelector("table[data-rows] tbody tr.is-current");

  function rowSelect() {
    const box = rowCurrent()?.querySelector("input[type=checkbox]");
    box?.click();
    return Boolean(box);
  }

  function rowOpen() {
    const link = rowLink(rowCurrent());
    if (!link || document.activeElement?.closest("a, button, summary")) return false;
    link.click();
    return true;
  }

  function filterFocus() {
    const field = document.querySelector("[data-filter-input]") || document.getElementById("topbar-search");
    if (!field || field.offsetParent === null) return false;
    if (field.hasAttribute("data-palette-open")) return window.SlipwayPalette?.open() ?? false;
    field.focus();
    field.select();
    return true;
  }

  function go(letter) {
    const link = [...document.querySelectorAll("a[data-shortcut]")].find((one) => one.dataset.shortcut === letter);
    if (!link) return false;
    location.assign(link.href);
    return true;
  }

  function launch() {
    const url = document.body.dataset.launchUrl;
    if (url) location.assign(url);
    return Boolean(url);
  }

  const KEYS = {
    "/": filterFocus,
    "?": () => window.Slipway.dialogOpen("keyboard-help"),
    n: launch,
    j: () => rowMove(1),
    k: () => rowMove(-1),
    x: rowSelect,
    Enter: rowOpen,
  };

  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      if (window.SlipwayPalette?.toggle()) event.preventDefault();
      return;
    }
    if (off() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && !"jk".includes(event.key)) return;
    if (event.key === "Escape" && document.activeElement?.matches("[data-filter-input]")) document.activeElement.blur();
    if (typing(event.target) || busy()) return;
    const afterG = event.timeStamp - gPressed < G_WINDOW_MS;
    gPressed = -Infinity;
    if (afterG && event.key.length === 1) {
      if (go(event.key)) event.preventDefault();
      return;
    }
    if (event.key === "g") {
      gPressed = event.timeStamp;
      return;
    }
    if (KEYS[event.key]?.()) event.preventDefault();
  });
})();
