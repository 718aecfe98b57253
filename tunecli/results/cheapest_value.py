"""The cheapest good value of a parameter without effect: it costs no score, so training time decides."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from tunecli.results.report import Axis, AxisKind, Report
from tunecli.trial import State, Trial

MIN_IN_GROUP = 3
"""Complete trials with similar values, before their training time is compared."""
MIN_SAVING = 0.1
"""Of the training time: less may be chance."""
_N_GROUPS = 3


def cheapest_trial(report: Report, axis: Axis, start: Trial) -> tuple[Trial, bool]:
    """The trial whose value of the parameter is fixed.

    Complete trials are grouped by option, or by thirds of the range. The group with the least median training time
    wins if it saves a tenth of that of the group of ``start``; its trial of the best score gives the value. Else
    ``start`` does, or the best trial that has the parameter.

    Args:
        report: of the study.
        axis: of the parameter.
        start: the trial that the next study begins with.

    Returns:
        The trial, and whether its group trains faster.
    """
    index = report.axes.index(axis)
    having = [
        trial
        for trial in report.leading
        if trial.state is State.COMPLETE and report.positions[trial.number][index] is not None
    ]
    own = report.positions[start.number][index]
    fallback = start if own is not None else having[0]
    groups: dict[int, list[Trial]] = {}
    for trial in having:
        groups.setdefault(_group(axis, report.positions[trial.number][index] or 0.0), []).append(trial)
    seconds = _median_seconds(groups)
    mine = _group(axis, report.positions[fallback.number][index] or 0.0)
    if mine not in seconds:
        return fallback, False
    cheapest = min(seconds, key=lambda group: (seconds[group], group))
    if seconds[cheapest] > (1 - MIN_SAVING) * seconds[mine]:
        return fallback, False
    return groups[cheapest][0], True


def _group(axis: Axis, position: float) -> int:
    return round(position) if axis.kind is AxisKind.OPTIONS else min(int(position * _N_GROUPS), _N_GROUPS - 1)


def _median_seconds(groups: Mapping[int, list[Trial]]) -> dict[int, float]:
    """The median training time of each group that has enough trials."""
    return {
        group: median(trial.outcome.seconds for trial in trials if trial.outcome is not None)
        for group, trials in groups.items()
        if len(trials) >= MIN_IN_GROUP
    }
