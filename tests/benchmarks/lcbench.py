"""Benchmark of samplers and pruners on seven hyper-parameters of an MLP.

    python -m tests.benchmarks.lcbench --data DIR [--methods bayes,optuna-gp] [--tasks 3945,…] [--seeds 5] [--budget 100]
    python -m tests.benchmarks.lcbench --data DIR --epochs 520 1040 2600 [--methods hyperband,curves] …

``DIR`` contains `tasks.json` and `model.onnx`: the YAHPO Gym surrogate (Pfisterer et al. 2022) of LCBench (Zimmer,
Lindauer, Hutter 2021), real learning curves over 52 epochs on OpenML tasks. In the first form every trial is a full
training. The second form compares methods at equal budgets of epochs, where a method may pause trials and continue them
(`fidelity.py`); a method that has trained no trial to its end counts as the median of random search. The regret is
(loss - best known) / (median of random - best known); 0 is the best known. `regrets.py` describes the table by trials; that
by epochs has means and standard errors over tasks, with the mean over seeds for each task.

The range of the weight decay is that of the benchmark, uniform over four powers of ten. With ``--decay loguniform``
every method samples it on a logarithmic scale, as a practitioner would declare it: the main table. With ``--as`` each
range says which setting it is (`as: sgd.lr`), and our samplers get its prior.

``--json FILE`` writes the results, and ``--join FILE`` adds those of such a file to the table, so that slow peers run once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import fidelity
from tests.benchmarks.methods import METHODS, Problem, Sweep, through_study
from tests.benchmarks.regrets import Results, print_table
from tunecli.registry.samplers import SAMPLERS
from tunecli.trial import Parameters

SPACE = """
batch_size: {logint: [16, 512]}
learning_rate: {loguniform: [1e-4, 1e-1]}
momentum: {uniform: [0.1, 0.99]}
weight_decay: {DECAY: [1e-5, 1e-1]}
num_layers: {int: [1, 5]}
max_units: {logint: [64, 1024]}
max_dropout: {uniform: [0, 1]}
"""
N_EPOCHS = 52
AS = {
    "batch_size": "training.batch_size",
    "learning_rate": "sgd.lr",
    "momentum": "optimizer.momentum",
    "weight_decay": "sgd.weight_decay",
    "num_layers": "model.depth",
    "max_units": "model.width",
    "max_dropout": "model.dropout",
}
"""The settings that the names of the benchmark are."""
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
    """The learning curves of one data set, and the two errors that define its regret."""

    name: str
    code: int
    best_known: float
    random_median: float
    session: Any

    def error(self, point: Parameters, epoch: int = N_EPOCHS) -> float:
        """1 - validation accuracy after ``epoch`` epochs, 1 to 52."""
        x_cont = np.array([[epoch, *(point[name] for name in _NAMES)]], dtype=np.float32)
        x_cat = np.array([[self.code]], dtype=np.int32)
        (outputs,) = self.session.run(None, {"x_cat": x_cat, "x_cont": x_cont})
        return 1.0 - float(outputs[0, 1]) / 100

    def regret(self, error: float) -> float:
        """The regret of an error, at least 0: 0 is the best known, 1 the median of random search."""
        return max(0.0, (error - self.best_known) / (self.random_median - self.best_known))


@lru_cache(maxsize=1)
def load(data_path: Path) -> list[Task]:
    """Load every task of the benchmark."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data_path / "model.onnx", options)
    tasks = json.loads((data_path / "tasks.json").read_text())["tasks"]
    return [Task(name, t["code"], t["best_known"], t["random_median"], session) for name, t in tasks.items()]


def problem_of(task: Task, space: str) -> Problem:
    """The problem of a task in which every trial is a full training."""
    return Problem(task.name, space, task.error, task.error, has_priors=" as: " in space)


def with_settings(space: str) -> str:
    """The space whose ranges say which setting each is."""
    lines = (line.partition(": ") for line in space.strip().splitlines())
    return "\n".join(f"{name}: {body[:-1]}, as: {AS[name]}}}" for name, _, body in lines)


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
    parser.add_argument("--tasks", default="", help="OpenML tasks; default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=100, help="trials a sweep")
    parser.add_argument("--marks", type=int, nargs="+", default=[25, 50, 100], help="trials to compare after")
    parser.add_argument("--decay", choices=["uniform", "loguniform"], default="uniform")
    parser.add_argument(
        "--as", dest="has_settings", action="store_true", help="say which setting each range is"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes; with more than one, they slow each other down"
    )
    parser.add_argument(
        "--through-study", action="store_true", help="run our samplers in whole `tunecli search` runs"
    )
    parser.add_argument("--json", type=Path, help="the file to write every trial's regret to")
    parser.add_argument("--join", type=Path, nargs="*", default=[], help="files of earlier runs to join")
    options = parser.parse_args()
    wanted = set(options.tasks.split(",")) - {""}
    tasks = [task for task in load(options.data) if not wanted or task.name in wanted]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    space = SPACE.replace("DECAY", options.decay)
    space = with_settings(space) if options.has_settings else space
    pool = ProcessPoolExecutor(options.jobs, get_context("spawn"))
    run = partial(run_all, pool, options.data, space, tasks, seeds)
    try:
        if options.epochs:
            by_epochs(tasks, options.methods or ",".join(fidelity.METHODS), sorted(options.epochs), run)
        else:
            by_trials(tasks, seeds, options, run)
    finally:  # `with` would wait for all sweeps after an error in one
        pool.shutdown(cancel_futures=True)


Run = Callable[[str, int, str], list[list[Any]]]
"""(method, budget, kind of the budget) → the result of each sweep, by task and seed."""


def run_all(
    pool: ProcessPoolExecutor,
    data_path: Path,
    space: str,
    tasks: Sequence[Task],
    seeds: Sequence[int],
    name: str,
    budget: int,
    kind: str,
) -> list[list[Any]]:
    """Run a method on all tasks with all seeds; the results by task and seed."""
    waiting = [
        [pool.submit(one, data_path, space, task.name, seed, name, budget, kind) for seed in seeds]
        for task in tasks
    ]
    return [[sweep.result() for sweep in of_task] for of_task in waiting]


def one(
    data_path: Path, space: str, task_name: str, seed: int, name: str, budget: int, kind: str
) -> Sweep | fidelity.Spent:
    """Run one sweep, in a process of the pool."""
    task = next(task for task in load(data_path) if task.name == task_name)
    if kind == "epochs":
        return fidelity.METHODS[name](space, task.error, N_EPOCHS, seed, budget)
    method = through_study(name) if kind == "study" and name in SAMPLERS else METHODS[name]
    return method(problem_of(task, space), seed, budget)


def by_trials(tasks: Sequence[Task], seeds: Sequence[int], options: argparse.Namespace, run: Run) -> None:
    """Print the regret of each of `methods.METHODS` after each number of trials in ``options.marks``."""
    results = Results(tuple(task.name for task in tasks), tuple(seeds), options.decay)
    for name in (options.methods or "random,bayes,optuna-tpe,optuna-gp").split(","):
        try:
            sweeps: list[list[Sweep]] = run(
                name, options.budget, "study" if options.through_study else "trials"
            )
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        results.regrets[name] = np.array(
            [
                [np.minimum.accumulate([task.regret(loss) for loss in sweep.losses]) for sweep in of_task]
                for task, of_task in zip(tasks, sweeps, strict=True)
            ]
        )
        results.seconds[name] = float(np.mean([sweep.seconds for of_task in sweeps for sweep in of_task]))
        print(f"{name}: {results.regrets[name][:, :, -1].mean():.4f} at the end", file=sys.stderr)
    marks = sorted({mark for mark in options.marks if mark < options.budget} | {options.budget})
    if options.json:
        results.save(options.json)
    for path in options.join:
        results = results.joined(path)
    print_table(results, marks)


def by_epochs(tasks: Sequence[Task], methods: str, marks: Sequence[int], run: Run) -> None:
    """Print the regret of each of `fidelity.METHODS` within each of ``marks`` epochs."""
    print(f"{'regret within':16}" + "".join(f"{mark:>18}" for mark in marks) + f"{'s each':>10}{'steps':>8}")
    for name in methods.split(","):
        sweeps: list[list[fidelity.Spent]] = run(name, marks[-1], "epochs")
        losses = np.array([[[s.best_within(mark) for mark in marks] for s in of_task] for of_task in sweeps])
        regrets = np.array(
            [
                [
                    [task.regret(loss) if np.isfinite(loss) else 1.0 for loss in of_sweep]
                    for of_sweep in of_task
                ]
                for task, of_task in zip(tasks, losses, strict=True)
            ]
        )
        seconds = [sweep.seconds for of_task in sweeps for sweep in of_task]
        by_task = regrets.mean(axis=1)
        errors = by_task.std(axis=0, ddof=1) / np.sqrt(len(tasks)) if len(tasks) > 1 else np.zeros(len(marks))
        cells = "".join(f"{m:>10.4f} ± {e:.3f}" for m, e in zip(by_task.mean(axis=0), errors, strict=True))
        mean_s = float(np.mean([second for of_sweep in seconds for second in of_sweep]))
        steps = float(np.mean([len(of_sweep) for of_sweep in seconds]))
        print(f"{name:16}{cells}{mean_s:>10.4f}{steps:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
