// Sorts the rows by the column whose heading is clicked; a second click reverses them. Cells without a value stay last.

const body = document.querySelector(".results tbody");
const headings = [...document.querySelectorAll(".results thead th")];
const byText = new Intl.Collator(undefined, {numeric: true}).compare;

function compareCells(a, b, sign) {
  const texts = [a.textContent, b.textContent];
  if (!texts[0] || !texts[1]) return (texts[0] ? 0 : 1) - (texts[1] ? 0 : 1);
  const [first, second] = [a.dataset.order, b.dataset.order];
  return sign * (first && second ? Number(first) - Number(second) : byText(...texts));
}

headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  body.append(...[...body.rows].sort((a, b) => compareCells(a.cells[column], b.cells[column], sign)));
}));
