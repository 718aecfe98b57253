"""Two courses of one trial: the same bits, the same within a tolerance, or not the same."""

import math

import pytest

from tunecli.messages import EpochEnded
from tunecli.results.comparison import RELATIVE_TOLERANCE, Difference, RunRecord, Verdict, compare
from tunecli.trial import Failure, FailureKind, Outcome, State


def course(*losses: float, score: float | None = None, kept_epoch: int = 0, **more: float) -> RunRecord:
    epochs = [EpochEnded(0, 1, n, len(losses), {"loss": loss}, 0.1) for n, loss in enumerate(losses, 1)]
    metrics = {"loss": losses[-1], **more}
    score = losses[-1] if score is None else score
    outcome = Outcome(State.COMPLETE, score, metrics, len(losses), kept_epoch or len(losses))
    return RunRecord(epochs, outcome)


def test_the_same_numbers_are_identical_whatever_the_clock_says():
    assert compare(course(0.5, 0.25), course(0.5, 0.25)).verdict is Verdict.IDENTICAL


@pytest.mark.parametrize("other", [math.nextafter(0.25, 1.0), math.nextafter(0.25, 0.0)])
def test_one_bit_is_a_difference_within_tolerance(other):
    found = compare(course(0.25), course(other))
    assert found.verdict is Verdict.WITHIN_TOLERANCE
    assert found.absolute.absolute == abs(0.25 - other)


def test_the_sign_of_zero_is_a_bit_too_and_a_nan_is_itself():
    assert compare(course(0.0), course(-0.0)).verdict is Verdict.WITHIN_TOLERANCE
    assert compare(course(math.nan), course(math.nan)).verdict is Verdict.IDENTICAL
    assert compare(course(math.nan), course(0.5)).verdict is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize("relative", [0.5e-6, 2e-6])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_tolerance_is_that_of_isclose_on_every_scale(relative, scale):
    other = scale * (1 + relative)
    is_near = compare(course(scale), course(other)).verdict is Verdict.WITHIN_TOLERANCE
    assert is_near is math.isclose(scale, other, rel_tol=RELATIVE_TOLERANCE)


def test_the_largest_differences_are_told_where_they_are():
    found = compare(course(100.0, 0.1, score=7.0), course(101.0, 0.2, score=7.0))
    assert found.absolute == Difference("loss", 1, 100.0, 101.0)
    assert found.relative == Difference("loss", 2, 0.1, 0.2)


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (course(0.5), "epochs trained: 1, and 2 on record"),
        (course(0.5, 0.25, kept_epoch=1), "the epoch that is kept: 1, and 2 on record"),
        (course(0.5, 0.25, extra=1.0), "extra: measured only once"),
    ],
)
def test_what_is_no_matter_of_tolerance_is_said_in_words(again, reason):
    found = compare(course(0.5, 0.25), again)
    assert (found.verdict, found.reason) == (Verdict.NOT_REPRODUCED, reason)


def test_a_failure_is_compared_by_its_kind():
    def failed(kind: FailureKind, cause: str) -> RunRecord:
        return RunRecord([], Outcome(State.FAILED, failure=Failure(kind, cause)))

    record = failed(FailureKind.OOM, "then")
    assert compare(record, failed(FailureKind.OOM, "now")).verdict is Verdict.FAILED_AGAIN
    assert compare(record, failed(FailureKind.ERROR, "now")).verdict is Verdict.NOT_REPRODUCED
    assert compare(course(0.5), record).verdict is Verdict.NOT_REPRODUCED


def test_what_a_clock_gave_is_no_difference_and_is_still_to_be_measured():
    first, again = course(0.5, latency_ms=1.0), course(0.5, latency_ms=2.0)
    assert compare(first, again, uncounted={"latency_ms"}).verdict is Verdict.IDENTICAL
    assert compare(first, again).verdict is Verdict.NOT_REPRODUCED
    assert compare(first, course(0.5), uncounted={"latency_ms"}).verdict is Verdict.NOT_REPRODUCED
