/* The charts of a selection, and the bar below them: what is picked, what a brush has left, where to go with it. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  const { pageRuns, selection } = charts;
  if (!pageRuns) return;
  const COMPARED = 20;

  document.querySelectorAll("[data-chart]").forEach((root) => new charts.kinds[root.dataset.chart](root));

  const bar = document.querySelector("[data-charts-bar]");
  const part = (name) => bar.querySelector(`[data-charts-bar-${name}]`);
  const address = (path, ids) => `${path}?${new URLSearchParams(ids.map((id) => ["run", id]))}`;

  function barShow() {
    const { picked, narrowed } = selection;
    const ids = picked.size ? [...picked] : narrowed ? [...narrowed] : [];
    bar.hidden = !picked.size && !narrowed;
    const said = [];
    if (picked.size) said.push(`${charts.plural(picked.size, "run")} picked`);
    if (narrowed) said.push(`${charts.figure(narrowed.size)} of ${charts.plural(pageRuns.all.length, "run")} left by the axes`);
    part("text").textContent = said.join(" · ");
    part("compare").hidden = ids.length < 2 || ids.length > COMPARED;
    part("compare").href = address(pageRuns.page.compare, ids);
    part("only").hidden = !ids.length;
    part("only").href = address(pageRuns.page.charts, ids);
  }

  part("clear").addEventListener("click", () => {
    selection.clear();
    selection.narrow(null);
  });
  selection.changed(barShow);
  barShow();
})();
