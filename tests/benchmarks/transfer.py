"""Benchmark of `search.from`: sweeps that learn from two earlier studies, beside the same sweeps without them.

    python -m tests.benchmarks.transfer --data DIR [--kinds related,shuffled] [--tasks 3945,…] [--seeds 5] [--budget 50]

``DIR`` is that of `lcbench.py`, and so are the tasks, the regret and the space (with a logarithmic weight decay). The
earlier studies of a sweep are two other tasks, drawn by the seed, with ``--trials`` trials each: random ones, or with
``--records bayes`` those of the sampler. By kind, these are: `related`: as they are; `shuffled`: with their losses in
random order; `synthetic`: with the losses of a smooth random function instead. `alone` has none. The sweeps of all kinds
have the same seeds, so the last columns compare in pairs: the ratio of the means, the mean difference to `alone`, and
in how many sweeps a kind is better and worse.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.lcbench import SPACE, Task, load
from tests.benchmarks.problems import space_of
from tunecli.config.space import Space, point_of_units, units_of_point
from tunecli.search.protocols import suggest
from tunecli.trial import EarlierStudy, Observation, Parameters, State

KINDS = ("alone", "related", "shuffled", "synthetic")
N_STUDIES = 2
_SAME = 1e-4  # of a regret: a smaller difference is none


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with tasks.json and model.onnx")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--tasks", default="", help="OpenML tasks; default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=50, help="trials a sweep")
    parser.add_argument("--marks", type=int, nargs="+", default=[5, 10, 25], help="trials to compare after")
    parser.add_argument("--trials", type=int, default=100, help="trials of each earlier study")
    parser.add_argument("--records", choices=["random", "bayes"], default="random")
    parser.add_argument("--json", type=Path, help="a file that keeps every trial's regret, and is read first")
    options = parser.parse_args()
    tasks, wanted = load(options.data), set(options.tasks.split(",")) - {""}
    targets = [task for task in tasks if not wanted or task.name in wanted]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    known = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for kind in options.kinds.split(","):
        if kind in known:
            continue
        began_s, regrets = time.process_time(), list[list[float]]()
        for task in targets:
            for seed in seeds:
                studies = earlier_studies(tasks, task, seed, kind, options.trials, options.records)
                regrets.append(sweep(task, studies, seed, options.budget))
        n_trials = len(regrets) * options.budget
        known[kind] = regrets
        print(
            f"{kind}: {(time.process_time() - began_s) / n_trials:.3f} s of a processor a trial", flush=True
        )
        if options.json:
            options.json.write_text(json.dumps(known))
    print_table(known, sorted({m for m in options.marks if m < options.budget} | {options.budget}))


def space() -> Space:
    """The space of all tasks."""
    return space_of(SPACE.replace("DECAY", "loguniform"))


def earlier_studies(
    tasks: Sequence[Task], target: Task, seed: int, kind: str, n_trials: int, records: str
) -> tuple[EarlierStudy, ...]:
    """The earlier studies of one sweep; empty for `alone`."""
    if kind == "alone":
        return ()
    generator = np.random.default_rng([seed, target.code])
    others = [task for task in tasks if task is not target]
    studies = []
    for index in generator.choice(len(others), N_STUDIES, replace=False):
        points, losses = _record(others[index], generator, n_trials, records)
        if kind == "shuffled":
            losses = generator.permutation(losses).tolist()
        elif kind == "synthetic":
            losses = _smooth(points, generator)
        studies.append(EarlierStudy(others[index].name, tuple(points), tuple(losses)))
    return tuple(studies)


def _record(
    task: Task, generator: np.random.Generator, n_trials: int, records: str
) -> tuple[list[Parameters], list[float]]:
    """The points and losses of an earlier study of a task."""
    own = space()
    if records == "random":
        points = [
            point_of_units(own, row) for row in generator.random((n_trials, len(own.parameters))).tolist()
        ]
        return points, [task.error(point) for point in points]
    done = list(observations(own, task, int(generator.integers(2**31)), n_trials))
    return [trial.parameters for trial in done], [trial.loss or 0.0 for trial in done]


def _smooth(points: Sequence[Parameters], generator: np.random.Generator) -> list[float]:
    """A bowl around a random point, with waves."""
    units_ND = np.array([units_of_point(space(), point) for point in points], dtype=np.float64)
    n_parameters = units_ND.shape[1]
    centre_D, steepness_D = generator.random(n_parameters), generator.exponential(1.0, n_parameters)
    waves_N = np.sin(6 * units_ND @ generator.standard_normal(n_parameters))
    losses: list[float] = (np.square(units_ND - centre_D) @ steepness_D + 0.3 * waves_N).tolist()
    return losses


def observations(own: Space, task: Task, seed: int, n_trials: int) -> Sequence[Observation]:
    """The trials of a sweep of `bayes`."""
    done: list[Observation] = []
    for number in range(n_trials):
        point = suggest("bayes", own, done, number, seed)
        assert point is not None
        done.append(Observation(number, point, State.COMPLETE, task.error(point)))
    return done


def sweep(task: Task, studies: tuple[EarlierStudy, ...], seed: int, n_trials: int) -> list[float]:
    """The lowest regret after each trial."""
    done = observations(replace(space(), earlier=studies), task, seed, n_trials)
    regrets: list[float] = np.minimum.accumulate([task.regret(trial.loss or 0.0) for trial in done]).tolist()
    return regrets


def print_table(known: dict[str, Any], marks: Sequence[int]) -> None:
    """Print a line for each mark and kind."""
    print(
        f"{'after':>5} {'kind':10}{'mean':>18}{'median':>9}{'90 %':>9}{'ratio':>8}{'difference':>20}{'better':>9}"
    )
    for mark in marks:
        alone_N = np.array(known["alone"])[:, mark - 1] if "alone" in known else None
        for kind, regrets in known.items():
            regret_N = np.array(regrets)[:, mark - 1]
            root = np.sqrt(len(regret_N))
            line = f"{mark:>5} {kind:10}{regret_N.mean():>10.4f} ± {regret_N.std(ddof=1) / root:.3f}"
            line += f"{np.median(regret_N):>9.4f}{np.quantile(regret_N, 0.9):>9.4f}"
            if alone_N is not None and kind != "alone":
                by_N = regret_N - alone_N
                better, worse = int((by_N < -_SAME).sum()), int((by_N > _SAME).sum())
                line += f"{regret_N.mean() / alone_N.mean():>8.2f}{by_N.mean():>12.4f} ± {by_N.std(ddof=1) / root:.3f}"
                line += f"{better:>5}/{worse}"
            print(line)


if __name__ == "__main__":
    main()
