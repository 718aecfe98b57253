// Parallel coordinates: a line a trial on one canvas, the marked line and the brushes on another above it.
const canvas = $("lines"), over = $("marked"), TOP = 46, HEIGHT = 330, BASE = HEIGHT - 50, LANE = HEIGHT - 14, MOST = 800;
const lines = D.lines.map((place) => axes[place]), scoreAxis = { low: D.scale[0], high: D.scale[1], label: score.name };
const drawnAxes = [...lines, scoreAxis];
const slotOf = (axis, x, t) => (x + 0.5 + ((t * 0.618) % 1 - 0.5) * 0.5) / axis.options.length; // trials side by side
const ways = lines.map((axis) => Float32Array.from(axis.x, (x, i) =>
  x === INACTIVE ? -1 : axis.isText ? slotOf(axis, x, number[i]) : x / LAST)); // -1: below the axis
ways.push(Float32Array.from(score.values, (v) =>
  Number.isFinite(v) ? Math.min(1, Math.max(0, placeOf(scoreAxis, v))) : -1));
let drawn = [], width = 0;
const xOf = (k) => 46 + k * (width - 92) / Math.max(1, ways.length - 1);
const yOf = (u) => u < 0 ? LANE : BASE - u * (BASE - TOP);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function penOn(target) { // a clean canvas of the right size
  const scale = devicePixelRatio || 1, pen = target.getContext("2d");
  [target.width, target.height] = [width * scale, HEIGHT * scale];
  target.style.width = `${width}px`;
  pen.scale(scale, scale);
  return Object.assign(pen, { lineJoin: "round", font: "11px system-ui, sans-serif", textAlign: "center" });
}
function stroke(pen, some, style) {
  Object.assign(pen, style).beginPath();
  for (const i of some) ways.forEach((way, k) => k ? pen.lineTo(xOf(k), yOf(way[i])) : pen.moveTo(xOf(0), yOf(way[i])));
  pen.stroke();
}
function draw() {
  width = Math.max($("parallel").querySelector(".scroll").clientWidth, 62 * ways.length);
  const pen = penOn(canvas), all = Array.from(number, (_, i) => i).filter((i) => shown[i]), nBest = MOST / 2;
  drawn = all.length <= MOST ? all
    : [...all.slice(0, nBest), ...all.slice(nBest).filter((_, k, rest) => k * nBest % rest.length < nBest)];
  const groups = Array.from({ length: 10 }, () => []), faint = Math.max(0.35, Math.min(1, 200 / (drawn.length || 1)));
  for (const i of drawn) groups[rank[i] ? 1 + Math.floor(8.999 * (1 - (rank[i] - 1) / Math.max(1, D.ranked - 1))) : 0].push(i);
  groups.forEach((group, k) => stroke(pen, group, { // the best lines are drawn last
    strokeStyle: color(k < 7 ? "--dim" : "--accent"), lineWidth: drawn.length > 400 ? 0.7 : 1.2, globalAlpha: (0.2 + 0.085 * k) * faint,
  }));
  if (rank[0] === 1 && shown[0]) stroke(pen, [0], { strokeStyle: color("--best"), lineWidth: 2.4, globalAlpha: 1 });
  drawnAxes.forEach((axis, k) => drawAxis(pen, axis, k));
  $("lines-note").textContent = drawn.length < nShown
    ? ` The plot draws ${drawn.length.toLocaleString("en")} of ${nShown.toLocaleString("en")} lines: the best, and a spread over the others.` : "";
  canvas.setAttribute("aria-label", `Parallel coordinates of ${drawn.length} trials over ${ways.length} axes`);
  drawMarked();
}
function drawAxis(pen, axis, k) {
  const x = xOf(k), side = k === ways.length - 1 ? "right" : k ? "center" : "left";
  const write = (text, y, style, textAlign = "center") => {
    const cut = text.length > 20 ? `${text.slice(0, 19)}…` : text, isLong = pen.measureText(cut).width > 88;
    const from = x + (isLong && { left: -40, right: 40 }[textAlign] || 0);
    Object.assign(pen, { fillStyle: style, strokeStyle: color("--card"), lineWidth: 3, textAlign: isLong ? textAlign : "center" });
    pen.strokeText(cut, from, y);
    pen.fillText(cut, from, y);
  };
  Object.assign(pen, { fillStyle: color("--line"), globalAlpha: 1 }).fillRect(x - 0.75, TOP, 1.5, BASE - TOP);
  write(axis.label, k % 2 ? 13 : 28, color("--ink"), side);
  if (axis.isText) {
    const step = Math.ceil(axis.options.length / 12);
    axis.options.forEach((option, j) => { if (j % step === 0) write(option, yOf(slotOf(axis, j, 0.809)) + 4, color("--ink"), side); });
  } else if (axis !== scoreAxis || D.ranked) {
    write(realText(axis.high), TOP - 4, color("--dim"));
    write(realText(axis.low), BASE + 13, color("--dim"));
  }
  if (ways[k].includes(-1)) write(axis === scoreAxis ? "no score" : "inactive", LANE + 11, color("--dim"));
}
const isOn = (term, axis) => axis === scoreAxis ? term.field === score : Boolean(term.axes && term.axes.includes(axis));
function brushesOn(axis) { // the stretches of an axis that the filter keeps, from 0 to 1
  const own = terms.filter((term) => isOn(term, axis));
  if (axis.isText) {
    const size = axis.options.length, kept = own.filter((term) => term.op === "=").map((term) => alike(axis.options, term.value.toLowerCase()));
    return axis.options.flatMap((_, j) => kept.some((hits) => hits[j]) ? [[j / size, (j + 1) / size]] : []);
  }
  const ends = (sign, limit, pick) => pick(limit, ...own.filter((term) => term.op[0] === sign).map((term) => placeOf(axis, +term.value)));
  return own.some((term) => /^[<>]/.test(term.op)) ? [[ends(">", 0, Math.max), ends("<", 1, Math.min)]] : [];
}
function drawMarked() {
  const pen = Object.assign(penOn(over), { fillStyle: color("--highlight"), globalAlpha: 0.3 });
  drawnAxes.forEach((axis, k) => {
    for (const [a, b] of brushesOn(axis)) if (a < b) pen.fillRect(xOf(k) - 7, yOf(b), 14, yOf(a) - yOf(b));
  });
  if (at.has(marked)) stroke(pen, [at.get(marked)], { strokeStyle: color("--highlight"), lineWidth: 3, globalAlpha: 1 });
}
function brush(axis, from, to) { // writes an axis' tests into the filter, in place of those that it had
  const quoted = (text) => /[\s"<>=!]/.test(text) ? `"${text}"` : text, name = quoted(axis.label), added = [];
  const a = Math.min(from, to), b = Math.max(from, to), size = axis.isText ? axis.options.length : 0;
  const textAt = (u) => realText(axis.kind === "whole" ? Math.round(valueAt(axis, u)) : valueAt(axis, u));
  if (b < 0 && axis !== scoreAxis) added.push(`${name}=inactive`);
  else if (size) axis.options.forEach((option, j) => { if (j + 1 > a * size && j < b * size) added.push(`${name}=${quoted(option)}`); });
  else if (a < b) added.push(...a > 0 ? [`${name}>=${textAt(a)}`] : [], ...b < 1 ? [`${name}<=${textAt(b)}`] : []);
  let text = filter.value;
  for (const term of parse(text).filter((each) => isOn(each, axis)).reverse()) text = text.slice(0, term.start) + text.slice(term.end);
  filter.value = [...text.split(/\s+/), ...a === b ? [] : added].filter(Boolean).join(" ");
  applySoon();
}
let drag = null;
function pointOf(event) {
  const box = over.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const k = Math.max(0, Math.min(ways.length - 1, Math.round((x - xOf(0)) / (xOf(1) - xOf(0)))));
  return { x, y, k, u: y > BASE + 16 ? -1 : Math.min(1, Math.max(0, (BASE - y) / (BASE - TOP))), isNear: Math.abs(x - xOf(k)) < 14 };
}
function nearest({ x, y }) {
  const gap = xOf(1) - xOf(0), k = Math.max(0, Math.min(ways.length - 2, Math.floor((x - xOf(0)) / gap))), f = (x - xOf(k)) / gap;
  let found = null, least = 9;
  for (const i of drawn) {
    const miss = Math.abs(yOf(ways[k][i]) * (1 - f) + yOf(ways[Math.min(k + 1, ways.length - 1)][i]) * f - y);
    if (miss < least) [found, least] = [number[i], miss];
  }
  return found;
}
over.addEventListener("pointerdown", (event) => {
  const point = pointOf(event);
  if (!point.isNear) return;
  drag = point;
  over.setPointerCapture(event.pointerId);
});
over.addEventListener("pointermove", (event) => {
  const point = pointOf(event);
  if (drag && Math.abs(point.y - drag.y) > 3) brush(drawnAxes[drag.k], drag.u, point.u);
  if (drag) return;
  const t = nearest(point);
  mark(t, event);
  over.style.cursor = point.isNear ? "ns-resize" : t === null ? "default" : "pointer";
});
over.addEventListener("pointerup", (event) => {
  if (!drag && marked !== null) openPanel(marked);
  if (drag && Math.abs(pointOf(event).y - drag.y) <= 3) brush(drawnAxes[drag.k], 0, 0);
  drag = null;
});
