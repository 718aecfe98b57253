"""Successive halving in brackets, synchronous and not: which trial is continued, and where a new one begins.

Synchronous halving is a pure function of what was begun and what it gave, so a bracket can be told again from the
record at any time (law 1). Axes and units: none; losses are lower the better, and of equal ones the lower number wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from tunecli.config.space import Space
from tunecli.registry.pruners import Asha, Halving, Hyperband
from tunecli.search.fidelity import Choice, Curve


@dataclass(frozen=True, slots=True)
class Bracket:
    """``n_trials`` trials that begin by being trained to level ``begins_at``."""

    n_trials: int
    begins_at: int


def halving(
    knob: Halving,
    courses: Sequence[Curve],
    levels: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Choice | None:
    """Brackets of one kind, all from the first level on.

    Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter Optimization", algorithm 1
    with the factor ``knob.factor`` in place of 2. See :class:`tunecli.search.pruners.promotion.Rule`.
    """
    n_levels = len(levels)
    return _in_brackets(_brackets(knob, n_levels), knob.factor, courses, n_levels, may_begin)


def hyperband(
    knob: Hyperband,
    courses: Sequence[Curve],
    levels: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Choice | None:
    """The brackets of Hyperband, again and again. See :class:`tunecli.search.pruners.promotion.Rule`."""
    n_levels = len(levels)
    return _in_brackets(_brackets(knob, n_levels), knob.factor, courses, n_levels, may_begin)


def hyperband_brackets(n_levels: int, factor: int) -> list[Bracket]:
    """One round, the most eager bracket first.

    Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar (2018), "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization", algorithm 1: n = ⌈(s_max + 1) ηˢ / (s + 1)⌉ trials for s = s_max, …, 0.
    """
    return [
        Bracket(-(-n_levels * factor**s // (s + 1)), n_levels - 1 - s) for s in range(n_levels - 1, -1, -1)
    ]


def asha(
    knob: Asha,
    courses: Sequence[Curve],
    levels: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Choice | None:
    """Asynchronous halving: whoever is among the best of a level so far goes on, the highest level first.

    Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar (2020), "A System for Massively Parallel
    Hyperparameter Tuning", algorithm 2. See :class:`tunecli.search.pruners.promotion.Rule`.
    """
    for level in reversed(range(len(levels) - 1)):
        n_known = sum(course.loss_at(level) is not None for course in courses)
        for course in _best(courses, level, n_known // knob.factor):
            if course.is_paused and course.level == level:
                return Choice(course.number, level + 1)
    return Choice(None, 0) if may_begin else None


def discarded(knob: Halving | Hyperband, courses: Sequence[Curve], n_levels: int) -> set[int]:
    """The numbers of those paused trials that are never continued: of brackets that are full, and not among the kept.

    Args:
        knob: what the file says of the pruner.
        courses: every trial that was begun, by number.
        n_levels: how many levels there are.
    """
    found: set[int] = set()
    for bracket, members in _members(_brackets(knob, n_levels), courses):
        if len(members) < bracket.n_trials:
            break
        kept = {course.number for course in members}
        for _, rung in _rungs(members, bracket.begins_at, knob.factor, n_levels):
            kept = {course.number for course in rung}
        reached = {course.number for course in members if course.is_paused}
        found |= reached - kept
    return found


def full_trainings(
    knob: Halving | Hyperband | Asha, levels: Sequence[float], space: Space, n_trials: int
) -> tuple[float, float]:
    """How many full trainings ``n_trials`` trials take in all, where none fails: at least and at most, the same here.

    Args:
        knob: what the file says of the pruner.
        levels: shares of a full training, the last one 1.
        space: where the trials lie.
        n_trials: how many are begun in all.
    """
    n_levels, total, n_left = len(levels), 0.0, n_trials
    kinds = [Bracket(n_trials, 0)] if isinstance(knob, Asha) else _brackets(knob, n_levels)
    for bracket in cycle(kinds):
        n_here = min(bracket.n_trials, n_left)
        total += n_here * levels[bracket.begins_at]
        for level in range(bracket.begins_at + 1, n_levels):
            n_on = max(1, n_here // knob.factor ** (level - bracket.begins_at))
            total += n_on * (levels[level] - levels[level - 1])
        n_left -= n_here
        if n_left <= 0:
            break
    return total, total


def _brackets(knob: Halving | Hyperband, n_levels: int) -> list[Bracket]:
    """Those that follow one another, again and again."""
    if isinstance(knob, Hyperband):
        return hyperband_brackets(n_levels, knob.factor)
    return [Bracket(knob.factor ** (n_levels - 1) if knob.bracket == "auto" else knob.bracket, 0)]


def _in_brackets(
    kinds: Sequence[Bracket], factor: int, courses: Sequence[Curve], n_levels: int, may_begin: bool
) -> Choice | None:
    """The first bracket that can go on does; a trial begins where none can.

    So a later bracket is begun only while what the earlier ones wait for is not to be seen. A bracket that nothing
    more can begin in is halved as it is.
    """
    for bracket, members in _members(kinds, courses):
        if len(members) == bracket.n_trials or not may_begin:
            choice = _promotion(members, bracket.begins_at, factor, n_levels)
            if choice is not None:
                return choice
        else:
            return Choice(None, bracket.begins_at)
    return None


def _members(kinds: Sequence[Bracket], courses: Sequence[Curve]) -> Iterator[tuple[Bracket, Sequence[Curve]]]:
    """Each bracket and those that were begun in it, up to the first that is not full."""
    begin = 0
    for bracket in cycle(kinds):
        members = courses[begin : begin + bracket.n_trials]
        yield bracket, members
        if len(members) < bracket.n_trials:
            return
        begin += bracket.n_trials


def _promotion(members: Sequence[Curve], begins_at: int, factor: int, n_levels: int) -> Choice | None:
    """Who of a bracket goes on next; None where all do who may, or a level waits for its last result."""
    for level, rung in _rungs(members, begins_at, factor, n_levels):
        for course in rung:
            if course.is_paused and course.level == level:
                return Choice(course.number, level + 1)
    return None


def _rungs(
    members: Sequence[Curve], begins_at: int, factor: int, n_levels: int
) -> Iterator[tuple[int, Sequence[Curve]]]:
    """Each level and those who go on from it, the best first, as far as all results of a level are known."""
    rung = members
    for level in range(begins_at, n_levels - 1):
        if any(course.loss_at(level) is None for course in rung):
            return
        rung = _best(rung, level, max(1, len(members) // factor ** (level - begins_at + 1)))
        yield level, rung


def _best(courses: Sequence[Curve], level: int, n_best: int) -> list[Curve]:
    """The best at a level, of those that did not fail; the best first."""
    known = [
        (loss, course.number, course)
        for course in courses
        if (loss := course.loss_at(level)) is not None and math.isfinite(loss)
    ]
    return [course for _, _, course in sorted(known, key=lambda each: each[:2])[:n_best]]
