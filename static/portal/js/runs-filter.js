/* The filter of runs completes names, operators and values: a combobox whose list the portal makes, of what the person
   may see. Without this script the filter is a plain field. */
(() => {
  "use strict";
  const WAIT_MS = 120;
  const input = document.querySelector("[data-filter-combobox]");
  if (!input) return;
  const form = input.form;
  const list = Object.assign(document.createElement("ul"), { id: "filter-options", className: "filter-options", hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What can stand here");
  input.after(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) {
    input.setAttribute(name, value);
  }
  let timer = 0;
  let asked = 0;
  let start = 0;
  let caret = 0;

  const options = () => [...list.children];
  const chosen = () => list.querySelector('[aria-selected="true"]');

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    options().forEach((one) => one.setAttribute("aria-selected", String(one === option)));
    if (!option) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  function show(found) {
    list.replaceChildren(...found.map((one, index) => {
      const row = document.createElement("li");
      row.id = `filter-option-${index}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", "false");
      row.dataset.text = one.text;
      row.append(...[one.text, one.about].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
      return row;
    }));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    input.removeAttribute("aria-activedescendant");
  }

  async function ask() {
    const mine = ++asked;
    caret = input.selectionStart;
    const query = new URLSearchParams({ text: input.value, caret, experiment: form.dataset.experiment });
    try {
      const answer = await fetch(`${form.dataset.completeUrl}?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok || mine !== asked || document.activeElement !== input) return;
      const found = await answer.json();
      start = found.start;
      show(found.options);
    } catch {
      close();
    }
  }

  function take(option) {
    const text = option.dataset.text;
    const space = /[\s(]$/.test(text) ? "" : " ";
    input.setRangeText(text + space, start, caret, "end");
    const quotes = text.indexOf("'%%'") >= 0 ? "'%%'" : text.indexOf("''") >= 0 ? "''" : "";
    if (quotes) {
      const inside = start + text.indexOf(quotes) + quotes.length / 2;
      input.setSelectionRange(inside, inside);
    }
    close();
    later();
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  }

  input.addEventListener("input", later);
  input.addEventListener("click", later);
  input.addEventListener("blur", () => setTimeout(close, 150));
  input.addEventListener("keydown", (event) => {
    const rows = options();
    const at = rows.indexOf(chosen());
    if (event.key === "ArrowDown" && list.hidden) return ask();
    if (event.isComposing || list.hidden) return undefined;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      choose(rows[(at + step + rows.length + (at < 0 && step < 0 ? 1 : 0)) % rows.length]);
    } else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) {
      take(rows[at]);
    } else if (event.key === "Escape") {
      close();
    } else {
      return undefined;
    }
    event.preventDefault();
    event.stopPropagation();
    return undefined;
  });
  list.addEventListener("pointerdown", (event) => {
    const option = event.target.closest("[role=option]");
    event.preventDefault();
    if (option) take(option);
  });
})();
