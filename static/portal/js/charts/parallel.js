/* Parallel coordinates: a line for each run across the axes that were chosen. Dragging along an axis, or the fields under
   "Narrow", leave fewer runs in every chart of the page. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  if (!charts.pageRuns) return;
  const { pageRuns, selection, make } = charts;
  const AXES = 6;
  const AXES_MOST = 12;
  const WORDS_MOST = 30;

  class Parallel extends charts.Plot {
    controls() {
      this.merges = true;
      this.columns = pageRuns.page.columns.filter((column) => column.numbers > 0 || column.values <= WORDS_MOST);
      const kept = charts.keptAll("axes").filter((key) => pageRuns.columns.has(key));
      this.chosen = kept.length > 1 ? kept.slice(0, AXES_MOST) : this.usual();
      const boxes = this.columns.map((column) => {
        const box = make("input", { class: "form-check-input", type: "checkbox", value: column.key, autocomplete: "off", onchange: () => this.choose(box) });
        box.checked = this.chosen.includes(column.key);
        return make("label", {}, box, charts.axisName(column));
      });
      const menu = make("div", { class: "menu chart-menu", id: "chart-parallel-axes", popover: "auto", role: "group", "aria-label": "Axes" }, ...boxes);
      this.ranges = make("div", { class: "menu chart-menu chart-ranges", id: "chart-parallel-ranges", popover: "auto", role: "group", "aria-label": "Narrow the runs" });
      this.ranges.addEventListener("change", () => this.rangesApply());
      const button = (target, text) => make("button", { class: "btn btn-sm", type: "button", popovertarget: target.id }, text);
      this.form.append(button(menu, "Choose axes"), menu, button(this.ranges, "Narrow"), this.ranges);
      window.Slipway.enhance(this.form);
      this.options("tint", "Colour", [["run", "By run"], ["value", "By the last axis"]], pageRuns.page.columns.length && pageRuns.page.runs > 20 ? "value" : "run");
    }

    usual() {
      const params = this.columns.filter((column) => column.kind === "param" && column.values > 1);
      const metric = pageRuns.columns.get(pageRuns.page.metric);
      const more = this.columns.filter((column) => column.kind !== "param" && column !== metric && column.values > 1);
      return [...params.slice(0, AXES - 1), ...more.slice(0, Math.max(0, 2 - params.length)), ...(metric ? [metric] : [])].map((column) => column.key);
    }

    choose(box) {
      if (box.checked && this.chosen.length >= AXES_MOST) {
        box.checked = false;
        window.Slipway.announce(`At most ${AXES_MOST} axes`);
        return;
      }
      // A new axis stands before the last one, which is usually the metric.
      if (box.checked) this.chosen.splice(Math.max(0, this.chosen.length - 1), 0, box.value);
      else this.chosen = this.chosen.filter((key) => key !== box.value);
      charts.keep("axes", this.chosen);
      selection.narrow(null);
      this.show();
    }

    keys() {
      return this.chosen;
    }

    /* The other charts follow the brush; this one shows what it has left out, faintly. */
    runs() {
      return pageRuns.all;
    }

    axes() {
      return this.chosen.map((key, dim) => {
        const column = pageRuns.columns.get(key);
        const values = this.runs().map((run) => pageRuns.value(key, run.id));
        const words = values.some((value) => typeof value === "string" && !["NaN", "∞", "−∞"].includes(value));
        const log = !words && pageRuns.spansDecades(values);
        const kind = words ? { type: "category", data: [...new Set(values.filter((value) => value !== null).map(String))].sort() } : { type: log ? "log" : "value", scale: true, min: "dataMin", max: "dataMax" };
        const name = `${charts.axisName(column)}${log ? ", log" : ""}`;
        return {
          id: key, dim, name, ...kind, nameLocation: "start", nameGap: this.narrow ? 8 : 14, nameTruncate: { maxWidth: this.narrow ? 110 : 150 }, nameTextStyle: { color: charts.token("--sl-text"), fontSize: 12 },
          axisLine: { lineStyle: { color: charts.token("--sl-border-strong") } }, axisTick: { lineStyle: { color: charts.token("--sl-border-strong") } }, splitNumber: 4,
          axisLabel: { color: charts.token("--sl-text"), textBorderColor: charts.token("--sl-surface"), textBorderWidth: 3, hideOverlap: true, ...(words ? { width: 90, overflow: "truncate" } : { formatter: (value) => charts.figure(value) }) },
          areaSelectStyle: { color: charts.token("--sl-accent"), borderColor: charts.token("--sl-accent"), opacity: 0.25, width: 18 },
          words,
        };
      });
    }

    option() {
      if (this.chosen.length < 2) return { empty: ["Choose at least two axes", "Parameters that differ between the runs, and the metric they should explain."] };
      const axes = this.axes();
      this.drawn = this.runs();
      this.rangesShow(axes);
      const last = this.chosen[this.chosen.length - 1];
      const tint = this.tint(last);
      const value = (run, key, axis) => {
        const found = pageRuns.value(key, run.id);
        if (axis.words) return found === null ? "-" : String(found);
        return Number.isFinite(found) ? found : "-";
      };
      this.chosen.forEach((key, index) => { if (!axes[index].words) this.leftOut(this.drawn, pageRuns.columns.get(key), ", so a line without it there"); });
      const series = {
        type: "parallel", lineStyle: { width: 1.5 }, inactiveOpacity: 0.06, activeOpacity: 0.9, smooth: false, emphasis: { lineStyle: { width: 3, opacity: 1 } },
        data: this.drawn.map((run) => ({ value: this.chosen.map((key, index) => value(run, key, axes[index])), lineStyle: this.line(run, tint) })),
      };
      const wide = { left: 40, right: 60, top: 20, bottom: 44 };
      const tall = { left: 110, right: 20, top: 16, bottom: 30, layout: "vertical" };
      return { parallel: { ...(this.narrow ? tall : wide), axisExpandable: false }, parallelAxis: axes.map(({ words, ...axis }) => axis), series: [series] };
    }

    line(run, tint) {
      const picked = selection.picked.has(run.id);
      const style = pageRuns.style(run.id);
      const quiet = selection.picked.size > 0 && !picked;
      const dash = style.dash.length ? style.dash : "solid";
      const colour = tint && !picked ? tint(run) : charts.colourOf(style);
      return { color: colour, type: tint && !picked ? "solid" : dash, width: picked ? 3.5 : 1.5, opacity: quiet ? 0.25 : this.drawn.length > 200 ? 0.45 : 0.85 };
    }

    /* From low to high of the last axis; runs without a number there are "Other". */
    tint(key) {
      if (this.fields.tint.value !== "value") return null;
      const numbers = this.drawn.map((run) => pageRuns.value(key, run.id)).filter(Number.isFinite);
      const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
      const scale = charts.scale(low, high);
      return (run) => {
        const value = pageRuns.value(key, run.id);
        return Number.isFinite(value) ? scale(value) : charts.token("--chart-other");
      };
    }

    opened() {
      this.chart.on("axisareaselected", () => {
        const series = this.chart.getModel().getSeriesByIndex(0);
        const active = series.getRawIndicesByActiveState("active");
        const inactive = series.getRawIndicesByActiveState("inactive");
        this.rangesRead();
        this.brushed = true;
        selection.narrow(inactive.length ? new Set(active.map((index) => this.drawn[index].id)) : null);
        this.brushed = false;
      });
    }

    /* The fields that do what a brush does: from and to of each axis, or one of its words. */
    rangesShow(axes) {
      const shown = axes.map((axis) => `${axis.id} ${axis.words ? axis.data.join() : ""}`).join("; ");
      if (shown === this.rangesOf) return;
      this.rangesOf = shown;
      this.ranges.replaceChildren(...axes.map((axis) => {
        const name = charts.axisName(pageRuns.columns.get(axis.id));
        if (axis.words) {
          const any = make("option", { value: "" }, "Any");
          return make("label", { "data-axis": axis.id }, make("span", {}, name),
            make("select", { class: "form-select", autocomplete: "off" }, any, ...axis.data.map((word, index) => make("option", { value: index }, word))));
        }
        const field = (end) => make("input", { class: "form-control", type: "number", step: "any", autocomplete: "off", placeholder: end, "aria-label": `${name} ${end}` });
        return make("div", { role: "group", "data-axis": axis.id, "aria-label": name }, make("span", {}, name), field("from"), field("to"));
      }));
    }

    rangesApply() {
      const before = this.intervals();
      this.applying = true;
      [...this.ranges.children].forEach((row) => {
        const { axis } = row.dataset;
        const [from, to] = [...row.querySelectorAll("input")].map((field) => field.value);
        const word = row.querySelector("select")?.value;
        const values = this.drawn.map((run) => pageRuns.value(axis, run.id)).filter(Number.isFinite);
        let intervals = [];
        if (word) intervals = [[Number(word) - 0.3, Number(word) + 0.3]];
        else if (from || to) {
          const [low, high] = [from ? Number(from) : Math.min(...values), to ? Number(to) : Math.max(...values)];
          intervals = [[low, Math.max(low, high)]];
        }
        if (JSON.stringify(intervals) === JSON.stringify(before.get(axis))) return;
        this.chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: axis, intervals });
      });
      this.applying = false;
      const left = selection.narrowed ? selection.narrowed.size : this.drawn.length;
      window.Slipway.announce(`${charts.figure(left)} of ${charts.plural(this.drawn.length, "run")} left`);
    }

    intervals() {
      return new Map(this.chart.getModel().queryComponents({ mainType: "parallelAxis" }).map((axis) => [axis.id, axis.activeIntervals]));
    }

    /* What was brushed stands in the fields too. */
    rangesRead() {
      if (this.applying) return;
      const axes = this.intervals();
      [...this.ranges.children].forEach((row) => {
        const [first] = axes.get(row.dataset.axis) ?? [];
        const field = row.querySelector("select");
        if (field) field.value = first && Math.ceil(first[0]) === Math.floor(first[1]) ? String(Math.ceil(first[0])) : "";
        row.querySelectorAll("input").forEach((input, index) => { input.value = first ? Number(first[index].toPrecision(4)) : ""; });
      });
    }

    /* While one brushes, nothing is drawn anew under the pointer. */
    redraw(whole = false) {
      if (this.brushed) return;
      super.redraw(whole || selection.narrowed === null);
      if (selection.narrowed === null) this.ranges.querySelectorAll("input, select").forEach((field) => { field.value = ""; });
    }

    items() {
      const last = this.chosen[this.chosen.length - 1];
      const order = this.drawn.map((run, index) => ({ run, index, value: pageRuns.value(last, run.id) }));
      order.sort((a, b) => (Number.isFinite(b.value) ? b.value : -Infinity) - (Number.isFinite(a.value) ? a.value : -Infinity));
      return order.map(({ run, index }) => ({
        series: 0, index, run, words: this.chosen.map((key) => `${pageRuns.columns.get(key).label} ${charts.quantity(pageRuns.value(key, run.id), pageRuns.columns.get(key).unit)}`).join(" · "),
      }));
    }

    table() {
      const columns = this.chosen.map((key) => pageRuns.columns.get(key));
      return { caption: columns.map((column) => column.label).join(", "), columns: [this.runColumn(), ...columns.map((column) => this.valueColumn(column))], rows: pageRuns.all.filter((run) => selection.shown(run.id)) };
    }
  }

  Object.assign(charts.kinds ??= {}, { parallel: Parallel });
})();
