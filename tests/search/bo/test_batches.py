"""Results that are read in batches while many trials are pending."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.support.spaces import space_of
from tunecli.search.bo import gaussian_process, pending_process
from tunecli.search.bo.batches import in_batches, streams_of
from tunecli.search.bo.gaussian_process import MAX_EXACT_PENDING
from tunecli.search.bo.memo import Memo
from tunecli.search.protocols import suggest
from tunecli.search.samplers.random import random
from tunecli.trial import Observation, State

SPACE = space_of("{x: {uniform: [0, 1]}, y: {loguniform: [1e-3, 1]}, kind: {choice: [a, b, c]}}")
POINTS = [random(SPACE, (), number, 4) or {} for number in range(200)]


def record(n_results: int, n_pending: int) -> list[Observation]:
    """Trials with results, every fifth of them failed, and then pending ones."""
    trials = []
    for number in range(n_results + n_pending):
        point = POINTS[number % len(POINTS)]
        loss = (float(point["x"] or 0) - 0.4) ** 2 + float(point["y"] or 0)
        state = State.FAILED if number % 5 == 4 else State.COMPLETE
        state = state if number < n_results else State.WAITING
        trials.append(Observation(number, point, state, loss if state is State.COMPLETE else None))
    return trials


def n_shown(history: Sequence[Observation]) -> int:
    return sum(not trial.is_pending for trial in history)


def test_with_few_pending_trials_every_result_is_read() -> None:
    history = record(7, MAX_EXACT_PENDING)
    assert in_batches(history) is history
    drawn = streams_of(history, 71, 3)("surrogate").random()
    assert drawn != streams_of(history, 72, 3)("surrogate").random()


@pytest.mark.parametrize(("n_pending", "size"), [(65, 2), (127, 2), (128, 4), (255, 4), (256, 8), (1000, 16)])
def test_the_latest_results_wait_for_a_whole_batch(n_pending: int, size: int) -> None:
    for n_results in range(40, 60):
        history = record(n_results, n_pending)
        shown = in_batches(history)
        n_read = n_results - n_results % size
        assert n_shown(shown) == n_read
        assert shown[:n_read] == history[:n_read]
        assert [trial.parameters for trial in shown] == [trial.parameters for trial in history]


def test_suggestions_of_a_batch_share_the_random_numbers_of_the_model() -> None:
    def drawn(n_results: int) -> float:
        history = in_batches(record(n_results, 80))
        return streams_of(history, len(history), 3)("surrogate").random()

    assert drawn(40) == drawn(41) != drawn(42) == drawn(43)


def test_a_resumed_process_makes_the_same_suggestions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with empty memos, against those that follow each other in one process and in another order."""

    def point(n_results: int) -> str:
        history = record(n_results, 70)
        return json.dumps(suggest("bayes", SPACE, history, len(history), 2))

    numbers = range(30, 34)
    in_order = [point(n_results) for n_results in numbers]
    assert len(set(in_order)) == len(in_order)
    assert [point(n_results) for n_results in reversed(numbers)] == in_order[::-1]
    for n_results, expected in zip(numbers, in_order, strict=True):
        monkeypatch.setattr(gaussian_process, "_FITS", Memo(8))
        monkeypatch.setattr(pending_process, "_BASES", Memo(4))
        monkeypatch.setattr(pending_process, "_MEANS", Memo(8))
        assert point(n_results) == expected


def test_a_sweep_begins_before_the_first_batch_of_results_is_whole() -> None:
    for n_results in range(6):
        assert suggest("bayes", SPACE, record(n_results, 130), n_results + 130, 2) is not None


def test_many_pending_trials_are_not_suggested_again() -> None:
    history = record(40, 70)
    points = set()
    for _ in range(6):
        point = suggest("bayes", SPACE, history, len(history), 2)
        assert point is not None
        points.add(json.dumps(point))
        history.append(Observation(len(history), point, State.WAITING))
    assert len(points) == 6
