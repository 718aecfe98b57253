"""Cost of `report` by the number of trials: seconds, peak memory, and the size of the page.

    python -m tests.benchmarks.reports [--trials 100 1000 10000 100000] [--epochs 5]

Each report is made in its own process. The study has six parameters and a branch; some trials failed or were pruned.
The figures to keep: at most 3 s at 100 trials, 10 s and 500 MB at 100,000, and a page of at most 1.5 MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.support.recorded import spec_in
from tunecli.config.space import point_of_units
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.study.record.lifecycle import begin
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

STUDY = """\
study: many
objective: {metric: val_loss, direction: minimize}
trial:
  python: 'own:train'
  params:
    width: {logint: [16, 256]}
    dropout: {uniform: [0.0, 0.5]}
    activation: {choice: [relu, gelu, tanh]}
    optimizer:
      choice:
        - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0, 0.99]}}
        - {name: adamw, lr: {loguniform: [1e-5, 0.1]}}
search: {sampler: random, trials: 1000000}
"""


def build(folder: Path, n_trials: int, n_epochs: int) -> None:
    """Write a study like that of a sweep, but in a single commit."""
    draws = np.random.default_rng(0)
    spec = spec_in(folder, STUDY)
    n_parameters = len(spec.space.parameters)
    with begin(spec, folder / "run") as study, study.log.atomic():
        session = study.log.append_session({"tunecli": "0.1.0"})
        for number in range(n_trials):
            units = draws.random(n_parameters)
            study.log.append_suggestion(Trial(number, point_of_units(spec.space, units.tolist()), number))
            study.log.append_start(Started(number, 1, "cpu", 4711), session)
            score = float((units[1] - 0.4) ** 2 + 0.3 * abs(units[4] - 0.6) + 0.02 * draws.normal())
            losses = [score + 1 / epoch for epoch in range(1, n_epochs + 1)]
            epochs = [{"val_loss": loss, "train_loss": loss / 2} for loss in losses]
            study.log.append_epochs(
                [EpochEnded(number, 1, n, n_epochs, values, 0.25) for n, values in enumerate(epochs, start=1)]
            )
            if number % 50 == 3:
                failure = Failure(FailureKind.ERROR, "a size that does not fit")
                outcome = Outcome(State.FAILED, None, {}, n_epochs, 0, 1.25, "cpu", failure)
            else:
                state = State.PRUNED if number % 5 == 1 else State.COMPLETE
                outcome = Outcome(state, losses[-1], epochs[-1], n_epochs, n_epochs, 1.25, "cpu")
            study.log.append_result(Ended(number, 1, outcome))


def read(folder: Path) -> None:
    """Make the report, the text and the page, and print their cost as JSON."""
    began_s = time.monotonic()
    from tunecli.commands.report import read_report
    from tunecli.commands.report_text import chapters_of
    from tunecli.results.page.page import page_of
    from tunecli.store.folder import RunFolder

    loaded_s = time.monotonic()
    reading = read_report(RunFolder.open_existing(folder))
    read_s = time.monotonic()
    chapters_of(reading.report)
    page = page_of(reading.report)
    ended_s = time.monotonic()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = (loaded_s - began_s, read_s - loaded_s - reading.model_s, reading.model_s, ended_s - read_s)
    print(json.dumps([*figures, time.process_time(), peak_mb, len(page.encode()) / 1e6]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read is not None:
        read(options.read)
        return
    print("trials     load s   read s   model s   page s   cpu s   peak MB   page MB")
    for n_trials in options.trials:
        with tempfile.TemporaryDirectory() as name:
            build(Path(name), n_trials, options.epochs)
            command = [sys.executable, "-m", "tests.benchmarks.reports", "--read", str(Path(name) / "run")]
            root = Path(__file__).parents[2]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
            load, reading, model, page, cpu, peak, size = json.loads(done.stdout)
            print(
                f"{n_trials:>7}  {load:>8.2f} {reading:>8.2f} {model:>9.2f} {page:>8.2f} {cpu:>7.2f}"
                f" {peak:>9.0f} {size:>9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
