"use strict";
// The page is complete without this script, which sorts and filters tables and shows the values of points.

const value = (row, column) => {
  const text = row.cells[column].dataset.value;
  return text ? Number(text) : null;
};

function compare(one, other, column, sign) {
  const [a, b] = [value(one, column), value(other, column)];
  if (a === null && b === null) {
    return sign * one.cells[column].textContent.localeCompare(other.cells[column].textContent, "en");
  }
  return a === null ? 1 : b === null ? -1 : sign * (a - b);
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => compare(one, other, column, ascending ? 1 : -1));
      table.tBodies[0].append(...rows);
    });
  });
}

const textOf = (row) => [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");

function filterable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length <= 12) return;
  const field = document.createElement("input");
  field.type = "search";
  field.className = "filter";
  field.placeholder = `Filter ${rows.length} rows`;
  field.setAttribute("aria-label", field.placeholder);
  field.addEventListener("input", () => {
    const query = field.value.toLowerCase();
    for (const row of rows) row.hidden = !textOf(row).includes(query);
  });
  table.parentElement.before(field);
}

document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("table.sortable").forEach(filterable);

const tip = document.getElementById("tip");
for (const point of document.querySelectorAll(".point")) {
  const title = point.querySelector("title");
  const text = title.textContent;
  title.remove();
  point.setAttribute("aria-label", text);
  point.addEventListener("pointerenter", () => {
    tip.textContent = text;
    tip.hidden = false;
    const at = point.getBoundingClientRect();
    const limit = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(at.right + 6, limit))}px`;
    tip.style.top = `${window.scrollY + at.top - tip.offsetHeight - 4}px`;
  });
  point.addEventListener("pointerleave", () => (tip.hidden = true));
}

// A link to a run opens the folded table that contains it.
const reveal = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();
