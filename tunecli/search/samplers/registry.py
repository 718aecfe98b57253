"""What to try next: the `Sampler` protocol, every sampler by its name, and the study's way in.

A sampler is a pure function of (space, history, number, seed): law 1. Nothing is remembered between calls,
so a resumed sweep proposes what the uninterrupted one would have. It sees a trial as an `Observation`: pending
ones with their point and no loss (law 5), failed ones as what they are (law 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Protocol

from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.search.samplers.bayes import bayes
from tunecli.search.samplers.grid import grid
from tunecli.search.samplers.random import quasirandom, random
from tunecli.search.samplers.third_party import cmaes, tpe
from tunecli.trial import Observation, Parameters


class Sampler(Protocol):
    """Proposes the point of a trial."""

    def __call__(
        self, space: Space, history: Sequence[Observation], number: int, seed: int, /
    ) -> Parameters | None:
        """The point of trial ``number``.

        Args:
            space: where the point lies.
            history: every trial proposed before, by number, whatever became of it.
            number: the trial's number, from 0. Trial 0 gets the space's default, where it has one.
            seed: the study's seed, at least 0.

        Returns:
            A point that is in ``space`` and, in a finite space, not in ``history``; None where no such
            point is left.
        """


SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "grid": grid,
        "random": random,
        "quasirandom": quasirandom,
        "bayes": bayes,
        "tpe": tpe,
        "cmaes": cmaes,
    }
)
"""Every sampler by what ``search.sampler`` calls it."""


def suggest(
    name: str,
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Parameters | None:
    """The point of trial ``number`` by the sampler ``name``; see :class:`Sampler`.

    The order of ``history`` does not matter: it is put in the order of the trials' numbers, so what is
    proposed cannot depend on which trial ended first (law 5). ``settings`` are the sampler's own: `bayes` takes
    ``surrogate`` and ``acquisition``, the others none.

    Raises:
        UsageError: no sampler is called ``name``; it cannot search this space; or it has no such setting.
    """
    sampler = SAMPLERS.get(name)
    if sampler is None:
        raise UsageError(f"there is no sampler `{name}`", hint=f"one of {', '.join(SAMPLERS)}")
    unknown = sorted(set(settings) - set(_SETTINGS.get(name, ())))
    if unknown:
        raise UsageError(f"the sampler `{name}` has no setting `{unknown[0]}`")
    in_order = sorted(history, key=attrgetter("number"))
    if settings:
        return bayes(space, in_order, number, seed, **settings)
    return sampler(space, in_order, number, seed)


_SETTINGS: Mapping[str, Sequence[str]] = MappingProxyType({"bayes": ("surrogate", "acquisition")})
