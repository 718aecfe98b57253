"""The floor of looks: which option gets one, when, and at which points."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.benchmarks.problems import number as value_of
from tests.support.spaces import space_of
from tunecli.config.domains import value_at
from tunecli.config.space import Space, point_of_units
from tunecli.search.bo.acquisition_optimizer import feasibility_of
from tunecli.search.bo.encoding import encoding_of, snap, units_of_points
from tunecli.search.bo.option_floor import (
    is_improving,
    look_instead,
    owed_look,
    promising_floor,
    unconditional_floor,
)
from tunecli.search.bo.option_looks import OwedLook
from tunecli.search.bo.options import options_of, pinned
from tunecli.search.bo.posterior import trial_data
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, State

TWO = "{o: {choice: [{name: a, u: {uniform: [0, 1]}}, {name: b, v: {uniform: [0, 1]}, w: {uniform: [0, 1]}}]}, s: {uniform: [0, 1]}}"
NESTED = "{o: {choice: [a, {name: b, m: {choice: [c, {name: d, n: {choice: [e, {name: f, v: {int: [1, 9]}}]}}]}}]}, s: {uniform: [0, 1]}}"
CHAIN = "{l: {list: {of: {choice: [a, {name: b, v: {uniform: [0, 1]}}, {name: c}]}, length: {int: [0, 4]}}}, k: {choice: [1, 2, 4, 8]}}"
WEIGHTED = "{o: {choice: [a, b, {name: c, v: {loguniform: [1e-6, 1]}}], weights: [1, 100, 5]}, s: {logint: [1, 100]}}"
SLOT = 7  # the first number of a slot


def trials(space: Space, n: int, is_good: str = "a", seed: int = 0) -> list[Observation]:
    """Return random trials; those with ``is_good`` have lower losses."""
    units = np.random.default_rng(seed).random((n, len(space.parameters)))
    points = [point_of_units(space, row.tolist()) for row in units]
    return [
        Observation(number, point, State.COMPLETE, number / 100 + (is_good not in point.values()))
        for number, point in enumerate(points)
    ]


def with_options(options: str, states: str = "") -> list[Observation]:
    """Return trials of ``TWO``, one for each letter: its option, and its state (f: failed, p: pending)."""
    history = []
    for number, (option, state) in enumerate(zip(options, states or "c" * len(options), strict=True)):
        own = {"o.u": number / 50} if option == "a" else {"o.v": number / 50, "o.w": 0.3}
        point: Parameters = {"o": option, **own, "s": 0.5}
        loss = 0.1 + number / 1000 if option == "a" else 0.9 - number / 1000
        match state:
            case "f":
                history.append(Observation(number, point, State.FAILED))
            case "p":
                history.append(Observation(number, point, State.WAITING))
            case _:
                history.append(Observation(number, point, State.COMPLETE, loss))
    return history


def look_of(space: Space, history: list[Observation], number: int = SLOT) -> OwedLook | None:
    return owed_look(trial_data(space, history), number, 0, feasibility_of(space))


def option_of(space: Space, look: OwedLook | None) -> object:
    """Return the value that all candidates of the look share."""
    assert look is not None
    points = [point_of_units(space, row.tolist()) for row in look.candidates_MD]
    (value,) = {point[space.parameters[look.option.parameter].name] for point in points}
    return value


@pytest.mark.parametrize("text", [TWO, NESTED, CHAIN, WEIGHTED])
def test_pinned_candidates_are_real_points_with_the_option(text: str) -> None:
    space = space_of(text)
    units_MD = np.random.default_rng(1).random((40, len(space.parameters)))
    for option in options_of(trial_data(space, trials(space, 30))):
        domain = space.parameters[option.parameter].domain
        encoding = pinned(encoding_of(space), option.parameter, (option.place,))
        snapped_MD = snap(encoding, units_MD)
        points = [point_of_units(space, row.tolist()) for row in snapped_MD]
        name = space.parameters[option.parameter].name
        assert {point[name] for point in points} == {value_at(domain, option.place)}
        np.testing.assert_allclose(units_of_points(space, points), snapped_MD, atol=1e-12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.sampled_from([TWO, NESTED, CHAIN, WEIGHTED]),
    n=st.integers(3, 40),
    number=st.integers(0, 60),
    seed=st.integers(0, 9),
)
def test_a_look_is_a_function_of_the_record_and_never_for_the_option_of_the_best_trial(
    text: str, n: int, number: int, seed: int
) -> None:
    space = space_of(text)
    history = trials(space, n, seed=seed)
    look, again = (look_of(space, history, number) for _ in range(2))
    assert (look is None) == (again is None)
    assert number % 2 == 1 or look is None
    if look is not None and again is not None:
        assert (look.option.parameter, look.option.place) == (again.option.parameter, again.option.place)
        np.testing.assert_array_equal(look.candidates_MD, again.candidates_MD)
        best = min(history, key=lambda trial: trial.loss or 0.0)
        name = space.parameters[look.option.parameter].name
        assert best.parameters.get(name) != option_of(space, look)
        assert look.option.n_looks < max(
            unconditional_floor(look.option, 1), promising_floor(look.option)
        ) or is_improving(trial_data(space, history), look.option, 0)


def test_an_option_that_only_failed_is_owed_a_look() -> None:
    space = space_of(TWO)
    look = look_of(space, with_options("abb" + "a" * 20, "cff" + "c" * 20))
    assert option_of(space, look) == "b"


def test_pending_and_failed_trials_are_looks() -> None:
    space = space_of(TWO)
    data = trial_data(space, with_options("abbaaaab", "cffccccp"))
    assert [option.n_looks for option in options_of(data)] == [5, 3]


def test_an_option_with_its_share_of_looks_is_owed_none() -> None:
    space = space_of(TWO)
    assert look_of(space, with_options("ab" * 20)) is None
    assert look_of(space, with_options("ab" * 5 + "a" * 30)) is not None


def test_the_slot_goes_to_the_option_with_more_promise_by_its_own_trials() -> None:
    text = "{o: {choice: [" + ", ".join(f"{{name: {o}, u: {{uniform: [0, 1]}}}}" for o in "abc") + "]}}"
    space = space_of(text)
    history = []
    for number, option in enumerate("a" * 21 + "bcbcbcbcbcbc"):
        # `a` was tuned, `b` is flat, and `c` improves towards the part of its range where it was not tried.
        u = (number % 12) / (12 if option == "a" else 24)
        loss = {"a": 0.1 + (u - 0.5) ** 2, "b": 1.0 + u / 100, "c": 1.0 - u}[option]
        history.append(Observation(number, {"o": option, "o.u": u}, State.COMPLETE, loss))
    assert option_of(space, look_of(space, history)) == "c"


def test_a_choice_of_dozens_of_options_owes_nothing_before_each_could_have_had_a_trial() -> None:
    options = ", ".join(f"o{i}" for i in range(36))
    space = space_of(f"{{o: {{choice: [{options}]}}, s: {{uniform: [0, 1]}}}}")
    assert look_of(space, trials(space, 30, "o1")) is None
    assert look_of(space, trials(space, 60, "o1")) is not None


def test_an_ordered_choice_has_no_options() -> None:
    space = space_of("{n: {choice: [1, 2, 4]}, s: {uniform: [0, 1]}}")
    assert not list(options_of(trial_data(space, trials(space, 9))))


def test_an_option_that_the_conditions_exclude_is_owed_nothing() -> None:
    space = space_of(TWO, "o == 'a' or s > 2")
    assert look_of(space, with_options("aaaaaaa")) is None


def test_an_option_whose_points_are_all_tried_is_owed_nothing() -> None:
    space = space_of("{o: {choice: [{name: a, u: {uniform: [0, 1]}}, {name: b, v: {int: [1, 2]}}]}}")
    history = with_options("a" * 20)
    points: list[Parameters] = [{"o": "a", "o.u": trial.parameters["o.u"]} for trial in history]
    points[3:5] = [{"o": "b", "o.v": 1}, {"o": "b", "o.v": 2}]
    tried = [Observation(i, point, State.COMPLETE, 0.1 + i / 1000) for i, point in enumerate(points)]
    assert look_of(space, tried) is None


def test_the_first_looks_keep_the_best_trial_and_spread_the_options_own_parameters() -> None:
    space = space_of(TWO)
    look = look_of(space, with_options("a" * 9), 11)
    assert look is not None
    points = [point_of_units(space, row.tolist()) for row in look.candidates_MD]
    assert points[0] == {"o": "b", "o.v": 0.5, "o.w": 0.5, "s": 0.5}
    assert {point["s"] for point in points} == {0.5}
    assert len({point["o.v"] for point in points}) == len(points) > 8


def test_only_trials_that_the_model_chose_are_looks_at_an_option_with_parameters_of_its_own() -> None:
    data = trial_data(space_of(TWO), with_options("abab" + "aaab"))
    assert [option.n_looks for option in options_of(data, 4)] == [3, 1]
    plain = space_of("{o: {choice: [a, b]}, s: {uniform: [0, 1]}}")
    points: list[Parameters] = [{"o": option, "s": 0.1 * i} for i, option in enumerate("ababa")]
    tried = [Observation(i, point, State.COMPLETE, i / 9) for i, point in enumerate(points)]
    assert [option.n_looks for option in options_of(trial_data(plain, tried), 4)] == [3, 2]


def test_an_option_whose_latest_look_was_a_success_gets_the_next_one_near_it() -> None:
    space = space_of(TWO)
    history = with_options("a" * 12 + "bb" + "a" * 10 + "b")
    assert look_of(space, history, 25) is None
    better = [*history[:-1], replace(history[-1], loss=0.5)]
    look = look_of(space, better, 25)
    assert option_of(space, look) == "b"
    assert look is not None
    assert not look.is_spread
    assert look_of(space, better, 26) is None


def test_a_search_without_progress_has_more_slots_and_asks_no_option_to_promise_more() -> None:
    space = space_of(TWO)
    data = trial_data(space, with_options("a" * 12 + "b" * 9 + "a" * 12))
    assert owed_look(data, 33, 0) is None
    assert option_of(space, owed_look(data, 33, 0, is_stalled=True)) == "b"


def test_bayes_keeps_looking_at_an_option_that_failed_at_first() -> None:
    space, history = space_of(TWO), list[Observation]()
    for number in range(20):
        point = suggest("bayes", space, history, number, 1)
        assert point is not None
        is_failed = point["o"] == "b" and (value_of(point, "o.v") > 0.3 or number < 6)
        loss = None if is_failed else 0.5 + value_of(point, "s") ** 2 - 0.4 * (point["o"] == "b")
        history.append(Observation(number, point, State.FAILED if is_failed else State.COMPLETE, loss))
    counts = Counter(str(trial.parameters["o"]) for trial in history[6:])
    assert counts["b"] >= 3
    assert min(trial.loss for trial in history if trial.loss is not None) < 0.2


def test_a_slot_whose_acquisition_goes_to_a_corner_of_another_option_becomes_a_look_at_it() -> None:
    space = space_of(TWO)
    history = with_options("a" * 12 + "b" * 12)
    data = trial_data(space, history)
    (corner_D,) = units_of_points(space, [{"o": "b", "o.v": 0.0, "o.w": 0.0, "s": 0.0}])
    look = look_instead(data, corner_D, 23, 0)
    assert option_of(space, look) == "b"
    assert option_of(space, look_instead(data, corner_D, 24, 0)) == "b"
    (near_D,) = units_of_points(space, [{"o": "b", "o.v": 0.3, "o.w": 0.35, "s": 0.0}])
    assert look_instead(data, near_D, 24, 0) is None
    assert look_instead(data, units_of_points(space, [history[3].parameters])[0], 23, 0) is None
