/* The runs table: selecting, and notes edited in place. Without this script the bar of what can be done is always there, and
   notes are edited on the page of a run. Columns are moved and resized in runs-heads.js. */
(() => {
  "use strict";
  const SELECTED = "slipway-runs-selected";
  const announce = (text) => window.Slipway.announce(text);

  /* The answer, or null where there is none: a redirect leads to the page that signs in. */
  function send(url, values) {
    const headers = { "X-CSRFToken": window.Slipway.csrfToken(), "X-Requested-With": "fetch" };
    return fetch(url, { method: "POST", body: new URLSearchParams(values), headers, redirect: "error" }).catch(() => null);
  }

  /* Calls `begin` with the list of runs now, and with each that takes its place: in another order, of another page. */
  function lists(begin) {
    const seen = new WeakSet();
    const start = (part) => {
      const root = part.matches?.("[data-runs]") ? part : part.querySelector("[data-runs]");
      if (!root || seen.has(root)) return;
      seen.add(root);
      begin(root);
    };
    start(document);
    document.addEventListener("htmx:load", (event) => start(event.detail.elt));
  }
  window.SlipwayRuns = { send, lists };

  /* What stands around the list and leads on with its order and filter. */
  function aroundSet(root) {
    document.querySelectorAll(".page-head-actions a").forEach((link) => { if (link.pathname.endsWith("/charts/")) link.search = root.dataset.kept; });
    const sorted = root.querySelector("th[aria-sort]");
    announce(`${root.querySelector(".freshness .num")?.textContent ?? 0} runs${sorted ? `, by ${sorted.querySelector("a").title}, ${sorted.getAttribute("aria-sort")}` : ""}`);
  }

  let first = true;
  let look = () => {};
  // Going back, the browser selects again what was selected, after this script has run.
  addEventListener("pageshow", () => look());

  function begin(root) {
    if (!first) aroundSet(root);
    first = false;
    const table = root.querySelector("[data-runs-table]");
    if (!table) return;

    /* Selecting */
    const bar = root.querySelector("[data-bulk]");
    const boxes = () => [...table.querySelectorAll("tbody input[name=run]")];
    const all = table.querySelector("[data-select-all]");
    let last = null;

    function selected() {
      const count = boxes().filter((box) => box.checked).length;
      if (bar) {
        bar.hidden = count === 0;
        bar.querySelector("[data-bulk-count]").textContent = `${count} run${count === 1 ? "" : "s"}`;
        const compare = bar.querySelector("[data-bulk-compare]");
        compare.disabled = count < 2 || count > 20;
        compare.title = compare.disabled ? "Select 2 to 20 runs to compare them" : "";
        const one = bar.querySelector("[data-bulk-one]");
        one.disabled = count !== 1;
        one.title = one.disabled ? "Select one run to compare the others with" : "";
      }
      if (all) {
        all.checked = count > 0 && count === boxes().length;
        all.indeterminate = count > 0 && !all.checked;
      }
    }

    if (all) {
      all.hidden = false;
      all.addEventListener("change", () => { boxes().forEach((box) => { box.checked = all.checked; }); selected(); });
    }
    table.addEventListener("click", (event) => {
      if (event.target.name !== "run") return;
      const rows = boxes();
      if (event.shiftKey && last) {
        const [from, to] = [rows.indexOf(last), rows.indexOf(event.target)].sort((a, b) => a - b);
        rows.slice(from, to + 1).forEach((box) => { box.checked = event.target.checked; });
      }
      last = event.target;
      selected();
    });
    // Beside the box is as good as in it: a finger is wider than it.
    table.addEventListener("click", (event) => {
      if (event.target.matches("tbody td.cell-check")) event.target.querySelector("input[name=run]")?.click();
    });
    bar?.addEventListener("reset", () => setTimeout(selected));
    // What changes runs leads back to their list, where the same ones are wanted for the next step.
    bar?.addEventListener("submit", (event) => {
      if (!["tag", "archive", "restore"].includes(event.submitter?.value)) return;
      const runs = boxes().filter((box) => box.checked).map((box) => box.value);
      sessionStorage.setItem(SELECTED, JSON.stringify({ path: location.pathname, runs }));
    });
    const before = JSON.parse(sessionStorage.getItem(SELECTED) ?? "null");
    sessionStorage.removeItem(SELECTED);
    if (before?.path === location.pathname) boxes().forEach((box) => { if (before.runs.includes(box.value)) box.checked = true; });
    selected();
    look = selected;

    /* Notes */
    table.addEventListener("click", (event) => {
      const link = event.target.closest("[data-note]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !bar?.querySelector("[value=archive], [value=restore]")) return;
      event.preventDefault();
      noteEdit(link);
    });

    function noteEdit(link) {
      const cell = link.closest("td");
      let before = cell.title || (link.textContent === "–" ? "" : link.textContent);
      /* A note of several lines is edited on the run's page, so that none of them is lost. */
      if (before.includes("\n") || before.endsWith("…")) {
        location.href = link.href;
        return;
      }
      const field = Object.assign(document.createElement("input"), { className: "form-control run-note-edit", value: before, maxLength: 2000 });
      field.setAttribute("aria-label", link.getAttribute("aria-label"));
      link.hidden = true;
      cell.append(field);
      field.focus();
      const problem = Object.assign(document.createElement("p"), { className: "run-note-problem", hidden: true });
      problem.setAttribute("role", "alert");
      cell.append(problem);
      let done = false;
      const show = (text) => {
        link.textContent = text.split("\n").find((line) => line.trim()) || "–";
        cell.title = text;
      };
      const end = () => {
        done = true;
        field.remove();
        problem.remove();
        link.hidden = false;
      };
      /* The text stays in the field, and what is wrong stands below it. */
      function refuse(text) {
        done = false;
        field.readOnly = false;
        field.setAttribute("aria-invalid", "true");
        problem.textContent = text;
        problem.hidden = false;
      }
      async function save() {
        if (done) return;
        const text = field.value.trim();
        if (text === before) return end();
        done = true;
        field.readOnly = true;
        const answer = await send(root.dataset.noteUrl, [["run", link.dataset.note], ["note", text], ["before", before]]);
        if (answer?.status === 409) {
          // What they wrote is what the cell says now; to save once more is a decision with open eyes.
          before = await answer.text();
          show(before);
          return refuse(before ? `Somebody wrote “${before.slice(0, 200)}” meanwhile. Enter replaces it, Esc keeps it.` : "Somebody emptied it meanwhile. Enter saves yours, Esc leaves it empty.");
        }
        if (answer?.status === 403) return refuse("Not saved: you may be signed out. Copy your text, then load the page again.");
        if (!answer?.ok) return refuse("Not saved. It is kept here; try again in a moment.");
        show(text);
        announce("The note is saved");
        return end();
      }
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter") save().then(() => { if (!link.hidden) link.focus(); });
        else if (event.key === "Escape") { end(); link.focus(); }
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
      // After a refusal, to leave the field is no decision.
      field.addEventListener("blur", () => { if (problem.hidden) save(); });
    }
  }

  lists(begin);
})();
