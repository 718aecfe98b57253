"""Advice on the number of trials, and on trials that ran on different devices or versions."""

from __future__ import annotations

import math

from tunecli.results.advice.basis import MIN_R2, capitalised, command, noise_of
from tunecli.results.report import Finding, Report, Severity
from tunecli.text import counted, sanitize, shown_number
from tunecli.trial import State

MIN_TRIALS, MIN_TRIALS_PER_PARAMETER = 4, 2
"""Complete trials that a search needs to learn from them: four, and two for each parameter."""
MIN_IMPROVEMENT = 1.0
"""The expected improvement of the next trial, in deviations of the noise. Less may be chance."""
_MORE = 1.5  # times as many trials


def one_trial(report: Report) -> list[Finding]:
    """The study has one trial."""
    if len(report.leading) != 1 or len(report.ranked) != 1:
        return []
    n_useful = _n_useful(report)
    return [
        Finding(
            "one-trial",
            Severity.NOTE,
            "The study has one trial.",
            "One trial shows neither the noise of its score nor the effect of any parameter."
            + (f" {_usefulness(n_useful)}" if report.axes else ""),
            command(report, "resume", f"--trials {max(report.facts.n_planned, n_useful)}")
            if report.axes
            else command(report, "confirm"),
        )
    ]


def too_few_trials(report: Report) -> list[Finding]:
    """Fewer complete trials than the parameters need."""
    n_needed = MIN_TRIALS + MIN_TRIALS_PER_PARAMETER * len(report.axes)
    n_complete = sum(row.trial.state is State.COMPLETE for row in report.ranked)
    still_runs = report.facts.phase == "running" and report.facts.n_planned >= n_needed
    if not report.axes or not n_complete or n_complete >= n_needed or still_runs or _is_exhausted(report):
        return []
    n_useful = _n_useful(report)
    total = max(report.facts.n_planned, len(report.ranked)) + n_useful - n_complete
    return [
        Finding(
            "too-few-trials",
            Severity.PROBLEM,
            f"{counted(n_complete, 'complete trial')} {'is' if n_complete == 1 else 'are'} too few for"
            f" {counted(len(report.axes), 'parameter')}.",
            _usefulness(n_useful),
            command(report, "resume", f"--trials {total}"),
            weight=1 - n_complete / n_needed,
        )
    ]


def more_would_pay(report: Report) -> list[Finding]:
    """One more trial is expected to improve the best score by more than its noise."""
    effects, noise = report.effects, noise_of(report)
    improvement = effects.expected_improvement
    if improvement is None or noise is None or effects.r2 is None or effects.r2 < MIN_R2:
        return []
    if report.facts.phase == "running" or _is_exhausted(report):
        return []
    ratio = improvement / noise.deviation
    if ratio <= MIN_IMPROVEMENT:
        return []
    total = math.ceil(_MORE * max(report.facts.n_planned, len(report.ranked)))
    return [
        Finding(
            "more-would-pay",
            Severity.CHANCE,
            "More trials are expected to find a better score.",
            f"The model expects the next trial to improve the best score by {shown_number(improvement, 2)}. The noise"
            f" of one score is {shown_number(noise.deviation, 2)} ({noise.source}).",
            command(report, "resume", f"--trials {total}"),
            weight=ratio,
        )
    ]


def mixed_devices_or_versions(report: Report) -> list[Finding]:
    """Trials ran on different devices, or with different versions of a package, which can change their scores."""
    if not report.facts.mixtures:
        return []
    best = report.best
    return [
        Finding(
            "mixed-devices-or-versions",
            Severity.NOTE,
            "The trials ran under different conditions, which alone can change a score.",
            " ".join(f"{capitalised(sanitize(note))}." for note in report.facts.mixtures),
            command(report, "verify") if best is not None else "",
            weight=len(report.facts.mixtures),
        )
    ]


def _n_useful(report: Report) -> int:
    """The complete trials from which a search learns, and which are enough for a model of the effects."""
    n_complete = sum(row.trial.state is State.COMPLETE for row in report.ranked)
    n_missing = 0 if report.effects.parameters else report.effects.n_missing
    return max(MIN_TRIALS + MIN_TRIALS_PER_PARAMETER * len(report.axes), n_complete + n_missing)


def _usefulness(n_useful: int) -> str:
    return (
        f"A search needs about {n_useful} complete trials. From then on it learns from them, and the report can show"
        " which parameters matter."
    )


def _is_exhausted(report: Report) -> bool:
    """Whether the sampler has no further trial: a grid has as many as it has points."""
    return report.facts.sampler == "grid"
