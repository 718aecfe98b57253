"""Coverage of the intervals and sets of `tunecli confirm`, in simulated studies whose truth is known.

    python -m tests.benchmarks.confidence [--studies 4000] [--noises ties,near,…] [--seed 1]

Each study has K candidates with R fresh runs, chooses the one of the best mean, and runs it R further times. The table
shows, in percent of studies: `bars`, how often a candidate's bar holds its true mean, over all candidates; `set`, how
often the set holds the best candidate, of equal ones the mean over them; `worst`, the same for the equal one that it
holds most rarely; `kept`, the mean size of the
set; `quote`, how often the quoted interval holds the true mean of the chosen one; `unselected`, the same for the first
candidate, which no score chose; `more`, how often one further run ends inside its interval.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.results import confidence

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Floats]
"""Draws of mean 0 and, except for rounding, of variance 1, of the shape (studies, candidates, runs)."""

CANDIDATES = (2, 5, 10)
REPEATS = (3, 5)
RARE, DEPTH = 0.1, 4.0  # one seed in ten ends four deviations lower


@dataclass(frozen=True)
class World:
    """How simulated scores come about.

    Attributes:
        gap: distance of the candidates' true means, in deviations of a seed.
        growth: the deviation of the worst candidate is this many times that of the best; the others are between.
        step: scores are rounded to multiples of this; 0: they are not.
        draw: the noise.
        is_shuffled: whether deviations are unrelated to the true means.
    """

    gap: float = 0.0
    growth: float = 1.0
    step: float = 0.0
    draw: str = "normal"


@dataclass(frozen=True)
class Coverage:
    """Of one cell, each from 0 to 100, `kept` the mean size of the set."""

    bars: float
    best: float
    worst: float
    kept: float
    quote: float
    unselected: float
    more: float


WORLDS = {
    "ties": World(),
    "unequal": World(growth=3.0),
    "stepped": World(step=0.5),
    "coarse": World(step=1.5),
    "near": World(gap=0.5, growth=2.0),
    "apart": World(gap=2.0),
    "skewed": World(draw="skewed"),
    "t4": World(draw="t4"),
}


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.normal(size=shape)


def t4(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_t(4, size=shape) / np.sqrt(2)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Normal, with rare seeds that end far below, scaled to mean 0 and variance 1."""
    raw = rng.normal(size=shape) - DEPTH * (rng.random(shape) < RARE)
    return (raw + DEPTH * RARE) / np.sqrt(1 + DEPTH**2 * RARE * (1 - RARE))


NOISES: dict[str, Noise] = {"normal": normal, "t4": t4, "skewed": skewed}


def coverage(world: World, n_candidates: int, n_repeats: int, n_studies: int, seed: int) -> Coverage:
    """Simulate one cell of the table.

    Args:
        world: how the scores come about.
        n_candidates, n_repeats: K and R.
        n_studies: the number of simulated studies.
        seed: of the simulation.
    """
    rng = np.random.default_rng([seed, n_candidates, n_repeats])
    draw = NOISES[world.draw]
    truth_K = -world.gap * np.arange(n_candidates)
    deviation_K = np.linspace(1.0, world.growth, n_candidates)
    # The true means lie anywhere between two steps, and those of tied candidates at the same place.
    shift = rng.uniform(0, world.step, (n_studies, 1, 1))

    def scores_of(n_runs: int) -> Floats:
        raw = truth_K[:, None] + deviation_K[:, None] * draw(rng, (n_studies, n_candidates, n_runs))
        return np.round((raw + shift) / world.step) * world.step - shift if world.step else raw

    floor = confidence.floor_of(world.step or None)
    race = scores_of(n_repeats)
    spread = confidence.moderated(race, floor)
    half_K = confidence.half_widths(spread)
    is_in_set = confidence.is_in_set(spread, is_maximized=True)
    n_best = n_candidates if world.gap == 0 else 1
    chosen = np.argmax(spread.mean, axis=1)
    further = scores_of(n_repeats + 1)
    quote = confidence.moderated(further[:, :, :-1], floor, prior=0)
    quote_half_K = confidence.half_widths(quote)
    more_half_K = confidence.half_widths(quote, extra=1.0)
    is_quoted_K = np.abs(quote.mean - truth_K) <= quote_half_K
    is_inside_K = np.abs(further[:, :, -1] - quote.mean) <= more_half_K + 1e-12
    study = np.arange(n_studies)
    return Coverage(
        bars=100 * float(np.mean(np.abs(spread.mean - truth_K) <= half_K)),
        best=100 * float(np.mean(is_in_set[:, :n_best])),
        worst=100 * float(np.min(np.mean(is_in_set[:, :n_best], axis=0))),
        kept=float(np.mean(is_in_set.sum(1))),
        quote=100 * float(np.mean(is_quoted_K[study, chosen])),
        unselected=100 * float(np.mean(is_quoted_K[:, 0])),
        more=100 * float(np.mean(is_inside_K[study, chosen])),
    )


def split_coverage(n_candidates: int, n_repeats: int, n_studies: int, seed: int) -> float:
    """In percent, how often the set holds the best of equal candidates where repeats are splits of one data set.

    Each study has a data set of 100 examples with difficulties; a repeat draws a fifth of them for validation, and each
    candidate has an error of its own on each example, beside the noise of its seed. So the splits overlap, as real
    ones do, and all candidates have equal true means.
    """
    rng = np.random.default_rng([seed, n_candidates, n_repeats, 7])
    n_examples, n_valid = 100, 20
    held = 0
    for _ in range(n_studies):
        difficulty = rng.normal(size=n_examples)
        errors = difficulty + 0.5 * rng.normal(size=(n_candidates, n_examples))
        scores = np.empty((n_candidates, n_repeats))
        for j in range(n_repeats):
            part = rng.permutation(n_examples)[:n_valid]
            scores[:, j] = errors[:, part].mean(1) + 0.05 * rng.normal(size=n_candidates)
        spread = confidence.of_blocks(scores)
        is_in_set = confidence.is_in_set(spread, is_maximized=True, extra=n_valid / (n_examples - n_valid))
        held += bool(is_in_set[0])
    return 100 * held / n_studies


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the intervals and sets of `tunecli confirm`.")
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--noises", default=",".join(WORLDS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.perf_counter()
    print(
        f"{'noise':9} {'K':>3} {'R':>3}  {'bars':>6} {'set':>6} {'worst':>6} {'kept':>6} {'quote':>6} {'unselected':>10} {'more':>6}"
    )
    for name in options.noises.split(","):
        for k in CANDIDATES:
            for r in REPEATS:
                c = coverage(WORLDS[name], k, r, options.studies, options.seed)
                print(
                    f"{name:9} {k:3} {r:3}  {c.bars:6.1f} {c.best:6.1f} {c.worst:6.1f} {c.kept:6.2f} {c.quote:6.1f}"
                    f" {c.unselected:10.1f} {c.more:6.1f}"
                )
    for k in CANDIDATES:
        for r in REPEATS:
            print(
                f"{'splits':9} {k:3} {r:3}  {'':6} {split_coverage(k, r, options.studies // 4, options.seed):6.1f}"
            )
    print(f"{options.studies} studies a cell, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
