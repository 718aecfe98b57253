"""How good the configurations are that each method finds for an MLP's seven hyper-parameters.

    python -m tests.benchmarks.lcbench --data DIR [--methods bayes,optuna-gp] [--tasks 3945,…] [--seeds 5] [--budget 100]
    python -m tests.benchmarks.lcbench --data DIR --epochs 520 1040 2600 [--methods hyperband,curves] …

``DIR`` holds `tasks.json` and `model.onnx`: the YAHPO Gym surrogate (Pfisterer et al. 2022) of LCBench (Zimmer,
Lindauer, Hutter 2021), real learning curves over 52 epochs on OpenML tasks. Every trial of the first form is a full
training; the second form compares at equal budgets of epochs, where a method may stop trials and continue them
(`fidelity.py`), and a method that has trained none to its end by then counts as the median of random. The
regret is (found - best known) / (median of random - best known); 0 is the best known. Means and standard errors are
over tasks, a task's value being its mean over seeds; the rank is among the methods of this run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import fidelity
from tests.benchmarks.methods import METHODS, Problem, Sweep, through_study
from tunecli.search.sampler import SAMPLERS
from tunecli.trial import Parameters

SPACE = """
batch_size: {logint: [16, 512]}
learning_rate: {loguniform: [1e-4, 1e-1]}
momentum: {uniform: [0.1, 0.99]}
weight_decay: {uniform: [1e-5, 1e-1]}
num_layers: {int: [1, 5]}
max_units: {logint: [64, 1024]}
max_dropout: {uniform: [0, 1]}
"""
N_EPOCHS = 52
_NAMES = (
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)


@dataclass(frozen=True)
class Task:
    """One data set's learning curves, and what its regret is measured by."""

    name: str
    code: int
    best_known: float
    random_median: float
    session: Any

    def error(self, point: Parameters, epoch: int = N_EPOCHS) -> float:
        """1 - validation accuracy after ``epoch`` epochs, 1 to 52."""
        x_cont = np.array([[epoch, *(point[name] for name in _NAMES)]], dtype=np.float32)
        x_cat = np.array([[self.code]], dtype=np.int32)
        (found,) = self.session.run(None, {"x_cat": x_cat, "x_cont": x_cont})
        return 1.0 - float(found[0, 1]) / 100

    def regret(self, error: float) -> float:
        """0 at the best known, 1 at the median of random."""
        return max(0.0, (error - self.best_known) / (self.random_median - self.best_known))


def load(data_path: Path) -> list[Task]:
    """Every task of the benchmark."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data_path / "model.onnx", options)
    tasks = json.loads((data_path / "tasks.json").read_text())["tasks"]
    return [Task(name, t["code"], t["best_known"], t["random_median"], session) for name, t in tasks.items()]


def problem_of(task: Task) -> Problem:
    """The task with full trainings only."""
    return Problem(task.name, SPACE, task.error, task.error)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with tasks.json and model.onnx")
    parser.add_argument(
        "--methods", default="", help=f"{', '.join(METHODS)}; or {', '.join(fidelity.METHODS)}"
    )
    parser.add_argument("--epochs", type=int, nargs="+", help="budgets of epochs to compare at")
    parser.add_argument("--tasks", default="", help="OpenML tasks; all where nothing is said")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=100, help="trials a sweep")
    parser.add_argument(
        "--through-study", action="store_true", help="our samplers by whole `tunecli search` runs"
    )
    parser.add_argument("--json", type=Path, help="where to keep every trial's regret")
    asked = parser.parse_args()
    wanted = set(asked.tasks.split(",")) - {""}
    tasks = [task for task in load(asked.data) if not wanted or task.name in wanted]
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    if asked.epochs:
        by_epochs(
            tasks,
            seeds,
            asked.methods.split(",") if asked.methods else list(fidelity.METHODS),
            sorted(asked.epochs),
        )
        return
    sweeps: dict[str, list[list[Sweep]]] = {}
    for name in (asked.methods or "random,bayes,optuna-tpe,optuna-gp").split(","):
        run = through_study(name) if asked.through_study and name in SAMPLERS else METHODS[name]
        try:
            sweeps[name] = [[run(problem_of(task), seed, asked.budget) for seed in seeds] for task in tasks]
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        print(f"{name}: done", file=sys.stderr)
    regrets = {
        name: np.array(
            [
                [np.minimum.accumulate([task.regret(loss) for loss in sweep.losses]) for sweep in of_task]
                for task, of_task in zip(tasks, of_method, strict=True)
            ]
        )
        for name, of_method in sweeps.items()
    }
    seconds = {
        name: float(np.mean([sweep.seconds for of_task in of_method for sweep in of_task]))
        for name, of_method in sweeps.items()
    }
    print_table(regrets, seconds, sorted({n for n in (25, 50, 100) if n < asked.budget} | {asked.budget}))
    if asked.json:
        asked.json.write_text(json.dumps({name: regret.tolist() for name, regret in regrets.items()}))


def by_epochs(
    tasks: Sequence[Task], seeds: Sequence[int], methods: Sequence[str], marks: Sequence[int]
) -> None:
    """Print the regret of each of `fidelity.METHODS` within each of ``marks`` epochs."""
    print(f"{'regret within':16}" + "".join(f"{mark:>18}" for mark in marks) + f"{'s each':>10}{'steps':>8}")
    for name in methods:
        found, seconds = np.ones((len(tasks), len(seeds), len(marks))), list[tuple[float, ...]]()
        for i, task in enumerate(tasks):
            for j, seed in enumerate(seeds):
                spent = fidelity.METHODS[name](SPACE, task.error, N_EPOCHS, seed, marks[-1])
                losses = [spent.best_within(mark) for mark in marks]
                found[i, j] = [task.regret(loss) if np.isfinite(loss) else 1.0 for loss in losses]
                seconds.append(spent.seconds)
        by_task = found.mean(axis=1)
        errors = by_task.std(axis=0, ddof=1) / np.sqrt(len(tasks)) if len(tasks) > 1 else np.zeros(len(marks))
        cells = "".join(f"{m:>10.4f} ± {e:.3f}" for m, e in zip(by_task.mean(axis=0), errors, strict=True))
        each = float(np.mean([second for run in seconds for second in run]))
        print(f"{name:16}{cells}{each:>10.4f}{np.mean([len(run) for run in seconds]):>8.0f}", flush=True)


def print_table(
    regrets: dict[str, np.ndarray[Any, Any]], seconds: dict[str, float], marks: Sequence[int]
) -> None:
    """Regret after each of ``marks`` trials; each method's array is of (tasks, seeds, trials)."""
    print(f"{'regret after':16}" + "".join(f"{mark:>18}" for mark in marks) + f"{'rank':>8}{'s each':>10}")
    ranks = mean_ranks({name: regret[:, :, marks[-1] - 1] for name, regret in regrets.items()})
    for name, regret in regrets.items():
        cells = ""
        for mark in marks:
            by_task = regret[:, :, mark - 1].mean(axis=1)
            error = by_task.std(ddof=1) / np.sqrt(len(by_task)) if len(by_task) > 1 else 0.0
            cells += f"{by_task.mean():>10.4f} ± {error:.3f}"
        print(f"{name:16}{cells}{ranks[name]:>8.2f}{seconds[name]:>10.4f}")


def mean_ranks(final: dict[str, np.ndarray[Any, Any]]) -> dict[str, float]:
    """Each method's mean rank among all, from 1; ties share theirs."""
    from scipy.stats import rankdata

    ranks = rankdata(np.stack(list(final.values())), axis=0)
    return {name: float(ranks[i].mean()) for i, name in enumerate(final)}


if __name__ == "__main__":
    main()
