"""Random search: each parameter uniform in its own scale."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.search.draws import N_ATTEMPTS, uniform_draws
from tunecli.search.samplers.random import random


def space_of(text: str) -> Space:
    return Space(parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))


def test_trials_are_a_uniform_sample_in_the_scale_of_each_parameter() -> None:
    space = space_of("{lr: {loguniform: [1e-6, 1]}, x: {uniform: [2, 4]}, act: {choice: [a, b, c, d]}}")
    points = [random(space, [], number, 11) or {} for number in range(1500)]
    log_lr = np.log([float(point["lr"]) for point in points])
    low = np.log(1e-6)
    assert stats.kstest(log_lr, stats.uniform(low, -low).cdf).pvalue > 0.01
    x = np.array([point["x"] for point in points], dtype=float)
    assert stats.kstest(x, stats.uniform(2, 2).cdf).pvalue > 0.01
    counts = [sum(point["act"] == label for point in points) for label in "abcd"]
    assert stats.chisquare(counts).pvalue > 0.01
    assert abs(stats.spearmanr(log_lr, x).statistic) < 0.1


def test_attempts_numbers_and_seeds_draw_differently() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    drawn = [
        point["x"] for number in range(3) for seed in range(3) for point in uniform_draws(space, number, seed)
    ]
    assert len(set(drawn)) == 9 * N_ATTEMPTS
