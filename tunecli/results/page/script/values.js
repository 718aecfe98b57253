// The trials as columns of numbers, and their values as texts. Texts enter the page as text nodes only.
const $ = (id) => document.getElementById(id);
if (!$("data") || !$("ranking")) return;
const D = JSON.parse($("data").textContent);
const INACTIVE = 65535, LAST = 65534, ABSENT = "—";
const TYPES = {
  u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, u8: BigUint64Array, f4: Float32Array, f8: Float64Array,
};
function unpack(text) {
  const raw = atob(text.slice(3)), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new TYPES[text.slice(0, 2)](bytes.buffer);
}
const fields = D.fields.map(([name, text]) => ({ name, values: unpack(text), isReal: text[0] === "f" }));
const [rank, number, status] = fields.map((field) => field.values);
const score = fields.find((field) => field.isReal), failure = unpack(D.failure), n = number.length, at = new Map();
number.forEach((t, i) => at.set(t, i));
const axes = D.axes.map((axis) => ({ ...axis, x: unpack(axis.x), isText: axis.options.length > 0 })), byPath = new Map();
for (const axis of axes) byPath.set(axis.path, [...(byPath.get(axis.path) || []), axis]);

const isPlace = (field) => field.name === "rank" || field.name === "front"; // 0 is none
function realText(v) { // four digits, as in the table
  if (Number.isNaN(v) || Number.isInteger(v)) return Number.isNaN(v) ? ABSENT : String(v);
  return smallText(+v.toPrecision(4));
}
function fieldText(field, i) {
  const v = field.values[i];
  if (field.values === status) return D.states[v];
  if (field.name === "feasible") return [ABSENT, "false", "true"][v];
  return isPlace(field) && !v ? ABSENT : field.isReal ? realText(v) : String(v);
}
function numbersOf(axis) { // of each trial, with the digits that the positions carry; NaN: it has none
  if (axis.numbers) return axis.numbers;
  const most = Math.max(Math.abs(axis.low), Math.abs(axis.high)), labels = axis.options.map(Number);
  const digits = Math.min(15, 4 + Math.max(0, Math.floor(Math.log10(most / (axis.high - axis.low))) || 0));
  axis.numbers = Float64Array.from(axis.x, (x) => {
    if (x === INACTIVE || axis.isText) return x === INACTIVE ? NaN : labels[x];
    return axis.kind === "whole" ? Math.round(valueAt(axis, x / LAST)) : +valueAt(axis, x / LAST).toPrecision(digits);
  });
  return axis.numbers;
}
const valueAt = ({ low, high, log }, u) => log ? Math.exp(Math.log(low) * (1 - u) + Math.log(high) * u) : low * (1 - u) + high * u;
const placeOf = ({ low, high, log }, v) => log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low || 1);
const smallText = (v) => v !== 0 && Math.abs(v) < 1e-3 ? v.toExponential() : String(v);
const valueText = (axis, i) => axis.isText ? axis.options[axis.x[i]] : smallText(numbersOf(axis)[i]);

function h(tag, properties, ...children) { // an HTML element
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) key in element ? element[key] = value : element.setAttribute(key, value);
  element.append(...children.filter((child) => child != null));
  return element;
}
