/* What every page has: theme, menus, dialogs, copy buttons, forms that are sent once, and words about time kept true. */
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const announcer = () => document.getElementById("announcer");

  function announce(text) {
    const place = announcer();
    if (!place) return;
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 50);
  }

  /* The token that Django wants with a POST, as the page carries it. */
  function csrfToken() {
    try {
      return JSON.parse(document.body.getAttribute("hx-headers") || "{}")["X-CSRFToken"] || "";
    } catch {
      return "";
    }
  }

  const plural = (count, unit) => `${count} ${unit}`;

  /* The same words as the `duration` filter: the two largest units that matter. */
  function duration(seconds) {
    let rest = Math.max(0, Math.floor(seconds));
    const counts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].map(([size, unit]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return [count, unit];
    });
    const first = counts.findIndex(([count]) => count > 0);
    if (first < 0) return "0 s";
    return counts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => plural(count, unit)).join(" ");
  }

  const coarse = (seconds) => (seconds < 600 ? seconds : Math.floor(seconds / 60) * 60);

  function relative(moment, now) {
    const seconds = (now - moment) / 1000;
    if (Math.abs(seconds) > 7 * 86400) return null;
    if (seconds < 0) return `in ${duration(coarse(-seconds))}`;
    if (seconds < 10) return "just now";
    const unit = [86400, 3600, 60, 1].find((size) => seconds >= size);
    return `${duration(Math.floor(seconds / unit) * unit)} ago`;
  }

  /* Elapsed time counts from what the server said, by a clock that nobody can turn. */
  const started = new WeakMap();

  function elapsedMs(element) {
    const said = Number(element.dataset.elapsed) || 0;
    const known = started.get(element);
    if (!known || known.said !== said) started.set(element, { said, at: performance.now() });
    const since = started.get(element);
    return said + performance.now() - since.at;
  }

  function setText(element, text) {
    if (text !== null && element.textContent !== text) element.textContent = text;
  }

  function tick() {
    if (document.hidden) return;
    const now = Date.now();
    document.querySelectorAll("time[data-live-time]").forEach((element) => setText(element, relative(Date.parse(element.dateTime), now)));
    document.querySelectorAll("[data-elapsed]").forEach((element) => setText(element, duration(elapsedMs(element) / 1000)));
    document.querySelectorAll("[data-progress]").forEach(progressUpdate);
  }

  /* Continues the server's curve (portal_ui.progress_value); the bar never moves back and never waits at the end. */
  function progressUpdate(panel) {
    const clock = panel.querySelector("[data-elapsed]");
    const bar = panel.querySelector("progress");
    if (!clock || !bar) return;
    const seconds = elapsedMs(clock) / 1000;
    const median = Number(panel.dataset.median);
    const value = median ? Math.min(97, 100 * (1 - Math.exp((-1.6 * seconds) / median))) : bar.value;
    bar.value = Math.max(Number(bar.dataset.shown) || 0, bar.value, value);
    bar.dataset.shown = bar.value;
    const slow = panel.querySelector("[data-progress-slow]");
    if (slow && seconds > Number(panel.dataset.p90)) slow.hidden = false;
  }

  /* Theme */
  async function themeChange(form, button) {
    const theme = button.value;
    root.dataset.bsTheme = theme;
    form.querySelectorAll("button[name=theme]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
    const body = new FormData(form);
    body.set("theme", theme);
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-CSRFToken": csrfToken() } }).catch(() => null);
    if (!answer || !answer.ok) announce("The theme could not be saved");
  }

  /* Menus: a popover beside its button, where the browser cannot anchor it by itself */
  const anchors = CSS.supports("position-area: bottom span-left");

  function menuPlace(menu) {
    const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
    if (!button || anchors) return;
    const box = button.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    const left = menu.dataset.menu === "end" ? box.right - size.width : box.left;
    const below = box.bottom + size.height + 8 <= innerHeight || box.top < size.height + 8;
    menu.style.margin = "0";
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`;
    menu.style.top = `${below ? box.bottom + 4 : box.top - size.height - 4}px`;
  }

  function menuKeys(event) {
    const menu = event.target.closest?.(".menu[popover]");
    if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
    const items = [...menu.querySelectorAll(".menu-item")];
    const at = items.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    items[(next + items.length) % items.length]?.focus();
    event.preventDefault();
  }

  /* Dialogs */
  function dialogOpen(id) {
    const dialog = document.getElementById(id);
    if (!dialog?.showModal) return false;
    dialog.closest("[popover]")?.hidePopover();
    document.querySelectorAll("[popover]:popover-open").forEach((menu) => menu.hidePopover());
    if (!dialog.open) dialog.showModal();
    dialog.querySelector("[name=confirm], [autofocus]")?.focus();
    return true;
  }

  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      announce("Could not copy");
      return;
    }
    const use = button.querySelector("use");
    const before = use?.getAttribute("href");
    if (before?.endsWith("#copy")) {
      use.setAttribute("href", before.replace(/#copy$/, "#check"));
      setTimeout(() => use.setAttribute("href", before), 1500);
    }
    announce("Copied");
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("[data-dialog], [data-close], [data-copy], [data-dismiss], [data-theme-form] button[name=theme]");
    if (!target) {
      if (event.target instanceof HTMLDialogElement) event.target.close();
      return;
    }
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (target.dataset.dialog) {
      if (dialogOpen(target.dataset.dialog)) event.preventDefault();
    } else if (target.hasAttribute("data-close")) {
      target.closest("dialog")?.close();
    } else if (target.dataset.copy !== undefined) {
      copy(target);
    } else if (target.hasAttribute("data-dismiss")) {
      target.closest("[data-dismissible]")?.remove();
    } else {
      event.preventDefault();
      themeChange(target.form, target);
    }
  });

  /* A form is sent once: a second press while the first is under way does nothing. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-once")) return;
    const wanted = form.dataset.confirmName;
    if (form.classList.contains("is-sending") || (wanted && form.elements.confirm.value.trim() !== wanted)) {
      event.preventDefault();
      return;
    }
    form.classList.add("is-sending");
  }, true);
  document.addEventListener("htmx:afterRequest", (event) => event.target.classList?.remove("is-sending"));
  /* A part of a page that does not come as one, of somebody signed out or of a portal that fails, is asked for as a page. */
  const asPage = (event) => {
    const { boosted, pathInfo, requestConfig } = event.detail;
    const isPage = boosted || requestConfig.elt.matches("form[hx-push-url]");
    if (isPage) location.assign(pathInfo.finalRequestPath);
    return isPage;
  };
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, pathInfo } = event.detail;
    const came = xhr.responseURL && new URL(xhr.responseURL).pathname;
    if (xhr.status < 400 && came && came !== new URL(pathInfo.finalRequestPath, location).pathname && asPage(event)) event.preventDefault();
  });
  document.addEventListener("htmx:responseError", asPage);
  document.addEventListener("htmx:sendError", asPage);
  addEventListener("pageshow", () => document.querySelectorAll(".is-sending").forEach((form) => form.classList.remove("is-sending")));

  function confirmState(form) {
    const button = form.querySelector("[type=submit]");
    button.setAttribute("aria-disabled", String(form.elements.confirm.value.trim() !== form.dataset.confirmName));
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("form[data-confirm-name]");
    if (form) confirmState(form);
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-autosubmit]");
    if (form) form.requestSubmit();
  });

  /* A control in a folded part cannot show why it is wrong, so the part unfolds. */
  document.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
  document.addEventListener("keydown", menuKeys);

  function enhance(part) {
    const within = (selector) => [...(part.matches?.(selector) ? [part] : []), ...part.querySelectorAll(selector)];
    within(".menu[popover]").forEach((menu) => {
      if (menu.dataset.placed) return;
      menu.dataset.placed = "1";
      menu.addEventListener("toggle", (event) => { if (event.newState === "open") menuPlace(menu); });
    });
    within("form[data-confirm-name]").forEach(confirmState);
    within("details.form-more:not([open])").forEach((more) => { if (more.querySelector(".is-invalid, [aria-invalid]")) more.open = true; });
    if (/Mac|iPhone|iPad/.test(navigator.platform)) within("[data-modifier-key]").forEach((key) => { key.textContent = "⌘ K"; });
  }

  enhance(document);
  document.querySelector("[data-focus]")?.focus({ preventScroll: false });
  document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
  addEventListener("scroll", () => { if (!anchors) document.querySelectorAll(".menu[popover]:popover-open").forEach((menu) => menu.hidePopover()); }, { passive: true, capture: true });
  setInterval(tick, 500);
  tick();
  document.addEventListener("visibilitychange", tick);
  window.Slipway = { announce, csrfToken, dialogOpen, duration, enhance, tick };
})();
