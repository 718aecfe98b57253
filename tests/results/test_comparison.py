"""Comparison of two runs of one trial: identical bits, equal within a tolerance, or not reproduced."""

import math

import pytest

from tunecli.messages import EpochEnded
from tunecli.results.comparison import RELATIVE_TOLERANCE, Difference, RunRecord, Verdict, compare
from tunecli.trial import Failure, FailureKind, Outcome, State


def run_of(*losses: float, score: float | None = None, kept_epoch: int = 0, **more: float) -> RunRecord:
    epochs = [EpochEnded(0, 1, n, len(losses), {"loss": loss}, 0.1) for n, loss in enumerate(losses, 1)]
    metrics = {"loss": losses[-1], **more}
    score = losses[-1] if score is None else score
    outcome = Outcome(State.COMPLETE, score, metrics, len(losses), kept_epoch or len(losses))
    return RunRecord(epochs, outcome)


def test_equal_metrics_are_identical():
    assert compare(run_of(0.5, 0.25), run_of(0.5, 0.25)).verdict is Verdict.IDENTICAL


@pytest.mark.parametrize("other", [math.nextafter(0.25, 1.0), math.nextafter(0.25, 0.0)])
def test_a_difference_of_one_bit_is_within_tolerance(other):
    comparison = compare(run_of(0.25), run_of(other))
    assert comparison.verdict is Verdict.WITHIN_TOLERANCE
    assert comparison.absolute.absolute == abs(0.25 - other)


def test_the_sign_of_zero_is_a_difference_and_a_nan_equals_itself():
    assert compare(run_of(0.0), run_of(-0.0)).verdict is Verdict.WITHIN_TOLERANCE
    assert compare(run_of(math.nan), run_of(math.nan)).verdict is Verdict.IDENTICAL
    assert compare(run_of(math.nan), run_of(0.5)).verdict is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize("relative", [0.5e-6, 2e-6])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_tolerance_agrees_with_isclose_on_every_scale(relative, scale):
    other = scale * (1 + relative)
    is_near = compare(run_of(scale), run_of(other)).verdict is Verdict.WITHIN_TOLERANCE
    assert is_near is math.isclose(scale, other, rel_tol=RELATIVE_TOLERANCE)


def test_the_largest_differences_are_reported_with_their_epoch():
    comparison = compare(run_of(100.0, 0.1, score=7.0), run_of(101.0, 0.2, score=7.0))
    assert comparison.absolute == Difference("loss", 1, 100.0, 101.0)
    assert comparison.relative == Difference("loss", 2, 0.1, 0.2)


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (run_of(0.5), "epochs trained: 1, but the record says 2"),
        (run_of(0.5, 0.25, kept_epoch=1), "kept epoch: 1, but the record says 2"),
        (run_of(0.5, 0.25, extra=1.0), "extra: measured in only one of the two runs"),
    ],
)
def test_a_difference_that_no_tolerance_covers_has_a_reason(again, reason):
    comparison = compare(run_of(0.5, 0.25), again)
    assert (comparison.verdict, comparison.reason) == (Verdict.NOT_REPRODUCED, reason)


def test_failures_are_compared_by_kind():
    def failed(kind: FailureKind, cause: str) -> RunRecord:
        return RunRecord([], Outcome(State.FAILED, failure=Failure(kind, cause)))

    record = failed(FailureKind.OOM, "then")
    assert compare(record, failed(FailureKind.OOM, "now")).verdict is Verdict.FAILED_AGAIN
    assert compare(record, failed(FailureKind.ERROR, "now")).verdict is Verdict.NOT_REPRODUCED
    assert compare(run_of(0.5), record).verdict is Verdict.NOT_REPRODUCED


def test_an_uncounted_metric_may_differ_but_must_be_measured():
    first, again = run_of(0.5, latency_ms=1.0), run_of(0.5, latency_ms=2.0)
    assert compare(first, again, uncounted={"latency_ms"}).verdict is Verdict.IDENTICAL
    assert compare(first, again).verdict is Verdict.NOT_REPRODUCED
    assert compare(first, run_of(0.5), uncounted={"latency_ms"}).verdict is Verdict.NOT_REPRODUCED


def test_a_record_without_learning_rates_is_reproduced_by_a_run_that_records_them():
    assert compare(run_of(0.5), run_of(0.5, lr=0.1)).verdict is Verdict.IDENTICAL
    assert "lr" in compare(run_of(0.5, lr=0.1), run_of(0.5)).reason
    assert "lr" in compare(run_of(0.5), run_of(0.5, lr=0.1, extra=1.0)).reason
