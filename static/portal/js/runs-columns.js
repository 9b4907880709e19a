/* The choice of columns: finding one among many, and moving without a new page. */
(() => {
  "use strict";
  const form = document.querySelector(".columns-form");
  const search = form?.querySelector("[data-columns-search]");
  if (!form) return;
  search.hidden = false;
  search.querySelector("input").addEventListener("input", (event) => {
    const text = event.target.value.trim().toLowerCase();
    form.querySelectorAll(".columns-others li").forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(text); });
    form.querySelectorAll("fieldset:has(.columns-others)").forEach((part) => { part.hidden = !part.querySelector("li:not([hidden])"); });
  });

  function ends() {
    const rows = [...form.querySelectorAll(".columns-chosen li")];
    rows.forEach((row, index) => {
      row.querySelector("[name=up]").disabled = index === 0;
      row.querySelector("[name=down]").disabled = index === rows.length - 1;
    });
  }

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=up], button[name=down]");
    if (!button) return;
    event.preventDefault();
    const row = button.closest("li");
    if (button.name === "up") row.previousElementSibling?.before(row);
    else row.nextElementSibling?.after(row);
    ends();
    (button.disabled ? row.querySelector("button:not([disabled])") : button)?.focus();
  });
})();
