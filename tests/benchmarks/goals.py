"""Benchmark of samplers on problems with constraints or with several goals.

    python -m tests.benchmarks.goals [--methods random,bayes,optuna-tpe,optuna-gp] [--problems gramacy,…] [--seeds 5]

There are two problems with constraints and two with two goals, all with known optima. The table shows the mean gap and
its standard error over seeds. For constraints, the gap is the difference between the best loss of the feasible trials
and the optimum; `never` counts sweeps without a feasible trial, which the mean leaves out. For two goals, the gap is
the missing fraction of the best hypervolume.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tests.benchmarks.methods import parse_options
from tests.benchmarks.peer_methods import suggested_by
from tests.benchmarks.problems import number, space_of
from tunecli.results.ranking import hypervolume
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, Scalar, State

Values = tuple[tuple[float, ...], tuple[float, ...]]
"""The losses of the goals, and the excesses of the constraints: 0 or less if they are satisfied."""


@dataclass(frozen=True)
class Problem:
    """A function to optimise.

    Attributes:
        name: its name.
        text: its space, as in the file.
        values: the function.
        best: the lowest feasible loss, or the largest hypervolume up to ``reference``.
        reference: the reference point of the hypervolume; empty: there is one goal.
    """

    name: str
    text: str
    values: Callable[[Parameters], Values]
    best: Callable[[], float]
    reference: tuple[float, ...] = ()

    def gap(self, trials: Sequence[Values]) -> float:
        """The gap between the trials and the optimum; infinite if no trial is feasible."""
        feasible = [losses for losses, excesses in trials if all(excess <= 0 for excess in excesses)]
        if self.reference:
            return 1.0 - hypervolume(feasible, self.reference) / self.best()
        return min((losses[0] for losses in feasible), default=math.inf) - self.best()


def gramacy(point: Parameters) -> Values:
    """The toy problem of Gramacy et al. (2016), "Modeling an Augmented Lagrangian for Blackbox Constrained
    Optimization": the optimum lies on the wavy border of the feasible region."""
    x, y = number(point, "x"), number(point, "y")
    wave = 1.5 - x - 2 * y - 0.5 * math.sin(2 * math.pi * (x**2 - 2 * y))
    return (x + y,), (wave, x**2 + y**2 - 1.5)


def capacity(point: Parameters) -> Values:
    """A net that improves with its size, with at most 2^17 weights; the space allows up to 64 times as many."""
    width, depth = number(point, "width"), number(point, "depth")
    rate = (math.log10(number(point, "lr")) + 3) ** 2
    drop = (number(point, "dropout") - 0.2) ** 2
    loss = 0.2 * (10 - math.log2(width)) + 0.05 * (depth - 8) ** 2 / 8 + 0.2 * rate + drop
    return (loss,), (depth * width**2 - 2.0**17,)


@cache
def _best_capacity() -> float:
    trials = (
        capacity({"width": width, "depth": depth, "lr": 1e-3, "dropout": 0.2})
        for width in range(8, 1025)
        for depth in range(1, 9)
    )
    return min(losses[0] for losses, (excess,) in trials if excess <= 0)


def zdt1(point: Parameters) -> Values:
    """Four parameters (Zitzler, Deb, Thiele 2000); the front is 1 - √f, where all parameters but the first are 0."""
    first, *others = (number(point, f"x{i}") for i in range(4))
    height = 1 + 9 * sum(others) / len(others)
    return (first, height * (1 - math.sqrt(first / height))), ()


def sizes(point: Parameters) -> Values:
    """A net's error, which falls with the logarithm of its number of weights, and that number in units of 2^16."""
    width, depth = number(point, "width"), number(point, "depth")
    n_weights = depth * width**2
    rate = (math.log10(number(point, "lr")) + 3) ** 2
    error = 0.02 + 0.5 * 0.75 ** math.log2(n_weights / 64) + 0.03 * rate + 0.02 * abs(depth - 3)
    return (min(error, 1.0), n_weights / 2**16), ()


@cache
def _best_sizes() -> float:
    trials = (
        sizes({"width": width, "depth": depth, "lr": 1e-3})
        for width in range(8, 1025)
        for depth in range(1, 9)
    )
    return hypervolume([losses for losses, _ in trials], _SIZES)


_SIZES = (0.6, 1.0)
PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("gramacy", "{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}", gramacy, lambda: 0.599788),
        Problem(
            "capacity",
            "{width: {logint: [8, 1024]}, depth: {int: [1, 8]}, lr: {loguniform: [1e-5, 1]}, dropout: {uniform: [0, 0.8]}}",
            capacity,
            _best_capacity,
        ),
        Problem(
            "zdt1",
            "{" + ", ".join(f"x{i}: {{uniform: [0, 1]}}" for i in range(4)) + "}",
            zdt1,
            lambda: 0.1 + 2 / 3 + 0.11,
            (1.1, 1.1),
        ),
        Problem(
            "sizes",
            "{width: {logint: [8, 1024]}, depth: {int: [1, 8]}, lr: {loguniform: [1e-5, 1]}}",
            sizes,
            _best_sizes,
            _SIZES,
        ),
    )
}

Method = Callable[[Problem, int, int], list[Values]]


def ours(sampler: str) -> Method:
    """Our sampler of that name, called as by a study."""

    def run(problem: Problem, seed: int, n_trials: int) -> list[Values]:
        space, done, trials = space_of(problem.text), list[Observation](), list[Values]()
        for trial in range(n_trials):
            point = suggest(sampler, space, done, trial, seed)
            if point is None:
                break
            losses, excesses = problem.values(point)
            all_losses = losses if len(losses) > 1 else ()
            done.append(Observation(trial, point, State.COMPLETE, losses[0], all_losses, excesses))
            trials.append((losses, excesses))
        return trials

    return run


def optuna_with(name: str) -> Method:
    """A sampler of Optuna, by ask and tell, with the constraints."""

    def run(problem: Problem, seed: int, n_trials: int) -> list[Values]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        trials = list[Values]()
        has_constraints = bool(problem.values(_middle(problem))[1])
        n_goals = len(problem.values(_middle(problem))[0])
        constraints = (lambda trial: trial.user_attrs["excesses"]) if has_constraints else None
        sampler = getattr(optuna.samplers, name)(seed=seed, constraints_func=constraints)
        study = optuna.create_study(sampler=sampler, directions=["minimize"] * n_goals)
        for _ in range(n_trials):
            trial = study.ask()
            point: dict[str, Scalar] = {}
            for parameter in space_of(problem.text).parameters:
                point[parameter.name] = suggested_by(trial, parameter.key, parameter.domain)
            losses, excesses = problem.values(point)
            trial.set_user_attr("excesses", excesses)
            study.tell(trial, losses)
            trials.append((losses, excesses))
        return trials

    return run


def _middle(problem: Problem) -> Parameters:
    return suggest("bayes", space_of(problem.text), [], 0, 0) or {}


METHODS: dict[str, Method] = {
    "random": ours("random"),
    "bayes": ours("bayes"),
    "tpe": ours("tpe"),
    "optuna-tpe": optuna_with("TPESampler"),
    "optuna-gp": optuna_with("GPSampler"),
}


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__, METHODS, PROBLEMS, 50)
    marks = [options.budget // 2, options.budget]
    print(f"{'gap after':12}{'':14}" + "".join(f"{mark:>24}" for mark in marks) + f"{'s each':>10}")
    for name in options.problems.split(","):
        for method in options.methods.split(","):
            began_s = time.perf_counter()
            try:
                sweeps = [
                    METHODS[method](PROBLEMS[name], seed, options.budget) for seed in range(options.seeds)
                ]
            except ImportError as error:
                print(f"{method}: left out, {error}", file=sys.stderr)
                continue
            seconds = (time.perf_counter() - began_s) / options.seeds / options.budget
            cells = "".join(
                f"{_cell([PROBLEMS[name].gap(trials[:mark]) for trials in sweeps]):>24}" for mark in marks
            )
            print(f"{name:12}{method:14}{cells}{seconds:>10.3f}", flush=True)


def _cell(gaps: Sequence[float]) -> str:
    known = np.array([gap for gap in gaps if math.isfinite(gap)])
    never = f" never {len(gaps) - len(known)}" * (len(known) < len(gaps))
    if not len(known):
        return never
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else 0.0
    return f"{known.mean():.4f} ± {error:.4f}{never}"


if __name__ == "__main__":
    main()
