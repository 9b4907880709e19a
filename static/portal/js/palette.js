/* The command palette: places and actions of this page at once, objects from /search/ as they are typed.
   Only what the page shows or the server answers can be in it, so it holds nothing that the person may not do. */
(() => {
  "use strict";
  const dialog = document.getElementById("palette");
  if (!dialog?.showModal) return;
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ul");
  const empty = dialog.querySelector(".palette-empty");
  const WAIT_MS = 120;
  let timer = 0;
  let request = null;
  let returnTo = null;

  /* Entries of the page: links of the left bar and the page's own actions. */
  function pageEntries() {
    const seen = new Set();
    return [...document.querySelectorAll("[data-palette-item]")].flatMap((element) => {
      const title = (element.querySelector(".nav-label") || element).textContent.trim().replace(/\s+/g, " ");
      const key = `${title} ${element.href || ""}`;
      if (!title || seen.has(key) || element.closest("dialog")) return [];
      seen.add(key);
      return [{ title, kind: element.dataset.paletteItem, element, icon: element.querySelector("use")?.getAttribute("href") }];
    });
  }

  function matches(title, words) {
    const text = title.toLowerCase();
    return words.every((word) => text.includes(word));
  }

  function item(entry) {
    const row = document.createElement("li");
    row.className = "palette-item";
    row.setAttribute("role", "option");
    if (entry.icon) {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("class", "icon");
      svg.setAttribute("width", "16");
      svg.setAttribute("height", "16");
      svg.setAttribute("aria-hidden", "true");
      const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
      use.setAttribute("href", entry.icon);
      svg.append(use);
      row.append(svg);
    }
    for (const [name, text] of [["palette-title", entry.title], ["palette-kind", entry.kind]]) {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      row.append(span);
    }
    row.paletteElement = entry.element;
    return row;
  }

  function options() {
    return [...list.querySelectorAll("[role=option]")];
  }

  function select(row) {
    options().forEach((one, index) => {
      one.id ||= `palette-option-${index}`;
      one.setAttribute("aria-selected", String(one === row));
    });
    if (row) {
      input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function settle(keep) {
    options().forEach((one, index) => { one.id = `palette-option-${index}`; });
    const all = options();
    select(keep && all.includes(keep) ? keep : all[0] || null);
  }

  function draw(found) {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = list.querySelector("[aria-selected=true]");
    const mine = pageEntries().filter((entry) => matches(entry.title, words)).map(item);
    list.replaceChildren(...mine, ...found);
    const same = chosen && options().find((one) => one.textContent === chosen.textContent);
    settle(same);
  }

  async function search() {
    request?.abort();
    request = new AbortController();
    const q = input.value.trim();
    if (!q) {
      empty.hidden = true;
      return;
    }
    const url = new URL(dialog.dataset.searchUrl, location.href);
    url.searchParams.set("q", q);
    try {
      const answer = await fetch(url, { headers: { "HX-Request": "true" }, signal: request.signal });
      if (!answer.ok || answer.redirected) return;
      const parsed = new DOMParser().parseFromString(`<ul>${await answer.text()}</ul>`, "text/html");
      draw([...parsed.querySelectorAll("li[role=option]")].map((row) => document.adoptNode(row)));
      empty.hidden = options().length > 0;
    } catch (error) {
      if (error.name !== "AbortError") empty.hidden = options().length > 0;
    }
  }

  function choose(row, newTab) {
    if (!row) return;
    const { paletteElement: element } = row;
    if (element && !element.href) {
      close();
      element.click();
      return;
    }
    const href = element?.href || row.dataset.href;
    if (newTab) window.open(href, "_blank", "noopener");
    else if (element?.dataset.dialog) { close(); element.click(); }
    else location.assign(href);
  }

  function open(text = "") {
    if (document.querySelector("dialog[open]:not(#palette)")) return false;
    document.querySelectorAll("[popover]:popover-open").forEach((menu) => menu.hidePopover());
    returnTo = document.activeElement;
    input.value = text;
    empty.hidden = true;
    draw([]);
    if (!dialog.open) dialog.showModal();
    input.focus();
    if (text) search();
    return true;
  }

  function close() {
    dialog.close();
  }

  function toggle() {
    if (!dialog.open) return open();
    close();
    return true;
  }

  input.addEventListener("input", () => {
    draw([...list.querySelectorAll("[data-href]")]);
    clearTimeout(timer);
    timer = setTimeout(search, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.findIndex((row) => row.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      select(all[(at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]);
      event.preventDefault();
    } else if (event.key === "Enter" && !event.isComposing) {
      choose(all[at], event.metaKey || event.ctrlKey);
      event.preventDefault();
    }
  });
  list.addEventListener("pointermove", (event) => {
    const row = event.target.closest("[role=option]");
    if (row && row.getAttribute("aria-selected") !== "true") select(row);
  });
  list.addEventListener("click", (event) => choose(event.target.closest("[role=option]"), event.metaKey || event.ctrlKey));
  dialog.addEventListener("close", () => {
    request?.abort();
    if (returnTo?.isConnected && !returnTo.hasAttribute("data-palette-open")) returnTo.focus();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("a[data-palette-open], input[data-palette-open]");
    if (!opener || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (open(opener.value || "")) event.preventDefault();
  });
  document.getElementById("topbar-search")?.addEventListener("keydown", (event) => {
    if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (open(event.target.value + event.key)) event.preventDefault();
    }
  });
  window.SlipwayPalette = { open, toggle };
})();
