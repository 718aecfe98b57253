"""The full-fidelity trials of `curves`: their numbers, their training data, and their benefit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.curves import FRACTIONS, PLANE, begun, next_action, take, trained, xy
from tests.support.spaces import space_of
from tunecli.config.space import Space
from tunecli.registry.pruners import Curves
from tunecli.search.fidelity import Action, Curve
from tunecli.search.pruners.freeze_thaw import freeze_thaw
from tunecli.search.pruners.full_fidelity import final_observations, full_fidelity_trials
from tunecli.search.samplers.random import quasirandom
from tunecli.trial import Parameters, State

CUBE = space_of("\n".join(f"{name}: {{uniform: [-1.0, 1.0]}}" for name in "xyz"))
FIRST = full_fidelity_trials(PLANE, 100)[0]
END = len(FRACTIONS) - 1


@pytest.mark.parametrize("n_parameters", range(12))
def test_full_fidelity_trials_are_every_third_after_four_per_parameter_plus_four(n_parameters: int) -> None:
    space = space_of("\n".join(f"p{i}: {{uniform: [0.0, 1.0]}}" for i in range(n_parameters)) or "p: 1")
    numbers = list(full_fidelity_trials(space, 100))
    assert numbers[0] == 4 * (n_parameters + 1)
    assert {after - before for before, after in itertools.pairwise(numbers)} == {3}
    for n_trials in (0, 5, 40, 100):
        assert list(full_fidelity_trials(space, n_trials)) == [
            number for number in numbers if number < n_trials
        ]


def test_full_fidelity_trials_are_trained_to_their_end_and_others_to_the_first_rung() -> None:
    curves, rungs = begun(4), {}
    while len(curves) < FIRST + 9:
        action = next_action(curves)
        assert action is not None
        if action.number is None:
            rungs[len(curves)] = action.rung
        curves = take(curves, action)
    full_fidelity = set(full_fidelity_trials(PLANE, FIRST + 9))
    assert {number for number, rung in rungs.items() if rung == END} == full_fidelity
    assert {rung for number, rung in rungs.items() if number not in full_fidelity} == {0}


def test_full_fidelity_trials_are_a_function_of_the_curves_and_do_not_wait() -> None:
    curves = begun(FIRST)
    first = next_action(curves)
    assert first is not None
    assert first.parameters is not None
    assert first == next_action(begun(FIRST)) == Action(None, END, first.parameters)
    waiting = [*curves, Curve(FIRST, first.parameters, State.WAITING, END)]
    after = next_action(waiting)
    assert after is not None
    assert after.rung < END
    action = next_action([*waiting, *begun(FIRST + 3)[FIRST + 1 :]])
    assert action is not None
    assert action.rung == END
    assert action.parameters != first.parameters


def test_a_paused_trial_is_continued_if_no_trial_may_begin() -> None:
    action = next_action(begun(FIRST), may_begin=False)
    assert action is not None
    assert action.number is not None
    assert action.rung == 1


def test_a_paused_trial_at_the_suggested_point_is_trained_to_its_end() -> None:
    text = "\n".join(f"{name}: {{uniform: [-1.0, 1.0], step: 0.5}}" for name in "xyz")
    assert_continues(space_of(text))


def test_a_paused_trial_next_to_the_suggested_point_is_trained_to_its_end() -> None:
    curves = begun(FIRST)
    for _ in range(4):  # the loss of the paused trial moves the suggestion a little
        action = next_action(curves)
        assert action is not None
        if action.parameters is not None:
            beside = {**action.parameters, "x": xy(action.parameters)[0] * (1 - 1e-9)}
            curves[10] = trained(10, beside, 0)
    assert action == Action(10, END)


def assert_continues(space: Space) -> None:
    """Sweep ``space``: some actions train a paused trial to its end, and no point is begun twice."""
    curves = swept(space, 12.0, seed=1, asked=(steps := []).append)
    points = [tuple(curve.parameters.items()) for curve in curves]
    assert len(set(points)) == len(points)
    skips = [
        action
        for number, action in steps
        if action.number is not None
        and action.rung == END
        and number in full_fidelity_trials(space, number + 1)
    ]
    assert skips


def test_final_observations_are_complete_failed_running_and_predicted_trials() -> None:
    point: Parameters = {"x": 0.0}
    curves = [
        Curve(0, point, State.PAUSED, 0, {0: 5.0}, violations={0: (0.5,)}),
        Curve(1, point, State.COMPLETE, 2, {0: 5.0, 1: 4.0}, 3.0, violations={0: (2.0,), 2: (1.0,)}),
        Curve(2, point, State.PAUSED, 1, {0: 5.0, 1: 4.5}),
        Curve(3, point, State.FAILED, 1, {0: 5.0}),
        Curve(4, point, State.WAITING, 0),
        Curve(5, point, State.WAITING, 1, {0: 5.0}, violations={0: (0.5,)}),
    ]
    observations = final_observations(curves, 3, {0: 3.5})
    assert [(each.number, each.state, each.loss, each.violations) for each in observations] == [
        (0, State.PAUSED, 3.5, ()),
        (1, State.COMPLETE, 3.0, (1.0,)),
        (3, State.FAILED, None, ()),
        (4, State.WAITING, None, ()),
        (5, State.PAUSED, None, ()),
    ]


def test_violations_before_the_end_have_no_influence() -> None:
    """Every trial violates the constraint at all rungs but the last, where every trial satisfies it."""

    def violating(curve: Curve) -> Curve:
        return replace(
            curve, violations={rung: (0.5 if rung < END else -0.1,) for rung in range(curve.rung + 1)}
        )

    curves = [violating(curve) for curve in (*begun(4), *begun(FIRST, rung=END)[4:])]
    action, free = next_action(curves), next_action([*begun(4), *begun(FIRST, rung=END)[4:]])
    assert action is not None
    assert free is not None
    assert action.parameters is not None
    assert free.parameters is not None
    assert math.dist(xy(action.parameters), xy(free.parameters)) < 0.02


@pytest.mark.parametrize(
    "changed",
    [
        lambda curve: replace(curve, losses={0: math.inf}) if curve.number < 4 else curve,
        lambda curve: replace(curve, losses={0: 1e300}) if curve.number < 4 else curve,
        lambda curve: trained(curve.number, curve.parameters, END) if curve.number < 4 else curve,
        lambda curve: Curve(curve.number, curve.parameters, State.FAILED, 0) if curve.number < 4 else curve,
    ],
    ids=["infinite", "huge", "complete", "failed"],
)
def test_initial_trials_of_any_state_are_accepted(changed: Callable[[Curve], Curve]) -> None:
    action = next_action([changed(curve) for curve in begun(FIRST)])
    assert action is not None


def test_a_trial_pauses_as_usual_if_no_final_loss_is_known() -> None:
    curves = [
        Curve(curve.number, curve.parameters, State.FAILED, 0) if curve.number < 4 else curve
        for curve in begun(FIRST)
    ]
    action = next_action(curves)
    assert action is not None
    assert action.rung < END


@pytest.mark.slow
def test_a_slow_learner_that_ends_best_is_found() -> None:
    bests = []
    for seed in (1, 2, 7):
        curves = swept(CUBE, 25.0, seed)
        bests.append(min(curve.loss for curve in curves if curve.loss is not None))
    assert sum(best < 0.24 for best in bests) >= 2, "early losses lead to the basin that ends at 0.25"


def swept(
    space: Space,
    n_trainings: float,
    seed: int,
    asked: Callable[[tuple[int, Action]], None] = lambda step: None,
) -> list[Curve]:
    """The trials of `curves` on :func:`deceptive_loss` after so many full trainings."""
    curves = [trained(n, quasirandom(space, [], n, seed) or {}, 0, deceptive_loss) for n in range(4)]
    spent = len(curves) * FRACTIONS[0]
    while spent < n_trainings:
        action = freeze_thaw(Curves(), curves, FRACTIONS, space, seed, may_begin=True)
        assert action is not None
        asked((len(curves), action))
        number = len(curves) if action.number is None else action.number
        if action.number is None:
            assert action.parameters is not None
            point = action.parameters
        else:
            point = curves[number].parameters
            spent -= FRACTIONS[curves[number].rung]
        spent += FRACTIONS[action.rung]
        curves[number : number + 1] = [trained(number, point, action.rung, deceptive_loss)]
    return curves


def deceptive_loss(point: Parameters, rung: int) -> float:
    """A basin that learns quickly to 0.25, and a flatter one that learns slowly to 0."""
    x, y, z = (float(str(point[name])) for name in "xyz")
    quick = 0.25 + (x + 0.5) ** 2 + (y + 0.3) ** 2 + 0.5 * z**2
    slow = 0.6 * ((x - 0.6) ** 2 + (y - 0.5) ** 2 + (z - 0.4) ** 2)
    to_learn = 0.2 + 1.5 * max(0.0, x) + max(0.0, y)
    return min(quick, slow) + (1.0 - FRACTIONS[rung]) * to_learn
