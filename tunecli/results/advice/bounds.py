"""Advice on the ends of ranges: the best trials lie at an end, and the model expects better scores beyond it.

The figures are of `tests.benchmarks.advice`. "One of the best trials lies within 5 % of an end" is the usual rule; it
gave false alarms in 18 of 27 studies with a flat parameter, because the best value of a parameter without effect lies
anywhere.
"""

from __future__ import annotations

from tunecli.effects import ParameterEffect
from tunecli.results.advice.basis import best_trials, command, named, of_best, position_on, value_text
from tunecli.results.advice.parameters import with_effects
from tunecli.results.report import Axis, AxisKind, Finding, Report, Severity

OUTER = 0.1
"""The part of a range that counts as its end."""
MIN_AT_END = 3
"""Of the five best trials."""
MIN_VOTES_FRACTION = 7 / 8
"""Of the model's kernels, which expect a better score in the outer tenth than inside by more than half the noise."""
MIN_SHARE = 0.02
"""Of the variance: a parameter of less is as good anywhere."""
_AT_LIMIT = 1e-9  # of the range: an end so near to the key's own limit is at it


def best_on_a_bound(report: Report) -> list[Finding]:
    """The best trials lie at an end of a range, and a wider range may hold a better score.

    An end at which the key itself ends, such as a dropout of 0, is left out.
    """
    best = best_trials(report)
    if len(best) < MIN_AT_END or report.effects.r2 is None:
        return []
    findings = []
    for axis, effect in with_effects(report):
        if axis.kind is AxisKind.OPTIONS or not effect.is_known or effect.share.mean < MIN_SHARE:
            continue
        index = report.axes.index(axis)
        positions = {
            trial.number: position
            for trial in best
            if (position := position_on(report, trial, index)) is not None
        }
        for is_high in (False, True):
            at_end = [
                number
                for number, position in positions.items()
                if (position >= 1 - OUTER if is_high else position <= OUTER)
            ]
            if len(at_end) < MIN_AT_END or _is_legal_end(axis, is_high) or not _is_voted(effect, is_high):
                continue
            end = value_text(axis, 1.0 if is_high else 0.0)
            findings.append(
                Finding(
                    "best-on-a-bound",
                    Severity.PROBLEM,
                    f"The best trials lie at the {'upper' if is_high else 'lower'} end of `{named(axis)}`, {end}.",
                    f"{of_best(len(at_end), best)} lie in the outer tenth of the range, and the model expects better"
                    " scores there than inside. A wider range may hold a better score.",
                    command(report, "report", "--next next.yaml"),
                    parameter=axis.name,
                    trials=tuple(at_end),
                    weight=effect.share.mean,
                )
            )
    return findings


def _is_legal_end(axis: Axis, is_high: bool) -> bool:
    """Whether the end of the range is the end that the key allows."""
    end, limit = (axis.high, axis.greatest) if is_high else (axis.low, axis.least)
    return limit is not None and abs(end - limit) <= _AT_LIMIT * (axis.high - axis.low)


def _is_voted(effect: ParameterEffect, is_high: bool) -> bool:
    if effect.votes is None or not effect.votes.n_kernels:
        return False
    votes = effect.votes.high if is_high else effect.votes.low
    return votes >= MIN_VOTES_FRACTION * effect.votes.n_kernels
