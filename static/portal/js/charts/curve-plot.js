/* One metric's curves, drawn by uPlot: `curvePlot({host, runs, styleOf, curves, unit, axis, smoothing, log, …})`.
   The arrow keys move from point to point and from run to run, Enter picks the run, Escape ends a zoom. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  const { statistics, figure } = charts;
  const zone = document.body.dataset.timeZone || "UTC";
  const UNITS = [[7200, 3600, "h"], [180, 60, "min"], [0, 1, "s"]];
  const clocks = {
    second: { hour: "2-digit", minute: "2-digit", second: "2-digit" }, minute: { hour: "2-digit", minute: "2-digit" },
    day: { day: "numeric", month: "short" },
  };
  Object.entries(clocks).forEach(([name, parts]) => {
    clocks[name] = new Intl.DateTimeFormat("en-GB", { ...parts, hourCycle: "h23", timeZone: zone });
  });
  const moment = (seconds) => `${clocks.day.format(seconds * 1000)} ${clocks.second.format(seconds * 1000)}`;

  /* x and y of every run for one kind of axis; `words` are the values as the table says them. */
  function prepared(runs, curves, { axis, smoothing, log }) {
    const since = (run, curve) => (run.started !== null && run.started <= curve.from ? run.started : curve.from);
    const last = Math.max(1, ...runs.map((run) => (curves[run.id].from + Math.max(...curves[run.id].times) - since(run, curves[run.id])) / 1000));
    const [, size, unit] = UNITS.find(([least]) => last >= least);
    const lines = runs.map((run) => {
      const curve = curves[run.id];
      let order = curve.values.map((_, index) => index);
      if (axis !== "step") order = order.sort((a, b) => curve.times[a] - curve.times[b] || a - b);
      const at = {
        step: (index) => curve.steps[index],
        time: (index) => (curve.from + curve.times[index]) / 1000,
        relative: (index) => (curve.from + curve.times[index] - since(run, curve)) / 1000 / size,
      }[axis];
      const raw = order.map((index) => curve.values[index]);
      const drawable = (value) => (value === null || (log && value <= 0) ? null : value);
      const low = log ? raw.filter((value) => value !== null && value <= 0).length : 0;
      return {
        run, order, raw, low, xs: order.map(at), ys: raw.map(drawable),
        smooth: smoothing ? statistics.smooth(raw, smoothing).map(drawable) : null,
        words: order.map((index) => curve.odd[index] ?? curve.values[index]),
      };
    });
    return { lines, label: { step: "Step", time: "Time", relative: `Time since start (${unit})` }[axis], unit };
  }

  function timeLabels(_, values, __, ___, step) {
    const clock = step >= 86_400 ? clocks.day : step >= 60 ? clocks.minute : clocks.second;
    let day = "";
    return values.map((value) => {
      const date = clocks.day.format(value * 1000);
      const shown = step < 86_400 && date !== day ? `${clock.format(value * 1000)}\n${date}` : clock.format(value * 1000);
      day = date;
      return shown;
    });
  }

  /* Where a curve says nothing at the pointer's place, its nearest point counts. */
  function nearest(u, series, index) {
    const values = u.data[series];
    if (values[index] !== undefined) return index;
    for (let away = 1; away < values.length; away += 1) {
      if (values[index - away] !== undefined) return index - away;
      if (values[index + away] !== undefined) return index + away;
    }
    return index;
  }

  function axesOf(view, label) {
    const ink = charts.token("--sl-text-2");
    const lines = { stroke: charts.token("--chart-grid"), width: 1 };
    const common = { stroke: ink, grid: lines, ticks: { ...lines, size: 4 }, font: "11px Inter, sans-serif", labelFont: "12px Inter, sans-serif" };
    const width = (_, values) => 14 + 6.4 * Math.max(3, ...(values || []).map((one) => (one || "").length));
    const words = (_, values) => values.map((value) => (value === null ? "" : figure(value)));
    return [
      { ...common, label, labelSize: 18, size: view.axis === "time" ? 40 : 26, values: view.axis === "time" ? timeLabels : words, space: 72 },
      { ...common, size: width, values: words, space: 32, ...(view.unit ? { label: view.unit, labelSize: 18 } : {}) },
    ];
  }

  function seriesOf(lines, styleOf, picked) {
    const series = [{}];
    const rows = [];
    lines.forEach((line) => {
      const style = styleOf(line.run.id);
      const quiet = picked.size > 0 && !picked.has(line.run.id);
      const colour = charts.faded(charts.colourOf(style), quiet ? 0.35 : 1);
      const width = picked.has(line.run.id) ? 2.5 : style.slot ? 1.5 : 1.25;
      if (line.smooth) {
        series.push({ stroke: charts.faded(colour, quiet ? 0.1 : 0.25), width: 1, points: { show: false }, run: line.run });
        rows.push(line.ys);
      }
      series.push({ stroke: colour, front: charts.colourOf(style), width, dash: lines.length > 1 ? style.dash : [], run: line.run, main: line, points: { size: 5, fill: colour } });
      rows.push(line.smooth || line.ys);
    });
    return { series, rows };
  }

  /* The curve that is pointed at, once more and in front: uPlot leaves it between the others. */
  function onTop(u, one) {
    const path = one?._paths?.stroke;
    if (!path) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = one.front;
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.setLineDash((one.dash || []).map((part) => part * devicePixelRatio));
    ctx.stroke(path);
    ctx.restore();
  }

  /* uPlot's log scale wants a range above zero, and a flat line wants some room. */
  function rangeY(log) {
    return (u, low, high) => {
      if (low === null || high === null) return log ? [0.1, 1] : [0, 1];
      if (log) return [low * 0.8, high * 1.25];
      if (low === high) return [low - Math.max(Math.abs(low) * 0.1, 0.5), high + Math.max(Math.abs(high) * 0.1, 0.5)];
      return window.uPlot.rangeNum(low, high, 0.06, true);
    };
  }

  /* view: {host, runs, styleOf(run_id), curves, unit, axis, smoothing, log, sync, onRead(run, line, index), onDrawn} */
  function curvePlot(view) {
    const picked = charts.selection.picked;
    const importance = (run) => (picked.has(run.id) ? 2 : view.styleOf(run.id).slot ? 1 : 0);
    const runs = [...view.runs].sort((a, b) => importance(a) - importance(b));
    const ready = prepared(runs, view.curves, view);
    const { series, rows } = seriesOf(ready.lines, view.styleOf, picked);
    const xs = ready.lines.flatMap((line) => (line.smooth ? [line.xs, line.xs] : [line.xs]));
    const data = statistics.align(xs.map((one, index) => ({ xs: one, ys: rows[index] })));
    const box = view.host.getBoundingClientRect();
    let drawn = false;
    let focused = null;
    const plot = new window.uPlot({
      width: Math.max(120, Math.floor(box.width)),
      height: Math.max(120, Math.floor(box.height)),
      legend: { show: false },
      scales: { x: { time: view.axis === "time" }, y: { distr: view.log ? 3 : 1, range: rangeY(view.log) } },
      axes: axesOf(view, ready.label),
      series,
      focus: { alpha: 0.3 },
      cursor: {
        dataIdx: nearest, focus: { prox: 24 }, drag: { x: true, y: false, uni: 20 }, sync: { key: view.sync, setSeries: false, scales: ["x", null] },
        points: { size: 7, one: true },
      },
      hooks: {
        draw: [(u) => {
          onTop(u, focused);
          if (drawn) return;
          drawn = true;
          view.onDrawn?.();
        }],
        setSeries: [(u, index, change) => {
          if (change?.focus === undefined) return;
          focused = index ? u.series[index] : null;
          if (!focused) view.onRead(null);
        }],
        setCursor: [(u) => {
          if (!focused?.run || u.cursor.left < 0) return;
          const place = u.series.findIndex((one) => one.run === focused.run && one.main);
          view.onRead(u.series[place].main, pointOf(u.series[place].main, u.cursor.idxs[place], data[place]));
        }],
      },
    }, data, view.host);

    /* The place in a run's own points of a place on the common axis. */
    function pointOf(line, index, values) {
      if (line.xs === data[0]) return index;
      let count = -1;
      for (let place = 0; place <= index; place += 1) if (values[place] !== undefined) count += 1;
      return count;
    }

    const lines = view.runs.map((run) => ready.lines.find((line) => line.run === run)).filter((line) => line.xs.length);
    let [run, point] = [0, -1];

    function move(byRun, byPoint) {
      if (!lines.length) return;
      run = (run + byRun + lines.length) % lines.length;
      const line = lines[run];
      point = Math.max(0, Math.min(line.xs.length - 1, point + byPoint));
      const y = (line.smooth || line.ys)[point];
      const [left, top] = [plot.valToPos(line.xs[point], "x"), y === null ? 0 : plot.valToPos(y, "y")];
      plot.setCursor({ left, top });
      plot.setSeries(series.findIndex((one) => one.main === line), { focus: true });
      view.onRead(line, point, true);
    }

    function keys(event) {
      const far = event.shiftKey ? Math.max(10, Math.round((lines[run]?.xs.length || 0) / 20)) : 1;
      const does = {
        ArrowRight: () => move(0, far), ArrowLeft: () => move(0, -far), ArrowUp: () => move(-1, 0), ArrowDown: () => move(1, 0),
        Home: () => move(0, -1e9), End: () => move(0, 1e9),
        Enter: () => lines[run] && point >= 0 && charts.selection.toggle(lines[run].run.id),
        Escape: () => plot.setScale("x", { min: data[0][0], max: data[0][data[0].length - 1] }),
      }[event.key];
      if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      does();
    }

    let pressed = null;
    plot.over.addEventListener("mousedown", (event) => { pressed = [event.clientX, event.clientY]; });
    plot.over.addEventListener("click", (event) => {
      const still = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) < 5;
      if (still && focused?.run) charts.selection.toggle(focused.run.id);
    });
    view.host.addEventListener("keydown", keys);
    return {
      plot, lines: ready.lines, label: ready.label, axis: view.axis,
      low: ready.lines.filter((line) => line.low),
      destroy() {
        view.host.removeEventListener("keydown", keys);
        plot.destroy();
      },
      resize() {
        const size = view.host.getBoundingClientRect();
        if (size.width > 60) plot.setSize({ width: Math.floor(size.width), height: Math.floor(size.height) });
      },
    };
  }

  window.SlipwayCharts = Object.assign(charts, { curvePlot, moment });
})();
