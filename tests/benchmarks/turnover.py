"""Throughput of trials that cost nothing, and the time that workers wait for `bayes`.

    python -m tests.benchmarks.turnover [--trials 1000] [--runs 3]

The first table compares tunecli with two workers and Optuna in one process, with its random sampler and SQLite: trials
a second of an objective that costs nothing, over whole processes with their start-up, in alternating runs. It also
shows the rate between the first and the last result. The second table is for two workers, `bayes`, and trials that take
a given time without using the processor: the fraction of the workers' time without a trial, between the start of the
first trial and the end of the last.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

from tests.benchmarks.overhead import Stopwatch
from tunecli.commands.check import load_checked
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep

FUNCTION = """\
import time


def trivial(params, trial):
    return {"loss": (params["x"] - 0.3) ** 2 + params["y"]}


def slow(params, trial):
    time.sleep(params["seconds"])
    return trivial(params, trial)
"""
STUDY = """\
study: turnover
seed: 1
objective: {metric: loss, direction: minimize}
trial: {python: "mine:FUNCTION", params: {seconds: SECONDS, x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}}
search: {sampler: SAMPLER, trials: TRIALS}
run: {device: cpu, workers: 2}
"""
OPTUNA = """\
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(storage="sqlite:///study.db", sampler=optuna.samplers.RandomSampler(seed=1))
study.optimize(
    lambda trial: (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + trial.suggest_float("y", 0, 1), int(sys.argv[1])
)
"""


def write_study(folder: Path, function: str, sampler: str, n_trials: int, seconds: float = 0.0) -> Path:
    """Write the study's file and the function that it names; the path of the file."""
    (folder / "mine.py").write_text(FUNCTION)
    text = STUDY.replace("FUNCTION", function).replace("SECONDS", str(seconds))
    path = folder / "turnover.yaml"
    path.write_text(text.replace("SAMPLER", sampler).replace("TRIALS", str(n_trials)))
    return path


def took_s(command: list[str], folder: Path) -> float:
    """Wall seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - began


def rates(n_trials: int) -> tuple[float, float, float | None]:
    """Trials a second of one run: tunecli's whole process, between its results, and Optuna's; None: not installed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder, "trivial", "random", n_trials)
        ours_s = took_s([sys.executable, "-m", "tunecli", "search", "turnover.yaml", "--out", "run"], folder)
        with closing(sqlite3.connect(folder / "run" / "study.db")) as database:
            ends = sorted(datetime.fromisoformat(at) for (at,) in database.execute("SELECT at FROM result"))
        between_s = (ends[-1] - ends[0]).total_seconds()
        try:
            optuna_s = took_s([sys.executable, "-c", OPTUNA, str(n_trials)], folder)
        except subprocess.CalledProcessError:
            return n_trials / ours_s, n_trials / between_s, None
    return n_trials / ours_s, n_trials / between_s, n_trials / optuna_s


def waiting_share(seconds: float, n_trials: int) -> float:
    """The fraction of the time of two workers in which they have no trial."""
    with tempfile.TemporaryDirectory() as name:
        folder, watch = Path(name), Stopwatch()
        path = write_study(folder, "slow", "bayes", n_trials, seconds)
        with begin(load_checked(path, ()), folder / "run") as study:
            sweep(study, watch)
    (first_at, first_s), *_ = watch.ends
    own_s = sum(seconds for _, seconds in watch.ends)
    return 1.0 - own_s / (2 * (watch.ends[-1][0] - (first_at - first_s)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{'run':>4}  {'ours, trials/s':>14}  {'between results':>15}  {'Optuna':>7}  {'ratio':>6}")
    ratios = []
    for run in range(options.runs):
        whole, between, optuna = rates(options.trials)
        if optuna is None:
            print(f"{run:>4}  {whole:>14.0f}  {between:>15.0f}  Optuna is not installed")
            continue
        ratios.append(whole / optuna)
        print(f"{run:>4}  {whole:>14.0f}  {between:>15.0f}  {optuna:>7.0f}  {ratios[-1]:>6.2f}")
    if ratios:
        print(f"median ratio, whole processes: {statistics.median(ratios):.2f} (goal: 3)")
    print("\na trial's seconds  share of the workers' time without one, bayes, 40 trials (goal: 5 %)")
    shares = {seconds: waiting_share(seconds, 40) for seconds in (0.2, 0.5, 1.0)}
    for seconds, share in shares.items():
        print(f"{seconds:>17.1f}  {share:.1%}")


if __name__ == "__main__":
    main()
