"""Changes for the next study: wider and narrower ranges, fixed values, dropped options, and its first trial.

Pure rules on a `Report`. `tunecli.commands.next_text` writes the changes into the user's file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tunecli.config.axes import position_between
from tunecli.effects import ParameterEffect, Reliability
from tunecli.results.advice.basis import value_at
from tunecli.results.cheapest_value import cheapest_trial
from tunecli.results.report import Axis, AxisKind, Finding, Report
from tunecli.text import counted, shown_number
from tunecli.trial import State, Trial

MIN_R2 = 0.85
"""Leave-one-out R² of the model below which no range is narrowed."""
MIN_SHARE = 0.05
"""Of the variance: a parameter with less keeps its range, since nothing shows where it is good."""
MARGIN = 0.1
"""Of the range: a narrower range keeps this much more on each side than the good region."""
N_DEVIATIONS = 2.0
MIN_OPTION_TRIALS = 8
"""Complete trials of an option before it may be dropped."""
_MAX_KEPT = 0.95  # a range that would keep more of itself stays as it is
_COVERING = ("quasirandom", "random", "grid")  # samplers that no result changes
_DECADE = math.log(10)


class Act(StrEnum):
    """The kinds of changes."""

    BEGIN = "begin"  # a trial is the first one of the next study
    WIDEN = "widen"
    NARROW = "narrow"
    FIX = "fix"
    DROP = "drop"
    TRAIN_LONGER = "train-longer"
    MORE_TRIALS = "more-trials"  # as many as the model needs, and a note on trials that cover the space


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the next study.

    Attributes:
        act: its kind.
        reason: one or two sentences.
        axis: the name of the axis; empty: it is about the study.
        low, high: the new ends of the range, in the parameter's unit.
        kept: the indices of the options that stay.
        trial: the trial whose value is taken; None: none.
        factor: the factor of the number of epochs.
        n_trials: the least number of trials.
        inner: the same change with ends inside of those that the key may exclude; None: there is none.
    """

    act: Act
    reason: str
    axis: str = ""
    low: float = 0.0
    high: float = 0.0
    kept: tuple[int, ...] = ()
    trial: int | None = None
    factor: float = 1.0
    n_trials: int = 0
    inner: Change | None = None


def next_changes(report: Report, findings: Sequence[Finding]) -> list[Change]:
    """The changes, those of ranges in the order of the file.

    Args:
        report: of the study.
        findings: all advice on it, not only that which is shown.
    """
    leading = _complete(report)
    if not leading:
        return []
    start = first_trial(report)
    changes = [Change(Act.BEGIN, _begin_reason(report, start), trial=start.number)]
    for axis in report.axes:
        about = {finding.rule: finding for finding in findings if finding.parameter == axis.name}
        if "best-on-a-bound" in about:
            changes += _widened(report, axis, about["best-on-a-bound"])
        elif "no-effect" in about:
            changes.append(_fixed(report, axis, about["no-effect"], start))
        elif len(report.objective.goals) == 1:
            changes += _smaller(report, axis, start)
    for finding in findings:
        if finding.rule == "undertrained":
            changes.append(Change(Act.TRAIN_LONGER, finding.evidence, factor=1.5))
    return changes + list(_more_trials(report))


def first_trial(report: Report) -> Trial:
    """The trial that the next study begins with: the confirmed one, else the predicted best, else the best score.

    Raises:
        ValueError: no trial is complete.
    """
    complete = {trial.number: trial for trial in _complete(report)}
    if not complete:
        raise ValueError("no trial is complete")
    quote = report.confirmed.quote if report.confirmed is not None else None
    if quote is not None and quote.number in complete:
        return complete[quote.number]
    sign, effects = report.objective.sign, report.effects
    predicted = {n: score for n, (score, _) in effects.predicted.items() if n in complete}
    is_told = effects.reliability is not Reliability.UNKNOWN and len(report.objective.goals) == 1
    if predicted and is_told:
        return complete[min(predicted, key=lambda n: (sign * predicted[n], n))]
    return next(iter(complete.values()))


def _complete(report: Report) -> list[Trial]:
    """The feasible complete trials, the best first."""
    return [
        row.trial
        for row in report.ranked
        if row.rank is not None and row.is_feasible is not False and row.trial.state is State.COMPLETE
    ]


def _begin_reason(report: Report, start: Trial) -> str:
    quote = report.confirmed.quote if report.confirmed is not None else None
    score = start.outcome.score if start.outcome is not None else None
    shown = "" if score is None else f" {report.objective.metric} {shown_number(score)}"
    if quote is not None and quote.number == start.number:
        mean = (
            f" with a mean {report.objective.metric} of {shown_number(quote.score.mean)}"
            if quote.score
            else ""
        )
        return f"Trial {start.number} was confirmed{mean}, so the next study begins with it."
    if report.best is not None and report.best.number == start.number:
        return f"Trial {start.number} has the best score,{shown}, so the next study begins with it."
    return f"The model predicts the best score for trial {start.number}, so the next study begins with it."


def _widened(report: Report, axis: Axis, finding: Finding) -> Iterator[Change]:
    """A range whose flagged end is moved: by a decade at most if it is logarithmic, else by half of it."""
    index = report.axes.index(axis)
    positions = [p for n in finding.trials if (p := report.positions[n][index]) is not None]
    is_high = sum(positions) >= len(positions) / 2
    low, high = axis.low, axis.high
    if axis.is_log:
        factor = math.exp(min(_DECADE, max(0.5 * math.log(high / low), math.log(2))))
        low, high = (low, high * factor) if is_high else (low / factor, high)
    else:
        width = max(0.5 * (high - low), 1.0 if axis.kind is AxisKind.WHOLE else 0.0)
        low, high = (low, high + width) if is_high else (low - width, high)
    low, high = (axis.low, _rounded(axis, high, 1)) if is_high else (_rounded(axis, low, -1), axis.high)
    limit = axis.greatest if is_high else axis.least
    if axis.least is not None:
        low = max(low, axis.least)
    if axis.greatest is not None:
        high = min(high, axis.greatest)
    if not low < high or (low, high) == (axis.low, axis.high):
        return
    change = Change(Act.WIDEN, finding.evidence, axis.name, low, high)
    if limit is not None and limit in (low, high):  # the key may exclude its end, as dropout excludes 1
        inside = _short(limit + 0.01 * ((axis.high if is_high else axis.low) - limit))
        inner = replace(change, high=inside) if is_high else replace(change, low=inside)
        change = replace(change, inner=inner)
    yield change


def _fixed(report: Report, axis: Axis, finding: Finding, start: Trial) -> Change:
    """A parameter without effect, at the value of the cheapest good trial."""
    trial, is_cheaper = cheapest_trial(report, axis, start)
    why = "trains fastest" if is_cheaper else "is that of the first trial of the next study"
    return Change(
        Act.FIX, f"{finding.evidence} The value of trial {trial.number} {why}.", axis.name, trial=trial.number
    )


def _smaller(report: Report, axis: Axis, start: Trial) -> Iterator[Change]:
    effect, effects = report.effects.of(axis.name), report.effects
    if (
        effect is None
        or not effect.is_known
        or not effect.profile
        or effects.r2 is None
        or effects.noise is None
    ):
        return
    if effects.reliability is Reliability.UNKNOWN:
        return
    if axis.kind is AxisKind.OPTIONS:
        yield from _fewer_options(report, axis, effect, start)
    elif effects.r2 >= MIN_R2 and effect.share.mean > MIN_SHARE:
        yield from _narrowed(report, axis, effect, start)


def _narrowed(report: Report, axis: Axis, effect: ParameterEffect, start: Trial) -> Iterator[Change]:
    """The part of a range where the profile, less two deviations, reaches the best, and a tenth on each side."""
    sign = report.objective.sign
    best = min(sign * point.score for point in effect.profile)
    good = [p.position for p in effect.profile if sign * p.score - N_DEVIATIONS * p.deviation <= best]
    low, high = min(good) - MARGIN, max(good) + MARGIN
    for position in _must_stay(report, axis, start):
        low, high = min(low, position), max(high, position)
    low, high = max(low, 0.0), min(high, 1.0)
    if high - low > _MAX_KEPT:
        return
    ends = (
        axis.low if low <= 0 else max(_rounded(axis, value_at(axis, low), -1), axis.low),
        axis.high if high >= 1 else min(_rounded(axis, value_at(axis, high), 1), axis.high),
    )
    if ends[0] < ends[1] and ends != (axis.low, axis.high):
        r2 = shown_number(report.effects.r2 or 0.0, 2)
        reason = (
            f"Outside of this range the model expects worse scores, by more than two deviations (R² {r2})."
        )
        yield Change(Act.NARROW, reason, axis.name, *ends)


def _must_stay(report: Report, axis: Axis, start: Trial) -> Iterator[float]:
    """The positions that a narrower range keeps: the first trial's value, and the file's default."""
    position = report.positions[start.number][report.axes.index(axis)]
    if position is not None:
        yield position
    if isinstance(axis.default, int | float) and not isinstance(axis.default, bool):
        yield position_between(axis.low, axis.high, axis.default, is_log=axis.is_log)


def _fewer_options(report: Report, axis: Axis, effect: ParameterEffect, start: Trial) -> Iterator[Change]:
    """A choice without the options whose best is worse than the best by more than twice the noise, with 95 %."""
    sign, index = report.objective.sign, report.axes.index(axis)
    noise = report.effects.noise or 0.0
    best = min(sign * point.score for point in effect.profile)
    n_of = [0] * len(axis.options)
    for trial in _complete(report):
        if (option := report.positions[trial.number][index]) is not None:
            n_of[round(option)] += 1
    worse = {
        round(point.position)
        for point in effect.profile
        if sign * point.score - 1.96 * point.deviation > best + 2 * noise
        and n_of[round(point.position)] >= MIN_OPTION_TRIALS
    }
    mine = report.positions[start.number][index]
    worse -= {round(mine)} if mine is not None else set()
    kept = tuple(option for option in range(len(axis.options)) if option not in worse)
    if worse and kept:
        names = " and ".join(f"`{axis.options[option]}`" for option in sorted(worse))
        n = min(n_of[option] for option in worse)
        reason = (
            f"The best score of {names} is worse than the best by more than twice the noise of a score, with 95 %,"
            f" after {counted(n, 'trial')} or more."
        )
        yield Change(Act.DROP, reason, axis.name, kept=kept)


def _more_trials(report: Report) -> Iterator[Change]:
    """Enough trials for a model, where it is unknown. The sampler stays.

    Quasi-random trials would show best which parameters matter. But a study whose file changed to them ends with a
    worse score than the old file's, so the file only names them.
    """
    effects = report.effects
    if effects.reliability is Reliability.UNKNOWN and effects.n_missing:
        r2 = "" if effects.r2 is None else f" (R² {shown_number(effects.r2, 2)})"
        reason = f"The trials do not show which parameters matter{r2}."
        if report.facts.sampler not in _COVERING:
            reason += " `sampler: quasirandom` covers the space evenly and shows it best, but finds good scores later."
        n_had = (
            0 if effects.parameters else effects.n_trials
        )  # with enough trials, only their spread is missing
        yield Change(Act.MORE_TRIALS, reason, n_trials=n_had + effects.n_missing)


def _rounded(axis: Axis, value: float, direction: int) -> float:
    """An end in few digits, rounded outwards: down with the direction -1, up with 1."""
    if axis.kind is AxisKind.WHOLE:
        return float(math.floor(value + 1e-9) if direction < 0 else math.ceil(value - 1e-9))
    return _short(value, direction)


def _short(value: float, direction: int = 0) -> float:
    """``value`` in three significant digits, not beyond it on the side of ``direction`` (-1: down, 1: up)."""
    short = float(f"{value:.3g}")
    if direction and value and (short - value) * direction < -1e-9 * abs(value):
        unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
        short = float(f"{value + direction * unit:.3g}")
    return short
