"""The facts that several rules of advice read: the best trials, the noise of one score, and values as texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote
from statistics import fmean, median

from tunecli.results.advice.curve_shapes import MIN_EPOCHS, step_noise
from tunecli.results.report import Axis, AxisKind, Curve, Report
from tunecli.text import counted, sanitize, shorten, shown_number
from tunecli.trial import State, Trial

N_BEST = 5
"""The number of best trials that rules about the best look at."""
MIN_R2 = 0.5
"""Leave-one-out R² below which no rule uses the model: there it names the wrong parameter in 4 of 10 studies."""
_N_LISTED = 8
_LONGEST_NAME = 60
_PLAIN_VALUE = re.compile(r"[\w.+/-]*\w|null|true|false", re.ASCII)


@dataclass(frozen=True, slots=True)
class Noise:
    """The deviation of one score that no parameter explains.

    Attributes:
        deviation: in the metric's unit, above 0.
        source: the origin of the figure, such as ``from fresh runs``.
    """

    deviation: float
    source: str


def best_trials(report: Report, n: int = N_BEST) -> list[Trial]:
    """The ``n`` feasible trials with the best scores, the best first; with several goals by the first of them."""
    feasible = [row.trial for row in report.ranked if row.rank is not None and row.is_feasible is not False]
    if report.objective.further_objectives:
        feasible.sort(key=lambda trial: report.objective.sign * score_of(trial))
    return feasible[:n]


def score_of(trial: Trial) -> float:
    """The score of a trial that has a rank."""
    if trial.outcome is None or trial.outcome.score is None:
        raise ValueError(f"trial {trial.number} has no score")
    return trial.outcome.score


def n_ended(report: Report) -> int:
    """The number of trials that ended: complete, pruned, paused or failed ones."""
    return sum(row.trial.state.shown in (State.COMPLETE, State.PRUNED, State.FAILED) for row in report.ranked)


def noise_of(report: Report) -> Noise | None:
    """The noise of one score by the best source that the report has; None: no source is on record.

    Fresh runs measure it best, then the repeats of each trial. Else it is the largest of three lower bounds: the
    model's noise, the noise from epoch to epoch of the best curves, and the least step of the score.
    """
    confirmed = report.confirmed
    if confirmed is not None and confirmed.seed_deviation:
        return Noise(confirmed.seed_deviation, "from fresh runs")
    metric, n_repeats = f"{report.objective.metric}_std", report.facts.n_repeats
    if n_repeats > 1 and not report.facts.is_folded:
        deviations = [
            deviation
            for trial in report.leading
            if trial.outcome is not None and (deviation := trial.outcome.metrics.get(metric)) is not None
        ]
        if deviations and (pooled := math.sqrt(fmean(value * value for value in deviations))) > 0:
            # `_std` divides the sum of squares by n; the variance of a mean of n is that sum / (n - 1) / n.
            return Noise(pooled / math.sqrt(n_repeats - 1), "from the repeats of each trial")
    bounds = []
    effects = report.effects
    if effects.noise and effects.r2 is not None and effects.r2 >= MIN_R2:
        bounds.append(Noise(effects.noise, "from the model of the scores"))
    late = [
        step_noise(values[-(len(values) // 4) :])
        for trial in best_trials(report)
        if (values := losses_of(report, report.curves.get(trial.number)))
    ]
    if late and median(late) > 0:
        bounds.append(Noise(median(late), "from the last epochs of the best trials"))
    if report.step:
        bounds.append(Noise(report.step, "the least step of the score"))
    return max(bounds, key=lambda noise: noise.deviation, default=None)


def losses_of(report: Report, curve: Curve | None) -> list[float]:
    """The objective metric at each epoch of a curve as a loss; empty: the curve is missing, short or not finite."""
    if curve is None or len(curve.scores) < MIN_EPOCHS or not all(map(math.isfinite, curve.scores)):
        return []
    return [report.objective.sign * score for score in curve.scores]


def position_on(report: Report, trial: Trial, index: int) -> float | None:
    """The position of a trial on the axis of this index; None: it does not have the parameter."""
    positions = report.positions.get(trial.number)
    return None if positions is None else positions[index]


def value_at(axis: Axis, position: float) -> float:
    """The value of a number at a position of its axis, in the parameter's unit."""
    if axis.is_log:
        return float(axis.low * (axis.high / axis.low) ** position)
    return axis.low + position * (axis.high - axis.low)


def value_text(axis: Axis, position: float, n_digits: int = 3) -> str:
    """The value at a position as a text: a number, or the label of an option."""
    if axis.kind is AxisKind.OPTIONS:
        index = min(max(0, round(position)), len(axis.options) - 1)
        return shorten(sanitize(axis.options[index]), _LONGEST_NAME)
    value = value_at(axis, position)
    return shown_number(round(value) if axis.kind is AxisKind.WHOLE else value, n_digits)


def option_in_yaml(axis: Axis, index: int) -> str:
    """An option as a file writes it, in quotes where YAML needs them."""
    option = axis.options[index]
    return option if _PLAIN_VALUE.fullmatch(option) else json.dumps(option)


def named(axis: Axis) -> str:
    """The name of the axis, on one line."""
    return shorten(sanitize(axis.name), _LONGEST_NAME)


def trials_text(numbers: Iterable[int]) -> str:
    """``trial 4``, or ``trials 4, 7 and 9``; of many, the first ones."""
    numbers = list(numbers)
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    if len(numbers) > _N_LISTED:
        return f"trials {', '.join(map(str, numbers[:_N_LISTED]))} and {len(numbers) - _N_LISTED} more"
    return f"trials {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def of_best(n: int, judged: Sequence[object]) -> str:
    """``4 of the 5 best trials``."""
    return f"{n} of the {counted(len(judged), 'best trial')}"


def capitalised(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def command(report: Report, verb: str, options: str = "") -> str:
    """The command ``tunecli VERB RUN OPTIONS`` for the report's study."""
    return sanitize(f"tunecli {verb} {quote(report.facts.path)} {options}").strip()


def fork_name(report: Report) -> str:
    """A name for a study that continues this one."""
    return quote(f"{report.facts.name}-2")
