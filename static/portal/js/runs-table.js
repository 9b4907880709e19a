/* The runs table: selecting, resizing, reordering, and notes edited in place. All of it can be done without this script
   too: on the page of columns, and on the page of a run. */
(() => {
  "use strict";
  const NARROWEST = 48;
  const WIDEST = 800;
  const STEP = 16;
  const root = document.querySelector("[data-runs]");
  const table = root?.querySelector("[data-runs-table]");
  if (!root || !table) return;
  const announce = (text) => { document.getElementById("announcer").textContent = text; };
  const token = () => JSON.parse(document.body.getAttribute("hx-headers") || "{}")["X-CSRFToken"] || "";

  function send(url, values) {
    const body = new URLSearchParams(values);
    return fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token(), "X-Requested-With": "fetch" } });
  }

  /* Selecting */
  const bar = document.querySelector("[data-bulk]");
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
  bar?.addEventListener("reset", () => setTimeout(selected));
  selected();

  /* Columns: widths and order */
  const heads = [...table.querySelectorAll("thead th[data-key]")];
  const place = (head) => [...head.parentElement.children].indexOf(head);
  const cells = (head) => [...table.querySelectorAll("tr")].map((row) => row.children[place(head)]).filter(Boolean);

  function widthSet(head, width) {
    head.dataset.width = width;
    cells(head).forEach((cell) => {
      cell.classList.add("is-sized");
      cell.style.minWidth = cell.style.maxWidth = cell.style.width = `${width}px`;
    });
    pinnedPlace();
  }

  function pinnedPlace() {
    let left = 0;
    table.querySelectorAll("thead th").forEach((head) => {
      if (!head.matches(".cell-check, .cell-name, .cell-pinned")) return;
      if (head.matches(".cell-pinned")) cells(head).forEach((cell) => { cell.style.left = `${left}px`; });
      left += head.getBoundingClientRect().width;
    });
  }

  async function keep() {
    const values = [["experiment", root.dataset.experiment]];
    table.querySelectorAll("thead th[data-key]").forEach((head) => {
      const key = head.dataset.key;
      if (key === "name") return;
      values.push(["column", key]);
      if (head.classList.contains("cell-pinned")) values.push(["pinned", key]);
      if (head.dataset.width) values.push(["width", `${Math.round(head.dataset.width)} ${key}`]);
    });
    const answer = await send(root.dataset.layoutUrl, values).catch(() => null);
    if (!answer?.ok) announce("The columns could not be kept");
  }

  function grip(head) {
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "head-grip";
    handle.setAttribute("role", "separator");
    handle.setAttribute("aria-orientation", "vertical");
    handle.setAttribute("aria-label", `Width of ${head.textContent.trim()}`);
    const say = () => {
      const width = Math.round(head.getBoundingClientRect().width);
      handle.setAttribute("aria-valuenow", String(width));
      handle.setAttribute("aria-valuemin", String(NARROWEST));
      handle.setAttribute("aria-valuemax", String(WIDEST));
    };
    const to = (width) => { widthSet(head, Math.min(WIDEST, Math.max(NARROWEST, Math.round(width)))); say(); };
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (!step) return;
      event.preventDefault();
      to(head.getBoundingClientRect().width + step);
    });
    handle.addEventListener("keyup", (event) => { if (event.key.startsWith("Arrow")) keep(); });
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const from = event.clientX;
      const width = head.getBoundingClientRect().width;
      const move = (moved) => to(width + moved.clientX - from);
      handle.setPointerCapture(event.pointerId);
      handle.addEventListener("pointermove", move);
      handle.addEventListener("pointerup", () => { handle.removeEventListener("pointermove", move); keep(); }, { once: true });
    });
    handle.addEventListener("click", (event) => event.stopPropagation());
    say();
    head.append(handle);
  }

  function moveBefore(head, target, after) {
    if (!target || head === target || target.dataset.key === "name") return;
    const from = place(head);
    const to = place(target);
    table.querySelectorAll("tr").forEach((row) => {
      const [cell, other] = [row.children[from], row.children[to]];
      if (cell && other) other[after ? "after" : "before"](cell);
    });
    pinnedPlace();
    keep();
  }

  let dragged = null;
  heads.forEach((head) => {
    if (head.dataset.width) widthSet(head, Number(head.dataset.width));
    grip(head);
    if (head.dataset.key === "name") return;
    head.draggable = true;
    head.addEventListener("dragstart", (event) => {
      if (event.target.closest?.(".head-grip")) return event.preventDefault();
      dragged = head;
      head.classList.add("is-dragged");
      event.dataTransfer.effectAllowed = "move";
      return undefined;
    });
    head.addEventListener("dragend", () => {
      dragged = null;
      table.querySelectorAll(".is-target, .is-dragged").forEach((one) => one.classList.remove("is-target", "is-dragged"));
    });
    head.addEventListener("dragover", (event) => {
      if (!dragged || dragged === head) return;
      event.preventDefault();
      heads.forEach((one) => one.classList.toggle("is-target", one === head));
    });
    head.addEventListener("drop", (event) => { event.preventDefault(); if (dragged) moveBefore(dragged, head, false); });
    /* With the keyboard: Alt and an arrow key on the head's link. */
    head.addEventListener("keydown", (event) => {
      if (!event.altKey || !["ArrowLeft", "ArrowRight"].includes(event.key) || event.target.closest(".head-grip")) return;
      event.preventDefault();
      const right = event.key === "ArrowRight";
      moveBefore(head, right ? head.nextElementSibling : head.previousElementSibling, right);
      head.querySelector("a")?.focus();
      announce(`${head.textContent.trim()} is column ${place(head)}`);
    });
  });
  pinnedPlace();

  /* Notes */
  table.addEventListener("click", (event) => {
    const link = event.target.closest("[data-note]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !bar?.querySelector("[value=archive], [value=restore]")) return;
    event.preventDefault();
    noteEdit(link);
  });

  function noteEdit(link) {
    const cell = link.closest("td");
    const before = cell.title || (link.textContent === "–" ? "" : link.textContent);
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
    let done = false;
    const end = () => { done = true; field.remove(); link.hidden = false; };
    async function save() {
      if (done) return;
      const text = field.value.trim();
      if (text === before) return end();
      done = true;
      field.readOnly = true;
      const answer = await send(root.dataset.noteUrl, [["run", link.dataset.note], ["note", text]]).catch(() => null);
      if (!answer?.ok) {
        done = false;
        field.readOnly = false;
        field.setAttribute("aria-invalid", "true");
        announce("The note could not be saved. It is kept in the field; try again in a moment.");
        return undefined;
      }
      link.textContent = text || "–";
      cell.title = text;
      announce("The note is saved");
      return end();
    }
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") save().then(() => link.focus());
      else if (event.key === "Escape") { end(); link.focus(); }
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    field.addEventListener("blur", save);
  }
})();
