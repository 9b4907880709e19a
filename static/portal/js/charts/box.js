/* Box by group: how a metric is spread within the runs that share a value of a parameter. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  if (!charts.pageRuns) return;
  const { pageRuns, statistics } = charts;
  const GROUPS = 20;

  class Box extends charts.Plot {
    controls() {
      this.legend = false;
      const params = pageRuns.page.columns.filter((column) => column.kind === "param");
      const first = params.find((column) => column.values > 1 && column.values <= GROUPS && column.values < column.count);
      this.select("y", "Metric", pageRuns.numeric("metric", "use"), pageRuns.page.metric);
      this.select("group", "Group by", params, (first || params.find((column) => column.values > 1))?.key);
    }

    keys() {
      return [this.fields.y.value, this.fields.group.value];
    }

    /* Runs by their value, numbers in order and then words; what is not among the twenty largest is "Other". */
    groups(y, group) {
      const found = new Map();
      this.runs().forEach((run) => {
        const value = pageRuns.value(y.key, run.id);
        if (!Number.isFinite(value)) return;
        const own = pageRuns.value(group.key, run.id);
        if (!found.has(own)) found.set(own, []);
        found.get(own).push({ run, value });
      });
      const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : (typeof a === "number" ? -1 : typeof b === "number" ? 1 : String(a).localeCompare(String(b))));
      const largest = [...found.entries()].sort((a, b) => b[1].length - a[1].length);
      const kept = largest.slice(0, largest.length > GROUPS ? GROUPS - 1 : GROUPS).sort((a, b) => (a[0] === null) - (b[0] === null) || order(a[0], b[0]));
      const made = kept.map(([own, members]) => this.group(own === null ? "not set" : charts.figure(own), members, group, own));
      const rest = largest.slice(kept.length).flatMap(([, members]) => members);
      if (rest.length) made.push(this.group(`Other (${largest.length - kept.length} values)`, rest, group, undefined));
      return made;
    }

    group(name, members, column, own) {
      return { name, members, link: this.rowsBehind(column, own), ...statistics.box(members.map((one) => one.value)) };
    }

    /* The table of the runs of one group: the page's filter and this value. */
    rowsBehind(column, own) {
      if (own === undefined || own === null || String(own).length > 190) return null;
      const key = `params.\`${column.label.replaceAll("`", "``")}\``;
      const value = typeof own === "number" ? String(own) : `'${own.replaceAll("'", "''")}'`;
      const url = new URL(pageRuns.page.table, location.href);
      const before = pageRuns.page.filter.trim();
      url.searchParams.set("filter", `${before ? `(${before}) AND ` : ""}${key} = ${value}`);
      return url.pathname + url.search;
    }

    option() {
      const [y, group] = [this.column("y"), this.column("group")];
      this.drawn = [];
      if (!y || !group) return { empty: ["Nothing to group", "These runs have no metric or no parameter."] };
      this.drawn = this.groups(y, group);
      this.leftOut(this.runs(), y);
      if (!this.drawn.length) return { empty: ["No figures", `None of these runs has a finite ${y.label}.`] };
      if (this.drawn.every((one) => one.n === 1) && this.drawn.length > 3) this.said.push(`Every value of ${group.label} occurs once: a parameter with repeated values says more.`);
      const colour = charts.token("--chart-1");
      const beyond = this.beyond();
      return {
        grid: this.room(),
        xAxis: this.axis(group, { type: "category", data: this.drawn.map((one) => `${one.name}\nn = ${one.n}`), splitLine: { show: false }, nameGap: 40, axisLabel: { color: charts.token("--sl-text-2"), interval: 0, hideOverlap: true, width: 90, overflow: "truncate" } }),
        yAxis: this.axis(y, { nameGap: 46 }),
        series: [
          { type: "boxplot", boxWidth: [8, 40], itemStyle: { color: charts.faded(colour, 0.16), borderColor: colour, borderWidth: 1.5 }, emphasis: { itemStyle: { borderWidth: 2.5, shadowBlur: 0 } }, data: this.drawn.map((one) => [one.low, one.q1, one.median, one.q3, one.high]) },
          { type: "scatter", z: 3, data: beyond.map((one) => ({ value: [one.at, one.value], ...this.point(one.run, 7) })) },
        ],
      };
    }

    /* Runs drawn one by one: those outside of the whiskers, and those that are picked. */
    beyond() {
      this.single = this.drawn.flatMap((one, at) => one.members.filter(({ run, value }) => value < one.low || value > one.high || charts.selection.picked.has(run.id)).map((member) => ({ ...member, at })));
      return this.single;
    }

    items() {
      const y = this.column("y");
      const say = (value) => charts.quantity(value, y.unit);
      const boxes = this.drawn.map((one, index) => ({
        series: 0, index, title: `${this.column("group").label} ${one.name}`, link: one.link ? { url: one.link, label: `Show ${charts.plural(one.n, "run")}` } : null,
        words: `median ${say(one.median)}, half of them from ${say(one.q1)} to ${say(one.q3)}, n = ${one.n}`,
      }));
      return [...boxes, ...this.single.map((one, index) => ({ series: 1, index, run: one.run, words: `${this.drawn[one.at].name} · ${y.label} ${say(one.value)}` }))];
    }

    table() {
      const [y, group] = [this.column("y"), this.column("group")];
      const columns = [["Runs", "n"], ["Least", "least"], ["Quartile 1", "q1"], ["Median", "median"], ["Quartile 3", "q3"], ["Most", "most"], ["Mean", "mean"]];
      return {
        caption: `${charts.axisName(y)} by ${group.label}`, rows: this.drawn,
        columns: [
          { label: group.label, value: (row) => row.name, cell: (row) => (row.link ? charts.make("a", { href: row.link }, row.name) : row.name) },
          ...columns.map(([label, name]) => ({ label, number: true, value: (row) => row[name] })),
        ],
      };
    }
  }

  Object.assign(charts.kinds ??= {}, { box: Box });
})();
