"""How well each method does where constraints are to hold, or several goals are to be met.

    python -m tests.benchmarks.goals [--methods random,bayes,optuna-tpe,optuna-gp] [--problems gramacy,…] [--seeds 5]

Two problems with constraints and two with two goals, all of known optimum. What is shown is the mean gap and its
standard error over seeds: of a problem with constraints, how far the best loss of those trials that hold them all is
above the optimum (`never` counts sweeps in which none did, which are left out of the mean); of two goals, which share of
the best hypervolume is missing.
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

from tests.benchmarks.methods import asked_of, number, space_of, suggested_by
from tunecli.results.ranking import hypervolume
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, Scalar, State

Values = tuple[tuple[float, ...], tuple[float, ...]]
"""The losses of the goals, and the excesses of the constraints: 0 or less where they hold."""


@dataclass(frozen=True)
class Problem:
    """A function to be searched; ``best`` is the least loss that holds, or the greatest hypervolume up to
    ``reference``. ``log_of`` are goals whose volume is measured on a logarithmic scale."""

    name: str
    text: str
    values: Callable[[Parameters], Values]
    best: Callable[[], float]
    reference: tuple[float, ...] = ()

    def gap(self, told: Sequence[Values]) -> float:
        """How far these trials are from the best; infinite where none holds the constraints."""
        held = [losses for losses, excesses in told if all(excess <= 0 for excess in excesses)]
        if self.reference:
            return 1.0 - hypervolume(held, self.reference) / self.best()
        return min((losses[0] for losses in held), default=math.inf) - self.best()


def gramacy(point: Parameters) -> Values:
    """The toy of Gramacy et al. (2016), "Modeling an Augmented Lagrangian for Blackbox Constrained Optimization": the
    optimum lies on the border of a region that waves."""
    x, y = number(point, "x"), number(point, "y")
    wave = 1.5 - x - 2 * y - 0.5 * math.sin(2 * math.pi * (x**2 - 2 * y))
    return (x + y,), (wave, x**2 + y**2 - 1.5)


def capacity(point: Parameters) -> Values:
    """A net that is the better the larger it is, and may have 2^17 weights; the count has a tail of a thousand bounds."""
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
    """What a net gets wrong, which falls with the logarithm of its weights, and their number in units of 2^16."""
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
    """The sampler of that name, as the study calls it."""

    def run(problem: Problem, seed: int, n_trials: int) -> list[Values]:
        space, done, told = space_of(problem.text), list[Observation](), list[Values]()
        for trial in range(n_trials):
            point = suggest(sampler, space, done, trial, seed)
            if point is None:
                break
            losses, excesses = problem.values(point)
            several = losses if len(losses) > 1 else ()
            done.append(Observation(trial, point, State.COMPLETE, losses[0], several, excesses))
            told.append((losses, excesses))
        return told

    return run


def optuna_with(name: str) -> Method:
    """Optuna by ask and tell, told of the constraints."""

    def run(problem: Problem, seed: int, n_trials: int) -> list[Values]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        told = list[Values]()
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
            told.append((losses, excesses))
        return told

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
    asked = asked_of(__doc__, METHODS, PROBLEMS, 50)
    marks = [asked.budget // 2, asked.budget]
    print(f"{'gap after':12}{'':14}" + "".join(f"{mark:>24}" for mark in marks) + f"{'s each':>10}")
    for name in asked.problems.split(","):
        for method in asked.methods.split(","):
            began_s = time.perf_counter()
            try:
                sweeps = [METHODS[method](PROBLEMS[name], seed, asked.budget) for seed in range(asked.seeds)]
            except ImportError as error:
                print(f"{method}: left out, {error}", file=sys.stderr)
                continue
            seconds = (time.perf_counter() - began_s) / asked.seeds / asked.budget
            cells = "".join(
                f"{_cell([PROBLEMS[name].gap(told[:mark]) for told in sweeps]):>24}" for mark in marks
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
