// Marks: the pointer or the focus on one trial shows it in every figure.
const marks = new Map(), rowOf = new Map(), body = $("ranking").tBodies[0];
for (const row of body.rows) rowOf.set(+row.dataset.t, row);
for (const element of document.querySelectorAll("[data-t]")) {
  const t = +element.dataset.t;
  if (element.parentNode !== body) marks.has(t) ? marks.get(t).push(element) : marks.set(t, [element]);
}
let marked = null;
const tip = h("div", { id: "tip", hidden: true, "aria-hidden": "true" }); // the row and the panel say the same
function mark(t, point) { // `point`: where the pointer is, for the tip; none: no tip
  if (t !== marked) {
    for (const element of [...(marks.get(marked) || []), ...body.querySelectorAll(".is-on")]) element.classList.remove("is-on");
    marked = t;
    for (const element of marks.get(t) || []) element.classList.add("is-on");
    for (const row of body.rows) row.classList.toggle("is-on", +row.dataset.t === t);
    drawMarked();
  }
  const i = at.get(t);
  tip.hidden = !point || i === undefined;
  if (tip.hidden) return;
  if (tip.firstChild?.textContent !== `trial ${t}`) {
    const known = lines.filter((axis) => axis.x[i] !== INACTIVE).slice(0, 12);
    tip.replaceChildren(h("b", {}, `trial ${t}`), `${rank[i] ? `, rank ${rank[i]}` : ""}, ${D.states[status[i]]}`,
      h("div", {}, `${score.name} ${fieldText(score, i)}`),
      ...known.map((axis) => h("div", {}, `${axis.label} ${valueText(axis, i)}`)));
  }
  const { x, y } = point, { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 16 : x + 16)}px`;
  tip.style.top = `${Math.max(4, Math.min(innerHeight - height - 4, y + 16))}px`;
}
function trialOf(target) {
  const element = target instanceof Element ? target.closest("[data-t]") : null;
  return element ? +element.dataset.t : null;
}
document.addEventListener("pointerover", (event) => {
  if (event.target !== over) mark(trialOf(event.target), body.contains(event.target) ? null : event);
});
document.addEventListener("focusin", (event) => { if (trialOf(event.target) !== null) mark(trialOf(event.target)); });
document.addEventListener("click", (event) => {
  const t = trialOf(event.target);
  if (at.has(t) && getSelection().isCollapsed) openPanel(t);
});
