/* The runs of the page and their values, fetched a column at a time: `pageRuns.values(keys)`. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  const source = document.getElementById("charts-page");
  if (!source) return;
  const page = JSON.parse(source.textContent);
  const columns = new Map(page.columns.map((column) => [column.key, column]));
  const values = new Map();
  const TOGETHER_MS = 30;
  let runs = null;
  let styles = new Map();
  const wanted = new Set();
  let coming = null;

  /* What several charts ask for at about the same time is one question. */
  async function load(keys) {
    const missing = keys.filter((key) => !values.has(key));
    if (!missing.length && runs) return;
    missing.forEach((key) => wanted.add(key));
    coming ??= new Promise((resolve) => { setTimeout(resolve, TOGETHER_MS); }).then(fetchAll).finally(() => { coming = null; });
    await coming;
    await load(keys);
  }

  async function fetchAll() {
    const asked = [...wanted].slice(0, 30);
    const url = new URL(page.values, location.href);
    asked.forEach((key) => url.searchParams.append("column", key));
    let answer;
    try {
      answer = await charts.ask(url);
    } finally {
      asked.forEach((key) => wanted.delete(key));
    }
    if (runs && (runs.length !== answer.runs.length || runs.some((run, index) => run.id !== answer.runs[index].id))) {
      again();
      asked.forEach((key) => wanted.add(key));
      return;
    }
    if (!runs) {
      runs = answer.runs;
      styles = charts.runStyles(runs.map((run) => run.id));
    }
    asked.forEach((key) => {
      const found = new Map(answer.runs.map((run, index) => [run.id, answer.columns[key]?.[index] ?? null]));
      values.set(key, found);
    });
  }

  /* New runs have come, or old ones have gone: every column is read once more, of the same runs. */
  function again() {
    [...values.keys()].forEach((key) => wanted.add(key));
    values.clear();
    runs = null;
    document.dispatchEvent(new CustomEvent("slipway:runs-changed"));
  }

  const value = (key, id) => values.get(key)?.get(id) ?? null;
  const style = (id) => charts.pickedStyle(id, styles.get(id) || charts.runStyle(id));

  /* Columns that can be an axis: numbers in at least one run. */
  const numeric = (...kinds) => page.columns.filter((column) => column.numbers > 0 && (!kinds.length || kinds.includes(column.kind)));

  /* Whether values span two decades, all above zero: then a log axis shows more. */
  function spansDecades(numbers) {
    const found = numbers.filter(Number.isFinite);
    if (found.length < 2) return false;
    const [low, high] = [Math.min(...found), Math.max(...found)];
    return low > 0 && high / low >= 100;
  }

  charts.pageRuns = { page, columns, load, value, style, numeric, spansDecades, get all() { return runs || []; } };
})();
