/* Metric curves of up to 20 runs: every [data-metric-curves] of a page; see templates/experiments/_curves.html.
   Curves of running runs are fetched again after a live event of their experiment, and every ten seconds. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  const { make, figure, plural, selection } = charts;
  const POLL_MS = 10_000;
  const AFTER_EVENT_MS = 1000;
  let sections = 0;

  class Section {
    constructor(root) {
      this.root = root;
      this.number = (sections += 1);
      this.find = (name) => root.querySelector(`[data-curves-${name}]`);
      this.boxes = [...root.querySelectorAll("input[name=curve]")];
      this.prefix = root.dataset.keep || "";
      this.plots = new Map();
      this.runs = [];
      this.restore();
      root.addEventListener("change", (event) => this.change(event));
      root.addEventListener("input", (event) => { if (event.target.name === "smooth") this.change(event); });
      selection.changed(() => this.drawAll());
      charts.onTheme(() => this.drawAll());
      document.addEventListener("slipway:status", (event) => {
        if (this.running() && this.runs.some((run) => run.topic === event.detail.topic)) this.reloadSoon();
      });
      setInterval(() => { if (!document.hidden && this.running() && root.isConnected) this.reload(); }, POLL_MS);
      this.show();
    }

    /* Choices of the address win over those of the page. */
    restore() {
      const { kept, keptAll } = charts;
      const asked = keptAll(`${this.prefix}curve`);
      if (asked.length) this.boxes.forEach((box) => { box.checked = asked.includes(box.value); });
      const [axis, smooth, log] = ["axis", "smooth", "log"].map((name) => this.root.querySelector(`[name=${name}]`));
      const wanted = kept(`${this.prefix}axis`);
      if ([...axis.options].some((option) => option.value === wanted)) axis.value = wanted;
      smooth.value = Math.min(0.99, Math.max(0, Number(kept(`${this.prefix}smooth`)) || 0));
      log.checked = kept(`${this.prefix}log`) === "1";
      this.read();
    }

    read() {
      const value = (name) => this.root.querySelector(`[name=${name}]`);
      this.view = { axis: value("axis").value, smoothing: Number(value("smooth").value), log: value("log").checked };
      value("smooth").nextElementSibling.textContent = this.view.smoothing ? this.view.smoothing.toFixed(2) : "off";
      this.metrics = this.boxes.filter((box) => box.checked).map((box) => box.value);
    }

    change(event) {
      this.read();
      const { keep } = charts;
      keep(`${this.prefix}axis`, this.view.axis === "step" ? "" : this.view.axis);
      keep(`${this.prefix}smooth`, this.view.smoothing ? String(this.view.smoothing) : "");
      keep(`${this.prefix}log`, this.view.log ? "1" : "");
      if (event.target.name === "curve") {
        keep(`${this.prefix}curve`, this.metrics);
        this.show();
      } else this.drawAll();
    }

    running() {
      return this.runs.some((run) => run.running);
    }

    show() {
      const grid = this.find("grid");
      [...this.plots].filter(([metric]) => !this.metrics.includes(metric)).forEach(([metric, one]) => {
        one.remove();
        this.plots.delete(metric);
      });
      this.metrics.forEach((metric) => {
        if (!this.plots.has(metric)) this.plots.set(metric, new Curve(this, metric));
        grid.append(this.plots.get(metric).root);
      });
      grid.hidden = !this.metrics.length;
      this.find("none").hidden = this.metrics.length > 0 || !this.boxes.length;
    }

    drawAll() {
      this.plots.forEach((one) => one.draw());
      this.legend();
    }

    reload() {
      this.plots.forEach((one) => one.load({ quick: false }));
    }

    reloadSoon() {
      this.later ??= setTimeout(() => {
        this.later = null;
        this.reload();
      }, AFTER_EVENT_MS);
    }

    told(answer) {
      const before = this.runs.map((run) => run.id + run.status).join();
      this.runs = answer.runs;
      this.styles = charts.runStyles(this.runs.map((run) => run.id));
      if (before !== this.runs.map((run) => run.id + run.status).join()) this.legend();
      const left = answer.left_out ? `Curves of the first ${this.runs.length + answer.missing} runs; ${figure(answer.left_out)} more are not drawn. ` : "";
      const gone = answer.missing ? `${plural(answer.missing, "run is", "runs are")} not there any more, or not shared with you.` : "";
      this.find("note").textContent = left + gone;
    }

    style(id) {
      return charts.pickedStyle(id, this.styles.get(id));
    }

    legend() {
      const place = this.find("legend");
      const focused = place.contains(document.activeElement) ? document.activeElement.dataset.run : null;
      place.hidden = this.runs.length < 2;
      place.classList.toggle("has-picked", selection.picked.size > 0);
      place.replaceChildren(...this.runs.map((run) => make("li", {},
        make("button", {
          class: "chart-run", type: "button", "data-run": run.id, "aria-pressed": String(selection.picked.has(run.id)),
          title: run.name, onclick: () => selection.toggle(run.id),
        }, charts.swatch(this.style(run.id)), make("span", {}, run.name), run.running ? make("span", { class: "chart-other" }, "running") : null))));
      if (this.runs.length > charts.SERIES) place.append(make("li", { class: "chart-run chart-other" }, `Other: the last ${this.runs.length - charts.SERIES}, in grey until picked`));
      if (focused) place.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
    }

    shownRuns(curves) {
      return this.runs.filter((run) => curves[run.id] && selection.shown(run.id));
    }
  }

  class Curve {
    constructor(section, metric) {
      this.section = section;
      this.metric = metric;
      this.build();
      charts.inView(this.box, () => this.load({ quick: true }));
      new ResizeObserver(() => this.drawn?.resize()).observe(this.box);
    }

    build() {
      const id = `curve-${this.section.number}-${this.section.plots.size}-${Date.now() % 1e6}`;
      const tool = (label, does, more = {}) => make("button", { class: "log-tool", type: "button", onclick: does, "aria-label": `${label} of ${this.metric}`, ...more }, label);
      this.toggle = tool("Table", () => this.tableToggle(), { "aria-expanded": "false", "aria-controls": `${id}-table` });
      this.tools = [this.toggle, tool("PNG", () => this.png()), tool("CSV", () => this.csv())];
      this.box = make("div", { class: "chart-box", tabindex: 0, role: "application", "aria-roledescription": "chart", "aria-label": `Curves of ${this.metric}`, "aria-describedby": `${this.section.root.id}-how` });
      this.readout = make("p", { class: "chart-read" });
      this.note = make("p", { class: "chart-note" });
      this.table = make("div", { class: "chart-table", id: `${id}-table`, hidden: true });
      this.root = make("div", { class: "curve", "data-metric": this.metric },
        make("div", { class: "curve-head" }, make("h3", { title: this.metric }, this.metric), ...this.tools), this.box, this.readout, this.note, this.table);
      charts.message(this.box, "Reading the curves", "");
    }

    async load({ quick }) {
      this.request?.abort();
      this.request = new AbortController();
      const url = new URL(this.section.root.dataset.source, location.href);
      url.searchParams.append("metric", this.metric);
      const asked = performance.now();
      try {
        if (quick) url.searchParams.set("quick", "1");
        let answer = await charts.ask(url, { signal: this.request.signal });
        this.received(answer, asked);
        if (answer.complete) return;
        url.searchParams.delete("quick");
        answer = await charts.ask(url, { signal: this.request.signal });
        this.received(answer, asked);
      } catch (error) {
        if (error.name !== "AbortError") this.failed(error);
      }
    }

    received(answer, asked) {
      [this.answer, this.curves] = [answer, answer.metrics[0].curves];
      this.unit = answer.metrics[0].unit;
      this.section.told(answer);
      this.draw(() => performance.measure("slipway:curves", {
        start: asked, end: performance.now(), detail: { metric: this.metric, complete: answer.complete, points: this.drawn ? this.count() : 0 },
      }));
    }

    /* A curve that is there stays; that it is not the newest is said. */
    failed(error) {
      if (this.curves) {
        this.note.textContent = `${error.message} These curves are as they were.`;
        return;
      }
      charts.message(this.box, error.title || "The curves cannot be read just now", error.message, { label: "Try again", run: () => this.load({ quick: true }) });
    }

    count() {
      return Object.values(this.curves).reduce((sum, curve) => sum + curve.values.length, 0);
    }

    draw(onDrawn) {
      if (!this.curves || !this.root.isConnected) return;
      this.drawn?.destroy();
      this.drawn = null;
      const runs = this.section.shownRuns(this.curves);
      this.tools.forEach((tool) => { tool.disabled = !runs.length; });
      if (!runs.length) {
        charts.message(this.box, "No curves", Object.keys(this.curves).length ? "None of the runs that are left logged this metric." : "None of these runs logged this metric.");
        this.readout.replaceChildren();
        this.note.textContent = "";
        return;
      }
      if (!runs.some((run) => this.curves[run.id].values.some((value) => value !== null))) {
        this.tools.slice(0, 2).forEach((tool) => { tool.disabled = true; });
        charts.message(this.box, "Nothing to draw", "None of the logged values is a finite number. The CSV has them as they are.");
        this.note.textContent = "";
        return;
      }
      const [alone] = runs;
      if (runs.length === 1 && this.curves[alone.id].values.length === 1) {
        const { values, steps } = this.curves[alone.id];
        this.tools.slice(0, 2).forEach((tool) => { tool.disabled = true; });
        charts.message(this.box, charts.quantity(values[0], this.unit), `Logged once, at step ${figure(steps[0])}. What is logged at every step draws a curve.`);
        this.box.dataset.drawn = "1";
        this.note.textContent = "";
        return;
      }
      this.box.replaceChildren();
      this.drawn = charts.curvePlot({
        host: this.box, runs, styleOf: (id) => this.section.style(id), curves: this.curves, unit: this.unit, sync: `curves-${this.section.number}`,
        ...this.section.view, onRead: (line, index, said) => this.read(line, index, said), onDrawn,
      });
      this.box.dataset.drawn = String(this.count());
      this.read(null);
      this.noteShow(runs);
      if (!this.table.hidden) this.tableShow();
    }

    read(line, index, said) {
      if (!line || index === undefined || index < 0) {
        this.readout.replaceChildren();
        return;
      }
      const { run } = line;
      const curve = this.curves[run.id];
      const place = line.order[index];
      const value = curve.odd[place] ?? charts.quantity(curve.values[place], this.unit);
      const smoothed = line.smooth && Number.isFinite(line.smooth[index]) ? `smoothed ${figure(line.smooth[index])}` : "";
      const when = charts.moment((curve.from + curve.times[place]) / 1000);
      const words = [`step ${figure(curve.steps[place])}`, smoothed, when].filter(Boolean).join(" · ");
      this.readout.replaceChildren(charts.swatch(this.section.style(run.id)), make("a", { href: run.url }, run.name),
        make("strong", { class: "num", title: String(curve.values[place]) }, value), make("span", { class: "chart-hint num" }, words));
      if (said) window.Slipway.announce(`${run.name}: ${value}, ${words}`);
    }

    noteShow(runs) {
      const say = [];
      const odd = runs.map((run) => [run, Object.values(this.curves[run.id].odd)]).filter(([, words]) => words.length);
      const count = (words) => ["NaN", "∞", "−∞"].map((word) => [words.filter((one) => one === word).length, word]).filter(([n]) => n).map(([n, word]) => `${n} ${word}`).join(", ");
      if (odd.length) say.push(`Not drawn, because not a finite number: ${odd.slice(0, 5).map(([run, words]) => `${run.name} (${count(words)})`).join(", ")}${odd.length > 5 ? ` and ${odd.length - 5} more runs` : ""}.`);
      const low = this.drawn.low.reduce((sum, line) => sum + line.low, 0);
      if (low) say.push(`${plural(low, "point")} at or below zero cannot be drawn on a log axis.`);
      const without = this.section.runs.filter((run) => selection.shown(run.id)).length - runs.length;
      if (without) say.push(`${plural(without, "run has", "runs have")} no value of it.`);
      if (!this.answer.complete) say.push("A first look; every point follows.");
      else if (runs.some((run) => this.curves[run.id].sampled)) say.push(`Of longer curves ${figure(this.answer.points)} points each, evenly chosen by MLflow; the CSV has all.`);
      this.note.textContent = say.join(" ");
    }

    tableToggle() {
      this.table.hidden = !this.table.hidden;
      this.toggle.setAttribute("aria-expanded", String(!this.table.hidden));
      if (!this.table.hidden) this.tableShow();
    }

    /* The values as they were logged: a column for each run where they share an axis, else a row for each point. */
    tableShow() {
      const { axis, label } = this.drawn;
      const lines = this.section.runs.map((run) => this.drawn.lines.find((line) => line.run === run)).filter(Boolean);
      const say = (x) => (axis === "time" ? charts.moment(x) : figure(x));
      const [xs, ...columns] = charts.statistics.align(lines.map((line) => ({ xs: line.xs, ys: line.words })));
      const together = xs.length <= 2 * Math.max(...lines.map((line) => line.xs.length));
      const apart = () => lines.flatMap((line) => line.xs.map((x, index) => ({ line, x, value: line.words[index] })));
      charts.tableShow(this.table, {
        caption: `${this.metric}${this.unit ? ` (${this.unit})` : ""} by ${label.toLowerCase()}, as logged`,
        rows: together ? xs.map((_, row) => row) : apart(),
        columns: together
          ? [{ label, cell: (row) => say(xs[row]) }, ...lines.map((line, index) => ({ label: line.run.name, number: true, cell: (row) => columns[index][row] ?? "" }))]
          : [
            { label: "Run", cell: (row) => charts.runCell(row.line.run, this.section.style(row.line.run.id)) },
            { label, cell: (row) => say(row.x) }, { label: this.metric, number: true, cell: (row) => row.value },
          ],
      });
    }

    /* What is drawn; of curves that are a sample, everything, which the server writes. */
    csv() {
      const shown = this.section.shownRuns(this.curves);
      if (shown.some((run) => this.curves[run.id].sampled)) {
        const query = new URLSearchParams([...shown.map((run) => ["run", run.id]), ["metric", this.metric]]);
        location.assign(`${this.section.root.dataset.points}?${query}`);
        return;
      }
      const rows = [["run_id", "run", "metric", "step", "time", "value"]];
      shown.forEach((run) => {
        const { values, steps, times, from, odd } = this.curves[run.id];
        values.forEach((value, index) => rows.push([run.id, run.name, this.metric, steps[index], new Date(from + times[index]).toISOString(), odd[index] ?? value]));
      });
      charts.csvDownload(this.metric, rows);
    }

    png() {
      const legend = this.section.shownRuns(this.curves).map((run) => ({ name: run.name, style: this.section.style(run.id) }));
      charts.pngDownload(this.metric, this.box.querySelector("canvas"), legend);
    }

    remove() {
      this.request?.abort();
      this.drawn?.destroy();
      this.root.remove();
    }
  }

  function begin(part) {
    const within = part.matches?.("[data-metric-curves]") ? [part] : [...part.querySelectorAll("[data-metric-curves]")];
    within.filter((root) => !root.dataset.begun).forEach((root) => {
      root.dataset.begun = "1";
      new Section(root);
    });
  }

  begin(document);
  document.addEventListener("htmx:load", (event) => begin(event.detail.elt));
})();
