"""Reports for tests, made from scores and points: `Report` has many fields, and a test needs few of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from tunecli.commands.report_text import chapters_of
from tunecli.effects import EdgeVotes, Effects, ParameterEffect, Reliability, Share
from tunecli.objective import Objective
from tunecli.results.confirmed import Candidate, Confirmed, Interval, Quote
from tunecli.results.failures import grouped
from tunecli.results.ranking import front_summary, rank
from tunecli.results.report import Axis, AxisKind, Curve, Report, StudyFacts
from tunecli.trial import Failure, FailureKind, Outcome, Parameters, Scalar, State, Trial

LOSS = Objective("val_loss", maximize=False)
ACCURACY = Objective("val_accuracy", maximize=True)
FACTS = StudyFacts(
    name="demo",
    path="runs/demo",
    config="study: demo\n",
    sampler="bayes",
    seed=7,
    n_planned=0,
    versions={"tunecli": "1.0"},
)
NOT_MODELLED = Effects(Reliability.UNKNOWN, reason="there are too few complete trials")
_FACTS = {field.name for field in fields(StudyFacts)}


def number_axis(name: str, low: float, high: float, **changes: Any) -> Axis:
    """The axis of a number; ``changes`` are other fields, such as ``is_log``."""
    return replace(Axis(name, name.rpartition(".")[2], AxisKind.NUMBER, low, high), **changes)


def options_axis(name: str, *options: str, **changes: Any) -> Axis:
    """The axis of a choice."""
    axis = Axis(name, name.rpartition(".")[2], AxisKind.OPTIONS, 0.0, 1.0, options=options)
    return replace(axis, **changes)


def position(axis: Axis, value: Scalar) -> float:
    """The position of a value on an axis: from 0 to 1; of an option its index."""
    if axis.kind is AxisKind.OPTIONS:
        return float(axis.options.index(str(value)))
    assert isinstance(value, int | float)
    if axis.is_log:
        return math.log(value / axis.low) / math.log(axis.high / axis.low)
    return (value - axis.low) / (axis.high - axis.low)


def make_trial(
    number: int, score: float | None, parameters: Parameters | None = None, **changes: Any
) -> Trial:
    """A trial with this score at its third epoch; None: it failed. ``changes`` are fields of `Outcome`."""
    if score is None:
        failure = Failure(FailureKind.DIVERGED, "the loss is not a finite number")
        outcome = Outcome(State.FAILED, seconds=1.0, device="cpu", failure=failure)
    else:
        outcome = Outcome(State.COMPLETE, score, {}, 3, 3, 2.0, "cpu")
    outcome = replace(outcome, **changes)
    return Trial(number, parameters or {}, 100 + number, outcome.state, outcome)


def report_of(
    trials: Iterable[Trial], axes: Sequence[Axis] = (), objective: Objective = LOSS, **changes: Any
) -> Report:
    """The report of these trials.

    Args:
        trials: in any order.
        axes: of the parameters that vary; a trial without a value has no position.
        objective: the goals and constraints.
        changes: fields of `Report` or of `StudyFacts`, by name.
    """
    trials = list(trials)
    facts = replace(FACTS, n_planned=len(trials), counts=Counter(trial.state.shown for trial in trials))
    report = Report(
        replace(facts, **{name: value for name, value in changes.items() if name in _FACTS}),
        objective,
        tuple(rank(trials, objective, include_unfinished=True)),
        tuple(axes),
        {
            trial.number: tuple(
                position(axis, trial.parameters[axis.name]) if axis.name in trial.parameters else None
                for axis in axes
            )
            for trial in trials
        },
        NOT_MODELLED,
        front=front_summary(trials, objective),
        failures=grouped(trials),
    )
    return replace(report, **{name: value for name, value in changes.items() if name not in _FACTS})


def make_report(
    scores: Sequence[float | None],
    points: Sequence[Parameters] = (),
    axes: Sequence[Axis] = (),
    objective: Objective = LOSS,
    **changes: Any,
) -> Report:
    """The report of trials 0, 1, 2, … with these scores and points; a score of None is a failed trial."""
    padded = [*points, *[{}] * (len(scores) - len(points))]
    trials = [make_trial(number, score, padded[number]) for number, score in enumerate(scores)]
    return report_of(trials, axes, objective, **changes)


def make_curve(
    scores: Sequence[float], train: Sequence[float] = (), valid: Sequence[float] = (), kept: int | None = None
) -> Curve:
    """A curve with a value at each epoch from 1; the last epoch is kept unless ``kept`` says otherwise."""
    epochs = tuple(range(1, len(scores) + 1))
    return Curve(epochs, tuple(scores), tuple(train), tuple(valid), len(scores) if kept is None else kept)


def make_effect(name: str, share: float, *, is_known: bool = True, **changes: Any) -> ParameterEffect:
    """A parameter with this share of the variance by the model and by the forest; its interval is a tenth around."""
    interval = Share(share, 0.9 * share, 1.1 * share)
    effect = ParameterEffect(name, 30, is_known, interval, interval, share, (), EdgeVotes(0, 0, 8))
    return replace(effect, **changes)


def make_effects(*parameters: ParameterEffect, r2: float = 0.9, **changes: Any) -> Effects:
    """Effects with a reliability that follows from ``r2``."""
    reliability = (
        Reliability.RELIABLE if r2 >= 0.85 else Reliability.PROVISIONAL if r2 >= 0.5 else Reliability.UNKNOWN
    )
    return replace(Effects(reliability, r2, 40, noise=0.01, parameters=parameters), **changes)


def make_confirmed(
    fresh: Mapping[int, Interval], in_set: Sequence[int] = (), searched: Mapping[int, float] | None = None
) -> Confirmed:
    """A confirmation of these trials, five runs each; trial 0 is the first one, and the quote is of the first named."""
    candidates = tuple(
        Candidate(
            number,
            (searched or {}).get(number, interval.mean),
            (interval.low, interval.mean, interval.mean, interval.mean, interval.high),
            interval,
            number in in_set,
            number == 0,
            2.0,
        )
        for number, interval in fresh.items()
    )
    first = next(iter(fresh))
    quote = Quote(first, candidates[0].scores, fresh[first], fresh[first])
    return Confirmed(1, 5, False, 40, candidates, quote, seed_deviation=0.01)


def text_of(report: Report) -> str:
    """The report's text as `tunecli report` shows it, without its tables."""
    return "\n".join(
        line
        for chapter in chapters_of(report)
        for line in (
            chapter.title,
            *chapter.paragraphs,
            *(f"{label}  {text}" for label, text in chapter.lines),
        )
    )
