// The panel of one trial: its values, its curves, and commands to copy.
const panel = h("aside", { id: "panel", hidden: true, tabIndex: -1, "aria-labelledby": "panel-title" });
let opener = null;
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
function curveFigure(title, epochs, some) {
  const series = some.filter(([, packed]) => packed).map(([name, [low, high, text]]) =>
    [name, Array.from(unpack(text), (x) => x === INACTIVE ? NaN : valueAt({ low, high }, x / LAST))]);
  const all = series.flatMap(([, values]) => values).filter(Number.isFinite);
  if (!all.length) return null;
  const [low, high] = [Math.min(...all), Math.max(...all)], [start, end] = [epochs[0], epochs[epochs.length - 1]];
  const point = (v, k) => `${(300 * placeOf({ low: start, high: end }, epochs[k])).toFixed(1)} ${(90 - 80 * placeOf({ low, high }, v)).toFixed(1)}`;
  const path = (values) => values.map((v, k) => Number.isNaN(v) ? "" : (k && !Number.isNaN(values[k - 1]) ? "L" : "M") + point(v, k)).join("");
  return h("figure", {}, h("figcaption", {}, `${title}: ${realText(low)} to ${realText(high)}, epoch ${start} to ${end}`,
    ...series.length > 1 ? series.map(([name], k) => h("span", { className: `key key-${k}` }, name)) : []),
  svg("svg", { viewBox: "-4 0 308 100", role: "img", "aria-label": title },
    ...series.map(([, values], k) => svg("path", { class: `line-${k}`, d: path(values) }))));
}
function commandOf([label, before, after], t) {
  const code = h("code", {}, `${before}${t}${after}`);
  return h("div", { className: "command" }, h("p", {}, label), h("pre", {}, code), copier(code, label));
}
function copier(code, label) { // a button that copies a command
  const button = h("button", { type: "button", "aria-label": `Copy: ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(code); // a viewer that forbids the rest lets the reader press Ctrl+C
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; } catch { button.textContent = "Press Ctrl+C"; }
  });
  return button;
}
for (const box of document.querySelectorAll("#advice .then")) {
  const code = box.querySelector("code");
  box.append(copier(code, code.textContent));
}
function openPanel(t, isQuiet = false) {
  const i = at.get(t), close = h("button", { type: "button", className: "close", "aria-label": "Close the panel" }, "×");
  const pairs = (some) => h("dl", {}, ...some.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
  const curve = D.curves[t], epochs = curve && [...unpack(curve.epochs)], told = fields.map((field) => [field.name, fieldText(field, i)]);
  close.addEventListener("click", closePanel);
  if (panel.hidden) opener = document.activeElement;
  panel.dataset.trial = t;
  panel.replaceChildren(close, h("h2", { id: "panel-title" }, `Trial ${t}`),
    pairs(failure[i] ? [...told, ["failure", D.failures[failure[i] - 1]]] : told), h("h3", {}, "Parameters"),
    pairs(axes.filter((axis) => axis.x[i] !== INACTIVE).map((axis) => [axis.name, valueText(axis, i)])),
    curve && h("h3", {}, "Training"), curve && curveFigure(score.name, epochs, [[score.name, curve.score]]),
    curve && curveFigure("loss", epochs, [["validation", curve.valid], ["training", curve.train]]),
    h("h3", {}, "Commands"), ...D.commands.map((command) => commandOf(command, t)));
  panel.hidden = false;
  panel.scrollTop = 0;
  if (!isQuiet) panel.focus();
  remember();
}
function closePanel() {
  panel.hidden = true;
  (opener && opener.isConnected && opener !== document.body ? opener : filter).focus();
  remember();
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (panel.hidden) mark(null); else closePanel();
});
