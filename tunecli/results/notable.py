"""What distinguishes a trial: why it runs, and the values in which it differs from the best and the running trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunecli.messages import Origins
from tunecli.trial import Scalar, Trial

Scale = tuple[float, float, bool]
"""The ends of a parameter's range, and whether its scale is logarithmic."""
N_NOTABLE = 3
_FAR = 0.2  # of the range
_SEVERAL = 2  # other running trials, before an option of the best trials is notable for being alone
_ANY_IMPORTANCE = 0.1  # of a parameter that explains nothing, so that it still counts


@dataclass(frozen=True, slots=True)
class Notable:
    """A value in which a trial differs from others.

    Attributes:
        name: the parameter.
        value: the trial's value.
        against: the others: ``best`` for the best trials, ``others`` for the ones that run; empty: none are compared.
        ends: the least and the largest value of the others, for a number.
        is_alone: whether no other running trial has the value, for an option.
    """

    name: str
    value: Scalar
    against: str = ""
    ends: tuple[Scalar, ...] = ()
    is_alone: bool = False


def notable_values(
    trial: Trial,
    best: Sequence[Trial],
    others: Sequence[Trial],
    scales: Mapping[str, Scale],
    importance_of: Mapping[str, float],
) -> list[Notable]:
    """The values in which a trial differs most from the best trials, or from the other ones that run, at most three.

    A number counts if it is further than a fifth of its range from that of each of the best trials; without any best
    trial, from that of each other running one. An option counts if none of the best trials has it, or none of several
    other running trials. A value counts the more the further it is, and the more important its parameter is for the
    scores.

    Args:
        trial: the trial.
        best: the best trials; may be empty.
        others: the other trials that run; may be empty.
        scales: the numeric parameters; others are compared as options.
        importance_of: by name, from 0 to 1, in the order for ties.
    """
    found: list[tuple[float, Notable]] = []
    for name in importance_of:
        if name not in trial.parameters:
            continue
        of_best, of_others = _values(name, best), _values(name, others)
        difference = _difference(name, trial.parameters[name], of_best, of_others, scales.get(name))
        if difference is not None:
            strength, value = difference
            found.append((strength * (_ANY_IMPORTANCE + importance_of[name]), value))
    found.sort(key=lambda pair: -pair[0])
    return [value for _, value in found[:N_NOTABLE]]


def _values(name: str, trials: Iterable[Trial]) -> list[Scalar]:
    return [trial.parameters[name] for trial in trials if name in trial.parameters]


def _difference(
    name: str, value: Scalar, of_best: Sequence[Scalar], of_others: Sequence[Scalar], scale: Scale | None
) -> tuple[float, Notable] | None:
    """How much a value differs, and the value; None: it does not differ enough."""
    if scale is not None and (number := _number(value)) is not None:
        against = "best" if of_best else "others"
        numbers = [other for other in map(_number, of_best or of_others) if other is not None]
        if not numbers:
            return None
        place = _place(number, scale)
        distance = min(abs(place - _place(other, scale)) for other in numbers)
        ends = (min(numbers), max(numbers))
        return (0.5 + distance, Notable(name, value, against, ends)) if distance > _FAR else None
    kind = _kind(value)
    is_alone = bool(of_others) and kind not in map(_kind, of_others)
    if of_best and kind not in map(_kind, of_best):
        return 1.0 + 0.25 * is_alone, Notable(name, value, "best", is_alone=is_alone)
    is_notable = is_alone and (not of_best or len(of_others) >= _SEVERAL)
    return (0.5, Notable(name, value, "others", is_alone=True)) if is_notable else None


def _kind(value: Scalar) -> tuple[type, Scalar]:
    """The value with its type: 1 and true are different options."""
    return type(value), value


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _place(value: float, scale: Scale) -> float:
    """Where a value lies in its range: 0 and 1 are the ends."""
    low, high, is_log = scale
    if is_log and min(value, low) > 0:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def origin_of(trial: Trial, origins: Origins, scores: Iterable[tuple[int, float | None]]) -> str:
    """Where a trial comes from, in a word or two.

    Args:
        trial: the trial.
        origins: how the study's sampler makes suggestions.
        scores: the number and score of trials on record, of which those before the trial count.
    """
    if trial.parameters in origins.start:
        return "start point"
    if trial.number == len(origins.start) and trial.parameters == origins.default:
        return "default"
    if trial.parameters in origins.earlier:
        return "earlier study"
    if trial.number == 0 and origins.initial is not None:
        return "first trial"
    if origins.initial is None or trial.number in origins.initial or not _has_two_scores(trial, scores):
        return origins.draws
    return "model"


def _has_two_scores(trial: Trial, scores: Iterable[tuple[int, float | None]]) -> bool:
    """Whether a model could be fitted: two different scores were known before the trial."""
    first: float | None = None
    for number, score in scores:
        if number >= trial.number or score is None or not math.isfinite(score):
            continue
        if first is not None and score != first:
            return True
        first = score
    return False


def why_of(origin: str, failed: str, from_epoch: int, *, is_continued: bool) -> str:
    """Why an attempt runs: ``model``, ``retry (oom)``, ``retry (lost) from epoch 3``, ``continues from epoch 6``.

    Args:
        origin: where its trial comes from.
        failed: the kind of the failure of the attempt before it; empty: that one did not fail.
        from_epoch: the epoch that it goes on from; 0: it trains from the start.
        is_continued: whether an attempt before it paused or was interrupted.
    """
    what = f"retry ({failed})" if failed else "continues" if is_continued or from_epoch else origin
    return (
        f"{what} from epoch {from_epoch}" if from_epoch else "begins again" if what == "continues" else what
    )
