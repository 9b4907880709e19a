/* What every chart has around it: figures in words, a table, a CSV file, a picture, a message in its place. */
(() => {
  "use strict";
  const charts = window.SlipwayCharts;
  const ROWS = 100;

  /* An element with text, attributes and children; text is text, whatever a run is called. */
  function make(tag, values = {}, ...children) {
    const element = document.createElement(tag);
    Object.entries(values).forEach(([name, value]) => {
      if (value === false || value === null || value === undefined) return;
      if (name === "class") element.className = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    });
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  /* Four digits that mean something, as `portal_ui.four_digits`. */
  function figure(value) {
    if (value === null || value === undefined || value === "") return "–";
    if (typeof value === "string") return value;
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const size = Math.abs(value);
    let text;
    if (Number.isInteger(value) && size < 1e6) text = size.toLocaleString("en-US");
    else if (size >= 1e-4 && size < 1e6) text = Number(size.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 });
    else text = Number(size.toPrecision(4)).toExponential().replace(/e([+-])(\d)$/, "e$10$2");
    return value < 0 ? `−${text}` : text;
  }

  const withUnit = (text, unit) => (unit && text !== "–" ? `${text} ${unit}` : text);

  /* A value in its unit; seconds become minutes and hours, as everywhere. */
  function quantity(value, unit) {
    if (unit === "s" && Number.isFinite(value) && value >= 60) return window.Slipway.duration(Math.round(value));
    return withUnit(figure(value), unit);
  }

  const axisName = (column) => (column.unit ? `${column.label} (${column.unit})` : column.label);
  const plural = (count, one, many = `${one}s`) => `${figure(count)} ${count === 1 ? one : many}`;

  /* Tables: a page of rows at a time. `columns`: {label, number, cell(row) → text or Node}; `rows` an array. A row that is a run
     has a box that picks it. A table that is shown again keeps its page, its scroll and its focus. */
  function tableShow(host, { caption, columns, rows }) {
    let from = 0;
    const { activeElement } = document;
    const focused = host.contains(activeElement) ? activeElement.dataset.pick : null;
    const scrolled = host.querySelector(".list")?.scrollTop ?? 0;
    const head = make("tr", {}, ...columns.map((column, index) => make("th", {
      scope: "col", class: column.number ? "cell-num" : index ? "" : "cell-name",
    }, column.label)));
    const body = make("tbody");
    const place = make("span", { class: "num" });
    const step = (label, by) => make("button", { class: "btn btn-sm", type: "button", onclick: () => go(from + by) }, label);
    const [back, on] = [step("Previous", -ROWS), step("Next", ROWS)];
    const paging = make("div", { class: "paging" }, place, make("span", { class: "paging-links" }, back, on));

    function pickBox(row) {
      const box = make("input", { class: "form-check-input chart-pick", type: "checkbox", autocomplete: "off", "aria-label": `Pick ${row.name}`, "data-pick": row.id });
      box.checked = charts.selection.picked.has(row.id);
      box.addEventListener("change", () => {
        charts.selection.toggle(row.id, box.checked);
        box.checked = charts.selection.picked.has(row.id);
      });
      return box;
    }

    function go(first) {
      from = Math.max(0, Math.min(first, Math.floor(Math.max(0, rows.length - 1) / ROWS) * ROWS));
      body.replaceChildren(...rows.slice(from, from + ROWS).map(rowMake));
      place.textContent = rows.length ? `${from + 1} to ${Math.min(from + ROWS, rows.length)} of ${figure(rows.length)}` : "Nothing to show";
      back.disabled = from === 0;
      on.disabled = from + ROWS >= rows.length;
      paging.hidden = rows.length > 0 && rows.length <= ROWS;
      host.dataset.from = from;
    }

    function rowMake(row) {
      return make("tr", { class: row.id && charts.selection.picked.has(row.id) ? "is-current" : "", "data-run": row.id }, ...columns.map((column, index) => {
        const shown = column.cell(row);
        const full = typeof shown === "number" ? String(shown) : null;
        const content = typeof shown === "number" ? figure(shown) : shown ?? "–";
        const box = row.id && !index ? pickBox(row) : null;
        return make(index ? "td" : "th", { class: column.number ? "cell-num num" : index ? "" : "cell-name", scope: index ? null : "row", title: full }, box, content);
      }));
    }

    host.replaceChildren(
      make("div", { class: "list", tabindex: 0, role: "region", "aria-label": caption },
        make("table", { class: "list-table is-plain" }, make("caption", {}, caption), make("thead", {}, head), body)),
      paging,
    );
    go(Number(host.dataset.from) || 0);
    host.querySelector(".list").scrollTop = scrolled;
    if (focused) host.querySelector(`[data-pick="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  /* A run in a table: its line, its name as a link. */
  function runCell(run, style) {
    return make("span", {}, style ? charts.swatch(style) : null, make("a", { href: run.url }, run.name));
  }

  /* CSV after RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe before it. */
  function csvCell(value) {
    if (value === null || value === undefined) return "";
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text))) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  const csvText = (rows) => `${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;

  function download(name, blob) {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  const fileName = (title, ending) => `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "chart"}.${ending}`;
  const csvDownload = (title, rows) => download(fileName(title, "csv"), new Blob(["\ufeff", csvText(rows)], { type: "text/csv" }));

  /* The chart's canvas with its title above and its runs below, on the page's ground. `legend`: [{name, style}]. */
  function pngDownload(title, canvas, legend = [], scale = canvas.width / canvas.getBoundingClientRect().width) {
    const [gap, line] = [12 * scale, 20 * scale];
    const ink = document.createElement("canvas");
    ink.width = canvas.width + 2 * gap;
    const pen = ink.getContext("2d");
    pen.font = `${13 * scale}px Inter, sans-serif`;
    const places = [];
    let [x, y] = [gap, 0];
    legend.forEach((one) => {
      const width = pen.measureText(one.name.slice(0, 60)).width + 44 * scale;
      if (x > gap && x + width > ink.width - gap) [x, y] = [gap, y + line];
      places.push([x, y]);
      x += width;
    });
    ink.height = canvas.height + 3 * gap + line + (legend.length ? y + line : 0);
    pen.fillStyle = charts.token("--sl-surface");
    pen.fillRect(0, 0, ink.width, ink.height);
    pen.fillStyle = charts.token("--sl-text");
    pen.textBaseline = "middle";
    pen.font = `600 ${14 * scale}px Inter, sans-serif`;
    pen.fillText(title, gap, gap + line / 2, ink.width - 2 * gap);
    pen.drawImage(canvas, gap, gap + line + gap / 2);
    pen.font = `${13 * scale}px Inter, sans-serif`;
    legend.forEach((one, index) => {
      const [left, top] = [places[index][0], canvas.height + 2 * gap + line + places[index][1] + line / 2];
      pen.strokeStyle = charts.colourOf(one.style);
      pen.lineWidth = 2 * scale;
      pen.setLineDash(one.style.dash.map((part) => part * scale));
      pen.beginPath();
      pen.moveTo(left, top);
      pen.lineTo(left + 22 * scale, top);
      pen.stroke();
      pen.fillStyle = charts.token("--sl-text");
      pen.fillText(one.name.slice(0, 60), left + 28 * scale, top);
    });
    ink.toBlob((blob) => blob && download(fileName(title, "png"), blob));
  }

  /* What stands in place of a chart that cannot be drawn, and what to do. */
  function message(host, title, text, action) {
    /* An error's sentences may begin with its title. */
    const rest = text?.startsWith(`${title}.`) ? text.slice(title.length + 1).trim() : text;
    host.replaceChildren(make("div", { class: "empty" },
      make("p", { class: "empty-title" }, title), rest ? make("p", { class: "empty-text" }, rest) : null,
      action ? make("div", { class: "actions" }, make("button", { class: "btn btn-sm", type: "button", onclick: action.run }, action.label)) : null));
  }

  /* JSON of one of our addresses; what went wrong is an Error with words for people and `status`. */
  async function ask(url, options = {}) {
    let answer;
    try {
      answer = await fetch(url, { headers: { Accept: "application/json" }, ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw Object.assign(new Error("The portal does not answer just now. Nothing is lost; try again in a moment."), { status: 0 });
    }
    if (answer.ok && !answer.redirected) return answer.json();
    const said = await answer.json().catch(() => ({}));
    const words = { 404: "Not found, or not shared with you.", 429: "Too many requests: wait a moment." };
    throw Object.assign(new Error(said.detail || words[answer.status] || "The portal could not answer this."), { status: answer.status, title: said.title });
  }

  /* Once, when the element comes near the window. */
  function inView(element, begin) {
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      begin();
    }, { rootMargin: "240px" });
    watch.observe(element);
  }

  const scripts = new Map();

  function script(url) {
    if (!scripts.has(url)) {
      scripts.set(url, new Promise((resolve, reject) => {
        const tag = make("script", { src: url });
        tag.onload = resolve;
        tag.onerror = () => {
          scripts.delete(url);
          reject(new Error("The chart library could not be loaded. Load the page again."));
        };
        document.head.append(tag);
      }));
    }
    return scripts.get(url);
  }

  window.SlipwayCharts = Object.assign(charts, {
    make, figure, quantity, withUnit, axisName, plural, tableShow, runCell, csvText, csvDownload, pngDownload, message, ask, inView, script,
  });
})();
