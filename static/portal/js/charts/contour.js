/* Contour: a metric over two parameters, interpolated on a grid and cut into bands, with the runs as points. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  if (!charts.pageRuns) return;
  const { pageRuns, statistics } = charts;
  const LEAST = 6;
  const SIZE = 80;
  const BANDS = 10;

  /* A colour between two, by a share from 0 to 1. */
  function between(low, high, share) {
    const parts = (colour) => (colour.match(/[\d.]+/g) || []).slice(0, 3).map(Number);
    const [a, b] = [parts(low), parts(high)];
    return `rgb(${a.map((part, index) => Math.round(part + (b[index] - part) * share)).join(", ")})`;
  }

  /* Colours from low to high, as the theme has them now. */
  charts.scale = (low, high) => {
    const [from, to] = [charts.token("--chart-low"), charts.token("--chart-high")];
    return (value) => between(from, to, high > low ? (value - low) / (high - low) : 0.5);
  };

  class Contour extends charts.Plot {
    controls() {
      this.legend = false;
      const params = pageRuns.numeric("param").filter((column) => column.values > 1);
      const columns = [...params, ...pageRuns.numeric("metric", "use").filter((column) => column.values > 1)];
      this.select("x", "Across", columns, columns[0]?.key);
      this.select("y", "Up", columns, columns[1]?.key);
      this.select("z", "Metric", pageRuns.numeric("metric"), pageRuns.page.metric);
    }

    keys() {
      return [this.fields.x.value, this.fields.y.value, this.fields.z.value];
    }

    option() {
      const [x, y, z] = ["x", "y", "z"].map((name) => this.column(name));
      this.drawn = [];
      if (!x || !y || !z) return { empty: ["Too few columns", "A contour needs two parameters with numbers that differ, and a metric."] };
      const value = (column, run) => pageRuns.value(column.key, run.id);
      this.drawn = this.runs().map((run) => ({ run, x: value(x, run), y: value(y, run), z: value(z, run) }))
        .filter((one) => [one.x, one.y, one.z].every(Number.isFinite)).sort((a, b) => b.z - a.z);
      [x, y, z].forEach((column) => this.leftOut(this.runs(), column));
      const [scaleX, scaleY] = [this.share("x"), this.share("y")];
      const points = this.drawn.map((one) => [scaleX.to(one.x), scaleY.to(one.y), one.z]);
      if (this.drawn.length < LEAST) return { empty: ["Too few points", `A contour needs ${LEAST} runs with ${x.label}, ${y.label} and ${z.label}; ${this.drawn.length} have all three.`] };
      if (statistics.spread(points) < 0.02) return { empty: ["The points lie on one line", `${x.label} and ${y.label} do not vary apart from each other in these runs.`] };
      const values = this.drawn.map((one) => one.z);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const log = (scale) => (scale.log ? { type: "log" } : {});
      return {
        grid: this.room(44),
        xAxis: this.axis(x, { ...log(scaleX), min: scaleX.low, max: scaleX.high, splitLine: { show: false } }),
        yAxis: this.axis(y, { ...log(scaleY), min: scaleY.low, max: scaleY.high, nameGap: 46, splitLine: { show: false } }),
        visualMap: {
          type: "continuous", min: low, max: high, dimension: 2, seriesIndex: 1, orient: "horizontal", left: "center", bottom: 0, itemWidth: 12, itemHeight: 140, calculable: false, hoverLink: false,
          text: [charts.figure(high), charts.figure(low)], textStyle: { color: charts.token("--sl-text-2") }, inRange: { color: [charts.token("--chart-low"), charts.token("--chart-high")] },
        },
        series: [this.field_(points, scaleX, scaleY, low, high), {
          type: "scatter", z: 3, emphasis: { scale: 1.4 },
          data: this.drawn.map((one) => {
            const look = this.point(one.run);
            return { value: [one.x, one.y, one.z], symbol: "circle", symbolSize: look.symbolSize + 1, itemStyle: { opacity: look.itemStyle.opacity, borderColor: charts.token("--sl-text"), borderWidth: charts.selection.picked.has(one.run.id) ? 3 : 1 } };
          }),
        }],
      };
    }

    /* An axis from the least to the most, as shares from 0 to 1; by decades where it spans two of them. */
    share(name) {
      const values = this.drawn.map((one) => one[name]);
      const log = pageRuns.spansDecades(values);
      const forth = log ? Math.log10 : (value) => value;
      const back = log ? (value) => 10 ** value : (value) => value;
      const [from, to] = [forth(Math.min(...values)), forth(Math.max(...values))];
      const room = (to - from || Math.abs(from) || 1) * 0.04;
      return {
        log, low: back(from - room), high: back(to + room), to: (value) => (to > from ? (forth(value) - from) / (to - from) : 0.5), back: (share) => back(from + share * (to - from)),
      };
    }

    field_(points, scaleX, scaleY, low, high) {
      const rows = statistics.grid(points, SIZE);
      const colour = charts.scale(low, high);
      const half = 0.5 / (SIZE - 1);
      const cells = [];
      rows.forEach((row, iy) => row.forEach((value, ix) => {
        if (value === null) return;
        const band = high > low ? Math.min(BANDS - 1, Math.floor(((value - low) / (high - low)) * BANDS)) : BANDS / 2;
        cells.push([ix / (SIZE - 1), iy / (SIZE - 1), low + ((band + 0.5) / BANDS) * (high - low)]);
      }));
      return {
        type: "custom", z: 1, silent: true, progressive: 0, data: cells, encode: { x: -1, y: -1 }, clip: true,
        renderItem: (params, api) => {
          const [sx, sy] = [api.value(0), api.value(1)];
          const [left, bottom] = api.coord([scaleX.back(sx - half), scaleY.back(sy - half)]);
          const [right, top] = api.coord([scaleX.back(sx + half), scaleY.back(sy + half)]);
          return { type: "rect", shape: { x: Math.floor(left), y: Math.floor(top), width: Math.ceil(right) - Math.floor(left), height: Math.ceil(bottom) - Math.floor(top) }, style: { fill: colour(api.value(2)) } };
        },
      };
    }

    items() {
      const columns = ["x", "y", "z"].map((name) => this.column(name));
      return this.drawn.map((one, index) => ({
        series: 1, index, run: one.run, words: ["x", "y", "z"].map((name, place) => `${columns[place].label} ${charts.quantity(one[name], columns[place].unit)}`).join(" · "),
      }));
    }

    table() {
      const columns = ["x", "y", "z"].map((name) => this.column(name)).filter(Boolean);
      return { caption: columns.map(charts.axisName).join(", "), columns: [this.runColumn(), ...columns.map((column) => this.valueColumn(column))], rows: this.drawn.map((one) => one.run) };
    }
  }

  Object.assign(charts.kinds ??= {}, { contour: Contour });
})();
