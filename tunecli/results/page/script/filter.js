// The filter: words that match an option, a status or a failure, and tests such as lr>0.1.
const filter = $("filter"), best = $("best");
const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
  "=": (a, b) => Math.abs(a - b) <= 5e-4 * Math.abs(b), "!=": (a, b) => !(Math.abs(a - b) <= 5e-4 * Math.abs(b)),
};
let shown = new Uint8Array(n).fill(1), nShown = n, terms = [];
function parse(text) { // terms with their place in the text; quotes keep blanks together
  const tokens = [...text.matchAll(/"([^"]*)"|(<=|>=|!=|[<>=])|([^\s"<>=!]+)/g)], found = [];
  const textOf = (token) => token[1] ?? token[3], endOf = (token) => token.index + token[0].length;
  for (let k = 0; k < tokens.length; k++) {
    const [word, op, value] = tokens.slice(k, k + 3);
    if (word[2]) continue;
    if (!op || !op[2]) found.push({ word: textOf(word).toLowerCase(), start: word.index, end: endOf(word) });
    else if (value && !value[2]) {
      found.push({ ...meant(textOf(word)), op: op[2], value: textOf(value), start: word.index, end: endOf(value) });
      k += 2;
    } else k += 1; // it is still being typed
  }
  return found;
}
function meant(name) { // the field that a name means, or the axes of one parameter, in full or by its end
  const asked = name.toLowerCase(), is = (text) => text.toLowerCase() === asked;
  const field = is("score") ? score : fields.find((each) => is(each.name));
  if (field) return { field };
  const exact = axes.filter((axis) => is(axis.name) || is(axis.label));
  if (exact.length) return { axes: exact };
  const paths = [...byPath.keys()], same = paths.filter((path) => is(path) || is(`trial.${path}`));
  const ends = same.length ? same : paths.filter((path) => path.toLowerCase().endsWith(`.${asked}`));
  if (ends.length === 1) return { axes: byPath.get(ends[0]) };
  return { problem: ends.length ? `${name} can mean ${ends.slice(0, 4).join(" or ")}` : `no parameter is named ${name}` };
}
function alike(labels, word) { // of each label whether a word means it: the equal ones, else those that contain it
  const low = labels.map((label) => label.toLowerCase()), isEqual = low.map((label) => label === word);
  return isEqual.includes(true) ? isEqual : low.map((label) => word !== "" && label.includes(word));
}
function testOf(term) {
  if (term.op === undefined) {
    const states = alike(D.states, term.word), causes = alike(D.failures, term.word);
    const options = axes.filter((axis) => axis.isText).map((axis) => [axis.x, alike(axis.options, term.word)]);
    return (i) => states[status[i]] || causes[failure[i] - 1] || String(number[i]) === term.word
      || options.some(([x, hits]) => hits[x[i]]);
  }
  const value = term.value.toLowerCase(), isEqual = term.op === "=", isEquality = isEqual || term.op === "!=";
  const target = value === "" ? NaN : Number(value), compare = COMPARE[term.op];
  if (term.field) {
    const { values, isReal } = term.field, goal = values instanceof Float32Array ? Math.fround(target) : target;
    if (Number.isNaN(target)) return (i) => isEquality && isEqual === fieldText(term.field, i).toLowerCase().includes(value);
    return (i) => !(isPlace(term.field) && !values[i]) && !Number.isNaN(values[i])
      && (isEquality && !isReal ? isEqual === (Number(values[i]) === target) : compare(Number(values[i]), goal));
  }
  if (value === "inactive" && isEquality) return (i) => isEqual === term.axes.every((axis) => axis.x[i] === INACTIVE);
  const tests = term.axes.map((axis) => {
    const hits = axis.isText && isEquality ? alike(axis.options, value) : null, numbers = numbersOf(axis);
    if (hits) return isEqual ? (i) => hits[axis.x[i]] : (i) => !hits[axis.x[i]];
    return (i) => axis.x[i] !== INACTIVE && compare(numbers[i], target);
  });
  return (i) => tests.some((test) => test(i));
}
function testsOf() { // a trial must pass all of them; of several = on one name, one
  const known = terms.filter((term) => !term.problem), equal = new Map();
  for (const term of known.filter((each) => each.op === "=")) {
    const key = term.field || term.axes[0].path;
    equal.set(key, [...(equal.get(key) || []), testOf(term)]);
  }
  return [...known.filter((term) => term.op !== "=").map(testOf),
    ...[...equal.values()].map((some) => (i) => some.some((test) => test(i)))];
}
function apply() {
  terms = parse(filter.value);
  const tests = testsOf(), problems = terms.filter((term) => term.problem).map((term) => term.problem);
  const nBest = Math.ceil(D.ranked * best.value / 100), isAll = +best.value === 100, before = shown;
  shown = new Uint8Array(n);
  for (let i = 0; i < n; i++) shown[i] = (isAll || (rank[i] && rank[i] <= nBest)) && tests.every((test) => test(i)) ? 1 : 0;
  nShown = shown.reduce((sum, one) => sum + one, 0);
  for (const [t, elements] of marks) {
    const i = at.get(t), isOff = i === undefined ? !isAll || tests.length > 0 : !shown[i];
    if (i === undefined || shown[i] !== before[i]) for (const element of elements) element.classList.toggle("is-off", isOff);
  }
  $("filter-problem").textContent = problems.length ? `Not used: ${problems.join("; ")}.` : "";
  $("filter-problem").hidden = !problems.length;
  $("best-text").textContent = isAll ? "100 %" : `${best.value} %, ${nBest.toLocaleString("en")} trials`;
  $("count").textContent = `${nShown === n ? "" : `${nShown.toLocaleString("en")} of `}${n.toLocaleString("en")} trials`;
  showRows(0);
  draw();
  remember();
}
let isDue = false;
function applySoon() { // at most once a frame
  if (!isDue) requestAnimationFrame(() => { isDue = false; apply(); });
  isDue = true;
}
