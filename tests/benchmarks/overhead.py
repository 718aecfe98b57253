"""Overhead of a sweep with one worker: wall time divided by the sum of the trials' own times.

    python tests/benchmarks/overhead.py [--trials 32] [--runs 3]

The workload is a 64-64-64-10 MLP on digits (AdamW, batch 64, 20 epochs, random search). Start-up (the worker, its
imports, the first trial with its reading of the data) is reported separately: the ratio is measured from the end of the
first trial.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from tunecli.commands.check import load_checked
from tunecli.messages import Ended, Event, SweepInfo
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep
from tunecli.trial import Trial

STUDY = """\
study: overhead
seed: 1
objective: {metric: val_accuracy}
trial:
  data: {source: digits}
  model: {name: mlp, hidden: [64, 64]}
  optimizer: {name: adamw, lr: {loguniform: [1e-4, 1e-1]}}
  training: {epochs: 20, batch_size: 64}
search: {sampler: random}
run: {device: cpu, workers: 1, fuse: off}
"""


class Stopwatch:
    """A display that records when trials end, and their own seconds."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.ends: list[tuple[float, float]] = []

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        self.began_at = time.monotonic()

    def suggested(self, trial: Trial) -> None:
        pass

    def happened(self, event: Event) -> None:
        if isinstance(event, Ended):
            self.ends.append((time.monotonic(), event.outcome.seconds))

    def ended(self) -> None:
        pass


def measure(n_trials: int) -> tuple[float, float, float]:
    """Seconds of start-up, the ratio after it, and the median seconds of a trial, of one sweep."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "overhead.yaml"
        path.write_text(STUDY)
        watch = Stopwatch()
        with begin(load_checked(path, (f"search.trials={n_trials}",)), Path(folder) / "run") as study:
            sweep(study, watch)
    start_up_s = watch.ends[0][0] - watch.began_at
    seconds = [own for _, own in watch.ends[1:]]
    return start_up_s, (watch.ends[-1][0] - watch.ends[0][0]) / sum(seconds), statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{'run':>4}  {'start-up s':>10}  {'wall / training':>15}  {'ms a trial':>10}")
    ratios = []
    for run in range(options.runs):
        start_up_s, ratio, seconds = measure(options.trials)
        ratios.append(ratio)
        print(f"{run:>4}  {start_up_s:>10.2f}  {ratio:>15.3f}  {1000 * seconds:>10.0f}")
    print(f"median wall / training: {statistics.median(ratios):.3f} (goal: at most 1.10)")


if __name__ == "__main__":
    main()
