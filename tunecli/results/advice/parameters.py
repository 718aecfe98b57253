"""Advice on single parameters: one that changes nothing, an option that was hardly tried, and unknown importance.

The figures are of `tests.benchmarks.advice`, on studies without training whose true effects are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tunecli.effects import ParameterEffect, Reliability
from tunecli.results.advice.basis import (
    MIN_R2,
    command,
    fork_name,
    named,
    option_in_yaml,
    position_on,
    value_text,
)
from tunecli.results.report import Axis, AxisKind, Finding, Report, Severity
from tunecli.text import counted, shown_number
from tunecli.trial import State

MAX_SHARE, MAX_SHARE_OF_GOOD_MODEL = 0.01, 0.03
"""The 95 % quantile of the share, over the kernels, of a parameter without effect; the second where R² is at least
`GOOD_R2`. In 323 cases, a parameter with more than 3 % of the variance had a quantile of 6 % or more."""
MAX_FOREST_SHARE, MAX_FOREST_SHARE_OF_GOOD_MODEL = 0.02, 0.08
"""Its share by the forest. The model alone called a parameter with 36 % of the variance dead in 2 of 4 real studies of
an R² of 0.3 to 0.8, but a forest of 100 `bayes` trials gives a dead one 8 % and more at times. With limits of 1 % and
5 % for a good model, 22 of 29 studies of 100 trials named a dead parameter, and with these 29."""
GOOD_R2 = 0.7
MIN_TRIALS, MIN_TRIALS_PER_PARAMETER = 20, 2
"""Trials of the model before a parameter can be called dead: the larger of 20 and two for each parameter."""
MIN_ACTIVE, MIN_ACTIVE_FRACTION = 10, 1 / 3
"""Of these trials as many have the parameter: the larger of 10 and a third."""
MAX_STARVED = 2
"""An option of at most this many trials, none of them complete. By the count alone, 6 of 24 clean studies had one."""
MIN_TRIALS_PER_OPTION = 4
"""Trials that have the parameter, for each of its options, before an option counts as hardly tried."""
_MIN_FURTHER = 10


def no_effect(report: Report) -> list[Finding]:
    """A parameter that changes nothing: by the model and by the forest, in enough trials."""
    effects, n_axes = report.effects, len(report.axes)
    if effects.r2 is None or effects.r2 < MIN_R2:
        return []
    if effects.n_trials < max(MIN_TRIALS, MIN_TRIALS_PER_PARAMETER * n_axes):
        return []
    return [
        Finding(
            "no-effect",
            Severity.CHANCE,
            f"`{named(axis)}` has no effect on the score.",
            f"Its share of the score's variance is {_percent(effect.share.mean)}, at most"
            f" {_percent(effect.share.high)}, in {counted(effect.n_active, 'trial')}. A fixed value leaves more trials"
            " for the other parameters.",
            command(report, "report", "--next next.yaml"),
            parameter=axis.name,
            weight=MAX_SHARE_OF_GOOD_MODEL - effect.share.high,
        )
        for axis, effect in with_effects(report)
        if _is_dead(effect, effects.n_trials, effects.r2)
    ]


def starved_option(report: Report) -> list[Finding]:
    """An option of a choice that hardly any trial has, and no complete one."""
    if report.facts.sampler == "grid":  # it tries every option in its order
        return []
    findings = []
    for index, axis in enumerate(report.axes):
        if axis.kind is not AxisKind.OPTIONS:
            continue
        n_of, is_open = Counter[int](), set(range(len(axis.options)))
        for row in report.ranked:  # complete trials come first, so most studies need a look at few trials
            position = position_on(report, row.trial, index)
            if position is not None and row.trial.state is not State.WAITING:
                n_of[int(position)] += 1
                if row.trial.state in (State.COMPLETE, State.RUNNING):
                    is_open.discard(int(position))
            if not is_open:
                break
        n_having = n_of.total()
        if n_having < MIN_TRIALS_PER_OPTION * len(axis.options):
            continue
        findings += [
            Finding(
                "starved-option",
                Severity.PROBLEM,
                f"The study hardly tried `{named(axis)}` = {value_text(axis, option)}.",
                _starved_text(n_of[option], n_having),
                f"search: {{start: [{{{axis.name}: {option_in_yaml(axis, option)}}}]}}",
                parameter=axis.name,
                weight=n_having / len(axis.options),
            )
            for option in sorted(is_open)
            if n_of[option] <= MAX_STARVED
        ]
    return findings


def importance_unknown(report: Report) -> list[Finding]:
    """The trials do not say which parameters matter."""
    effects, n_axes = report.effects, len(report.axes)
    if (
        n_axes < 2
        or not report.leading
        or effects.is_deferred
        or effects.reliability is not Reliability.UNKNOWN
    ):
        return []
    n_further = effects.n_missing or max(_MIN_FURTHER, 2 * n_axes)
    total = max(report.facts.n_planned, len(report.ranked)) + n_further
    if effects.r2 is None:
        why = f"There is no model of the scores: {effects.reason}." if effects.reason else ""
    else:
        why = f"The model explains {_percent(max(0.0, effects.r2))} of the variance of scores that it has not seen."
    resume = f"--trials {total}"
    if report.facts.sampler not in ("quasirandom", "random"):
        resume = f"--fork {fork_name(report)} --set search.sampler=quasirandom --trials {total}"
    return [
        Finding(
            "importance-unknown",
            Severity.NOTE,
            "The trials do not show which parameters matter.",
            f"{why} {counted(n_further, 'more trial')} that cover the space evenly may show it.".strip(),
            command(report, "resume", resume),
        )
    ]


def with_effects(report: Report) -> Iterator[tuple[Axis, ParameterEffect]]:
    """Each axis with the effect of its parameter; an axis without one is left out."""
    for axis in report.axes:
        effect = report.effects.of(axis.name)
        if effect is not None:
            yield axis, effect


def _is_dead(effect: ParameterEffect, n_trials: int, r2: float) -> bool:
    max_share, max_forest_share = (
        (MAX_SHARE_OF_GOOD_MODEL, MAX_FOREST_SHARE_OF_GOOD_MODEL)
        if r2 >= GOOD_R2
        else (MAX_SHARE, MAX_FOREST_SHARE)
    )
    return (
        effect.is_known
        and effect.n_active >= max(MIN_ACTIVE, MIN_ACTIVE_FRACTION * n_trials)
        and effect.share.high < max_share
        and effect.forest_share is not None
        and effect.forest_share < max_forest_share
    )


def _starved_text(n: int, n_having: int) -> str:
    if not n:
        return f"None of {counted(n_having, 'trial')} has this option, so its best score is unknown."
    have = "1 has this option and is" if n == 1 else f"{n} have this option and are"
    return f"Of {counted(n_having, 'trial')}, {have} not complete, so its best score is unknown."


def _percent(fraction: float) -> str:
    return f"{shown_number(100 * fraction, 2)} %"
