"use strict";
for (const table of document.querySelectorAll("table.comparison, table.runs")) {
  const value = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : null;
  };
  const compare = (one, other, column, sign) => {
    const [a, b] = [value(one, column), value(other, column)];
    if (a === null && b === null) {
      return sign * one.cells[column].textContent.localeCompare(other.cells[column].textContent, "en");
    }
    return a === null ? 1 : b === null ? -1 : sign * (a - b);
  };
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
