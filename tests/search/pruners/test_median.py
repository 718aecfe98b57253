"""The median stopping rule: against a direct implementation of the paper, and properties of every stopping pruner."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cost import is_at_most
from tests.support.pruning import bound_at, decide
from tunecli.registry.pruners import Median
from tunecli.search.protocols import Bounds, LossCurve
from tunecli.search.protocols import stop_bounds as bounds_of
from tunecli.search.pruners import median as arithmetic

EAGER = Median(startup_trials=1, warmup_epochs=0)


def each_epoch(losses: Iterable[float]) -> LossCurve:
    """The curve of a trial that reports a loss at each epoch."""
    return list(enumerate(losses, start=1))


def stop_bounds(knob: object, curves: Iterable[Iterable[float]]) -> tuple[float | None, ...]:
    """The bounds at each epoch up to the last one, from trials that report a loss at each."""
    bounds = bounds_of(knob, [each_epoch(curve) for curve in curves])  # type: ignore[arg-type]
    last = bounds.epochs[-1] if bounds.epochs else 0
    return tuple(bound_at(bounds, epoch - 1, epoch) for epoch in range(1, last + 1))


def is_over(bounds: tuple[float | None, ...], losses: Sequence[float]) -> bool:
    return decide(Bounds(tuple(range(1, len(bounds) + 1)), bounds), each_epoch(losses))


def by_hand(curves: Sequence[LossCurve], epoch: int) -> float:
    """The median of the average losses up to that epoch (Golovin et al. 2017, section 3.2), curve by curve."""
    averages = []
    for curve in curves:
        so_far = [loss for reported_at, loss in curve if reported_at <= epoch]
        average = np.cumsum(so_far)[-1] / len(so_far) if so_far else math.inf
        averages.append(max(average, min(so_far, default=math.inf)))
    averages.sort()
    n = len(averages)
    return (averages[(n - 1) // 2] + averages[n // 2]) / 2


def all_by_hand(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    last = max(map(len, curves))
    return tuple(by_hand([each_epoch(curve) for curve in curves], epoch) for epoch in range(1, last + 1))


losses = st.floats(-1e6, 1e6) | st.sampled_from([0.1, 0.2, -0.9])
any_losses = losses | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308])
some_curves = st.lists(st.lists(losses, min_size=1, max_size=9), min_size=1, max_size=9)


def test_the_pruner_none_sets_no_bounds() -> None:
    assert bounds_of("none", [each_epoch([1.0])] * 9) == Bounds()


def test_bounds_equal_a_case_computed_by_hand() -> None:
    curves = [[4.0, 2.0], [3.0, 3.0, 3.0], [9.0, 1.0, 2.0]]
    assert stop_bounds(EAGER, curves) == (4.0, 3.0, 3.0)
    # averages after the epochs: 4, 3, (3, its last); 3, 3, 3; 9, 5, 4
    assert stop_bounds(EAGER, [*curves, [1.0]]) == (3.5, 3.0, 3.0)


@given(some_curves)
def test_bounds_equal_the_direct_implementation(curves: list[list[float]]) -> None:
    assert stop_bounds(EAGER, curves) == all_by_hand(curves)


def test_bounds_of_long_curves_of_all_lengths_equal_the_direct_implementation() -> None:
    generator = np.random.default_rng(0)
    for lengths in ([700, 3, 64, 65, 128, 1, 129, 500], [5] * 40 + [300, 301], range(1, 200)):
        curves = [generator.normal(size=length).tolist() for length in lengths]
        bounds = stop_bounds(EAGER, curves)
        assert len(bounds) == max(lengths)
        for epoch in {1, 2, 63, 64, 65, 66, 128, 129, *range(3, len(bounds), 37), len(bounds)} - {
            *range(len(bounds) + 1, 200)
        }:
            assert bounds[epoch - 1] == by_hand([each_epoch(curve) for curve in curves], epoch)


sparse_curves = st.lists(
    st.dictionaries(st.integers(1, 200), losses, min_size=1, max_size=8).map(
        lambda reports: sorted(reports.items())
    ),
    min_size=1,
    max_size=8,
)


@given(sparse_curves, st.integers(1, 250), st.integers(0, 200), st.integers(0, 30))
def test_trials_that_report_at_different_epochs_are_compared_by_epoch(
    curves: list[LossCurve], epoch: int, last: int, warmup: int
) -> None:
    last = min(last, epoch - 1)
    end = max(curve[-1][0] for curve in curves)
    bound = bound_at(bounds_of(Median(startup_trials=1, warmup_epochs=warmup), curves), last, epoch)
    expected = by_hand(curves, min(epoch, end))
    is_bound = math.isfinite(expected) and last < end and min(epoch, end) > warmup
    assert bound == (expected if is_bound else None)


@given(sparse_curves)
def test_blocks_and_single_losses_give_the_same_sums(curves: list[LossCurve]) -> None:
    epochs, medians = arithmetic.medians_of_means(curves)
    one_by_one = arithmetic._one_by_one(curves, epochs)
    assert list(one_by_one) == medians


def test_the_cost_of_epochs_with_little_in_common_grows_less_than_with_the_square() -> None:
    generator = np.random.default_rng(0)
    curves = [
        [(int(epoch), 0.5) for epoch in np.unique(generator.integers(1, 2**53, 100))] for _ in range(300)
    ]
    assert bounds_of(EAGER, curves).epochs[-1] == max(curve[-1][0] for curve in curves)
    assert is_at_most(10, lambda: bounds_of(EAGER, curves), lambda: bounds_of(EAGER, curves[::4]))


def test_a_trial_with_equal_losses_at_more_epochs_is_not_pruned() -> None:
    each_tenth = [(epoch, 10.0 / epoch) for epoch in range(10, 41, 10)]
    each = [(epoch, 10.0 / epoch) for epoch in range(1, 41)]
    bounds = bounds_of(Median(startup_trials=3, warmup_epochs=1), [each_tenth] * 3)
    for curve in (each_tenth, each):
        assert not any(decide(bounds, curve[:n]) for n in range(1, len(curve) + 1))


@given(some_curves, st.randoms())
def test_the_order_of_the_trials_does_not_matter(curves: list[list[float]], random: object) -> None:
    shuffled = list(curves)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stop_bounds(EAGER, shuffled) == stop_bounds(EAGER, curves)


@given(st.lists(st.lists(any_losses, max_size=6), max_size=9), st.data())
def test_the_best_trial_is_never_pruned(curves: list[list[float]], data: st.DataObject) -> None:
    """A trial whose losses are all at most the lowest loss of any other trial."""
    finite = [loss for curve in curves for loss in curve if abs(loss) < 1e300]
    best = min(finite, default=0.0)
    own = data.draw(
        st.lists(st.floats(-1e7, best), min_size=1, max_size=8) if best >= -1e7 else st.just([best])
    )
    bounds = stop_bounds(EAGER, curves)
    assert not any(is_over(bounds, own[: epoch + 1]) for epoch in range(len(own)))


@given(some_curves)
def test_a_trial_equal_to_all_others_is_never_pruned(curves: list[list[float]]) -> None:
    curve = curves[0]
    bounds = stop_bounds(EAGER, [curve] * 7)
    assert not any(is_over(bounds, curve[: epoch + 1]) for epoch in range(len(curve)))


@given(some_curves, st.lists(losses, min_size=1, max_size=9), st.floats(0, 100))
def test_a_trial_that_is_better_at_each_epoch_ends_no_earlier(
    curves: list[list[float]], own: list[float], by: float
) -> None:
    bounds = stop_bounds(EAGER, curves)
    for epoch in range(1, len(own) + 1):
        better = [loss - by for loss in own[:epoch]]
        assert is_over(bounds, own[:epoch]) >= is_over(bounds, better)


@given(some_curves, st.integers(0, 8), st.floats(0, 100))
def test_better_curves_give_no_higher_bounds(curves: list[list[float]], which: int, by: float) -> None:
    better = list(curves)
    which %= len(curves)
    better[which] = [loss - by for loss in curves[which]]
    pairs = zip(stop_bounds(EAGER, better), stop_bounds(EAGER, curves), strict=True)
    assert all(low is not None and high is not None and low <= high for low, high in pairs)


def test_no_trial_is_pruned_before_startup_trials_are_complete() -> None:
    knob = Median(startup_trials=3, warmup_epochs=0)
    assert stop_bounds(knob, [[1.0], [2.0]]) == ()
    assert stop_bounds(knob, [[1.0], [2.0], [3.0]]) == (2.0,)
    assert stop_bounds(knob, [[1.0], [2.0], [], [math.nan]]) == (), (
        "a curve without a finite loss does not count"
    )
    assert stop_bounds(knob, []) == ()


def test_the_warm_up_has_no_bounds() -> None:
    curves = [[1.0, 2.0, 3.0]] * 5
    assert stop_bounds(Median(), curves) == (None, 1.5, 2.0)
    assert stop_bounds(Median(warmup_epochs=2), curves) == (None, None, 2.0)
    assert stop_bounds(Median(warmup_epochs=9), curves) == (None, None, None)


@pytest.mark.parametrize("not_finite", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_a_loss_that_is_not_finite_counts_as_not_reported(not_finite: float) -> None:
    assert stop_bounds(EAGER, [[not_finite, 2.0, not_finite, 4.0]]) == (None, 2.0, 2.0, 3.0)
    assert stop_bounds(EAGER, [[5.0, not_finite]]) == (5.0, 5.0)


def test_there_is_no_bound_before_half_of_the_curves_report() -> None:
    assert stop_bounds(EAGER, [[math.nan, 3.0], [math.nan, 5.0], [1.0, 1.0]]) == (None, 3.0)


def test_a_trial_ends_if_its_lowest_loss_is_above_the_bound() -> None:
    bounds = (None, 2.0, None, 1.0)
    assert not is_over(bounds, [])
    assert not is_over(bounds, [9.0])
    assert is_over(bounds, [9.0, 3.0])
    assert not is_over(bounds, [9.0, 2.0]), "strictly above"
    assert not is_over(bounds, [1.5, 9.0]), "the best so far counts, not the last"
    assert not is_over(bounds, [9.0, 9.0, 9.0])
    assert is_over(bounds, [1.5, 9.0, 9.0, 9.0])
    assert not is_over(bounds, [9.0] * 5), "there is no bound after the last one"
    assert is_over(bounds, [math.nan, math.nan]), "a trial without a finite loss is the worst"


def test_the_curves_are_not_changed() -> None:
    curves = [[3.0, 2.0], [1.0, math.nan]]
    stop_bounds(EAGER, curves)
    assert curves[0] == [3.0, 2.0]
    assert curves[1][0] == 1.0


@pytest.mark.parametrize(
    ("lengths", "fewer"),
    [
        ([100] * 4_000, [100] * 1_000),
        ([400_000] + [10] * 4_000, [100_000] + [10] * 1_000),
        (list(range(1, 900)), list(range(1, 450))),
    ],
    ids=["even", "odd", "all"],
)
def test_four_times_as_many_epochs_cost_at_most_ten_times_as_much(
    lengths: list[int], fewer: list[int]
) -> None:
    many, few = (
        [[float(number % 7)] * length for number, length in enumerate(wanted)] for wanted in (lengths, fewer)
    )
    assert len(stop_bounds(EAGER, many)) == max(lengths)
    assert is_at_most(10, lambda: stop_bounds(EAGER, many), lambda: stop_bounds(EAGER, few))


def test_importing_the_protocols_loads_no_scientific_stack() -> None:
    program = (
        "import sys, tunecli.search.protocols, tunecli.search.pruners.median;"
        "print({'skopt', 'scipy', 'sklearn', 'torch'} & {m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
