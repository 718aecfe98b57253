"""Successive halving: the papers' tables, cases computed by hand, and properties of every study."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spaces import space_of
from tunecli.registry.pruners import Asha, Curves, Halving, Hyperband, Pausing
from tunecli.search.fidelity import Action, Curve, comparable, pause_epochs, rung_fractions
from tunecli.search.protocols import discarded_trials, full_trainings, next_action
from tunecli.search.pruners.full_fidelity import full_fidelity_trials
from tunecli.search.pruners.successive_halving import Bracket, hyperband_brackets
from tunecli.trial import State

EMPTY = space_of("x: 1")


def action_of(knob: Pausing, curves: list[Curve], n_rungs: int, *, may_begin: bool) -> Action | None:
    fractions = [knob.factor ** (rung + 1.0 - n_rungs) for rung in range(n_rungs)]
    return next_action(knob, curves, fractions, EMPTY, 0, may_begin=may_begin)


@dataclass
class Play:
    """A study with given losses at each rung, played step by step.

    ``losses``: by trial and rung; NaN if the trial fails before it.
    """

    knob: Pausing
    losses: list[list[float]]
    n_rungs: int
    curves: list[Curve] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def action(self) -> Action | None:
        may_begin = len(self.curves) < len(self.losses)
        return action_of(self.knob, self.curves, self.n_rungs, may_begin=may_begin)

    def to_the_end(self) -> list[tuple[int, int]]:
        while (action := self.action()) is not None:
            self.take(action)
        return self.steps

    def take(self, action: Action) -> None:
        number = len(self.curves) if action.number is None else action.number
        self.steps.append((number, action.rung))
        before = {} if action.number is None else self.curves[number].losses
        loss, last = self.losses[number][action.rung], self.n_rungs - 1
        if math.isnan(loss):
            curve = Curve(number, {}, State.FAILED, action.rung, before)
        elif action.rung == last:
            curve = Curve(number, {}, State.COMPLETE, last, before, loss)
        else:
            curve = Curve(number, {}, State.PAUSED, action.rung, {**before, action.rung: loss})
        self.curves[number : number + 1] = [curve]

    def reached(self, rung: int) -> list[int]:
        return [number for number, at in self.steps if at == rung]


def flat(losses: list[float], n_rungs: int) -> list[list[float]]:
    return [[loss] * n_rungs for loss in losses]


def test_rung_fractions_are_powers_of_the_factor() -> None:
    assert rung_fractions(81, 1, 3) == pytest.approx((1 / 81, 1 / 27, 1 / 9, 1 / 3, 1))
    assert rung_fractions(80, 1, 3) == pytest.approx((1 / 27, 1 / 9, 1 / 3, 1))
    assert rung_fractions(100, 25, 2) == (0.25, 0.5, 1.0)
    assert rung_fractions(5, 9, 3) == (1.0,), "a first rung above the last leaves only the last"


@pytest.mark.parametrize(
    ("full", "factor", "first"), [(52, 3, 9), (52, 2, 8), (52, 4, 16), (50, 10, 10), (4, 3, 3), (2, 3, 1)]
)
def test_auto_puts_the_first_rung_near_a_tenth_and_never_below_an_epoch(
    full: int, factor: int, first: int
) -> None:
    assert rung_fractions(full, "auto", factor)[0] == pytest.approx(1 / first)


def test_pause_epochs_of_the_rungs() -> None:
    assert pause_epochs(52, rung_fractions(52, "auto", 3)) == (6, 17, None)
    assert pause_epochs(81, rung_fractions(81, 1, 3)) == (1, 3, 9, 27, None)
    assert pause_epochs(3, (1 / 9, 1 / 3, 1.0)) == (1, 2, None), "two rungs never have the same epoch"
    assert pause_epochs(2, (1 / 9, 1 / 3, 1.0)) == (1, None, None)
    assert pause_epochs(1, (1 / 9, 1 / 3, 1.0)) == (None, None, None)


def test_hyperband_brackets_equal_the_papers() -> None:
    """Li et al. 2018, table 1: R = 81, η = 3."""
    assert hyperband_brackets(5, 3) == [
        Bracket(81, 0),
        Bracket(34, 1),
        Bracket(15, 2),
        Bracket(8, 3),
        Bracket(5, 4),
    ]


def test_a_round_of_hyperband_promotes_as_many_trials_as_the_paper() -> None:
    """Li et al. 2018, table 1: the numbers n_i of each bracket."""
    n_trials = 81 + 34 + 15 + 8 + 5
    play = Play(Hyperband(), flat([float(-n) for n in range(n_trials)], 5), 5)
    play.to_the_end()
    starts = [0, 81, 115, 130, 138, 143]
    table = [
        [
            sum(starts[bracket] <= number < starts[bracket + 1] for number in play.reached(rung))
            for rung in range(5)
        ]
        for bracket in range(5)
    ]
    assert table == [[81, 27, 9, 3, 1], [0, 34, 11, 3, 1], [0, 0, 15, 5, 1], [0, 0, 0, 8, 2], [0, 0, 0, 0, 5]]


def test_a_bracket_of_halving_equals_one_computed_by_hand() -> None:
    losses = flat([5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0], 3)
    losses[3][1] = 10.0  # the best at the first rung, and the worst of the three at the second
    play = Play(Halving(), losses, 3)
    begun = [(number, 0) for number in range(9)]
    assert play.to_the_end() == [*begun, (3, 1), (5, 1), (1, 1), (5, 2)]


def test_no_trial_is_promoted_before_the_bracket_is_full_and_known() -> None:
    play = Play(Halving(), flat([float(n) for n in range(18)], 3), 3)
    for _ in range(9):
        play.take(Action(None, 0))
    hidden = Curve(8, {}, State.WAITING, 0)
    play.curves[8] = hidden
    assert play.action() == Action(None, 0), "the next bracket begins meanwhile"
    play.curves[8] = Curve(8, {}, State.PAUSED, 0, {0: 8.0})
    assert play.action() == Action(0, 1)


def test_an_incomplete_last_bracket_is_halved_with_its_trials() -> None:
    assert Play(Halving(), flat([2.0, 1.0, 3.0, 4.0], 3), 3).to_the_end()[4:] == [(1, 1), (1, 2)]


def test_the_lower_number_wins_a_tie_and_failed_trials_are_never_promoted() -> None:
    losses = flat([1.0] * 9, 3)
    losses[0] = [math.nan] * 3
    assert Play(Halving(), losses, 3).to_the_end()[9:] == [(1, 1), (2, 1), (3, 1), (1, 2)]
    assert Play(Halving(), flat([math.nan] * 9, 3), 3).to_the_end()[9:] == []


def test_a_trial_that_is_complete_before_a_rung_competes_without_an_action() -> None:
    curves = [Curve(n, {}, State.PAUSED, 0, {0: float(n)}) for n in range(9)]
    curves[1] = Curve(1, {}, State.COMPLETE, 0, {}, 1.0)
    assert action_of(Halving(), curves, 3, may_begin=False) == Action(0, 1)
    curves[0] = Curve(0, {}, State.PAUSED, 1, {0: 0.0, 1: 0.5})
    assert action_of(Halving(), curves, 3, may_begin=False) == Action(2, 1)
    curves[2] = Curve(2, {}, State.PAUSED, 1, {0: 2.0, 1: 2.0})
    assert action_of(Halving(), curves, 3, may_begin=False) == Action(0, 2)


def test_asha_equals_a_case_computed_by_hand() -> None:
    """Li et al. 2020, algorithm 2, with η = 3: the best third of the known results, the highest rung first."""
    losses = flat([5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0], 3)
    assert Play(Asha(), losses, 3).to_the_end() == [
        *((0, 0), (1, 0), (2, 0), (1, 1)),  # the best one of three
        *((3, 0), (3, 1)),  # now the best of four, and one promotion is allowed
        *((4, 0), (5, 0), (5, 1), (3, 2)),  # two of six: 3 and 5; the best of three at the second rung
        *((6, 0), (7, 0), (8, 0)),  # three of nine: 3, 5 and 1, which were promoted before
    ]


def test_the_best_trial_of_the_highest_rung_is_completed_if_no_trial_is_complete() -> None:
    losses = [[5.0, 5.0, 5.0], [3.0, 3.0, 3.0], [4.0, 4.0, 4.0], [6.0, 6.0, 6.0]]
    play = Play(Asha(), losses, 3)
    assert play.to_the_end()[-3:] == [(1, 1), (3, 0), (1, 2)]
    assert play.curves[1].state is State.COMPLETE
    failing = [[1.0, math.nan, 0.0], [2.0, 2.0, math.nan], [3.0, 3.0, 3.0], *[[4.0] * 3] * 6]
    play = Play(Halving(), failing, 3)
    play.to_the_end()
    assert [curve.number for curve in play.curves if curve.state is State.COMPLETE] == [2]


def test_no_trial_is_discarded_before_one_is_complete() -> None:
    losses = flat([float(n) for n in range(9)], 3)
    play = Play(Halving(), losses, 3)
    while not any(curve.state is State.COMPLETE for curve in play.curves):
        assert not discarded_trials(play.knob, play.curves, 3)
        action = play.action()
        assert action is not None
        play.take(action)
    assert discarded_trials(play.knob, play.curves, 3) == set(range(1, 9))


def test_asha_does_not_wait_for_results() -> None:
    curves = [Curve(n, {}, State.WAITING, 0) for n in range(5)]
    assert action_of(Asha(), curves, 3, may_begin=True) == Action(None, 0)
    assert action_of(Asha(), curves, 3, may_begin=False) is None


def test_a_discarded_trial_is_never_continued() -> None:
    losses = flat([5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0] * 3, 3)
    for knob in (Halving(), Hyperband()):
        play = Play(knob, losses, 3)
        discarded: dict[int, int] = {}
        while (action := play.action()) is not None:
            play.take(action)
            for number in discarded_trials(knob, play.curves, 3):
                discarded.setdefault(number, len(play.steps))
        assert len(discarded) >= 12
        assert all(number not in dict(play.steps[at:]) for number, at in discarded.items())
        paused = {curve.number for curve in play.curves[:9] if curve.is_paused}
        assert paused == {number for number in discarded if number < 9}
    assert discarded_trials(Asha(), play.curves, 3) == set()


KNOBS = st.sampled_from([Halving(), Halving(factor=2, bracket=5), Hyperband(), Hyperband(factor=2), Asha()])
NUMBERS = st.floats(-10, 10) | st.just(math.nan)


@st.composite
def plays(draw: st.DrawFn) -> Play:
    n_rungs = draw(st.integers(1, 4))
    one = st.lists(NUMBERS, min_size=n_rungs, max_size=n_rungs)
    return Play(draw(KNOBS), draw(st.lists(one, max_size=30)), n_rungs)


@given(plays())
def test_every_study_ends_after_promotions_in_order(play: Play) -> None:
    """Trials are begun in turn, go from rung to rung, and are not continued after a failure."""
    steps = play.to_the_end()
    firsts = list(dict.fromkeys(number for number, _ in steps))
    assert firsts == list(range(len(play.losses)))
    for number in firsts:
        rungs = [rung for each, rung in steps if each == number]
        assert rungs == list(range(rungs[0], rungs[0] + len(rungs)))
        assert not any(math.isnan(play.losses[number][rung]) for rung in rungs[:-1])


@given(plays(), st.data())
def test_an_action_depends_on_known_results_only(play: Play, data: st.DataObject) -> None:
    play.to_the_end()
    if not play.steps:
        return
    n = data.draw(st.integers(0, len(play.steps) - 1))
    again = Play(play.knob, play.losses, play.n_rungs)
    for number, rung in play.steps[:n]:
        again.take(Action(number if number < len(again.curves) else None, rung))
    expected = again.action()
    assert expected is not None
    number = len(again.curves) if expected.number is None else expected.number
    assert (number, expected.rung) == play.steps[n]


@given(st.lists(st.floats(-10, 10), min_size=9, max_size=9, unique=True), st.permutations(range(9)))
def test_the_order_of_the_trials_in_a_bracket_does_not_matter(losses: list[float], order: list[int]) -> None:
    kept = {losses[n] for n, rung in Play(Halving(), flat(losses, 3), 3).to_the_end() if rung == 2}
    shuffled = [losses[index] for index in order]
    assert kept == {
        shuffled[n] for n, rung in Play(Halving(), flat(shuffled, 3), 3).to_the_end() if rung == 2
    }
    assert kept == {min(losses)}


def test_a_sampler_sees_the_losses_of_one_rung() -> None:
    curves = [
        Curve(0, {}, State.COMPLETE, 2, {0: 9.0, 1: 5.0}, 1.0),
        Curve(1, {}, State.PAUSED, 1, {0: 8.0, 1: 6.0}),
        Curve(2, {}, State.PAUSED, 0, {0: 7.0}),
        Curve(3, {}, State.FAILED, 0),
        Curve(4, {}, State.WAITING, 0),
    ]
    losses = [[each.loss for each in comparable(curves, 3, min_known)] for min_known in (1, 2, 3, 9)]
    assert losses == [
        [1.0, None, None, None, None],
        [5.0, 6.0, None, None, None],
        [9.0, 8.0, 7.0, None, None],
        [9.0, 8.0, 7.0, None, None],
    ]
    assert [each.state for each in comparable(curves, 3, 2)] == [
        State.COMPLETE,
        State.PAUSED,
        State.PAUSED,  # it has not failed so far
        State.FAILED,
        State.WAITING,
    ]


@pytest.mark.parametrize("n_trials", [1, 2, 5, 9, 13, 40])
@pytest.mark.parametrize(
    "knob", [Halving(), Halving(factor=2, bracket=5), Hyperband(), Hyperband(factor=2)], ids=str
)
def test_full_trainings_equals_the_cost_of_a_simulated_study(knob, n_trials):
    n_rungs = 3
    fractions = [knob.factor ** (rung + 1.0 - n_rungs) for rung in range(n_rungs)]
    play = Play(knob, [[float(number)] * n_rungs for number in range(n_trials)], n_rungs)
    reached: dict[int, float] = {}
    total = 0.0
    for number, rung in play.to_the_end():
        total += fractions[rung] - reached.get(number, 0.0)
        reached[number] = fractions[rung]
    least, most = full_trainings(knob, fractions, EMPTY, n_trials)
    assert least == most == pytest.approx(total)


def test_full_trainings_of_asha_and_curves():
    assert full_trainings(Asha(), (1 / 9, 1 / 3, 1.0), EMPTY, 9) == pytest.approx(
        (1 + 3 * 2 / 9 + 2 / 3,) * 2
    )
    assert full_trainings(Curves(), (0.25, 0.5, 1.0), EMPTY, 4) == (1.75, 4.0)
    n_full = len(full_fidelity_trials(EMPTY, 20))
    assert n_full > 1
    assert full_trainings(Curves(), (0.25, 0.5, 1.0), EMPTY, 20) == (20 * 0.25 + n_full * 0.75, 20.0)
