"use strict";
// The table holds the numbers; the words above it are lit by them, whichever side is pointed at.
const all = (query, within = document) => [...within.querySelectorAll(query)];
const rows = all("[data-row]"), columns = all("[data-column]"), lines = all("tbody tr");
const shares = lines.map(line => all("[data-weight]", line).map(cell => Number(cell.dataset.weight)));
const marks = lines.map(line => Number(line.querySelector("[data-marks]").dataset.marks));
const said = document.getElementById("said"), atFirst = said.textContent, levels = 20;
const strongest = Math.max(0, ...shares.flat());
const mean = columns.map((_, i) => shares.reduce((sum, row) => sum + row[i], 0) / (shares.length || 1));
const percent = share => `${Math.round(100 * share)} %`;
let kept = null;

function tint(word, share) {
  word.className = "word";
  word.dataset.share = share === null ? "" : Math.round(100 * share) || "";
  if (share !== null && strongest) word.classList.add(`w${Math.round(levels * share / strongest)}`);
}

function strongestOf(words, weights) {
  const order = weights.map((_, i) => i).sort((a, b) => weights[b] - weights[a]).slice(0, 4);
  return order.filter(i => weights[i] >= .005).map(i => `“${words[i].textContent}” ${percent(weights[i])}`);
}

function light(word) {
  const row = word ? rows.indexOf(word) : -1, column = word ? columns.indexOf(word) : -1;
  columns.forEach((other, i) => tint(other, column >= 0 ? null : row >= 0 ? shares[row][i] : mean[i]));
  rows.forEach((other, i) => tint(other, column >= 0 ? shares[i][column] : null));
  lines.forEach((line, i) => line.classList.toggle("lit", i === row));
  if (word) word.classList.add("lit");
  if (row >= 0) {
    const found = strongestOf(columns, shares[row]);
    if (marks[row] >= .005) found.push(`marks ${percent(marks[row])}`);
    said.textContent = `“${word.textContent}” looked at ${found.join(", ")}.`;
  } else if (column >= 0) {
    const found = strongestOf(rows, shares.map(line => line[column]));
    said.textContent = `“${word.textContent}” was looked at by ${found.join(", ") || "no word"}.`;
  } else {
    said.textContent = atFirst;
  }
}

function keep(word) {
  kept = word;
  for (const other of [...rows, ...columns]) other.setAttribute("aria-pressed", other === word);
  light(word);
}

const fallBack = () => light(kept || [...rows, ...columns].find(word => word.matches(":focus-visible")) || null);

for (const group of [rows, columns]) {
  group.forEach((word, i) => {
    word.setAttribute("aria-pressed", "false");
    word.addEventListener("mouseenter", () => light(word));
    word.addEventListener("mouseleave", fallBack);
    word.addEventListener("focus", () => {
      group.forEach(other => { other.tabIndex = other === word ? 0 : -1; });
      light(word);
    });
    word.addEventListener("blur", fallBack);
    word.addEventListener("click", () => keep(kept === word ? null : word));
    word.addEventListener("keydown", event => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: group.length - 1 }[event.key];
      const across = event.key === "ArrowUp" || event.key === "ArrowDown" ? (group === rows ? columns : rows) : [];
      const next = group[to] || across.find(other => other.tabIndex === 0);
      if (next) { event.preventDefault(); next.focus(); }
    });
  });
}
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { keep(null); if (document.activeElement) document.activeElement.blur(); }
});
light(null);
