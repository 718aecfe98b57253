"""Advice from the training curves of the best trials: undertrained, overfit, and unstable late in training.

Each rule needs the same shape in three of the five best trials, so that one odd curve raises no alarm. The figures
are of `tests.benchmarks.advice`: 400 studies of five synthetic curves for each kind of curve, 12 to 200 epochs and step
noise of 0.001 to 0.03 of the curve's whole fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median

from tunecli.results.advice.basis import best_trials, of_best, score_of, trials_text
from tunecli.results.advice.curve_shapes import MIN_EPOCHS, rise, step_noise, trend
from tunecli.results.report import Curve, Finding, Report, Severity
from tunecli.text import shown_number
from tunecli.trial import Trial

MIN_AGREEING = 3
"""Of the five best trials; with fewer curves on record, all three of three."""
MIN_T = 3.0
"""The last quarter falls by more than this many standard errors. At 2, noise alone gave 2 % false alarms."""
MIN_FURTHER_FALL = 0.05
"""Of the whole fall, in half a training more. A straight line in place of the geometric series gave false alarms in
100 % of the studies with a cosine schedule; the series gives at most 2 %."""
MIN_RISE_ERRORS = 4.0
"""The smoothed validation loss has risen by more than this many of its standard errors."""
MIN_RISE = 0.03
"""Of its fall. Smaller rises cost less than the choice between the best trials."""
MIN_NOISE_RATIO = 2.5
"""Noise from step to step in the last quarter, over that of the middle half."""
MIN_NOISE_OF_SPREAD = 0.15
"""The late noise, over the distance between the best and the fifth trial: five scores that differ by noise alone
spread over 2.3 deviations, so half of the distance was never reached; far less does not change their order."""
_EARLY_STOP = "training: {early_stop: {patience: 5}}"


@dataclass(frozen=True, slots=True)
class _Judged:
    """A trial among the best, its curve, and the values of the curve of which less is better."""

    trial: Trial
    curve: Curve
    losses: list[float]


def undertrained(report: Report) -> list[Finding]:
    """The best trials would still improve: their curves fall at the end, and would fall further with more epochs."""
    judged = _judged(report)
    falls = {
        each.trial.number: end.further_fall / end.whole_fall
        for each in judged
        if (end := trend(each.losses)).t > MIN_T
        and end.whole_fall > 0
        and end.further_fall > MIN_FURTHER_FALL * end.whole_fall
    }
    if len(falls) < MIN_AGREEING:
        return []
    share = median(falls.values())
    n_epochs = round(1.5 * max(each.curve.epochs[-1] for each in judged))
    return [
        Finding(
            "undertrained",
            Severity.CHANCE,
            "The best trials still improve when their training ends.",
            f"{of_best(len(falls), judged)} improve in the last quarter of the training. The expected gain of half as"
            f" many epochs again is {100 * share:.0f} % of the improvement so far.",
            "" if report.facts.is_own_code else f"training: {{epochs: {n_epochs}}}",
            trials=tuple(falls),
            weight=share,
        )
    ]


def overfit(report: Report) -> list[Finding]:
    """The validation loss of the best trials rises while their training loss still falls."""
    judged = [each for each in _judged(report) if _is_whole(each.curve.train_losses, each)]
    rises = {}
    for each in judged:
        found = rise(each.losses)
        train = each.curve.train_losses
        if (
            found.height > max(MIN_RISE_ERRORS * found.error, MIN_RISE * found.depth)
            and train[-1] < train[found.epoch_index]
        ):
            rises[each.trial.number] = each.curve.epochs[found.epoch_index]
    if len(rises) < MIN_AGREEING:
        return []
    turn = round(median(rises.values()))
    kept = [each.curve.kept_epoch for each in judged if each.trial.number in rises]
    keeps_last = median(kept) > (turn + max(each.curve.epochs[-1] for each in judged)) / 2
    advice = _EARLY_STOP if keeps_last else f"training: {{epochs: {math.ceil(1.25 * turn)}}}"
    cost = (
        "Their scores come from later epochs, which are worse."
        if keeps_last
        else "Later epochs only cost time."
    )
    return [
        Finding(
            "overfit",
            Severity.PROBLEM if keeps_last else Severity.NOTE,
            "The best trials overfit: their validation loss rises while their training loss falls.",
            f"In {of_best(len(rises), judged)} the validation loss is lowest near epoch {turn}. {cost}",
            "" if report.facts.is_own_code else advice,
            trials=tuple(rises),
            weight=len(rises),
        )
    ]


def unstable(report: Report) -> list[Finding]:
    """The validation values of the best trials jump late in training, by as much as these trials differ."""
    judged = _judged(report)
    if len(judged) < MIN_AGREEING:
        return []
    scores = [score_of(each.trial) for each in judged]
    spread = max(scores) - min(scores)
    late_of, before_of = dict[int, float](), dict[int, float]()
    for each in judged:
        values = [report.objective.sign * score for score in each.curve.scores]
        quarter = len(values) // 4
        if all(map(math.isfinite, values)):
            late_of[each.trial.number] = step_noise(values[-quarter - 2 :])
            before_of[each.trial.number] = step_noise(values[quarter:-quarter])
    if len(late_of) < MIN_AGREEING:
        return []
    late, before = _pooled_without_largest(late_of.values()), _pooled(before_of.values())
    if not late > max(MIN_NOISE_RATIO * before, MIN_NOISE_OF_SPREAD * spread):
        return []
    return [
        Finding(
            "unstable",
            Severity.PROBLEM,
            "The training of the best trials is unstable in its last epochs.",
            f"In {trials_text(late_of)} the score changes by {shown_number(late, 2)} from one late epoch to the next,"
            f" more than {MIN_NOISE_RATIO:g} times as much as before. The best trials differ by"
            f" {shown_number(spread, 2)}.",
            "" if report.facts.is_own_code else "learning_rate: [{cosine: {to: 0.0}}]",
            trials=tuple(late_of),
            weight=late / spread if spread else math.inf,
        )
    ]


def _judged(report: Report) -> list[_Judged]:
    """The best trials with a curve that is long enough; their validation losses, or else their scores as losses."""
    judged = []
    for trial in best_trials(report):
        curve = report.curves.get(trial.number)
        if curve is None or len(curve.epochs) < MIN_EPOCHS:
            continue
        scores = [report.objective.sign * score for score in curve.scores]
        losses = list(curve.valid_losses) if curve.valid_losses else scores
        if all(map(math.isfinite, losses)):
            judged.append(_Judged(trial, curve, losses))
    return judged


def _pooled(deviations: Iterable[float]) -> float:
    return math.sqrt(fmean(deviation * deviation for deviation in deviations))


def _pooled_without_largest(deviations: Iterable[float]) -> float:
    """The pooled deviation of all but the largest, so that one odd curve raises no alarm."""
    return _pooled(sorted(deviations)[:-1])


def _is_whole(values: tuple[float, ...], judged: _Judged) -> bool:
    return len(values) == len(judged.losses) and all(map(math.isfinite, values))
