"""Benchmark of samplers and pruners on seven hyper-parameters of an MLP.

    python -m tests.benchmarks.lcbench --data DIR [--methods bayes,optuna-gp] [--tasks 3945,…] [--seeds 5] [--budget 100]
    python -m tests.benchmarks.lcbench --data DIR --epochs 520 1040 2600 [--methods hyperband,curves] …

``DIR`` contains `tasks.json` and `model.onnx`: the YAHPO Gym surrogate (Pfisterer et al. 2022) of LCBench (Zimmer,
Lindauer, Hutter 2021), real learning curves over 52 epochs on OpenML tasks. In the first form every trial is a full
training. The second form compares methods at equal budgets of epochs, where a method may pause trials and continue them
(`fidelity.py`); a method that has trained no trial to its end counts as the median of random search. The regret is
(loss - best known) / (median of random - best known); 0 is the best known. `regrets.py` describes the table.

The range of the weight decay is that of the benchmark, uniform over four powers of ten. With ``--decay loguniform``
every method samples it on a logarithmic scale, as a practitioner would declare it: the main table. Our samplers have the
priors of the settings that the parameters' names say, as in any study; `bayes-no-priors` runs with `search.priors: off`.
Some of these priors were widened after a look at the best settings of this benchmark's twelve tasks (depth, width, dropout and
batch size; the table names its sources).

``--json FILE`` keeps the sweeps, and a further run goes on with those that the file lacks. The table has the sweeps of
``--join FILE`` as well, and the peers' sweeps of `peer_sweeps/lcbench.json` (`kept_sweeps.py`) without ``--no-peers``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import fidelity
from tests.benchmarks.kept_sweeps import KeptSweeps, add_options
from tests.benchmarks.methods import METHODS, through_study
from tests.benchmarks.problems import Problem, Sweep, space_of
from tests.benchmarks.regrets import is_peer
from tests.benchmarks.sweep_files import KeptSweep
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
"""The settings that the names of the benchmark are, in the order of the surrogate's inputs."""
_DEFAULTS = {"trials": ["random", "bayes", "optuna-tpe", "optuna-gp"], "epochs": list(fidelity.METHODS)}


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
        x_cont = np.array([[epoch, *(point[name] for name in AS)]], dtype=np.float32)
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
    return Problem(task.name, space, task.error, task.error, has_priors=True, is_own_program=True)


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
        "--jobs", type=int, default=1, help="processes; with more than one, they slow each other down"
    )
    parser.add_argument(
        "--through-study", action="store_true", help="run our samplers in whole `tunecli search` runs"
    )
    add_options(parser)
    options = parser.parse_args()
    wanted = set(options.tasks.split(",")) - {""}
    tasks = [task for task in load(options.data) if not wanted or task.name in wanted]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    plain = SPACE.replace("DECAY", options.decay)
    kind = "epochs" if options.epochs else "study" if options.through_study else "trials"
    marks = sorted(options.epochs or {m for m in options.marks if m < options.budget} | {options.budget})
    unit = "epochs" if options.epochs else "trials"
    problems = {task.name: (space_of(plain), partial(_regret_of, task)) for task in tasks}
    kept = KeptSweeps(f"{options.decay} {unit}", problems, options, peers="lcbench")
    sweeps = Sweeps(options.data, plain, kind, tasks, seeds, marks[-1])
    methods = options.methods.split(",") if options.methods else _DEFAULTS[unit]
    shown = [sweeps.label(method) for method in methods]
    pool = ProcessPoolExecutor(options.jobs, get_context("spawn"))
    try:
        for method in methods:
            run_missing(pool, sweeps, method, kept)
    finally:  # `with` would wait for all sweeps after an error in one
        pool.shutdown(cancel_futures=True)
    names = [task.name for task in tasks]
    kept.print_table(f"regret after {unit}", shown, marks, (names, seeds), unfinished=1.0)


@dataclass(frozen=True)
class Sweeps:
    """The sweeps of a table: ``kind`` is `trials`, `study` (whole `tunecli search` runs) or `epochs`."""

    data_path: Path
    space: str
    kind: str
    tasks: Sequence[Task]
    seeds: Sequence[int]
    budget: int

    def label(self, method: str) -> str:
        """The name of a method in tables and files: how our samplers were run belongs to it."""
        if is_peer(method):
            return method
        return method + "-study" * (self.kind == "study")


def run_missing(pool: ProcessPoolExecutor, sweeps: Sweeps, method: str, kept: KeptSweeps) -> None:
    """Run the sweeps of a method that no file has, all tasks with the first seed, then with the next one."""
    label = sweeps.label(method)
    waiting = {
        pool.submit(one, replace(sweeps, tasks=()), task.name, seed, method): (task.name, seed)
        for seed in sweeps.seeds
        for task in sweeps.tasks
        if not kept.known(label, task.name, seed, sweeps.budget)
    }
    try:
        for future in as_completed(waiting):
            kept.add(label, *waiting[future], future.result())
    except ImportError as error:
        print(f"{method}: left out, {error}", file=sys.stderr)
        for future in waiting:
            future.cancel()


def one(sweeps: Sweeps, task_name: str, seed: int, method: str) -> KeptSweep:
    """Run one sweep, in a process of the pool."""
    task = next(task for task in load(sweeps.data_path) if task.name == task_name)
    if sweeps.kind == "epochs":
        space = problem_of(task, sweeps.space).space
        spent = fidelity.METHODS[method](space, task.error, N_EPOCHS, seed, sweeps.budget)
        ends = [(n_epochs, task.regret(loss)) for n_epochs, loss in spent.ends]
        return KeptSweep.of(sweeps.budget, ends, spent.seconds)
    runs_study = sweeps.kind == "study" and method in SAMPLERS
    run = through_study(method) if runs_study else METHODS[method]
    sweep: Sweep = run(problem_of(task, sweeps.space), seed, sweeps.budget)
    ends = [(number, task.regret(loss)) for number, loss in enumerate(sweep.losses, start=1)]
    return KeptSweep.of(sweeps.budget, ends, sweep.seconds)


def _regret_of(task: Task, point: Parameters) -> float:
    return task.regret(task.error(point))


if __name__ == "__main__":
    main()
