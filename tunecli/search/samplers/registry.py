"""What to try next: the `Sampler` protocol, and the study's way in.

A sampler is a pure function of (space, history, number, seed): law 1. Nothing is remembered between calls,
so a resumed sweep proposes what the uninterrupted one would have. It sees a trial as an `Observation`: pending
ones with their point and no loss (law 5), failed ones as what they are (law 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Protocol

from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import sampler_info
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


def suggest(
    name: str,
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Parameters | None:
    """The point of trial ``number`` by the sampler ``name``; see :class:`Sampler`.

    The order of ``history`` does not matter: it is put in the order of the trials' numbers, so what is
    proposed cannot depend on which trial ended first (law 5). ``settings`` are the sampler's own, by the model of its
    registry entry; `bayes` takes ``surrogate`` and ``acquisition``.

    Raises:
        UsageError: no sampler is called ``name``; its package is not installed; it cannot search this space; or it has
            no such setting.
    """
    info = sampler_info(name)
    known = {} if info.settings is None else info.settings.model_fields
    unknown = sorted(set(settings) - (set(known) - {"name"}))
    if unknown:
        raise UsageError(f"the sampler `{name}` has no setting `{unknown[0]}`")
    in_order = sorted(history, key=attrgetter("number"))
    point: Parameters | None = implementation(info.implementation)(space, in_order, number, seed, **settings)
    return point
