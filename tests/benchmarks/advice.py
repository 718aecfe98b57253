"""Benchmark of the advice: how often each rule finds a planted problem, and how often it raises a false alarm.

    python -m tests.benchmarks.advice [--part curves,clean,planted,live] [--studies 20] [--curves 400] [--seed 1000]

`clean` are bowls of three to six mixed parameters with 40 `bayes` trials and converged curves: every finding of a rule
on parameters, failures or curves is a false alarm. `planted` studies have one problem each. `live` counts parameters
with more than 3 % of the variance that are called dead. `curves` judges the rules on curves alone, on studies of five
synthetic curves for each kind of curve, length and step noise. Nothing is trained.
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tests.support.reports import make_curve, make_report, make_trial, report_of
from tests.support.worlds import WORLDS, World, bowl, number_at, true_shares
from tunecli.commands.report_axes import axes_of, positions_of
from tunecli.config.axes import distinct_names
from tunecli.objective import Objective
from tunecli.results.advice import every_finding
from tunecli.results.advice.curves import overfit, undertrained, unstable
from tunecli.results.report import Curve, Report
from tunecli.search.importance import effects_of
from tunecli.trial import Observation, Parameters

Floats = NDArray[np.float64]
LOSS = Objective("val_loss", maximize=False)
JUDGED = (
    "best-on-a-bound",
    "no-effect",
    "failing-region",
    "starved-option",
    "undertrained",
    "overfit",
    "unstable",
)
"""The rules of which a clean study triggers none."""
LENGTHS, NOISES = (12, 20, 60, 200), (0.001, 0.003, 0.01, 0.03)
_N_EPOCHS = 30
_MIN_FAILED = 5


def report_of_world(
    world: World, history: Sequence[Observation], seed: int, curves: Mapping[int, Curve] | None = None
) -> Report:
    """The report of a study of a world, as the program makes it from a record."""
    trials = [make_trial(o.number, o.loss, o.parameters) for o in history]
    return report_of(
        trials,
        axes_of(world.space),
        LOSS,
        positions=positions_of(world.space, trials),
        effects=effects_of(world.space, history, seed),
        curves=curves or {},
    )


# Worlds with one problem.


def beyond_a_bound(seed: int) -> World:
    """A bowl and a parameter whose optimum lies beyond one end of its range."""
    generator = np.random.default_rng([21, seed])
    away, strength = generator.uniform([0.2, 0.5], [0.5, 1.5]).tolist()
    best = 1 + away if generator.random() < 0.5 else -away
    return _with_term(bowl(seed), "edge", lambda x: strength * (x - best) ** 2)


def failing(seed: int) -> World:
    """A bowl and a parameter whose optimum lies near a border, beyond which every trial fails."""
    border = float(np.random.default_rng([22, seed]).uniform(0.5, 0.75))
    world = _with_term(bowl(seed), "hot", lambda x: (x - border + 0.05) ** 2)
    return replace(world, fails=lambda point: number_at(point, "hot") > border)


def failing_at_random(seed: int) -> World:
    """A bowl in which one trial in eight fails for no reason that the space knows."""

    def fails(point: Parameters) -> bool:
        return zlib.crc32(repr((seed, *sorted(point.items()))).encode()) % 8 == 0

    return replace(bowl(seed), fails=fails)


def _with_term(world: World, name: str, term: Callable[[float], float]) -> World:
    return replace(
        world,
        text=f"{world.text}\n{name}: {{uniform: [0.0, 1.0]}}",
        truth=lambda point: world.truth(point) + term(number_at(point, name)),
    )


PLANTED: Mapping[str, tuple[Callable[[int], World], int, str]] = {
    "best-on-a-bound": (beyond_a_bound, 40, "edge"),
    "no-effect": (WORLDS["dead"], 100, ""),
    "failing-region": (failing, 40, "hot"),
}
"""By the rule: the world, its number of `bayes` trials, and the parameter that is named; empty: any dead one."""


def planted_reports(rule: str, n: int, first_seed: int) -> Iterator[tuple[World, Report]]:
    """``n`` studies with the problem of a rule; of failing ones, those with at least five failures."""
    make, n_trials, _ = PLANTED[rule]
    n_made, seed = 0, first_seed
    while n_made < n:
        world = make(seed)
        history = world.sweep("bayes", n_trials, seed)
        if rule != "failing-region" or sum(o.loss is None for o in history) >= _MIN_FAILED:
            yield world, report_of_world(world, history, seed)
            n_made += 1
        seed += 1


def clean_reports(n: int, first_seed: int) -> Iterator[tuple[World, Report]]:
    """``n`` bowls with 40 `bayes` trials, and converged curves of a random kind for each trial."""
    for seed in range(first_seed, first_seed + n):
        world, generator = bowl(seed), np.random.default_rng([23, seed])
        history = world.sweep("bayes", 40, seed)
        kind = str(generator.choice(CLEAN))
        noise = float(generator.choice(NOISES))
        curves = {o.number: _curve(kind, _N_EPOCHS, noise, 0.0, generator) for o in history}
        yield world, report_of_world(world, history, seed, curves)


def is_named(rule: str, world: World, report: Report) -> bool:
    """Whether a finding of the rule names the planted parameter."""
    parameter = PLANTED[rule][2]
    wanted = {parameter} if parameter else set(world.dead)
    return any(each.rule == rule and each.parameter in wanted for each in every_finding(report))


def called_dead(world: World, report: Report) -> tuple[int, int]:
    """The number of parameters with a true share above 3 %, and how many of them are called dead."""
    names, shares = distinct_names(world.space), true_shares(world)
    live = {names[key] for key, share in shares.items() if share > 0.03}
    dead = {each.parameter for each in every_finding(report) if each.rule == "no-effect"}
    return len(live), len(live & dead)


# Curves, of which each falls from about 1 to 0.


def _exponential(t: Floats, n: int) -> Floats:
    return np.exp(-6 * t)


def _power(t: Floats, n: int) -> Floats:
    return 1 / (t * n)


def _cosine(t: Floats, n: int) -> Floats:
    return 0.6 * np.exp(-6 * t) + 0.2 * (1 + np.cos(np.pi * t))


def _milestone(t: Floats, n: int) -> Floats:
    return 0.7 * np.exp(-8 * t) + 0.3 * (t < 0.6)


def _slow(t: Floats, n: int) -> Floats:
    return np.exp(-1.5 * t)


def _overfit(t: Floats, n: int) -> Floats:
    return np.exp(-8 * t) + 0.25 * np.maximum(0.0, t - 0.4)


SHAPES: Mapping[str, Callable[[Floats, int], Floats]] = {
    "exponential": _exponential,
    "power": _power,
    "cosine": _cosine,
    "milestone": _milestone,
    "undertrained": _slow,
    "overfit": _overfit,
    "unstable": _exponential,
}
CLEAN = ("exponential", "power", "cosine", "milestone")
_LATE_NOISE = 10.0  # times the noise before the last quarter, of unstable curves
_OF_CURVES = {"undertrained": undertrained, "overfit": overfit, "unstable": unstable}


def _curve(kind: str, n: int, noise: float, offset: float, generator: np.random.Generator) -> Curve:
    t = np.arange(1, n + 1) / n
    deviation = np.where(t > 0.75, _LATE_NOISE * noise, noise) if kind == "unstable" else noise
    scale = float(generator.uniform(0.9, 1.1))
    valid = offset + scale * SHAPES[kind](t, n) + deviation * generator.standard_normal(n)
    train = np.exp(-5 * t) + 0.5 * noise * generator.standard_normal(n)
    return make_curve(valid.tolist(), train.tolist(), valid.tolist())


def curve_reports(kind: str, n: int, noise: float, n_studies: int, seed: int) -> Iterator[Report]:
    """Studies whose five best trials have curves of this kind, and end a hundredth of the fall apart."""
    generator = np.random.default_rng([24, seed, n, list(SHAPES).index(kind), round(1000 * noise)])
    for _ in range(n_studies):
        curves = {number: _curve(kind, n, noise, 0.005 * number, generator) for number in range(5)}
        yield make_report([curve.scores[-1] for curve in curves.values()], curves=curves)


def found_in_curves(kind: str, n: int, noise: float, n_studies: int, seed: int) -> Counter[str]:
    """By rule, the number of studies in which it finds something, after silencing."""
    found: Counter[str] = Counter()
    for report in curve_reports(kind, n, noise, n_studies, seed):
        found.update({each.rule for each in every_finding(report)} & set(_OF_CURVES))
    return found


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", default="curves,clean,random,planted,live")
    parser.add_argument("--studies", type=int, default=20, help="clean studies, and studies of each problem")
    parser.add_argument("--curves", type=int, default=400, help="studies of each cell of the curves")
    parser.add_argument("--seed", type=int, default=1000, help="of the first study")
    asked = parser.parse_args()
    for part in asked.part.split(","):
        PARTS[part](asked.studies, asked.curves, asked.seed)


def _curves(n_studies: int, n_curves: int, seed: int) -> None:
    print(f"{'% of studies':14}{'epochs':>7}{'noise':>7}" + "".join(f"{rule:>14}" for rule in _OF_CURVES))
    for kind in SHAPES:
        for n in LENGTHS:
            for noise in NOISES:
                found = found_in_curves(kind, n, noise, n_curves, seed)
                cells = "".join(f"{100 * found[rule] / n_curves:>14.1f}" for rule in _OF_CURVES)
                print(f"{kind:14}{n:>7}{noise:>7}{cells}", flush=True)


def _clean(n_studies: int, n_curves: int, seed: int) -> None:
    alarms = [
        f"{seed + index}: {each.rule} {each.parameter}: {each.evidence}"
        for index, (_, report) in enumerate(clean_reports(n_studies, seed))
        for each in every_finding(report)
        if each.rule in JUDGED
    ]
    print(f"clean: {len(alarms)} alarms in {n_studies} studies", *alarms, sep="\n  ", flush=True)


def _random(n_studies: int, n_curves: int, seed: int) -> None:
    n_alarms = n_failed = 0
    for number in range(seed, seed + n_studies):
        world = failing_at_random(number)
        history = world.sweep("bayes", 40, number)
        report = report_of_world(world, history, number)
        n_failed += sum(o.loss is None for o in history)
        n_alarms += any(each.rule == "failing-region" for each in every_finding(report))
    print(
        f"failures at random, {n_failed / n_studies:.1f} of 40: {n_alarms} of {n_studies} studies have a region"
    )


def _planted(n_studies: int, n_curves: int, seed: int) -> None:
    for rule in PLANTED:
        n_named, others = 0, Counter[str]()
        for world, report in planted_reports(rule, n_studies, seed):
            n_named += is_named(rule, world, report)
            others.update(each.rule for each in every_finding(report) if each.rule in JUDGED)
        print(f"planted {rule}: named in {n_named} of {n_studies}; findings {dict(others)}", flush=True)


def _live(n_studies: int, n_curves: int, seed: int) -> None:
    n_live = n_wrong = n_dead = 0
    for kind, n_trials in (("bowl", 40), ("conditional", 50), ("corner", 50), ("digits", 40), ("dead", 50)):
        for number in range(seed, seed + n_studies):
            world = WORLDS[kind](number)
            report = report_of_world(world, world.sweep("bayes", n_trials, number), number)
            live, wrong = called_dead(world, report)
            n_live, n_wrong = n_live + live, n_wrong + wrong
            n_dead += sum(each.rule == "no-effect" for each in every_finding(report))
        print(f"live, up to {kind}: {n_wrong} of {n_live} called dead, of {n_dead} calls in all", flush=True)


PARTS: Mapping[str, Callable[[int, int, int], None]] = {
    "curves": _curves,
    "clean": _clean,
    "random": _random,
    "planted": _planted,
    "live": _live,
}

if __name__ == "__main__":
    main()
