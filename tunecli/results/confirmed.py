"""A confirmation as values: the candidates' fresh scores, the set that holds the best, and the confirmed score.

The scores come from fresh runs, which the search did not use. The runs of the confirmed score took no part in the
choice of its trial. Intervals are at 95 %, in the metric's own unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tunecli.text import shown_interval


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its interval, ``low`` ≤ ``mean`` ≤ ``high``."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return shown_interval(self.mean, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One trial of the study that was trained again with fresh seeds.

    Attributes:
        number: the trial's number.
        search_score: the score by which the search ranked it; None: it has none.
        scores: the fresh scores by repeat; NaN where the training failed.
        fresh: their mean and its interval; None: fewer than two succeeded, or all are equal to the last bit.
        is_in_set: whether it is in the set that holds the best with at least 95 %.
        is_first: whether it is the study's first trial, which stands for an untuned configuration.
        seconds: training time of one run, the mean; 0: unknown.
    """

    number: int
    search_score: float | None
    scores: tuple[float, ...]
    fresh: Interval | None = None
    is_in_set: bool = True
    is_first: bool = False
    seconds: float = 0.0

    @property
    def n_failed(self) -> int:
        """How many of its fresh trainings failed."""
        return sum(math.isnan(score) for score in self.scores)


@dataclass(frozen=True, slots=True)
class Quote:
    """The confirmed score: that of one trial, from fresh runs that took no part in its choice.

    Attributes:
        number: the trial's number.
        scores: of these runs; NaN where the training failed.
        score: their mean and its interval; None: fewer than two succeeded, or the training ignores its seed.
        one_more: the interval of the score of one further training; None like ``score``.
        validation: how exactly the validation part knows the score, whatever is trained: the interval of a fraction
            of ``n_valid`` examples (Wilson 1927) or of a mean over them (bootstrap); None: unknown.
        validation_reason: why ``validation`` is unknown, as a clause; empty: it is known.
        n_valid: the number of validation examples; None: unknown.
        tested: the mean of each test metric over these runs, with its interval; empty: there is no test part.
        n_openings: how often the test part of the study's data was opened so far; 0: never.
        note: a caution about the interval, one sentence; may be empty.
    """

    number: int
    scores: tuple[float, ...]
    score: Interval | None = None
    one_more: Interval | None = None
    validation: Interval | None = None
    n_valid: int | None = None
    tested: Mapping[str, Interval] = field(default_factory=dict)
    n_openings: int = 0
    note: str = ""
    validation_reason: str = ""

    @property
    def n_failed(self) -> int:
        """How many of these trainings failed."""
        return sum(math.isnan(score) for score in self.scores)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A confirmation of a study's best trials.

    Attributes:
        id: counts the study's confirmations, from 1.
        n_repeats: fresh trainings of each candidate.
        is_split: whether each repeat has a split of the data of its own; else all have the study's.
        n_trials_then: the number of trials of the study when the candidates were chosen.
        candidates: in the order in which they were chosen.
        quote: None: its runs are missing, or all failed.
        seed_deviation: the deviation of one score by its seed alone, pooled over the candidates; None: unknown.
        is_seed_ignored: whether all fresh runs of each candidate are equal to the last bit.
        n_missing: trainings that are still to be done; 0: the confirmation is complete.
        options: of the command `confirm RUN` that continues it, each after a blank; may be empty.
    """

    id: int
    n_repeats: int
    is_split: bool
    n_trials_then: int
    candidates: tuple[Candidate, ...]
    quote: Quote | None = None
    seed_deviation: float | None = None
    is_seed_ignored: bool = False
    n_missing: int = 0
    options: str = ""

    @property
    def intervals(self) -> dict[int, Interval]:
        """The confirmed score of each trial, by number: that of the quote, else of the candidate's fresh runs."""
        known = {one.number: one.fresh for one in self.candidates if one.fresh is not None}
        if self.quote is not None and self.quote.score is not None:
            known[self.quote.number] = self.quote.score
        return known

    @property
    def is_set_known(self) -> bool:
        """Whether every candidate has all its runs, and they use their seeds; else all of them are in the set."""
        is_complete = all(len(candidate.scores) >= self.n_repeats for candidate in self.candidates)
        return is_complete and not self.is_seed_ignored

    @property
    def in_set(self) -> tuple[Candidate, ...]:
        """The candidates that cannot be distinguished from the best one."""
        return tuple(candidate for candidate in self.candidates if candidate.is_in_set)

    @property
    def cheapest(self) -> Candidate | None:
        """The candidate of the set that trains fastest; None: no training time is known."""
        timed = [candidate for candidate in self.in_set if candidate.seconds > 0]
        return min(timed, key=lambda candidate: (candidate.seconds, candidate.number), default=None)

    @property
    def first(self) -> Candidate | None:
        """The study's first trial, if it is a candidate: it is beaten if it is not in the set."""
        return next((candidate for candidate in self.candidates if candidate.is_first), None)
