"""Size of the page of a report, and its time to write it, to open it and to use it in Chromium.

    python -m tests.benchmarks.page [--trials 32 100 10000 100000] [--repeats 5] [--keep FOLDER]

The study has 15 parameters in branches, and 400 curves of 20 epochs. Paint is the browser's first contentful paint.
A filter or a hover is measured from the event to the second frame after it, which includes the waiting for frames; the
processor time of the page's process follows it. Each figure is the median. The targets are 200 KB for 32 trials and
1.5 MB for more; paint in 1 s; a filter in 250 ms and a hover in 50 ms at 10,000 trials.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from tests.support.chromium import Chromium
from tests.support.sweeps import sweep_report
from tunecli.results.page.data import data_block
from tunecli.results.page.page import page_of
from tunecli.results.page.script import page_script
from tunecli.results.page.trials import trials_section

FILTERS = ("sgd", "lr>0.01 dropout<0.2 relu", "", "gamma=inactive adamw", "val_accuracy>0.95")
AFTER_TWO_FRAMES = """new Promise(done => {{
  const begun = performance.now();
  {action};
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun))));
}})"""
PAINT = """new Promise(done => new PerformanceObserver(list => done(list.getEntries()[0].startTime))
  .observe({ type: 'paint', buffered: true }))"""
FILTER = """(f => {{ f.value = {text!r}; f.dispatchEvent(new Event('input')); }})(document.getElementById('filter'))"""
HOVER = "document.querySelectorAll('.cards circle.t')[{place}].dispatchEvent(new PointerEvent('pointerover', {{bubbles: true, clientX: 300, clientY: 300}}))"


def sizes(n_trials: int, path: Path) -> None:
    """Writes the page of a study, and prints its size and the time."""
    report = sweep_report(n_trials)
    begun = time.perf_counter()
    page = page_of(report)
    seconds = time.perf_counter() - begun
    path.write_text(page, "utf-8")
    parts = {"data": data_block(report), "table": trials_section(report), "script": page_script()}
    told = ", ".join(f"{name} {len(text.encode()) / 1000:.0f}" for name, text in parts.items())
    print(f"{n_trials:>7,} trials: {len(page.encode()) / 1000:,.0f} KB ({told}), written in {seconds:.2f} s")


def times(browser: Chromium, path: Path, n_repeats: int) -> None:
    """Prints how long the browser takes to paint, to filter and to mark."""
    paints = []
    for _ in range(n_repeats):
        browser.goto(path.as_uri())
        browser.settle()
        paints.append(browser.run(PAINT))
    for place in ("trials", "parameters"):
        browser.run(f"document.getElementById('{place}').scrollIntoView({{behavior: 'instant'}})")
        browser.settle()
        filters = [measured(browser, FILTER.format(text=text)) for _ in range(n_repeats) for text in FILTERS]
        hovers = [measured(browser, HOVER.format(place=place)) for place in range(3 * n_repeats)]
        idle = [measured(browser, "0") for _ in range(n_repeats)]
        print(
            f"{'':15} at `{place}`: filter {middle(filters)}, hover {middle(hovers)}, two empty frames {middle(idle)}"
        )
    print(f"{'':15} first paint {statistics.median(paints):.0f} ms")
    if browser.problems or browser.requests:
        raise SystemExit(f"{browser.problems} {browser.requests}")


def measured(browser: Chromium, action: str) -> tuple[float, float]:
    """The time and the processor time of an action until the second frame after it, in ms."""
    before = browser.cost_ms()
    taken = browser.run(AFTER_TWO_FRAMES.format(action=action))
    return taken, browser.cost_ms() - before


def middle(pairs: list[tuple[float, float]]) -> str:
    """The medians of both times as a text."""
    taken, cost = (statistics.median(times) for times in zip(*pairs, strict=True))
    return f"{taken:.0f} ms ({cost:.0f} ms of a processor)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[32, 100, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="writes the pages into this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with Chromium(Path(scratch) / "profile") as browser:
            for n_trials in arguments.trials:
                path = folder.resolve() / f"page-{n_trials}.html"
                sizes(n_trials, path)
                times(browser, path, arguments.repeats)


if __name__ == "__main__":
    main()
