"""Time and memory of one suggestion, by the number of recorded trials and the number of parameters.

    python -m tests.benchmarks.suggestions [--samplers bayes] [--trials 100 1000 10000] [--parameters 5 20 50] [--runs 5]

A third of the parameters are choices, and one trial in twenty failed. Each size runs in its own process with one thread.
The figures are the median wall time of several suggestions, each for another trial number, and the growth of the
process's peak memory during them.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from multiprocessing import get_context

import numpy as np
from threadpoolctl import threadpool_limits

from tests.benchmarks.problems import number, space_of
from tunecli.config.space import Space
from tunecli.search.protocols import suggest
from tunecli.search.samplers.random import random
from tunecli.trial import Observation, State


def space_with(n_parameters: int) -> Space:
    """A space of logarithmic ranges, uniform ranges and choices in turn."""
    kinds = ("{loguniform: [1e-5, 1e-1]}", "{uniform: [0, 1]}", "{choice: [a, b, c]}")
    return space_of("\n".join(f"x{index}: {kinds[index % 3]}" for index in range(n_parameters)))


def record_of(space: Space, n_trials: int) -> list[Observation]:
    """``n_trials`` random trials of a quadratic function with noise."""
    noise = np.random.default_rng(0)
    record = []
    for trial in range(n_trials):
        point = random(space, (), trial, 0) or {}
        loss = (number(point, "x1") - 0.3) ** 2 + np.log10(number(point, "x0") / 1e-3) ** 2 / 4
        is_failed = trial % 20 == 19
        state = State.FAILED if is_failed else State.COMPLETE
        record.append(
            Observation(
                trial, point, state, None if is_failed else float(loss + 0.01 * noise.standard_normal())
            )
        )
    return record


def peak_mb() -> float:
    """The peak memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def measured(sampler: str, n_trials: int, n_parameters: int, n_runs: int) -> tuple[float, float]:
    """The median seconds of a suggestion, and the growth of the peak memory in MB."""
    suggest(sampler, space_with(5), record_of(space_with(5), 20), 20, 0)  # warm up imports
    space = space_with(n_parameters)
    record, before_mb, taken_s = record_of(space, n_trials), peak_mb(), []
    with threadpool_limits(1):
        for run in range(n_runs):
            began_s = time.perf_counter()
            suggest(sampler, space, record, n_trials + run, 0)
            taken_s.append(time.perf_counter() - began_s)
    return statistics.median(taken_s), peak_mb() - before_mb


def main() -> None:
    """Print a line for each number of trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", nargs="+", default=["bayes"])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--parameters", type=int, nargs="+", default=[5, 20, 50])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    for sampler in options.samplers:
        print(f"{sampler:12}" + "".join(f"{n:>8} parameters" for n in options.parameters))
        for n_trials in options.trials:
            cells = ""
            for n_parameters in options.parameters:
                with get_context("spawn").Pool(1) as pool:
                    seconds, mb = pool.apply(measured, (sampler, n_trials, n_parameters, options.runs))
                cells += f"{seconds:>9.3f} s{mb:>5.0f} MB"
            print(f"{n_trials:>12,}{cells}", flush=True)


if __name__ == "__main__":
    main()
