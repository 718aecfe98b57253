"""Benchmark of `tunecli report --next`: whether narrower ranges keep the optimum, and whether the next study is as good.

    python -m tests.benchmarks.next_config [--part inside,pairs] [--worlds bowl,dead,…] [--studies 10] [--pairs 20]
                                           [--trials 40] [--sampler bayes] [--seed 3000]

`inside` makes the next file of studies with a known truth. A narrowed range holds the optimum if the best true loss in
it, with everything else free, is within a tenth of the noise of the best true loss of the whole range; `strictly` also
counts a range whose best point is cut off by less than that. `dropped` counts options that left, and those of them
that the optimum has. `pairs` runs the next file and the old one again, with as many trials and one seed, and compares
the true losses of the trials that look best. It also runs the old file with another seed, since a study differs from
its own repetition: a sign test compares how often each is worse and better by more than the noise of one score.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.stats import binomtest

from tests.benchmarks.advice import report_of_world
from tests.support.worlds import WORLDS, World
from tunecli.commands.next_text import NextText, next_text
from tunecli.config.axes import distinct_names
from tunecli.config.concrete_trial import concrete
from tunecli.config.domains import Categorical, value_of_unit
from tunecli.config.grammar import parse
from tunecli.config.reader import MapNode, plain_of, read
from tunecli.config.space import Parameter, Space, point_of_units, values_by_key
from tunecli.effects import Reliability
from tunecli.errors import ConfigError
from tunecli.results.advice import every_finding
from tunecli.results.next_space import Act, Change, next_changes
from tunecli.search.draws import sobol_units
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters

_N_STARTS, _N_GRID, _N_ROUNDS = 256, 61, 3
_HEAD = "study: world\nseed: 0\nobjective: {metric: val_loss, direction: minimize}\ntrial:\n"


def study_of(world: World) -> tuple[str, Space]:
    """The file of a world's study, and its space, whose marks are those of the file."""
    indented = "".join(f"  {line}\n" for line in world.text.strip("\n").splitlines())
    text = f"{_HEAD}{indented}search: {{sampler: bayes}}\n"
    return text, space_of_study(text)


def space_of_study(text: str) -> Space:
    """The space of a study's file.

    Raises:
        ConfigError: it has problems.
    """
    problems = []
    root = read(text.encode(), "world.yaml")
    assert isinstance(root, MapNode)
    space = Space(parse(root.items["trial"], problems.append))
    if problems:
        raise ConfigError(problems)
    return space


def next_of(world: World, history: Sequence[Observation], seed: int) -> tuple[NextText, Reliability]:
    """The next file of a study, and how reliable its model is."""
    text, space = study_of(world)
    report = report_of_world(world, history, seed)
    changes = next_changes(report, every_finding(report))
    trials = {trial.number: trial for trial in report.trials}
    written = next_text(text, space, "world", changes, trials, lambda new: space_of_study(new) and None)
    return written, report.effects.reliability


# Whether a range keeps the optimum.


@dataclass(frozen=True)
class Tally:
    """Counts over studies.

    Attributes:
        n_studies, n_reliable: studies, and those with a reliable model.
        n_narrowed: narrowed ranges.
        n_near, n_strict: of these, the ranges that hold the optimum up to a tenth of the noise, and exactly.
        kept: the mean part of a narrowed range that is left.
        n_dropped, n_wrong: dropped options, and those that the optimum has.
        n_left_out: changes that the file could not take.
    """

    n_studies: int = 0
    n_reliable: int = 0
    n_narrowed: int = 0
    n_near: int = 0
    n_strict: int = 0
    kept: float = 0.0
    n_dropped: int = 0
    n_wrong: int = 0
    n_left_out: int = 0

    def __add__(self, other: Tally) -> Tally:
        n = self.n_narrowed + other.n_narrowed
        kept = (self.kept * self.n_narrowed + other.kept * other.n_narrowed) / n if n else 0.0
        sums = {name: getattr(self, name) + getattr(other, name) for name in vars(self) if name != "kept"}
        return Tally(**sums, kept=kept)


def best_in_branch(world: World, parameter: Parameter) -> tuple[Parameters, float]:
    """The best point in which the parameter is active, by coordinate search from quasi-random points."""
    space = world.space
    units_MD = sobol_units(_N_STARTS, len(space.parameters), np.random.default_rng(0)).tolist()
    active = [
        units for units in units_MD if parameter.key in values_by_key(space, point_of_units(space, units))
    ]
    starts = sorted(active, key=lambda units: world.truth(point_of_units(space, units)))
    best: tuple[float, Parameters] = (np.inf, {})
    grid = ((np.arange(_N_GRID) + 0.5) / _N_GRID).tolist()
    for units in islice(starts, 4):
        for _ in range(_N_ROUNDS):
            for index in range(len(units)):
                tried = [[*units[:index], unit, *units[index + 1 :]] for unit in (units[index], *grid)]
                allowed = [
                    other
                    for other in tried
                    if parameter.key in values_by_key(space, point_of_units(space, other))
                ]
                units = min(allowed, key=lambda other: world.truth(point_of_units(space, other)))
        point = point_of_units(space, units)
        best = min(best, (world.truth(point), point), key=lambda pair: pair[0])
    return best[1], best[0]


def held(world: World, change: Change) -> tuple[bool, bool, float]:
    """Whether a narrowed range holds the optimum: nearly, strictly; and the part of the range that is left."""
    names = distinct_names(world.space)
    parameter = next(p for p in world.space.parameters if names[p.key] == change.axis)
    point, loss = best_in_branch(world, parameter)
    value = point[parameter.name]
    assert isinstance(value, int | float)
    is_strict = change.low <= value <= change.high
    nearest = min(max(value, change.low), change.high)
    inside = [value_of_unit(parameter.domain, unit) for unit in np.linspace(0, 0.999999, 201)]
    candidates = [
        nearest,
        *(v for v in inside if isinstance(v, int | float) and change.low <= v <= change.high),
    ]
    best = min(world.truth({**point, parameter.name: v}) for v in candidates)
    units = [v for v in inside if isinstance(v, int | float) and change.low <= v <= change.high]
    return is_strict or best <= loss + 0.1 * world.noise, is_strict, len(units) / len(inside)


def tally_of(world: World, history: Sequence[Observation], seed: int) -> Tally:
    """The counts of one study."""
    written, reliability = next_of(world, history, seed)
    tally = Tally(1, int(reliability is Reliability.RELIABLE), n_left_out=len(written.left_out))
    names = {name: key for key, name in distinct_names(world.space).items()}
    parameters = {parameter.key: parameter for parameter in world.space.parameters}
    for change in written.applied:
        if change.act is Act.NARROW:
            near, strict, kept = held(world, change)
            tally += Tally(n_narrowed=1, n_near=near, n_strict=strict, kept=kept)
        elif change.act is Act.DROP:
            domain = parameters[names[change.axis]].domain
            assert isinstance(domain, Categorical)
            gone = [option for n, option in enumerate(domain.options) if n not in change.kept]
            optimum = world.optimum.get(parameters[names[change.axis]].name)
            tally += Tally(n_dropped=len(gone), n_wrong=int(optimum in gone))
    return tally


# Whether the next study is as good.


def rerun(world: World, text: str, n_trials: int, seed: int) -> float:
    """The true loss of the trial that looks best, of a study by its file."""
    space, sampler = space_of_study(text), plain_of(read(text.encode(), "world.yaml"))["search"]["sampler"]
    history: list[Observation] = []
    for number in range(n_trials):
        point = suggest(sampler, space, history, number, seed)
        if point is None:
            break
        history.append(world.observation(number, whole(world, point, space), seed))
    scored = [trial for trial in history if trial.loss is not None]
    return world.truth(min(scored, key=lambda trial: trial.loss or 0.0).parameters)


def whole(world: World, point: Parameters, space: Space) -> Parameters:
    """The point of the world's space: values that the next file fixes are added."""
    tree = concrete(space, point)
    full = dict(point)
    for parameter in world.space.parameters:
        if parameter.name not in full:
            part = tree
            for step in parameter.name.split("."):
                part = part.get(step) if isinstance(part, dict) else None
            if isinstance(part, int | float | str):
                full[parameter.name] = part
    return full


@dataclass(frozen=True)
class Pair:
    """The true losses of a next study, of the old one run again with the same seed, and with another one.

    Attributes:
        new, old, other: the losses, in deviations of the noise of one score.
        written: the next file.
    """

    new: float
    old: float
    other: float
    written: NextText


def pair(kind: str, n_trials: int, seed: int) -> Pair:
    """The three studies that follow a study of ``n_trials`` trials by `bayes`."""
    world = WORLDS[kind](seed)
    history = world.sweep("bayes", n_trials, seed)
    written, _ = next_of(world, history, seed)
    old = study_of(world)[0]
    losses = [
        rerun(world, text, n_trials, seed + number) / world.noise
        for text, number in ((written.text, 1), (old, 1), (old, 2))
    ]
    return Pair(*losses, written)


def signs(differences: Sequence[float]) -> tuple[int, int, float]:
    """How many differences are above 1 and below -1, and the p-value of the two-sided sign test of these."""
    n_worse, n_better = sum(each > 1 for each in differences), sum(each < -1 for each in differences)
    n = n_worse + n_better
    return n_worse, n_better, float(binomtest(n_worse, n).pvalue) if n else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of `tunecli report --next`.")
    parser.add_argument("--part", default="inside,pairs")
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--sampler", default="bayes")
    parser.add_argument("--seed", type=int, default=3000)
    options = parser.parse_args()
    began = time.perf_counter()
    kinds = options.worlds.split(",")
    if "inside" in options.part:
        _inside(kinds, options)
    if "pairs" in options.part:
        _pairs(kinds, options)
    print(f"{time.perf_counter() - began:.0f} s")


def _inside(kinds: Sequence[str], options: argparse.Namespace) -> None:
    print(
        f"{'world':12} {'studies':>7} {'reliable':>8} {'narrowed':>8} {'hold it':>8} {'strictly':>8} {'kept':>5}"
        f" {'dropped':>7} {'wrongly':>7} {'left out':>8}"
    )
    total = Tally()
    for kind in (*kinds, "all"):
        row = total
        if kind != "all":
            row = Tally()
            for seed in range(options.seed, options.seed + options.studies):
                world = WORLDS[kind](seed)
                row += tally_of(world, world.sweep(options.sampler, options.trials, seed), seed)
            total += row
        print(
            f"{kind:12} {row.n_studies:7} {row.n_reliable:8} {row.n_narrowed:8} {row.n_near:8} {row.n_strict:8}"
            f" {row.kept:5.2f} {row.n_dropped:7} {row.n_wrong:7} {row.n_left_out:8}",
            flush=True,
        )


def _pairs(kinds: Sequence[str], options: argparse.Namespace) -> None:
    print(
        f"{'world':12} {'pairs':>5} | {'worse':>5} {'better':>6} {'p':>5} {'mean gain / noise':>18} | the old study with"
        f" another seed: {'worse':>5} {'better':>6} {'p':>5}   (by more than the noise)"
    )
    pairs: list[Pair] = []
    for n, kind in enumerate(kinds):
        n_pairs = options.pairs // len(kinds) + (n < options.pairs % len(kinds))
        of_kind = [pair(kind, options.trials, options.seed + number) for number in range(n_pairs)]
        if of_kind:
            _print_pairs(kind, of_kind)
        pairs += of_kind
    _print_pairs("all", pairs)


def _print_pairs(name: str, pairs: Sequence[Pair]) -> None:
    gains = [each.old - each.new for each in pairs]
    n_worse, n_better, p = signs([-gain for gain in gains])
    by_chance = signs([each.other - each.old for each in pairs])
    print(
        f"{name:12} {len(pairs):5} | {n_worse:5} {n_better:6} {p:5.2f} {float(np.mean(gains)):18.2f} |"
        f" {'':35}{by_chance[0]:5} {by_chance[1]:6} {by_chance[2]:5.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
