"""The effects of parameters: shares of the variance, their gate, and profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.support.spaces import space_of
from tests.support.worlds import World, conditional, corner, dead, true_shares
from tunecli.effects import Effects, Reliability
from tunecli.search.importance import MAX_PARAMETERS, effects_of
from tunecli.search.prediction import expected_improvement, predict_trials
from tunecli.trial import Observation, Parameters, State

LINE = "{a: {uniform: [0, 1]}, b: {uniform: [0, 1]}, c: {uniform: [0, 1]}}"


def linear(point: Parameters) -> float:
    return 3 * float(str(point["a"])) + 4 * float(str(point["b"]))


def ishigami(point: Parameters) -> float:
    """Ishigami, Homma (1990), with a = 7 and b = 0.1, on a part of its domain that one period of the sine fits."""
    x, y, z = (math.pi * (2 * float(str(point[name])) - 1) for name in "abc")
    return math.sin(x) + 7 * math.sin(y) ** 2 + 0.1 * z**4 * math.sin(x)


WORLD_OF = {
    "linear": World("linear", LINE, linear, {"a": 0.0, "b": 0.0, "c": 0.5}),
    "ishigami": World("ishigami", LINE, ishigami, {"a": 0.25, "b": 0.5, "c": 0.0}),
}


def numbers_in(effects: Effects) -> list[float]:
    """Every number of the effects."""
    numbers = [effects.r2, effects.noise, effects.expected_improvement]
    for effect in effects.parameters:
        for share in (effect.share, effect.share_of_better):
            numbers += [share.mean, share.low, share.high]
        numbers.append(effect.forest_share)
        for point in effect.profile:
            numbers += [point.position, point.score, point.deviation]
    for prediction in effects.predicted.values():
        numbers += prediction
    return [number for number in numbers if number is not None]


def with_losses(history: Sequence[Observation], losses: Sequence[float]) -> list[Observation]:
    return [replace(trial, loss=loss) for trial, loss in zip(history, losses, strict=True)]


def test_the_shares_of_a_linear_function_are_those_of_its_squared_slopes() -> None:
    world = WORLD_OF["linear"]
    effects = effects_of(world.space, world.sweep("quasirandom", 40, 0), 0)
    assert effects.reliability is Reliability.RELIABLE
    shares = [effect.share.mean for effect in effects.parameters]
    assert shares == pytest.approx([9 / 25, 16 / 25, 0.0], abs=0.01)


def test_the_shares_of_the_ishigami_function_include_its_interaction() -> None:
    world = WORLD_OF["ishigami"]
    effects = effects_of(world.space, world.sweep("quasirandom", 180, 0), 0)
    variance = 0.1 * math.pi**4 / 5 + 0.1**2 * math.pi**8 / 18 + 0.5 + 49 / 8
    interaction = 8 * 0.1**2 * math.pi**8 / 225
    total = [0.5 * (1 + 0.1 * math.pi**4 / 5) ** 2 + interaction, 49 / 8, interaction]
    shares = [effect.share.mean for effect in effects.parameters]
    assert shares == pytest.approx([value / variance for value in total], abs=0.06)


def test_shares_of_a_conditional_space_are_near_the_true_ones() -> None:
    world = conditional(11)
    effects = effects_of(world.space, world.sweep("quasirandom", 60, 11), 11)
    shares = [effect.share.mean for effect in effects.parameters]
    assert shares == pytest.approx(list(true_shares(world).values()), abs=0.08)
    assert [effect.name for effect in effects.parameters][1:4] == [
        "optimizer.lr (sgd)",
        "optimizer.momentum",
        "optimizer.lr (adamw)",
    ]


def test_a_parameter_that_few_trials_have_is_unknown() -> None:
    world = conditional(1)
    history = world.sweep("quasirandom", 60, 1)
    of_sgd = [trial for trial in history if trial.parameters["optimizer"] == "sgd"][:5]
    history = [trial for trial in history if trial.parameters["optimizer"] == "adamw" or trial in of_sgd]
    effects = effects_of(world.space, history, 1)
    momentum, dropout = effects.of("optimizer.momentum"), effects.of("dropout")
    assert momentum is not None and dropout is not None
    assert (momentum.n_active, momentum.is_known) == (5, False)
    assert (dropout.n_active, dropout.is_known) == (len(history), True)


def test_too_few_trials_and_noise_alone_are_unknown_with_what_is_missing() -> None:
    world = dead(2)
    history = world.sweep("quasirandom", 40, 2)
    few = effects_of(world.space, history[:15], 2)
    assert (few.reliability, few.n_missing, few.reason) == (Reliability.UNKNOWN, 5, "")
    noise = np.random.default_rng(0).standard_normal(40).tolist()
    of_noise = effects_of(world.space, with_losses(history, noise), 2)
    assert of_noise.reliability is Reliability.UNKNOWN
    assert of_noise.r2 is not None and of_noise.r2 < 0.5
    assert of_noise.n_missing > 0


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([], "no trial has a score"),
        ([Observation(0, {"a": 0.5, "b": 0.5, "c": 0.5}, State.COMPLETE, 1.0)], "only 1 trial has a score"),
        (
            [Observation(n, {"a": n / 30, "b": 0.5, "c": 0.5}, State.COMPLETE, 0.31) for n in range(30)],
            "all scores are equal",
        ),
        ([Observation(n, {"a": n / 30, "b": 0.5, "c": 0.5}, State.FAILED) for n in range(30)], "no trial has a score"),
    ],
    ids=["no trial", "one trial", "equal scores", "failures"],
)  # fmt: skip
def test_without_a_model_the_reason_is_given(history: list[Observation], reason: str) -> None:
    effects = effects_of(space_of(LINE), history, 0)
    assert (effects.reliability, effects.r2, effects.noise) == (Reliability.UNKNOWN, None, None)
    assert (effects.reason, effects.parameters) == (reason, ())


def test_a_space_without_ranges_and_one_with_too_many_have_no_model() -> None:
    assert effects_of(space_of("{a: 1}"), [], 0).reason == "no parameter varies"
    many = space_of("\n".join(f"p{i}: {{uniform: [0, 1]}}" for i in range(MAX_PARAMETERS + 1)))
    assert effects_of(many, [], 0).reason == "the model takes up to 64 parameters, and 65 vary"


@pytest.mark.parametrize("scale", [1e300, 1e-12, -1.0])
def test_every_number_is_finite_whatever_the_scale_of_the_scores(scale: float) -> None:
    world = corner(3)
    history = world.sweep("quasirandom", 30, 3)
    losses = [scale * (trial.loss or 0.0) for trial in history]
    effects = effects_of(world.space, with_losses(history, losses), 3, with_improvement=True)
    assert all(map(math.isfinite, numbers_in(effects)))
    history[5] = replace(history[5], loss=math.inf)
    history[6] = replace(history[6], loss=math.nan)
    history[7] = replace(history[7], loss=1e300)
    assert all(map(math.isfinite, numbers_in(effects_of(world.space, history, 3))))


def test_the_effects_depend_on_the_record_alone() -> None:
    world = corner(4)
    history = world.sweep("quasirandom", 25, 4)
    assert effects_of(world.space, history, 4) == effects_of(world.space, list(history), 4)
    pending = Observation(25, history[0].parameters, State.WAITING)
    assert effects_of(world.space, [*history, pending], 4) == effects_of(world.space, history, 4)


def test_a_maximised_score_has_the_same_shares_and_the_negative_profile() -> None:
    world = dead(5)
    history = world.sweep("quasirandom", 30, 5)
    lower, higher = effects_of(world.space, history, 5), effects_of(world.space, history, 5, sign=-1.0)
    assert [effect.share for effect in lower.parameters] == [effect.share for effect in higher.parameters]
    for one, other in zip(lower.parameters, higher.parameters, strict=True):
        assert [point.score for point in one.profile] == [-point.score for point in other.profile]
    assert higher.predicted == {
        number: (-each.loss, each.deviation)
        for number, each in predict_trials(world.space, history, 5).items()
    }
    with_gain = effects_of(world.space, history, 5, with_improvement=True)
    assert with_gain.expected_improvement == expected_improvement(world.space, history, 30, 5)


def test_the_first_of_several_goals_counts() -> None:
    world = dead(6)
    history = world.sweep("quasirandom", 25, 6)
    several = [replace(trial, losses=(trial.loss or 0.0, float(trial.number))) for trial in history]
    assert effects_of(world.space, several, 6) == effects_of(world.space, history, 6)


def test_the_noise_is_that_of_one_score_and_at_least_the_floor() -> None:
    world = WORLD_OF["linear"]
    noisy = replace(world, noise=0.3)
    effects = effects_of(noisy.space, noisy.sweep("quasirandom", 80, 0), 0)
    assert effects.noise == pytest.approx(0.3, rel=0.35)
    raised = effects_of(noisy.space, noisy.sweep("quasirandom", 80, 0), 0, noise_floor=2.0)
    assert raised.noise == 2.0


def test_a_profile_is_the_best_score_at_each_value_and_votes_see_an_edge() -> None:
    world = WORLD_OF["linear"]
    effects = effects_of(world.space, world.sweep("quasirandom", 40, 0), 0)
    for effect, slope in zip(effects.parameters, (3, 4, 0), strict=True):
        positions = [point.position for point in effect.profile]
        assert positions == pytest.approx(np.linspace(0, 1, 21).tolist())
        # All other parameters are at their best, 0.
        assert [point.score for point in effect.profile] == pytest.approx(
            [slope * position for position in positions], abs=0.15
        )
        assert effect.votes is not None
        assert effect.votes.n_kernels == 8
        assert effect.votes.low == (8 if slope else 0)
        assert effect.votes.high == 0
