"""From the raw scores of fresh trainings to the values of a confirmation (`confirmed.py`).

`trial_to_quote` chooses the candidate that is trained further; `confirmed_of` makes the values that outputs show. Both
are pure functions of a `FreshRuns`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tunecli.results import confidence
from tunecli.results.confidence import Booleans
from tunecli.results.confirmed import Candidate, Confirmed, Interval, Quote
from tunecli.results.fresh import FreshQuote, FreshRuns, done, finite, n_missing, table_of
from tunecli.results.seed_spread import is_seed_ignored, spread_note

DEFAULT_SPLIT_RATIO = 0.25
"""Validation examples for each training example where the sizes are unknown: those of `validation: {fraction: 0.2}`."""


def trial_to_quote(runs: FreshRuns) -> int | None:
    """The number of the trial that is trained ``n_repeats`` further times.

    It has the best mean of the set, among the candidates of which at least two trainings and half of all succeeded, if
    there is such a candidate. Of equal means the candidate that was chosen first is taken.

    Returns:
        None: a candidate's training is missing, or every training failed.
    """
    if not runs.candidates or n_missing(runs.candidates, runs.n_repeats):
        return None
    spread = _spread(runs)
    is_in_set = _is_in_set(runs, spread)
    n_needed = max(2.0, runs.n_repeats / 2)
    gain_K = spread.mean if runs.is_maximized else -spread.mean
    for is_eligible in (
        is_in_set & (spread.count >= n_needed),
        is_in_set & (spread.count > 0),
        spread.count > 0,
    ):
        if np.any(is_eligible):
            return runs.candidates[int(np.argmax(np.where(is_eligible, gain_K, -np.inf)))].number
    return None


def confirmed_of(runs: FreshRuns) -> Confirmed:
    """The confirmation as it is shown.

    The set is known when every candidate has all its trainings; until then all candidates are in it.
    """
    is_ignored = is_seed_ignored(runs)
    n_open = n_missing(runs.candidates, runs.n_repeats)
    if runs.quote is None:
        all_failed = not n_open and all(not finite(candidate.scores) for candidate in runs.candidates)
        n_open += 0 if all_failed else runs.n_repeats
        quote = None
    else:
        n_open += n_missing([runs.quote], runs.n_repeats)
        quote = _quote(runs, runs.quote, is_ignored)
    spread = _spread(runs)
    return Confirmed(
        id=runs.id,
        n_repeats=runs.n_repeats,
        is_split=runs.is_split,
        n_trials_then=runs.n_trials_then,
        candidates=_candidates(runs, is_ignored),
        quote=quote,
        seed_deviation=_seed_deviation(runs, spread, is_ignored),
        is_seed_ignored=is_ignored,
        n_missing=n_open,
    )


def _candidates(runs: FreshRuns, is_ignored: bool) -> tuple[Candidate, ...]:
    spread = _spread(runs)
    is_complete = not n_missing(runs.candidates, runs.n_repeats)
    if is_complete and not is_ignored:
        is_in_set = _is_in_set(runs, spread)
    else:
        is_in_set = np.ones(len(runs.candidates), dtype=bool)
    # Over splits the candidates' variances are not independent, so they are not pooled for a bar of its own.
    bars = (
        confidence.moderated(table_of(runs), confidence.floor_of(runs.step), prior=0)
        if runs.is_split
        else spread
    )
    halves = confidence.half_widths(bars, _extra(runs))
    candidates = []
    for i, candidate in enumerate(runs.candidates):
        is_known = bars.count[i] >= 2 and not is_ignored
        candidates.append(
            Candidate(
                number=candidate.number,
                search_score=candidate.search_score,
                scores=done(candidate.scores),
                fresh=_clipped(_interval(bars.mean[i], halves[i]), runs) if is_known else None,
                is_in_set=bool(is_in_set[i]),
                is_first=candidate.is_first,
                seconds=candidate.seconds,
            )
        )
    return tuple(candidates)


def _quote(runs: FreshRuns, fresh: FreshQuote, is_ignored: bool) -> Quote | None:
    scores = done(fresh.scores)
    if not any(math.isfinite(score) for score in scores):
        return None
    floor = confidence.floor_of(runs.step)
    score = None if is_ignored else _mean(scores, floor, _extra(runs))
    n_known = sum(math.isfinite(value) for value in scores)
    more = None if score is None else _one_more(scores, floor)
    # A single candidate has no race: its runs are those of the quote.
    raced = runs.candidates if len(runs.candidates) > 1 else ()
    race = {candidate.number: done(candidate.scores) for candidate in raced}
    same = race.pop(fresh.number, ())
    note = spread_note(scores, same, race.values(), step=runs.step or 0.0)
    quote = Quote(
        number=fresh.number,
        scores=scores,
        score=_clipped(score, runs),
        one_more=_clipped(more, runs),
        n_valid=runs.n_valid,
        tested={
            name: interval
            for name, values in fresh.tested.items()
            if not is_ignored and (interval := _mean(values, 0.0, 0.0)) is not None
        },
        n_openings=fresh.n_openings,
        note=note if n_known >= 3 and not is_ignored else "",
    )
    return _with_validation(quote, runs)


def _with_validation(quote: Quote, runs: FreshRuns) -> Quote:
    """Add how exactly the validation part knows the score."""
    known = [score for score in quote.scores if math.isfinite(score)]
    mean = math.fsum(known) / len(known)
    if runs.n_valid is None or runs.n_valid < 1:
        return replace(quote, validation_reason="the number of validation examples is not on record")
    if not runs.is_fraction or not 0 <= mean <= 1:
        reason = f"the record has no score of each of the {runs.n_valid} validation examples"
        return replace(quote, validation_reason=reason)
    return replace(quote, validation=Interval(mean, *confidence.wilson(mean, runs.n_valid)))


def _mean(scores: Sequence[float], floor: float, extra: float) -> Interval | None:
    """The mean and its interval, mean ± t(R − 1) s √(1/R + extra); None: unknown, or it would have no width."""
    spread = confidence.moderated(np.asarray([scores], dtype=float), floor, prior=0)
    half = float(confidence.half_widths(spread, extra)[0])
    return _interval(float(spread.mean[0]), half) if half > 0 else None


def _one_more(scores: Sequence[float], floor: float) -> Interval | None:
    """The interval of one further score, mean ± t(R − 1) s √(1 + 1/R)."""
    return _mean(scores, floor, 1.0)


def _interval(mean: float, half: float) -> Interval | None:
    return Interval(float(mean), float(mean - half), float(mean + half)) if half > 0 else None


def _clipped(interval: Interval | None, runs: FreshRuns) -> Interval | None:
    """Cut the ends of a fraction's interval to 0 to 1."""
    if interval is None or not runs.is_fraction or not 0 <= interval.mean <= 1:
        return interval
    return Interval(interval.mean, max(interval.low, 0.0), min(interval.high, 1.0))


def _is_in_set(runs: FreshRuns, spread: confidence.Spread) -> Booleans:
    """The set by scores, less the candidates that leave it for their failures.

    A candidate leaves for its failures if no training succeeded, or if the lower end of the Clopper-Pearson interval of
    its rate of failure is above the upper end of that of the candidate with the fewest failures.
    """
    is_in_set = confidence.is_in_set(spread, is_maximized=runs.is_maximized, extra=_extra(runs))
    totals = [len(done(candidate.scores)) for candidate in runs.candidates]
    rates = [(total - int(count), total) for total, count in zip(totals, spread.count, strict=True)]
    bounds = [confidence.clopper_pearson(k, n) if n else (0.0, 1.0) for k, n in rates]
    least_high = min(high for _, high in bounds)
    fails = [low > least_high or k == n for (low, _), (k, n) in zip(bounds, rates, strict=True)]
    if all(fails):
        return is_in_set
    return np.asarray(is_in_set & ~np.asarray(fails))


def _spread(runs: FreshRuns) -> confidence.Spread:
    table, floor = table_of(runs), confidence.floor_of(runs.step)
    if runs.is_split and len(runs.candidates) > 1:
        return confidence.of_blocks(table, floor)
    return confidence.moderated(table, floor)


def _extra(runs: FreshRuns) -> float:
    if not runs.is_split:
        return 0.0
    if not runs.n_train or not runs.n_valid:
        return DEFAULT_SPLIT_RATIO
    return runs.n_valid / runs.n_train


def _seed_deviation(runs: FreshRuns, spread: confidence.Spread, is_ignored: bool) -> float | None:
    pooled = float(spread.pooled)
    if runs.is_split or is_ignored or math.isnan(pooled):
        return None
    return math.sqrt(max(pooled, confidence.floor_of(runs.step))) or None
