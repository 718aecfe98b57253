"""Rules on the curves of the best trials, each with a study that triggers it and its nearest neighbour."""

import math

import numpy as np
import pytest

from tests.support.reports import ACCURACY, make_curve, make_report
from tunecli.results.advice.curves import overfit, undertrained, unstable
from tunecli.results.report import Severity

N = 20


def losses(shape, number, noise=0.002):
    """A curve of 20 epochs with a little noise of its own."""
    t = np.arange(1, N + 1) / N
    return (shape(t) + 0.003 * number + noise * np.random.default_rng(number).standard_normal(N)).tolist()


def study(*shapes, train=lambda t: np.exp(-5 * t), kept=None, objective=None, **changes):
    """A study whose five best trials have these curves; the last shape repeats."""
    shapes = [*shapes, *[shapes[-1]] * (5 - len(shapes))]
    valid = {number: losses(shape, number) for number, shape in enumerate(shapes)}
    falling = train(np.arange(1, N + 1) / N).tolist()
    sign = -1 if objective is ACCURACY else 1
    curves = {
        number: make_curve([sign * value for value in values], falling, values, kept)
        for number, values in valid.items()
    }
    options = {} if objective is None else {"objective": objective}
    return make_report([curve.scores[-1] for curve in curves.values()], curves=curves, **options, **changes)


def converged(t):
    return np.exp(-8 * t)


def still_falling(t):
    return np.exp(-1.5 * t)


def levels_off(t):
    return 0.6 * np.exp(-6 * t) + 0.2 * (1 + np.cos(np.pi * t))


def rising(t):
    return np.exp(-8 * t) + 0.25 * np.maximum(0, t - 0.4)


def jumping(t):
    jumps = 0.1 * np.where(np.arange(len(t)) % 2, 1, -1) * (t > 0.75)
    return np.exp(-8 * t) + jumps


def test_trials_that_still_improve_are_undertrained():
    [finding] = undertrained(study(still_falling))
    assert (finding.rule, finding.severity) == ("undertrained", Severity.CHANCE)
    assert "5 of the 5 best trials improve" in finding.evidence
    assert finding.command == "training: {epochs: 30}"
    assert finding.trials == (0, 1, 2, 3, 4)


def test_an_accuracy_that_still_rises_is_undertrained():
    assert undertrained(study(still_falling, objective=ACCURACY))


@pytest.mark.parametrize("shape", [converged, levels_off])
def test_a_curve_that_levels_off_is_not_undertrained(shape):
    assert not undertrained(study(shape))


def test_two_undertrained_trials_of_five_are_no_finding():
    assert not undertrained(study(still_falling, still_falling, converged))
    assert undertrained(study(still_falling, still_falling, still_falling, converged))


def test_own_code_gets_no_lines_of_a_file():
    assert undertrained(study(still_falling, is_own_code=True))[0].command == ""


def test_a_rising_validation_loss_is_overfit():
    [finding] = overfit(study(rising))
    assert finding.severity is Severity.PROBLEM
    assert finding.command == "training: {early_stop: {patience: 5}}"


def test_overfit_trials_that_keep_their_best_epoch_lose_time_only():
    [finding] = overfit(study(rising, kept=8))
    assert finding.severity is Severity.NOTE
    assert finding.command.startswith("training: {epochs: ")


def test_a_rise_of_both_losses_is_not_overfit():
    assert not overfit(study(rising, train=rising))


def test_a_rise_below_the_noise_is_not_overfit():
    assert not overfit(study(lambda t: np.exp(-8 * t) + 0.01 * np.maximum(0, t - 0.4)))


def test_late_jumps_are_unstable():
    [finding] = unstable(study(jumping))
    assert (finding.rule, finding.severity) == ("unstable", Severity.PROBLEM)
    assert finding.command == "learning_rate: [{cosine: {to: 0.0}}]"


def test_jumps_all_along_are_not_late():
    assert not unstable(study(lambda t: np.exp(-8 * t) + 0.1 * np.where(np.arange(len(t)) % 2, 1, -1)))


def test_one_jumping_trial_of_five_is_no_finding():
    assert not unstable(study(jumping, converged))


def test_late_jumps_far_below_the_differences_of_the_trials_do_not_matter():
    curves = {
        number: make_curve([score + 3.0 * number for score in curve.scores])
        for number, curve in study(jumping).curves.items()
    }
    assert not unstable(make_report([curve.scores[-1] for curve in curves.values()], curves=curves))


@pytest.mark.parametrize("rule", [undertrained, overfit, unstable])
def test_short_missing_and_broken_curves_are_not_judged(rule):
    short = {number: make_curve([1.0, 0.5, 0.4]) for number in range(5)}
    broken = {number: make_curve([math.nan] * N, [0.1] * N, [math.nan] * N) for number in range(5)}
    for curves in ({}, short, broken):
        assert not rule(make_report([0.1, 0.2, 0.3, 0.4, 0.5], curves=curves))
