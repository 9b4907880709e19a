/* The page of a run: the note is edited in place, folders of the file tree are fetched when opened, a file is shown beside
   the tree without loading the page anew. Without this script every one of them is a link that works. */
(() => {
  "use strict";

  const editing = (id, open) => {
    const form = document.getElementById(id);
    if (!form) return;
    form.hidden = !open;
    const shown = document.getElementById("note-shown");
    if (shown) shown.hidden = open;
    (open ? form.querySelector("textarea") : document.querySelector(`[data-edit-note="${id}"]`))?.focus();
  };

  async function piece(url) {
    const answer = await fetch(url, { headers: { "HX-Request": "true" }, cache: "no-store" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    return answer.text();
  }

  async function unfold(folder) {
    const url = folder.dataset.treeFolder;
    if (!url || !folder.open) return;
    delete folder.dataset.treeFolder;
    const list = folder.querySelector("ul");
    const waiting = document.createElement("li");
    waiting.className = "text-secondary tree-empty";
    waiting.textContent = "Reading…";
    list.replaceChildren(waiting);
    try {
      list.innerHTML = await piece(url);
    } catch {
      folder.dataset.treeFolder = url;
      folder.open = false;
      list.textContent = "";
      window.Slipway?.announce?.("The folder could not be read. Try again in a moment.");
    }
  }

  async function more(button) {
    button.disabled = true;
    try {
      button.closest("li").outerHTML = await piece(button.dataset.treeMore);
    } catch {
      button.disabled = false;
    }
  }

  let asked = 0;

  async function show(link, url, remember) {
    const preview = document.getElementById("preview");
    if (!preview) return;
    const mine = ++asked;
    preview.setAttribute("aria-busy", "true");
    document.querySelectorAll(".tree-file[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
    link?.setAttribute("aria-current", "true");
    try {
      const page = new DOMParser().parseFromString(await piece(url), "text/html");
      const fresh = page.getElementById("preview");
      if (mine !== asked) return;
      if (!fresh) throw new Error("no preview");
      preview.replaceChildren(...fresh.childNodes);
      if (remember) history.pushState({ preview: url }, "", url);
    } catch {
      if (mine === asked) location.assign(url);
      return;
    } finally {
      preview.removeAttribute("aria-busy");
    }
  }

  document.addEventListener("click", (event) => {
    const edit = event.target.closest("[data-edit-note]");
    if (edit) {
      event.preventDefault();
      editing(edit.dataset.editNote, true);
      return;
    }
    const close = event.target.closest("[data-edit-note-close]");
    if (close) {
      editing(close.dataset.editNoteClose, false);
      return;
    }
    const further = event.target.closest("[data-tree-more]");
    if (further) {
      more(further);
      return;
    }
    const file = event.target.closest("[data-tree-file]");
    if (file && !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      show(file, file.getAttribute("href"), true);
    }
  });

  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.("[data-tree-folder]")) unfold(event.target);
  }, true);

  window.addEventListener("popstate", () => {
    if (document.getElementById("preview")) location.reload();
  });

  const swatches = () => {
    const charts = window.SlipwayCharts;
    if (!charts?.swatch || !charts.runStyles) return;
    // Together, as the charts below do: two that would look alike are parted in the same way.
    const places = [...document.querySelectorAll("[data-run-swatch]")];
    const styles = charts.runStyles(places.map((place) => place.dataset.runSwatch));
    places.forEach((place) => {
      if (!place.childNodes.length) place.append(charts.swatch(styles.get(place.dataset.runSwatch)));
    });
  };
  /* The charts' script comes after this one; both are there before this event. */
  if (document.readyState === "complete") swatches();
  else document.addEventListener("DOMContentLoaded", swatches);
})();
