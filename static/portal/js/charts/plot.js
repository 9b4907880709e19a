/* What the ECharts charts of a page share. A chart is a class with
     controls()        its choices, made once:  this.select("x", "Across", columns, first) …
     keys()            the columns it needs
     option()          ECharts' option, or {empty: [title, text]}
     items()           what the arrow keys move through: {series, index, run?, words, act?}
     table()           {caption, columns: [{label, number, value(row), cell?(row)}], rows}
   ECharts itself is loaded when the first chart comes into view. Its tooltips stay off: what is under the pointer stands
   below the chart, as text. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  const { make, selection } = charts;
  const [PLUS, DOWN] = ["path://M-5,-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z", "path://M-5,-4H5L0,5Z"];
  const [CROSS, LEFT, RIGHT, STAR] = [
    "path://M-5,-3L-3,-5L0,-2L3,-5L5,-3L2,0L5,3L3,5L0,2L-3,5L-5,3L-2,0Z", "path://M4,-5V5L-5,0Z", "path://M-4,-5V5L5,0Z",
    "path://M0,-5L1.2,-1.6H4.8L1.9,.6L3,4L0,1.9L-3,4L-1.9,.6L-4.8,-1.6H-1.2Z",
  ];
  const SYMBOLS = ["circle", "circle", "rect", "triangle", "diamond", "roundRect", PLUS, DOWN, "emptyCircle"];
  /* Of picked runs beyond the eight series. */
  const FURTHER = ["emptyRect", "emptyTriangle", "emptyDiamond", CROSS, LEFT, RIGHT, STAR, "pin", "arrow", "emptyRoundRect", "circle", "rect"];

  const MANY = 300;

  class Plot {
    constructor(root) {
      this.root = root;
      this.kind = root.dataset.chart;
      const find = (name) => root.querySelector(`[data-chart-${name}]`);
      [this.box, this.readout, this.note, this.tableHost, this.form] = ["box", "read", "note", "table", "controls"].map(find);
      this.title = root.querySelector("h2").textContent;
      this.fields = {};
      this.at = -1;
      this.controls();
      root.querySelectorAll("[data-chart-tool]").forEach((tool) => tool.addEventListener("click", () => this.tool(tool)));
      this.box.addEventListener("keydown", (event) => this.keydown(event));
      charts.message(this.box, "Reading the runs", "");
      charts.inView(this.box, () => {
        this.begun = true;
        this.show();
      });
      selection.changed(() => this.redraw());
      charts.onTheme(() => this.redraw());
      document.addEventListener("slipway:runs-changed", () => {
        this.ready = false;
        this.show();
      });
      new ResizeObserver(() => this.resized()).observe(this.box);
    }

    /* Choices: a select over columns, a box to tick. Each is kept in the address as chart-<kind>-<name>. */
    select(name, label, columns, first) {
      const groups = [["metric", "Metrics"], ["param", "Parameters"], ["use", "What it took"]];
      const field = make("select", { class: "form-select", name, autocomplete: "off" }, ...groups.map(([kind, title]) => {
        const within = columns.filter((column) => column.kind === kind);
        return within.length ? make("optgroup", { label: title }, ...within.map((column) => make("option", { value: column.key }, charts.axisName(column)))) : null;
      }).filter(Boolean));
      const kept = charts.kept(`chart-${this.kind}-${name}`);
      const has = (key) => columns.some((column) => column.key === key);
      field.value = [kept, first, columns[0]?.key].find((key) => key && has(key)) ?? "";
      return this.field(name, label, field, field.value);
    }

    options(name, label, pairs, first) {
      const field = make("select", { class: "form-select", name, autocomplete: "off" }, ...pairs.map(([value, words]) => make("option", { value }, words)));
      const kept = charts.kept(`chart-${this.kind}-${name}`);
      field.value = pairs.some(([value]) => value === kept) ? kept : first;
      return this.field(name, label, field, first);
    }

    tick(name, label) {
      const field = make("input", { class: "form-check-input", type: "checkbox", name, autocomplete: "off" });
      field.checked = charts.kept(`chart-${this.kind}-${name}`) === "1";
      return this.field(name, label, field, "");
    }

    field(name, label, field, usual) {
      this.fields[name] = field;
      this.form.append(make("label", { class: "chart-control" }, ...(field.type === "checkbox" ? [field, label] : [label, field])));
      field.addEventListener("change", () => {
        const value = field.type === "checkbox" ? (field.checked ? "1" : "") : field.value;
        charts.keep(`chart-${this.kind}-${name}`, value === usual && field.type !== "checkbox" ? "" : value);
        this.changed(name);
        this.show();
      });
      return field;
    }

    changed() {}
    keys() { return []; }
    prepared() { return null; }

    column(name) {
      return charts.pageRuns.columns.get(this.fields[name].value);
    }

    async show() {
      if (!this.begun) return;
      const needed = this.keys().filter(Boolean);
      try {
        await Promise.all([charts.pageRuns.load(needed), charts.script(this.root.parentElement.dataset.echarts)]);
      } catch (error) {
        this.away(error);
        return;
      }
      this.ready = true;
      this.redraw(true);
    }

    away(error) {
      this.chart?.dispose();
      this.chart = null;
      charts.message(this.box, error.title || "This chart cannot be drawn just now", error.message, { label: "Try again", run: () => this.show() });
    }

    /* Runs that a brush has left, as far as the chart follows it. */
    runs() {
      return charts.pageRuns.all.filter((run) => selection.shown(run.id));
    }

    redraw(whole = false) {
      if (!this.ready) return;
      this.said = [];
      this.narrow = this.box.getBoundingClientRect().width < 520;
      const option = this.option();
      this.note.textContent = this.said.join(" ");
      const empty = Boolean(option.empty);
      this.root.querySelectorAll("[data-chart-tool=png]").forEach((tool) => { tool.disabled = empty; });
      if (empty) {
        this.chart?.dispose();
        this.chart = null;
        delete this.box.dataset.drawn;
        this.readout.replaceChildren();
        charts.message(this.box, ...option.empty);
      } else {
        if (!this.chart) this.open();
        this.chart.setOption({ ...this.base(), ...option }, this.merges && !whole ? { notMerge: false } : { notMerge: true });
        this.box.dataset.drawn = String(this.items().length);
      }
      if (!this.tableHost.hidden) this.tableShow();
    }

    open() {
      this.box.replaceChildren();
      this.chart = window.echarts.init(this.box, null, { renderer: "canvas" });
      this.chart.on("mouseover", (event) => {
        const item = this.itemOf(event);
        if (item) this.read(item);
      });
      this.chart.on("click", (event) => {
        const item = this.itemOf(event);
        if (item) this.act(item);
      });
      this.opened?.();
    }

    itemOf(event) {
      return this.items().find((item) => item.series === event.seriesIndex && item.index === event.dataIndex);
    }

    act(item) {
      if (item.run) selection.toggle(item.run.id);
      this.read(item);
    }

    resized() {
      if (!this.chart) return;
      const { width } = this.box.getBoundingClientRect();
      if (width < 60) return;
      this.chart.resize();
      if (this.narrow !== width < 520) this.redraw(true);
    }

    base() {
      return { animation: false, textStyle: { fontFamily: "Inter, sans-serif", fontSize: 11, color: charts.token("--sl-text-2") }, tooltip: { show: false } };
    }

    axis(column, more = {}) {
      const line = { lineStyle: { color: charts.token("--chart-grid") } };
      const ink = charts.token("--sl-text-2");
      return {
        type: "value", scale: true, name: column ? charts.axisName(column) : "", nameLocation: "middle", nameGap: 28, nameTextStyle: { color: ink, fontSize: 12 },
        nameTruncate: { maxWidth: 260 }, axisLine: { show: true, ...line }, axisTick: { ...line, length: 4 }, splitLine: line, splitNumber: this.narrow ? 4 : 6,
        axisLabel: { color: ink, hideOverlap: true, showMinLabel: more.min === undefined, showMaxLabel: more.max === undefined, formatter: (value) => charts.figure(value) }, ...more,
      };
    }

    /* ECharts ends a log axis at whole decades, which leaves half of the chart empty. */
    logarithmic(on) {
      return on ? { type: "log", min: ({ min }) => min * 0.85, max: ({ max }) => max * 1.18 } : {};
    }

    room(bottom = 4) {
      return { left: 4, right: 24, top: 16, bottom, outerBoundsMode: "same", outerBoundsContain: "all" };
    }

    /* How far in front a run is drawn: what is picked, then the eight series, then the others. */
    importance(run) {
      return selection.picked.has(run.id) ? 2 : charts.pageRuns.style(run.id).slot ? 1 : 0;
    }

    /* How a run's point looks; a picked one is larger and outlined. */
    point(run, size = this.runs().length > MANY ? 6 : 9) {
      const style = charts.pageRuns.style(run.id);
      const picked = selection.picked.has(run.id);
      const dim = selection.picked.size > 0 && !picked;
      return {
        symbol: [...SYMBOLS, ...FURTHER][style.slot], symbolSize: picked ? size + 5 : size,
        itemStyle: { color: charts.colourOf(style), opacity: dim ? 0.4 : style.slot || picked || size > 6 ? 0.9 : 0.55, borderColor: charts.token(picked ? "--sl-text" : "--sl-surface"), borderWidth: picked ? 2 : 0.5 },
      };
    }

    /* Below the chart: what is under the pointer, or where the keyboard is. */
    read(item, said = false) {
      const start = item.run ? [charts.swatch(charts.pageRuns.style(item.run.id)), make("a", { href: item.run.url }, item.run.name)] : [make("strong", {}, item.title)];
      const link = item.link ? make("a", { href: item.link.url }, item.link.label) : null;
      this.readout.replaceChildren(...start, make("span", { class: "chart-hint num" }, item.words), ...(link ? [link] : []));
      if (said) window.Slipway.announce(`${item.run ? item.run.name : item.title}: ${item.words}`);
    }

    keydown(event) {
      const items = this.chart ? this.items() : [];
      if (!items.length || event.ctrlKey || event.metaKey || event.altKey) return;
      const far = event.shiftKey ? 10 : 1;
      const to = { ArrowRight: this.at + far, ArrowDown: this.at + far, ArrowLeft: this.at - far, ArrowUp: this.at - far, Home: 0, End: items.length - 1 }[event.key];
      if (to !== undefined) this.move(items, to);
      else if (event.key === "Enter" && items[this.at]) this.act(items[this.at]);
      else if (event.key === "Escape") selection.clear();
      else return;
      event.preventDefault();
    }

    move(items, to) {
      this.at = Math.max(0, Math.min(items.length - 1, to));
      const item = items[this.at];
      this.chart.dispatchAction({ type: "downplay" });
      this.chart.dispatchAction({ type: "highlight", seriesIndex: item.series, dataIndex: item.index });
      this.read(item, true);
    }

    tool(tool) {
      const does = tool.dataset.chartTool;
      if (!this.ready) return;
      if (does === "table") {
        this.tableHost.hidden = !this.tableHost.hidden;
        tool.setAttribute("aria-expanded", String(!this.tableHost.hidden));
        if (!this.tableHost.hidden) this.tableShow();
      } else if (does === "csv") {
        const { columns, rows } = this.table();
        const whole = [{ label: "run_id", value: (row) => row.id }, ...columns];
        charts.csvDownload(`${this.title} ${this.named()}`, [
          (rows[0]?.id ? whole : columns).map((column) => column.label),
          ...rows.map((row) => (row.id ? whole : columns).map((column) => column.value(row))),
        ]);
      } else if (this.chart) {
        const shown = this.runs().map((run) => ({ name: run.name, style: charts.pageRuns.style(run.id) })).filter((one) => one.style.slot);
        charts.pngDownload(`${this.title}: ${this.named()}`, this.chart.getRenderedCanvas({ pixelRatio: 2 }), this.legend === false ? [] : shown, 2);
      }
    }

    /* What the chart is of, for the names of files. */
    named() {
      return this.keys().map((key) => charts.pageRuns.columns.get(key)?.label).filter(Boolean).join(" ");
    }

    tableShow() {
      const { caption, columns, rows } = this.table();
      charts.tableShow(this.tableHost, { caption, rows, columns: columns.map((column) => ({ ...column, cell: column.cell || column.value })) });
    }

    runColumn() {
      return { label: "Run", value: (row) => row.name, cell: (row) => charts.runCell(row, charts.pageRuns.style(row.id)) };
    }

    valueColumn(column) {
      return { label: charts.axisName(column), number: true, value: (row) => charts.pageRuns.value(column.key, row.id) };
    }

    /* Says what is left out for want of a number, by column. */
    leftOut(runs, column, why = "") {
      const without = runs.filter((run) => !Number.isFinite(charts.pageRuns.value(column.key, run.id)));
      if (!without.length) return;
      const odd = without.filter((run) => ["NaN", "∞", "−∞"].includes(charts.pageRuns.value(column.key, run.id))).length;
      const words = odd ? ` (${odd} NaN or infinite)` : "";
      this.said.push(`${charts.plural(without.length, "run")} without a finite number for ${column.label}${words}${why}.`);
    }
  }

  Object.assign(charts, { Plot, SYMBOLS });
})();
