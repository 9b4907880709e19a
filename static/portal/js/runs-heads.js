/* Columns of the runs table, moved and resized at their heads; what is changed is kept for the person. With the keyboard: Alt
   and an arrow key on a head's link or edge move its column, the arrow keys on its edge resize it. Without this script the page of
   columns does the same. Pinned columns stay beside the name, so a column moves among those that are pinned as it is. */
(() => {
  "use strict";
  const NARROWEST = 48;
  const WIDEST = 800;
  const STEP = 16;
  const BEGIN_PX = 5;
  const EDGE_PX = 28;
  const SCROLL_PX = 10;
  const LOOK_MS = 40;
  const announce = (text) => window.Slipway.announce(text);
  let scrolled = 0;

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.matches("[data-runs]")) scrolled = event.detail.target.querySelector(".list")?.scrollLeft ?? 0;
  });

  window.SlipwayRuns.lists((root) => {
    const table = root.querySelector("[data-runs-table]");
    if (!table) return;
    const list = table.closest(".list");
    const address = new URL(location.href);
    /* Columns that the portal chose for this page are nobody's layout, and those of an address belong to the address. */
    const moves = !root.hasAttribute("data-differs");
    const named = address.searchParams.has("column");

    const heads = () => [...table.querySelectorAll("thead th[data-key]")];
    const columns = () => heads().filter((head) => head.dataset.key !== "name");
    const isPinned = (head) => head.classList.contains("cell-pinned");
    const group = (head) => columns().filter((one) => isPinned(one) === isPinned(head));
    const place = (head) => [...head.parentElement.children].indexOf(head);
    const cells = (head) => [...table.querySelectorAll("tr")].map((row) => row.children[place(head)]).filter(Boolean);
    const label = (head) => head.querySelector("a, span")?.textContent.trim() || head.dataset.key;

    let keeping = Promise.resolve();

    function keep() {
      if (!moves) return;
      if (named) {
        address.searchParams.delete("column");
        columns().forEach((head) => address.searchParams.append("column", head.dataset.key));
        history.replaceState(history.state, "", address);
        return;
      }
      const values = [["experiment", root.dataset.experiment]];
      columns().forEach((head) => {
        const { key, width } = head.dataset;
        values.push(["column", key]);
        if (isPinned(head)) values.push(["pinned", key]);
        if (width) values.push(["width", `${width} ${key}`]);
      });
      // One after the other, so that the last change is the one that stays.
      keeping = keeping.then(() => window.SlipwayRuns.send(root.dataset.layoutUrl, values)).then((answer) => {
        if (!answer?.ok) announce("The columns could not be kept");
      });
    }

    /* Where pinned columns stand: each right of those before it. */
    function pinnedPlace() {
      let left = 0;
      table.querySelectorAll("thead :is(.cell-check, .cell-name, .cell-pinned)").forEach((head) => {
        if (isPinned(head)) cells(head).forEach((cell) => { cell.style.left = `${left}px`; });
        left += head.getBoundingClientRect().width;
      });
    }

    /* Widths */
    function widthSet(head, width) {
      const pixels = width ? `${width}px` : "";
      if (width) head.dataset.width = width;
      else delete head.dataset.width;
      cells(head).forEach((cell) => {
        cell.classList.toggle("is-sized", Boolean(width));
        cell.style.minWidth = cell.style.maxWidth = cell.style.width = pixels;
      });
      pinnedPlace();
    }

    function grip(head) {
      const handle = document.createElement("button");
      handle.type = "button";
      handle.className = "head-grip";
      handle.title = "Drag to resize, double-click for its own width";
      handle.setAttribute("role", "separator");
      handle.setAttribute("aria-orientation", "vertical");
      handle.setAttribute("aria-label", `Width of ${label(head)}`);
      handle.setAttribute("aria-valuemin", NARROWEST);
      handle.setAttribute("aria-valuemax", WIDEST);
      const now = () => Number(head.dataset.width) || head.getBoundingClientRect().width;
      const say = () => handle.setAttribute("aria-valuenow", Math.round(now()));
      const to = (width) => {
        widthSet(head, width && Math.min(WIDEST, Math.max(NARROWEST, Math.round(width))));
        say();
      };
      handle.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
        if (!step || event.altKey) return;
        event.preventDefault();
        to(now() + step);
      });
      handle.addEventListener("keyup", (event) => { if (["ArrowLeft", "ArrowRight"].includes(event.key) && !event.altKey) keep(); });
      handle.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        const [from, width, given] = [event.clientX, now(), Number(head.dataset.width) || 0];
        const changed = () => now() !== width;
        handle.setPointerCapture(event.pointerId);
        follow(event, {
          move: (moved) => { if (changed() || moved.clientX !== from) to(width + moved.clientX - from); },
          end: () => { if (changed()) keep(); },
          cancel: () => to(given),
        });
      });
      handle.addEventListener("dblclick", () => {
        to(0);
        keep();
      });
      head.append(handle);
      say();
    }

    /* A pointer that is held down, until it is released, lost, or Escape takes it back. */
    function follow(event, { move, end, cancel }) {
      const stop = new AbortController();
      const on = (target, name, does) => target.addEventListener(name, (one) => {
        if (name.startsWith("pointer") && one.pointerId !== event.pointerId) return;
        does(one);
      }, { signal: stop.signal });
      const done = (does) => (one) => {
        stop.abort();
        does(one);
      };
      on(document, "pointermove", move);
      on(document, "pointerup", done(end));
      on(document, "pointercancel", done(cancel));
      on(document, "keydown", (one) => {
        if (one.key !== "Escape") return;
        one.preventDefault();
        done(cancel)(one);
      });
    }

    /* Order */
    function move(head, before) {
      const others = group(head).filter((one) => one !== head);
      const [target, after] = before ? [before, false] : [others.at(-1), true];
      if (!target) return;
      const [from, to] = [place(head), place(target)];
      if (to === from + 1 && !after) return;
      table.querySelectorAll("tr").forEach((row) => {
        const [cell, other] = [row.children[from], row.children[to]];
        if (cell && other) other[after ? "after" : "before"](cell);
      });
      pinnedPlace();
      keep();
      announce(`${label(head)} is column ${columns().indexOf(head) + 1} of ${columns().length}`);
    }

    /* Where the pinned columns end: what lies left of it is under them. */
    const pinnedEnd = () => Math.max(...[...table.querySelectorAll("thead :is(.cell-check, .cell-name, .cell-pinned)")]
      .filter((head) => getComputedStyle(head).position === "sticky").map((head) => head.getBoundingClientRect().right), list.getBoundingClientRect().left);

    /* The column that the dragged one would stand before; null behind the last. */
    function beforeWhich(head, x) {
      const within = isPinned(head) ? x : Math.max(x, pinnedEnd());
      return group(head).filter((one) => one !== head).find((one) => {
        const box = one.getBoundingClientRect();
        return within < box.left + box.width / 2;
      }) ?? null;
    }

    function mark(head, before) {
      const others = group(head).filter((one) => one !== head);
      heads().forEach((one) => {
        one.classList.toggle("is-target", one === before);
        one.classList.toggle("is-target-end", !before && one === others.at(-1));
      });
    }

    /* Near an edge of the list, columns that are out of sight come into it. */
    function scrollNear(head, x) {
      if (isPinned(head)) return;
      const box = list.getBoundingClientRect();
      if (x > box.right - EDGE_PX) list.scrollLeft += SCROLL_PX;
      else if (x < pinnedEnd() + EDGE_PX) list.scrollLeft -= SCROLL_PX;
    }

    function drag(head, event) {
      let x = event.clientX;
      const from = x;
      let timer = 0;
      let before = null;
      const look = () => {
        before = beforeWhich(head, x);
        mark(head, before);
      };
      const onward = () => {
        scrollNear(head, x);
        look();
      };
      const end = () => {
        clearInterval(timer);
        head.classList.remove("is-dragged");
        table.classList.remove("is-dragging");
        heads().forEach((one) => one.classList.remove("is-target", "is-target-end"));
      };
      follow(event, {
        move: (moved) => {
          x = moved.clientX;
          if (!timer && Math.abs(x - from) < BEGIN_PX) return;
          if (!timer) {
            // Not before: a captured pointer clicks the head, and no more the link in it.
            head.setPointerCapture(event.pointerId);
            head.classList.add("is-dragged");
            table.classList.add("is-dragging");
            timer = setInterval(onward, LOOK_MS);
          }
          look();
        },
        end: () => {
          const moved = Boolean(timer);
          end();
          if (!moved) return;
          // The click that follows would order the table by the column.
          const click = new AbortController();
          head.addEventListener("click", (one) => one.preventDefault(), { capture: true, signal: click.signal });
          setTimeout(() => click.abort());
          move(head, before);
        },
        cancel: end,
      });
    }

    heads().forEach((head) => {
      if (head.dataset.width) widthSet(head, Number(head.dataset.width));
      grip(head);
      if (head.dataset.key === "name" || !moves) return;
      const link = head.querySelector("a");
      if (link) {
        link.draggable = false;
        link.setAttribute("aria-keyshortcuts", "Alt+ArrowLeft Alt+ArrowRight");
      }
      head.classList.add("is-movable");
      head.addEventListener("pointerdown", (event) => {
        // A finger scrolls the list; the page of columns is there for it.
        if (event.button !== 0 || event.pointerType === "touch" || event.target.closest(".head-grip")) return;
        drag(head, event);
      });
      head.addEventListener("keydown", (event) => {
        if (!event.altKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        event.preventDefault();
        const row = group(head);
        const at = row.indexOf(head);
        const focused = event.target;
        if (event.key === "ArrowRight" ? at === row.length - 1 : at === 0) return;
        move(head, row[event.key === "ArrowRight" ? at + 2 : at - 1] ?? null);
        head.scrollIntoView({ block: "nearest", inline: "nearest" });
        focused.focus();
      });
    });
    pinnedPlace();
    list.scrollLeft = scrolled;
  });
})();
