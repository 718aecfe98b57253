"""Predictions in the metric's own units, compared with functions with and without noise."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.search.bo.outcome_transforms import warping
from tunecli.search.prediction import _improvement, expected_improvement, predict_trials
from tunecli.search.protocols import suggest
from tunecli.search.samplers.bayes import n_initial
from tunecli.trial import Observation, Parameters, State

PLANE = "{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}"


def bowl(point: Parameters) -> float:
    return (float(str(point["x"])) - 0.3) ** 2 + 0.5 * (float(str(point["y"])) - 0.6) ** 2


def observed(n_trials: int, *, noise: float = 0.0, sampler: str = "quasirandom") -> list[Observation]:
    """A sweep of the bowl, with losses times 1000."""
    generator, history = np.random.default_rng(1), list[Observation]()
    for number in range(n_trials):
        point = suggest(sampler, space_of(PLANE), history, number, 7)
        assert point is not None
        loss = 1000 * (bowl(point) + noise * float(generator.standard_normal()))
        history.append(Observation(number, point, State.COMPLETE, loss))
    return history


def test_predictions_are_less_noisy_than_losses_and_their_deviations_are_calibrated() -> None:
    history = observed(60, noise=0.05)
    predictions = predict_trials(space_of(PLANE), history, 7)
    truth = np.array([1000 * bowl(o.parameters) for o in history])
    losses = np.array([o.loss for o in history])
    predicted = np.array([predictions[o.number].loss for o in history])
    deviations = np.array([predictions[o.number].deviation for o in history])
    assert np.std(predicted - truth) < 0.5 * np.std(losses - truth)
    assert 0.5 < np.mean(np.abs(predicted - truth) < deviations) < 0.95, "about two thirds"
    assert np.mean(np.abs(predicted - truth) < 3 * deviations) > 0.95


def test_the_prediction_equals_the_loss_without_noise() -> None:
    history = observed(30)
    for number, prediction in predict_trials(space_of(PLANE), history, 7).items():
        assert prediction.loss == pytest.approx(history[number].loss, abs=5)
        assert 0 < prediction.deviation < 10


def test_a_lucky_trial_is_not_the_best_by_prediction() -> None:
    history = observed(60, noise=0.05)
    lucky = next(o for o in history if 0.07 < bowl(o.parameters) < 0.12)
    best = min(o.loss for o in history if o.loss is not None) - 10
    history[lucky.number] = Observation(lucky.number, lucky.parameters, State.COMPLETE, best)
    predictions = predict_trials(space_of(PLANE), history, 7)
    assert min(predictions, key=lambda number: predictions[number].loss) != lucky.number
    assert predictions[lucky.number].loss > best + 50


def test_predictions_depend_on_the_record_alone() -> None:
    history = observed(30, noise=0.05)
    shuffled = history.copy()
    random.Random(3).shuffle(shuffled)
    ordered = sorted(shuffled, key=lambda o: o.number)
    assert predict_trials(space_of(PLANE), history, 7) == predict_trials(space_of(PLANE), ordered, 7)


def test_only_complete_trials_are_used_and_predicted() -> None:
    history = observed(20)
    other = [
        Observation(20, {"x": 0.5, "y": 0.5}, State.FAILED),
        Observation(21, {"x": 0.1, "y": 0.5}, State.PRUNED, 1e6),
        Observation(22, {"x": 0.2, "y": 0.5}, State.WAITING),
    ]
    assert set(predict_trials(space_of(PLANE), history + other, 7)) == set(range(20))


def test_an_outlier_gets_no_prediction_and_changes_no_other() -> None:
    history = [*observed(20), Observation(20, {"x": 0.9, "y": 0.9}, State.COMPLETE, 1e12)]
    predictions = predict_trials(space_of(PLANE), history, 7)
    assert set(predictions) == set(range(20))
    assert predictions[3].loss == pytest.approx(history[3].loss, abs=10)


@pytest.mark.parametrize(
    "history",
    [
        [],
        observed(n_initial(space_of(PLANE)) - 1),
        [Observation(i, {"x": i / 9, "y": 0.5}, State.COMPLETE, 1.0) for i in range(9)],
        [Observation(i, {"x": i / 9, "y": 0.5}, State.COMPLETE, math.inf) for i in range(9)],
    ],
    ids=["none", "few", "alike", "infinite"],
)
def test_predictions_need_enough_different_losses(history: list[Observation]) -> None:
    assert predict_trials(space_of(PLANE), history, 7) == {}
    assert expected_improvement(space_of(PLANE), history, len(history), 7) is None


def test_every_trial_of_a_long_record_is_predicted() -> None:
    generator = np.random.default_rng(5)
    points = [{"x": x, "y": y} for x, y in generator.random((5_000, 2)).tolist()]
    history = [Observation(i, point, State.COMPLETE, bowl(point)) for i, point in enumerate(points)]
    predictions = predict_trials(space_of(PLANE), history, 7)
    best = [o for o in history if bowl(o.parameters) < 0.3]
    assert len(best) > 3_500
    errors = [abs(predictions[o.number].loss - bowl(o.parameters)) for o in best]
    assert np.median(errors) < 0.005


def test_the_expected_improvement_equals_a_monte_carlo_mean() -> None:
    """Against a mean over draws, since no closed form includes the inverse of the warp."""
    losses = np.random.default_rng(0).gumbel(2, 1, 50)
    warp = warping(losses)
    means, deviations, incumbents = (
        np.array([[-1.0, 0.4], [-0.5, 0.0]]),
        np.array([[0.7, 0.3], [0.5, 1.0]]),
        np.array([-1.2, -0.9]),
    )
    draws = np.random.default_rng(1).standard_normal((200_000, 1, 1)) * deviations + means
    gains = np.maximum(warp.losses(incumbents)[:, None] - warp.losses(draws), 0.0)
    np.testing.assert_allclose(
        _improvement(warp, means, deviations, incumbents), gains.mean(axis=(0, 1)), rtol=0.03
    )


def test_the_expected_improvement_falls_during_a_sweep() -> None:
    history = observed(30, sampler="bayes")
    early, late = (
        expected_improvement(space_of(PLANE), history[:n], n, 7) for n in (n_initial(space_of(PLANE)), 30)
    )
    assert early is not None and late is not None
    assert early > 1 > 10 * late >= 0, "in thousandths of the bowl"


def test_fantasies_of_pending_trials_do_not_count_for_the_incumbent() -> None:
    history = observed(8)
    pending = []
    for number in range(8, 15):
        point = suggest("bayes", space_of(PLANE), [*history, *pending], number, 7)
        assert point is not None
        pending.append(Observation(number, point, State.WAITING))
    before = expected_improvement(space_of(PLANE), history, 15, 7)
    after = expected_improvement(space_of(PLANE), [*history, *pending], 15, 7)
    assert before is not None
    assert after is not None
    assert after > before / 10


def test_the_expected_improvement_is_in_the_unit_of_the_losses() -> None:
    history = observed(8)
    tenfold = [
        Observation(o.number, o.parameters, o.state, 10 * o.loss - 4) for o in history if o.loss is not None
    ]
    plain, scaled = (expected_improvement(space_of(PLANE), trials, 8, 7) for trials in (history, tenfold))
    assert plain is not None
    assert scaled == pytest.approx(10 * plain, rel=1e-3)


def test_an_exhausted_space_promises_no_improvement() -> None:
    space = space_of("{x: {choice: [1, 2, 3, 4, 5]}}")
    history = [Observation(i, {"x": i + 1}, State.COMPLETE, float(i % 3)) for i in range(5)]
    assert expected_improvement(space, history, 5, 7) == 0


def test_at_most_n_trials_are_predicted_and_they_are_the_best_feasible_ones() -> None:
    history = observed(30)
    history[4] = replace(history[4], loss=-1.0, violations=(0.5,))
    history = [replace(o, violations=o.violations or (-1.0,)) for o in history]
    whole = predict_trials(space_of(PLANE), history, 7)
    best = predict_trials(space_of(PLANE), history, 7, n_most=5)
    by_loss = sorted((o for o in history if o.number != 4), key=lambda o: o.loss or 0.0)
    assert list(best) == sorted(o.number for o in by_loss[:5])
    for number, prediction in best.items():
        assert prediction.loss == pytest.approx(whole[number].loss)
    assert predict_trials(space_of(PLANE), history, 7, n_most=30) == whole
