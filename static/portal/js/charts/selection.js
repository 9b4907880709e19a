/* Which runs are picked, and which ones a brush has left: one for all charts, legends and tables of a page.
     picked     a Set of run ids, kept in the address as ?picked=…
     narrowed   a Set of run ids that are still shown, or null: all of them
   `changed(listener)` calls after either has changed. */
(() => {
  "use strict";
  const PICKED_MOST = 20;
  const listeners = new Set();
  const picked = new Set(new URLSearchParams(location.search).getAll("picked").slice(0, PICKED_MOST));
  let narrowed = null;

  function tell() {
    keep("picked", [...picked]);
    listeners.forEach((listener) => listener());
    document.dispatchEvent(new CustomEvent("slipway:picked", { detail: { picked: [...picked] } }));
  }

  function toggle(id, on = !picked.has(id)) {
    if (on === picked.has(id)) return;
    if (on && picked.size >= PICKED_MOST) {
      window.Slipway.announce(`At most ${PICKED_MOST} runs can be picked`);
      return;
    }
    if (on) picked.add(id);
    else picked.delete(id);
    tell();
  }

  function clear() {
    if (!picked.size) return;
    picked.clear();
    tell();
  }

  function narrow(ids) {
    narrowed = ids;
    tell();
  }

  const shown = (id) => !narrowed || narrowed.has(id);
  const changed = (listener) => listeners.add(listener);

  /* The address keeps what was chosen, without a step back for each choice. */
  function keep(name, value) {
    const address = new URL(location.href);
    const before = address.search;
    address.searchParams.delete(name);
    [].concat(value ?? []).filter((one) => one !== "").forEach((one) => address.searchParams.append(name, one));
    if (address.search !== before) history.replaceState(history.state, "", address);
  }

  const kept = (name) => new URLSearchParams(location.search).get(name);
  const keptAll = (name) => new URLSearchParams(location.search).getAll(name);

  window.SlipwayCharts = Object.assign(window.SlipwayCharts || {}, {
    selection: { picked, toggle, clear, narrow, shown, changed, get narrowed() { return narrowed; } }, keep, kept, keptAll,
  });
})();
