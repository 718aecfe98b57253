"""The price of a process for each trial: trials a second of own functions that compute nothing, or take 0.2 s.

    python -m tests.benchmarks.forks [--trials 200] [--runs 3]

One worker; the rate is measured between the first and the last result. ``on`` is the default, a process for each trial
that is forked from one that has loaded the function's module; ``off`` is ``run.isolate: off``. Each run measures every
case once, in turn, and the medians are shown.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

MODULES = {
    "nothing": "",
    "torch": "import torch\n",
    "1 GB of data": "import numpy\nDATA = numpy.ones(2**27)\n",
    "0.2 s a trial": "",
}
FUNCTION = """
import time

def train(params, trial):
    time.sleep(params["seconds"])
    return {"loss": params["x"]}
"""
STUDY = """\
study: forks
seed: 1
objective: {metric: loss}
trial: {python: "mine:train", params: {seconds: SECONDS, x: {uniform: [0, 1]}}}
search: {sampler: random, trials: TRIALS}
run: {device: cpu, workers: 1, isolate: ISOLATE}
"""


def rate(module: str, isolate: str, n_trials: int, seconds: float) -> float:
    """Trials a second between the first and the last result of one sweep."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mine.py").write_text(module + FUNCTION)
        text = STUDY.replace("SECONDS", str(seconds)).replace("TRIALS", str(n_trials))
        (folder / "s.yaml").write_text(text.replace("ISOLATE", isolate))
        command = [sys.executable, "-m", "tunecli", "search", "s.yaml", "--out", "run"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        with closing(sqlite3.connect(folder / "run" / "study.db")) as database:
            ends = sorted(datetime.fromisoformat(at) for (at,) in database.execute("SELECT at FROM result"))
    return (n_trials - 1) / (ends[-1] - ends[0]).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.runs):
        for name, module in MODULES.items():
            seconds = 0.2 if "0.2" in name else 0.0
            for isolate in ("on", "off"):
                n_trials = min(options.trials, 40) if seconds else options.trials
                rates.setdefault((name, isolate), []).append(rate(module, isolate, n_trials, seconds))
    print(f"{'module':<14}  {'on, trials/s':>12}  {'off':>7}  {'on / off':>8}  {'ms for a process':>16}")
    for name in MODULES:
        on, off = (statistics.median(rates[name, isolate]) for isolate in ("on", "off"))
        print(f"{name:<14}  {on:>12.1f}  {off:>7.1f}  {on / off:>8.3f}  {1000 / on - 1000 / off:>16.1f}")


if __name__ == "__main__":
    main()
