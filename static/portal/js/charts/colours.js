/* A run keeps its colour and dash everywhere. `runStyle(run_id)` gives one of eight series, derived from the id:
     {slot: 1…8 (0 is "Other"), dash: [8, 4], className: "chart-slot-3"}
   `runStyles(ids)` gives those of the runs of one chart: the first eight are told apart, what follows is "Other", in grey.
   `pickedStyle(run_id, style)` is that style, but for a run of "Other" that somebody picked one of twelve further ones; the
   thirteenth has the colour of the first with another dash, so that all twenty that can be picked are told apart.
   Two of the eight that would look alike are parted, and the browser remembers which one moved, so that it stays so on the
   next page. Colours themselves are CSS variables (charts.css): `token("--chart-3")` reads one as the theme has it now. */
(() => {
  "use strict";
  const SERIES = 8;
  const FURTHER = 12;
  const TURN = 5;
  const DASHES = [
    [], [], [8, 4], [2, 3], [9, 3, 2, 3], [14, 4], [5, 2], [12, 3, 2, 3, 2, 3], [4, 5],
    [16, 3, 4, 3], [3, 2, 3, 6], [10, 2], [6, 3, 6, 9], [2, 6], [18, 6], [7, 2, 2, 2], [12, 6, 4, 6], [4, 2, 4, 2, 12, 2], [1, 3, 6, 3], [8, 8], [20, 3, 2, 3],
  ];
  const MEMORY = "slipway:run-colours";
  const REMEMBERED = 400;
  const listeners = new Set();
  let known = null;
  let probe = null;

  function memory() {
    if (known) return known;
    try {
      known = new Map(JSON.parse(localStorage.getItem(MEMORY) || "[]"));
    } catch {
      known = new Map();
    }
    return known;
  }

  function remember(id, slot) {
    const moved = memory();
    moved.delete(id);
    moved.set(id, slot);
    while (moved.size > REMEMBERED) moved.delete(moved.keys().next().value);
    try {
      localStorage.setItem(MEMORY, JSON.stringify([...moved]));
    } catch {
      /* Without storage a run keeps its colour for this page. */
    }
  }

  /* FNV-1a: ids that differ in one digit land far apart. */
  function hash(text) {
    let value = 0x811c9dc5;
    for (let index = 0; index < text.length; index += 1) {
      value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
    }
    return (value ^ (value >>> 15)) >>> 0;
  }

  const style = (slot) => ({ slot, dash: DASHES[slot], className: `chart-slot-${slot}` });
  const OTHER = style(0);

  function wanted(id) {
    const slot = memory().get(id);
    return slot >= 1 && slot <= SERIES ? slot : (hash(id) % SERIES) + 1;
  }

  const runStyle = (id) => style(wanted(String(id)));

  function runStyles(ids) {
    const slots = new Map();
    const taken = new Set();
    const named = [...new Set(ids)];
    const first = named.slice(0, SERIES);
    first.forEach((id) => {
      const slot = wanted(id);
      if (taken.has(slot)) return;
      taken.add(slot);
      slots.set(id, slot);
    });
    first.filter((id) => !slots.has(id)).forEach((id) => {
      let slot = wanted(id);
      while (taken.has(slot)) slot = (slot % SERIES) + 1;
      taken.add(slot);
      slots.set(id, slot);
      remember(id, slot);
    });
    return new Map(named.map((id) => [id, slots.has(id) ? style(slots.get(id)) : OTHER]));
  }

  /* Which of the further styles a picked run has: its own by its id, or the next that is free, for as long as it is picked. */
  const further = new Map();

  function pickedStyle(id, one) {
    const { picked } = window.SlipwayCharts.selection;
    if (one.slot || !picked.has(id)) return one;
    [...further.keys()].filter((other) => !picked.has(other)).forEach((other) => further.delete(other));
    if (!further.has(id)) {
      const taken = new Set(further.values());
      const begin = hash(id) % FURTHER;
      const places = Array.from({ length: 2 * FURTHER }, (_, step) => ((begin + step) % FURTHER) + (step < FURTHER ? 0 : FURTHER));
      further.set(id, places.find((place) => !taken.has(place)));
    }
    const place = further.get(id);
    const dash = place < FURTHER ? place : (place + TURN) % FURTHER;
    return { ...style(SERIES + 1 + (place % FURTHER)), dash: DASHES[SERIES + 1 + dash] };
  }

  /* A custom property is kept as it was written, light-dark() and all: only a colour that is used is worked out. */
  function token(name) {
    if (!probe) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  }

  const colourOf = (one) => token(one.slot ? `--chart-${one.slot}` : "--chart-other");

  /* A colour as `token` reads it, with another opacity. */
  function faded(colour, alpha) {
    const [red, green, blue] = colour.match(/[\d.]+/g) || [128, 128, 128];
    return colour.startsWith("rgb") ? `rgba(${red}, ${green}, ${blue}, ${alpha})` : colour;
  }

  /* A short line as the chart draws it, beside a run's name. */
  function swatch(one) {
    const NS = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(NS, "svg");
    const line = document.createElementNS(NS, "line");
    const set = (element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
    set(picture, { class: `chart-swatch ${one.className}`, width: 22, height: 8, "aria-hidden": "true" });
    set(line, { x1: 0, y1: 4, x2: 22, y2: 4, "stroke-dasharray": one.dash.join(" ") });
    picture.append(line);
    return picture;
  }

  function themeChanged() {
    listeners.forEach((listener) => listener());
  }

  const onTheme = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  new MutationObserver(themeChanged).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeChanged);

  window.SlipwayCharts = Object.assign(window.SlipwayCharts || {}, {
    SERIES, runStyle, runStyles, pickedStyle, token, colourOf, faded, swatch, onTheme,
  });
})();
