"""Successive halving: `halving` and `hyperband` in synchronous brackets, and `asha` without brackets.

Synchronous halving is a pure function of the trials that were begun and their results, so a bracket can be computed
again from the record at any time (record-is-the-state). Lower losses are better; of equal losses the lower trial number
is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from tunecli.config.space import Space
from tunecli.registry.pruners import Asha, Halving, Hyperband
from tunecli.search.fidelity import Action, Curve


@dataclass(frozen=True, slots=True)
class Bracket:
    """``n_trials`` trials that are first trained to ``first_rung``."""

    n_trials: int
    first_rung: int


def in_brackets(
    settings: Halving | Hyperband,
    curves: Sequence[Curve],
    fractions: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Action | None:
    """Run brackets of successive halving one after another: equal ones from the first rung, or those of Hyperband.

    Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter Optimization", algorithm 1,
    with ``settings.factor`` in place of 2. A later bracket begins only while the earlier ones wait for results that may
    not be used yet. If no trial may begin, a bracket that is not full is halved as it is. See
    :class:`tunecli.search.protocols.PausingPruner`.
    """
    n_rungs = len(fractions)
    for bracket, members in _members(_brackets(settings, n_rungs), curves):
        if len(members) == bracket.n_trials or not may_begin:
            action = _next_promotion(members, bracket.first_rung, settings.factor, n_rungs)
            if action is not None:
                return action
        else:
            return Action(None, bracket.first_rung)
    return None


def hyperband_brackets(n_rungs: int, factor: int) -> list[Bracket]:
    """Return the brackets of one round, the one that begins at the lowest rung first.

    Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar (2018), "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization", algorithm 1: n = ⌈(s_max + 1) ηˢ / (s + 1)⌉ trials for s = s_max, …, 0.
    """
    return [Bracket(-(-n_rungs * factor**s // (s + 1)), n_rungs - 1 - s) for s in range(n_rungs - 1, -1, -1)]


def asha(
    settings: Asha,
    curves: Sequence[Curve],
    fractions: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Action | None:
    """Promote any trial that is among the best fraction 1 / ``factor`` of its rung so far, the highest rung first.

    Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar (2020), "A System for Massively Parallel
    Hyperparameter Tuning", algorithm 2. See :class:`tunecli.search.protocols.PausingPruner`.
    """
    for rung in reversed(range(len(fractions) - 1)):
        n_known = sum(curve.loss_at(rung) is not None for curve in curves)
        for curve in _best(curves, rung, n_known // settings.factor):
            if curve.is_paused and curve.rung == rung:
                return Action(curve.number, rung + 1)
    return Action(None, 0) if may_begin else None


def discarded(settings: Halving | Hyperband, curves: Sequence[Curve], n_rungs: int) -> set[int]:
    """Return the numbers of the paused trials that are never continued: those that a full bracket did not promote.

    Args:
        settings: of the pruner.
        curves: every trial that was begun, by number.
        n_rungs: the number of rungs.
    """
    numbers: set[int] = set()
    for bracket, members in _members(_brackets(settings, n_rungs), curves):
        if len(members) < bracket.n_trials:
            break
        promoted = {curve.number for curve in members}
        for _, best in _promotions(members, bracket.first_rung, settings.factor, n_rungs):
            promoted = {curve.number for curve in best}
        paused = {curve.number for curve in members if curve.is_paused}
        numbers |= paused - promoted
    return numbers


def full_trainings(
    settings: Halving | Hyperband | Asha, fractions: Sequence[float], space: Space, n_trials: int
) -> tuple[float, float]:
    """Return how many full trainings ``n_trials`` trials take if none fails; the minimum and the maximum are equal.

    Args:
        settings: of the pruner.
        fractions: the rungs as fractions of a full training; the last one is 1.
        space: the space of the trials.
        n_trials: the number of trials that are begun.
    """
    n_rungs, total, n_left = len(fractions), 0.0, n_trials
    kinds = [Bracket(n_trials, 0)] if isinstance(settings, Asha) else _brackets(settings, n_rungs)
    for bracket in cycle(kinds):
        n_begun = min(bracket.n_trials, n_left)
        total += n_begun * fractions[bracket.first_rung]
        for rung in range(bracket.first_rung + 1, n_rungs):
            n_promoted = max(1, n_begun // settings.factor ** (rung - bracket.first_rung))
            total += n_promoted * (fractions[rung] - fractions[rung - 1])
        n_left -= n_begun
        if n_left <= 0:
            break
    return total, total


def _brackets(settings: Halving | Hyperband, n_rungs: int) -> list[Bracket]:
    """Return the brackets of one round; a study repeats the round."""
    if isinstance(settings, Hyperband):
        return hyperband_brackets(n_rungs, settings.factor)
    n_trials = settings.factor ** (n_rungs - 1) if settings.bracket == "auto" else settings.bracket
    return [Bracket(n_trials, 0)]


def _members(kinds: Sequence[Bracket], curves: Sequence[Curve]) -> Iterator[tuple[Bracket, Sequence[Curve]]]:
    """Yield each bracket and the trials that were begun in it, up to the first bracket that is not full."""
    begin = 0
    for bracket in cycle(kinds):
        members = curves[begin : begin + bracket.n_trials]
        yield bracket, members
        if len(members) < bracket.n_trials:
            return
        begin += bracket.n_trials


def _next_promotion(members: Sequence[Curve], first_rung: int, factor: int, n_rungs: int) -> Action | None:
    """Return the next promotion of a bracket; None if all are made, or if a result at a rung is not known yet."""
    for rung, best in _promotions(members, first_rung, factor, n_rungs):
        for curve in best:
            if curve.is_paused and curve.rung == rung:
                return Action(curve.number, rung + 1)
    return None


def _promotions(
    members: Sequence[Curve], first_rung: int, factor: int, n_rungs: int
) -> Iterator[tuple[int, Sequence[Curve]]]:
    """Yield each rung and the trials promoted from it, the best first, up to the first rung without all results."""
    candidates = members
    for rung in range(first_rung, n_rungs - 1):
        if any(curve.loss_at(rung) is None for curve in candidates):
            return
        candidates = _best(candidates, rung, max(1, len(members) // factor ** (rung - first_rung + 1)))
        yield rung, candidates


def _best(curves: Sequence[Curve], rung: int, n_best: int) -> list[Curve]:
    """Return the ``n_best`` trials at a rung that did not fail, the best first."""
    known = [
        (loss, curve.number, curve)
        for curve in curves
        if (loss := curve.loss_at(rung)) is not None and math.isfinite(loss)
    ]
    return [curve for _, _, curve in sorted(known, key=lambda item: item[:2])[:n_best]]
