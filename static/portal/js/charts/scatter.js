/* Scatter: any figure against any other. Cost: a metric against what the runs took, with the Pareto front. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  if (!charts.pageRuns) return;
  const { pageRuns, statistics } = charts;

  class Scatter extends charts.Plot {
    controls() {
      const columns = pageRuns.numeric();
      const varied = columns.filter((column) => column.kind === "param" && column.values > 1);
      const first = varied[0] || columns.find((column) => column.key !== pageRuns.page.metric);
      this.select("x", "Across", columns, first?.key);
      this.select("y", "Up", columns, pageRuns.page.metric);
      this.tick("logx", "Log across");
      this.tick("logy", "Log up");
    }

    keys() {
      return [this.fields.x.value, this.fields.y.value];
    }

    logs() {
      return [this.fields.logx.checked, this.fields.logy.checked];
    }

    /* Points that can be drawn, each {run, x, y}, in order of x. */
    points() {
      const [x, y] = [this.column("x"), this.column("y")];
      const [logX, logY] = this.logs();
      const able = (value, log) => Number.isFinite(value) && (!log || value > 0);
      const all = this.runs().map((run) => ({ run, x: pageRuns.value(x.key, run.id), y: pageRuns.value(y.key, run.id) }));
      return all.filter((one) => able(one.x, logX) && able(one.y, logY)).sort((a, b) => a.x - b.x || a.y - b.y);
    }

    notes(drawn) {
      [...new Set([this.column("x"), this.column("y")])].forEach((column) => this.leftOut(this.runs(), column));
      const finite = this.runs().filter((run) => this.keys().every((key) => Number.isFinite(pageRuns.value(key, run.id)))).length;
      if (finite > drawn) this.said.push(`${charts.plural(finite - drawn, "run")} at or below zero cannot be drawn on a log axis.`);
    }

    option() {
      const [x, y] = [this.column("x"), this.column("y")];
      if (!x || !y) return { empty: ["Nothing to draw", "These runs logged no figures."] };
      this.drawn = this.points();
      this.notes(this.drawn.length);
      if (!this.drawn.length) return { empty: ["No run has both", `None of these runs has a figure for ${x.label} and ${y.label}.`] };
      const [logX, logY] = this.logs();
      return {
        grid: this.room(),
        xAxis: this.axis(x, this.logarithmic(logX)),
        yAxis: this.axis(y, { nameGap: 46, ...this.logarithmic(logY) }),
        series: [...this.behind(), { type: "scatter", z: 3, data: this.layers().map((one) => ({ value: [one.x, one.y], ...this.point(one.run) })), emphasis: { scale: 1.5 } }],
      };
    }

    behind() {
      return [];
    }

    /* The points from the back to the front; the keyboard goes along x. */
    layers() {
      return [...this.drawn].sort((a, b) => this.importance(a.run) - this.importance(b.run));
    }

    items() {
      const [x, y] = [this.column("x"), this.column("y")];
      const place = new Map(this.layers().map((one, index) => [one, index]));
      const series = this.behind().length;
      return this.drawn.map((one) => ({
        series, index: place.get(one), run: one.run,
        words: `${x.label} ${charts.quantity(one.x, x.unit)} · ${y.label} ${charts.quantity(one.y, y.unit)}${this.remark(one)}`,
      }));
    }

    remark() {
      return "";
    }

    table() {
      const columns = [...new Set([this.column("x"), this.column("y")])];
      return { caption: columns.map(charts.axisName).join(" and "), columns: [this.runColumn(), ...columns.map((column) => this.valueColumn(column))], rows: this.drawn.map((one) => one.run) };
    }
  }

  class Cost extends Scatter {
    controls() {
      this.select("y", "Metric", pageRuns.numeric("metric"), pageRuns.page.metric);
      this.select("x", "Against", pageRuns.numeric("use"), "duration");
      this.options("goal", "Best", [["max", "Highest is best"], ["min", "Lowest is best"]], this.usualGoal());
      this.tick("logx", "Log across");
    }

    usualGoal() {
      return this.column("y")?.lower ? "min" : "max";
    }

    changed(name) {
      if (name !== "y") return;
      this.fields.goal.value = this.usualGoal();
      charts.keep("chart-cost-goal", "");
    }

    logs() {
      return [this.fields.logx.checked, false];
    }

    points() {
      const drawn = super.points();
      const front = statistics.pareto(drawn.map((one) => [one.x, one.y]), this.fields.goal.value === "min");
      this.front = front.map((index) => drawn[index]);
      return drawn;
    }

    behind() {
      const colour = charts.token("--sl-accent");
      return [{
        type: "line", step: "end", z: 2, silent: true, symbol: "circle", symbolSize: 15, itemStyle: { color: "transparent", borderColor: colour, borderWidth: 1.5 },
        lineStyle: { color: colour, width: 1.5, type: [6, 4] }, data: this.front.map((one) => [one.x, one.y]),
      }];
    }

    notes(drawn) {
      super.notes(drawn);
      if (this.front.length) this.said.push(`${charts.plural(this.front.length, "run")} on the front.`);
    }

    remark(one) {
      return this.front.includes(one) ? " · on the Pareto front" : "";
    }

    table() {
      const made = super.table();
      const front = new Set(this.front.map((one) => one.run.id));
      return { ...made, columns: [...made.columns, { label: "Pareto front", value: (row) => (front.has(row.id) ? "yes" : "") }] };
    }
  }

  Object.assign(charts.kinds ??= {}, { scatter: Scatter, cost: Cost });
})();
