"""Halving in brackets, held to the papers' tables, to cases worked by hand, and to what must hold of any study."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.registry.pruners import Asha, Curves, Halving, Hyperband, Pausing
from tunecli.search.fidelity import Choice, Curve, observed, shares, until_epochs
from tunecli.search.pruners.full_fidelity import unpaused_trials
from tunecli.search.pruners.promotion import choose, full_trainings, never_continued
from tunecli.search.pruners.successive_halving import Bracket, hyperband_brackets
from tunecli.trial import State

EMPTY = Space(parse(read(b"x: 1", "test.yaml"), lambda problem: pytest.fail(str(problem))))


def choice_of(knob: Pausing, courses: list[Curve], n_levels: int, *, may_begin: bool) -> Choice | None:
    levels = [knob.factor ** (level + 1.0 - n_levels) for level in range(n_levels)]
    return choose(knob, courses, levels, EMPTY, 0, may_begin=may_begin)


@dataclass
class Play:
    """A study whose trials' losses at each level are given, played to its end one step after the other.

    ``losses``: by trial, by level; NaN where it fails on its way there.
    """

    knob: Pausing
    losses: list[list[float]]
    n_levels: int
    courses: list[Curve] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def choice(self) -> Choice | None:
        may_begin = len(self.courses) < len(self.losses)
        return choice_of(self.knob, self.courses, self.n_levels, may_begin=may_begin)

    def to_the_end(self) -> list[tuple[int, int]]:
        while (choice := self.choice()) is not None:
            self.take(choice)
        return self.steps

    def take(self, choice: Choice) -> None:
        number = len(self.courses) if choice.number is None else choice.number
        self.steps.append((number, choice.level))
        before = {} if choice.number is None else self.courses[number].losses
        loss, last = self.losses[number][choice.level], self.n_levels - 1
        if math.isnan(loss):
            course = Curve(number, {}, State.FAILED, choice.level, before)
        elif choice.level == last:
            course = Curve(number, {}, State.COMPLETE, last, before, loss)
        else:
            course = Curve(number, {}, State.PRUNED, choice.level, {**before, choice.level: loss})
        self.courses[number : number + 1] = [course]

    def reached(self, level: int) -> list[int]:
        return [number for number, at in self.steps if at == level]


def flat(losses: list[float], n_levels: int) -> list[list[float]]:
    return [[loss] * n_levels for loss in losses]


def test_the_levels_are_the_powers_of_the_factor() -> None:
    assert shares(81, 1, 3) == pytest.approx((1 / 81, 1 / 27, 1 / 9, 1 / 3, 1))
    assert shares(80, 1, 3) == pytest.approx((1 / 27, 1 / 9, 1 / 3, 1))
    assert shares(100, 25, 2) == (0.25, 0.5, 1.0)
    assert shares(5, 9, 3) == (1.0,), "a first level above the last leaves the last"


@pytest.mark.parametrize(
    ("full", "factor", "first"), [(52, 3, 9), (52, 2, 8), (52, 4, 16), (50, 10, 10), (4, 3, 3), (2, 3, 1)]
)
def test_auto_begins_near_a_tenth_and_never_below_an_epoch(full: int, factor: int, first: int) -> None:
    assert shares(full, "auto", factor)[0] == pytest.approx(1 / first)


def test_the_epochs_of_the_levels() -> None:
    assert until_epochs(52, shares(52, "auto", 3)) == (6, 17, None)
    assert until_epochs(81, shares(81, 1, 3)) == (1, 3, 9, 27, None)
    assert until_epochs(3, (1 / 9, 1 / 3, 1.0)) == (1, 2, None), "no two levels are the same epoch"
    assert until_epochs(2, (1 / 9, 1 / 3, 1.0)) == (1, None, None)
    assert until_epochs(1, (1 / 9, 1 / 3, 1.0)) == (None, None, None)


def test_hyperbands_brackets_are_the_papers() -> None:
    """Li et al. 2018, table 1: R = 81, η = 3."""
    assert hyperband_brackets(5, 3) == [
        Bracket(81, 0),
        Bracket(34, 1),
        Bracket(15, 2),
        Bracket(8, 3),
        Bracket(5, 4),
    ]


def test_a_round_of_hyperband_trains_as_many_to_each_level_as_the_paper_says() -> None:
    """Li et al. 2018, table 1: the numbers n_i of each bracket."""
    n_trials = 81 + 34 + 15 + 8 + 5
    play = Play(Hyperband(), flat([float(-n) for n in range(n_trials)], 5), 5)
    play.to_the_end()
    starts = [0, 81, 115, 130, 138, 143]
    table = [
        [
            sum(starts[bracket] <= number < starts[bracket + 1] for number in play.reached(level))
            for level in range(5)
        ]
        for bracket in range(5)
    ]
    assert table == [[81, 27, 9, 3, 1], [0, 34, 11, 3, 1], [0, 0, 15, 5, 1], [0, 0, 0, 8, 2], [0, 0, 0, 0, 5]]


def test_a_bracket_of_halving_worked_by_hand() -> None:
    losses = flat([5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0], 3)
    losses[3][1] = 10.0  # the best at the first level, and the worst of the three at the second
    play = Play(Halving(), losses, 3)
    begun = [(number, 0) for number in range(9)]
    assert play.to_the_end() == [*begun, (3, 1), (5, 1), (1, 1), (5, 2)]


def test_nobody_is_continued_before_the_bracket_is_full_and_known() -> None:
    play = Play(Halving(), flat([float(n) for n in range(18)], 3), 3)
    for _ in range(9):
        play.take(Choice(None, 0))
    hidden = Curve(8, {}, State.WAITING, 0)
    play.courses[8] = hidden
    assert play.choice() == Choice(None, 0), "the next bracket begins meanwhile"
    play.courses[8] = Curve(8, {}, State.PRUNED, 0, {0: 8.0})
    assert play.choice() == Choice(0, 1)


def test_a_bracket_that_is_cut_short_is_halved_as_it_is() -> None:
    assert Play(Halving(), flat([2.0, 1.0, 3.0, 4.0], 3), 3).to_the_end()[4:] == [(1, 1), (1, 2)]


def test_of_equal_ones_the_lower_number_goes_on_and_a_failed_one_never() -> None:
    losses = flat([1.0] * 9, 3)
    losses[0] = [math.nan] * 3
    assert Play(Halving(), losses, 3).to_the_end()[9:] == [(1, 1), (2, 1), (3, 1), (1, 2)]
    assert Play(Halving(), flat([math.nan] * 9, 3), 3).to_the_end()[9:] == []


def test_who_was_complete_before_the_level_takes_part_and_needs_no_step() -> None:
    courses = [Curve(n, {}, State.PRUNED, 0, {0: float(n)}) for n in range(9)]
    courses[1] = Curve(1, {}, State.COMPLETE, 0, {}, 1.0)
    assert choice_of(Halving(), courses, 3, may_begin=False) == Choice(0, 1)
    courses[0] = Curve(0, {}, State.PRUNED, 1, {0: 0.0, 1: 0.5})
    assert choice_of(Halving(), courses, 3, may_begin=False) == Choice(2, 1)
    courses[2] = Curve(2, {}, State.PRUNED, 1, {0: 2.0, 1: 2.0})
    assert choice_of(Halving(), courses, 3, may_begin=False) == Choice(0, 2)


def test_asha_worked_by_hand() -> None:
    """Li et al. 2020, algorithm 2, with η = 3: the best third of what is known, the highest level first."""
    losses = flat([5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0], 3)
    assert Play(Asha(), losses, 3).to_the_end() == [
        *((0, 0), (1, 0), (2, 0), (1, 1)),  # of three the best one
        *((3, 0), (3, 1)),  # now the best of four, and one may go on
        *((4, 0), (5, 0), (5, 1), (3, 2)),  # of six two: 3 and 5; of three at the second level the best
        *((6, 0), (7, 0), (8, 0)),  # of nine three: 3, 5 and 1, which went on before
    ]


def test_where_none_is_complete_at_the_end_the_best_that_came_furthest_is() -> None:
    losses = [[5.0, 5.0, 5.0], [3.0, 3.0, 3.0], [4.0, 4.0, 4.0], [6.0, 6.0, 6.0]]
    play = Play(Asha(), losses, 3)
    assert play.to_the_end()[-3:] == [(1, 1), (3, 0), (1, 2)]
    assert play.courses[1].state is State.COMPLETE
    failing = [[1.0, math.nan, 0.0], [2.0, 2.0, math.nan], [3.0, 3.0, 3.0], *[[4.0] * 3] * 6]
    play = Play(Halving(), failing, 3)
    play.to_the_end()
    assert [course.number for course in play.courses if course.state is State.COMPLETE] == [2]


def test_nobody_is_given_up_before_a_trial_is_complete() -> None:
    losses = flat([float(n) for n in range(9)], 3)
    play = Play(Halving(), losses, 3)
    while not any(course.state is State.COMPLETE for course in play.courses):
        assert not never_continued(play.knob, play.courses, 3)
        choice = play.choice()
        assert choice is not None
        play.take(choice)
    assert never_continued(play.knob, play.courses, 3) == set(range(1, 9))


def test_asha_waits_for_nobody() -> None:
    courses = [Curve(n, {}, State.WAITING, 0) for n in range(5)]
    assert choice_of(Asha(), courses, 3, may_begin=True) == Choice(None, 0)
    assert choice_of(Asha(), courses, 3, may_begin=False) is None


def test_who_is_given_up_is_never_continued_later() -> None:
    losses = flat([5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0] * 3, 3)
    for knob in (Halving(), Hyperband()):
        play = Play(knob, losses, 3)
        given_up: dict[int, int] = {}
        while (choice := play.choice()) is not None:
            play.take(choice)
            for number in never_continued(knob, play.courses, 3):
                given_up.setdefault(number, len(play.steps))
        assert len(given_up) >= 12
        assert all(number not in dict(play.steps[at:]) for number, at in given_up.items())
        paused = {course.number for course in play.courses[:9] if course.is_paused}
        assert paused == {number for number in given_up if number < 9}
    assert never_continued(Asha(), play.courses, 3) == set()


KNOBS = st.sampled_from([Halving(), Halving(factor=2, bracket=5), Hyperband(), Hyperband(factor=2), Asha()])
NUMBERS = st.floats(-10, 10) | st.just(math.nan)


@st.composite
def plays(draw: st.DrawFn) -> Play:
    n_levels = draw(st.integers(1, 4))
    one = st.lists(NUMBERS, min_size=n_levels, max_size=n_levels)
    return Play(draw(KNOBS), draw(st.lists(one, max_size=30)), n_levels)


@given(plays())
def test_any_study_comes_to_an_end_in_order(play: Play) -> None:
    """Every trial is begun, each in turn; each goes from level to level; none goes on that failed."""
    steps = play.to_the_end()
    firsts = list(dict.fromkeys(number for number, _ in steps))
    assert firsts == list(range(len(play.losses)))
    for number in firsts:
        levels = [level for each, level in steps if each == number]
        assert levels == list(range(levels[0], levels[0] + len(levels)))
        assert not any(math.isnan(play.losses[number][level]) for level in levels[:-1])


@given(plays(), st.data())
def test_a_step_is_a_function_of_what_is_seen(play: Play, data: st.DataObject) -> None:
    """What is not seen yet, being this or that, changes nothing."""
    play.to_the_end()
    if not play.steps:
        return
    n = data.draw(st.integers(0, len(play.steps) - 1))
    again = Play(play.knob, play.losses, play.n_levels)
    for number, level in play.steps[:n]:
        again.take(Choice(number if number < len(again.courses) else None, level))
    expected = again.choice()
    assert expected is not None
    number = len(again.courses) if expected.number is None else expected.number
    assert (number, expected.level) == play.steps[n]


@given(st.lists(st.floats(-10, 10), min_size=9, max_size=9, unique=True), st.permutations(range(9)))
def test_in_a_bracket_the_order_of_the_trials_does_not_matter(losses: list[float], order: list[int]) -> None:
    kept = {losses[n] for n, level in Play(Halving(), flat(losses, 3), 3).to_the_end() if level == 2}
    shuffled = [losses[place] for place in order]
    assert kept == {
        shuffled[n] for n, level in Play(Halving(), flat(shuffled, 3), 3).to_the_end() if level == 2
    }
    assert kept == {min(losses)}


def test_a_sampler_sees_the_losses_of_one_level_alone() -> None:
    courses = [
        Curve(0, {}, State.COMPLETE, 2, {0: 9.0, 1: 5.0}, 1.0),
        Curve(1, {}, State.PRUNED, 1, {0: 8.0, 1: 6.0}),
        Curve(2, {}, State.PRUNED, 0, {0: 7.0}),
        Curve(3, {}, State.FAILED, 0),
        Curve(4, {}, State.WAITING, 0),
    ]
    told = [[each.loss for each in observed(courses, 3, n_least)] for n_least in (1, 2, 3, 9)]
    assert told == [
        [1.0, None, None, None, None],
        [5.0, 6.0, None, None, None],
        [9.0, 8.0, 7.0, None, None],
        [9.0, 8.0, 7.0, None, None],
    ]
    assert [each.state for each in observed(courses, 3, 2)] == [
        State.COMPLETE,
        State.PRUNED,
        State.RUNNING,  # it has not failed so far
        State.FAILED,
        State.WAITING,
    ]


@pytest.mark.parametrize("n_trials", [1, 2, 5, 9, 13, 40])
@pytest.mark.parametrize(
    "knob", [Halving(), Halving(factor=2, bracket=5), Hyperband(), Hyperband(factor=2)], ids=str
)
def test_the_training_that_is_told_ahead_is_that_of_a_study_played_to_its_end(knob, n_trials):
    n_levels = 3
    levels = [knob.factor ** (level + 1.0 - n_levels) for level in range(n_levels)]
    play = Play(knob, [[float(number)] * n_levels for number in range(n_trials)], n_levels)
    reached: dict[int, float] = {}
    total = 0.0
    for number, level in play.to_the_end():
        total += levels[level] - reached.get(number, 0.0)
        reached[number] = levels[level]
    least, most = full_trainings(knob, levels, EMPTY, n_trials)
    assert least == most == pytest.approx(total)


def test_of_asha_it_is_the_share_of_those_that_go_on_and_of_curves_anything_up_to_all():
    assert full_trainings(Asha(), (1 / 9, 1 / 3, 1.0), EMPTY, 9) == pytest.approx(
        (1 + 3 * 2 / 9 + 2 / 3,) * 2
    )
    assert full_trainings(Curves(), (0.25, 0.5, 1.0), EMPTY, 4) == (1.75, 4.0)
    n_full = len(unpaused_trials(EMPTY, 20))
    assert n_full > 1
    assert full_trainings(Curves(), (0.25, 0.5, 1.0), EMPTY, 20) == (20 * 0.25 + n_full * 0.75, 20.0)
