// A page that is read again while the study runs keeps its place; a hidden one is read again when it is seen.
const KEY = `tunecli ${location.pathname}`, isLive = document.querySelector('meta[http-equiv="refresh" i]') !== null;
function remember() {
  if (!isLive) return;
  const kept = { ...sorted, filter: filter.value, best: best.value, first, y: scrollY, top: $("ranking").parentNode.scrollTop,
    open: panel.hidden ? null : +panel.dataset.trial, focus: document.activeElement?.id };
  try { sessionStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* a viewer can forbid it */ }
}
function recall() {
  let kept = null;
  try { kept = JSON.parse(sessionStorage.getItem(KEY)); } catch { /* likewise */ }
  if (!kept) return apply();
  [filter.value, best.value] = [kept.filter, kept.best];
  sortBy(kept.column, kept.isUp);
  apply();
  if (kept.first < nShown) showRows(kept.first);
  if (at.has(kept.open)) openPanel(kept.open, true);
  if (kept.focus && $(kept.focus)) $(kept.focus).focus({ preventScroll: true });
  $("ranking").parentNode.scrollTop = kept.top;
  scrollTo({ top: kept.y, behavior: "instant" });
  if (!isLive) try { sessionStorage.removeItem(KEY); } catch { /* likewise */ } // the study has ended
}
let isWaiting = false;
if (isLive) document.addEventListener("visibilitychange", () => {
  remember();
  if (!document.hidden && isWaiting) location.reload();
  if (document.hidden) stop(); // the browser forgets that it is to read the page again
  isWaiting = document.hidden;
});
addEventListener("pagehide", remember);

document.body.append(panel, tip);
for (const element of document.querySelectorAll(".script, .no-script")) element.hidden = element.classList.contains("no-script");
for (const control of [filter, best]) control.addEventListener("input", applySoon);
$("clear").addEventListener("click", () => { [filter.value, best.value] = ["", 100]; apply(); filter.focus(); });
recall();
new ResizeObserver(draw).observe($("parallel"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
