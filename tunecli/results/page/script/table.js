// The table: one page of rows of the trials that pass the filter, in the order of any column.
const ROWS = 50, heads = [...$("ranking").tHead.rows[0].cells];
let order = Array.from(number, (_, i) => i), first = 0, sorted = { column: 0, isUp: true };
let nFields = 0;
const columns = heads.map((head) => head.dataset.path === undefined ? { field: fields[nFields++] }
  : { axes: byPath.get(head.dataset.path) || [] });
const activeOf = (column, i) => column.axes.find((axis) => axis.x[i] !== INACTIVE); // the branches exclude each other
function cellText(column, i) {
  if (column.field) return fieldText(column.field, i);
  const axis = activeOf(column, i);
  return axis ? valueText(axis, i) : ABSENT;
}
function keyOf(column, i) {
  if (column.field) return isPlace(column.field) && !column.field.values[i] ? NaN : Number(column.field.values[i]);
  const axis = activeOf(column, i);
  if (!axis) return NaN;
  return axis.isText && axis.options.some((option) => Number.isNaN(+option)) ? axis.x[i] : numbersOf(axis)[i];
}
function sortBy(column, isUp) { // trials without a value are last in both directions
  const keys = order.map((_, i) => keyOf(columns[column], i)), sign = isUp ? 1 : -1;
  order.sort((a, b) => Number.isNaN(keys[a]) - Number.isNaN(keys[b]) || (keys[a] - keys[b]) * sign || a - b);
  sorted = { column, isUp };
  heads.forEach((head, k) => k === column ? head.setAttribute("aria-sort", isUp ? "ascending" : "descending")
    : head.removeAttribute("aria-sort"));
}
function rowFor(i) {
  const t = number[i];
  const row = rowOf.get(t) || h("tr", { className: "t" },
    ...columns.map((column, k) => h("td", { className: heads[k].className }, cellText(column, i))));
  row.dataset.t = t;
  row.classList.toggle("is-on", t === marked);
  if (!row.querySelector("button")) row.cells[1].replaceChildren(
    h("button", { type: "button", className: "trial", tabIndex: -1, "aria-label": `trial ${t}, details` }, String(t)));
  return row;
}
function showRows(from) {
  const list = order.filter((i) => shown[i]), end = Math.min(from + ROWS, list.length);
  first = from;
  body.replaceChildren(...list.slice(first, end).map(rowFor));
  moveTo(body.rows[0]);
  $("page-text").textContent = list.length ? `rows ${first + 1} to ${end} of ${list.length.toLocaleString("en")}`
    : "no trial passes the filter";
  for (const button of [$("previous"), $("next")]) button.hidden = list.length <= ROWS;
  $("previous").disabled = first === 0;
  $("next").disabled = end === list.length;
  $("ranking").parentNode.scrollTop = 0;
}
function moveTo(row) { // the rows are one stop of the Tab key, and arrows move between them
  for (const button of body.querySelectorAll('button[tabindex="0"]')) button.tabIndex = -1;
  const button = row && row.querySelector("button");
  if (button) button.tabIndex = 0;
  return button;
}
body.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr");
  const to = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: body.firstElementChild,
    End: body.lastElementChild }[event.key];
  if (!to) return;
  event.preventDefault();
  moveTo(to).focus();
});
$("previous").addEventListener("click", () => showRows(first - ROWS));
$("next").addEventListener("click", () => showRows(first + ROWS));
heads.forEach((head, k) => {
  const button = h("button", { type: "button" }, ...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => { sortBy(k, sorted.column === k ? !sorted.isUp : true); showRows(0); remember(); });
});
