"""The protocols of samplers and pruners, and the functions through which the rest of the program calls them.

Implementations are found by name in :mod:`tunecli.registry` and imported when they are used. All of them are pure
functions of the record (record-is-the-state): nothing is kept between calls, so a resumed sweep equals an
uninterrupted one.

- A `Sampler` suggests the point of a trial.
- A `StoppingPruner` ends trials early, by bounds that are known before a trial begins. So the process that trains it
  needs no message to end it, and it ends at the same epoch anywhere.
- A `PausingPruner` pauses trials at rungs, and decides which paused trial is continued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal, Protocol

from tunecli.config.domains import contains
from tunecli.config.feasibility import feasible_default, is_feasible
from tunecli.config.space import Space, values_by_key
from tunecli.errors import UsageError
from tunecli.knob import NamedKnob
from tunecli.registry.implementations import implementation
from tunecli.registry.pruners import Pausing, is_pausing, pruner_info
from tunecli.registry.samplers import SAMPLERS, sampler_info
from tunecli.search.bo.feasibility import feasibility_rank, violation_matrix
from tunecli.search.draws import is_exhausted, propose, start_point
from tunecli.search.fidelity import Action, Curve
from tunecli.search.observations import Observations
from tunecli.seeding import seed_for
from tunecli.trial import Observation, Parameters, State

_N_ASKS = 8
"""Number of calls of a plug-in's sampler for one feasible point."""

LossCurve = Sequence[tuple[int, float]]
"""The (epoch, loss) pairs that a trial reported, by epoch; losses are ``sign * objective``, lower is better."""


class Sampler(Protocol):
    """Suggests the point of a trial."""

    def __call__(
        self, space: Space, history: Sequence[Observation], number: int, seed: int, /
    ) -> Parameters | None:
        """Return the point of trial ``number``.

        Args:
            space: the space of the point.
            history: every earlier trial, by number. A pending one has no loss (speed-independence), and a failed one
                says that it failed (failure-is-data).
            number: the trial's number, from 0. Trial 0 gets the space's default if it has one.
            seed: the study's seed, at least 0.

        Returns:
            A feasible point of ``space`` (:func:`tunecli.is_feasible`) that is, in a finite space, not in ``history``;
            None if no such point is left. A plug-in that returns a point that is not feasible is called again, with
            other seeds; after eight times it gets the feasible point that is nearest to its first answer.
        """


def suggest(
    name: str,
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    settings: Mapping[str, Any] = MappingProxyType({}),
    n_trials: int | None = None,
) -> Parameters | None:
    """Return the point of trial ``number`` by the sampler ``name``; see :class:`Sampler`.

    The points of `search.start` come first, then the file's default.

    Args:
        name: a sampler of the registry.
        space, number, seed: as for a sampler.
        history: in any order. It is sorted by number, so a suggestion does not depend on the order in which trials
            ended (speed-independence).
        settings: of the sampler, as in its settings model; `bayes` has ``surrogate`` and ``acquisition``.
        n_trials: the study's total; None: unknown.

    Raises:
        UsageError: there is no such sampler; its package is not installed; it cannot search this space; or it has no
            such setting. Or the sampler is a plug-in's and returned no point of the space.
    """
    info = sampler_info(name)
    known = {} if info.settings is None else info.settings.model_fields
    unknown = sorted(set(settings) - (set(known) - {"name"}))
    if unknown:
        raise UsageError(f"the sampler `{name}` has no setting `{unknown[0]}`")
    is_plug_in = name not in SAMPLERS
    # A plug-in gets a list; `Observations` are in order.
    is_in_order = isinstance(history, Observations) and not is_plug_in
    in_order = history if is_in_order else sorted(history, key=attrgetter("number"))
    if (
        space.start
        and (first := _first_points(space, in_order, number, has_grid=info.needs_grid)) is not None
    ):
        return first
    total = {"n_trials": n_trials} if info.uses_total else {}
    sampler: Sampler = partial(implementation(info.implementation), **settings, **total)
    point = sampler(space, in_order, number, seed)
    if point is None or not is_plug_in:
        return point
    point = _checked(name, space, point)
    return (
        point
        if is_feasible(space, point)
        else _asked_again(name, sampler, space, in_order, number, seed, point)
    )


def _first_points(
    space: Space, history: Sequence[Observation], number: int, *, has_grid: bool
) -> Parameters | None:
    """Return the next point of `search.start`, or the default after the last one; None after both.

    A grid places the default itself.
    """
    point = start_point(space, history)
    if point is not None or number != len(space.start) or has_grid:
        return point
    default = feasible_default(space)
    return None if default is None or default in space.start else default


def _asked_again(
    name: str,
    sampler: Sampler,
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    first: Parameters,
) -> Parameters | None:
    """Return a feasible point of a sampler called with other seeds, or the one nearest to its first point."""
    if is_exhausted(space, history):
        return None
    for attempt in range(1, _N_ASKS):
        point = sampler(space, history, number, seed_for(seed, "asked again", attempt))
        if point is None:
            break
        point = _checked(name, space, point)
        if is_feasible(space, point) and all(point != trial.parameters for trial in history):
            return point
    return propose(space, history, max(number, 1), seed, [first])


def _checked(name: str, space: Space, point: Any) -> Parameters:
    """Return the point of a plug-in's sampler, its values in the order of the file.

    Raises:
        UsageError: it is not a point of the space.
    """
    try:
        values = values_by_key(space, point)
        active = [parameter for parameter in space.parameters if parameter.key in values]
        names = [parameter.name for parameter in active]
        wrong = [key for key in point if key not in names]
        wrong += [one.name for one in active if not contains(one.domain, values[one.key])]
    except (KeyError, TypeError, AttributeError) as error:
        message = f"the sampler `{name}` returned {point!r}, which is not a point of the space"
        raise UsageError(message, hint=f"{type(error).__name__}: {error}") from error
    if wrong:
        message = f"the sampler `{name}` returned {point!r}, which is not a point of the space"
        raise UsageError(message, hint=f"see `{wrong[0]}`")
    return {key: point[key] for key in names}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Upper bounds of a trial's lowest loss so far, by epoch.

    Attributes:
        epochs: ascending; a bound applies from its epoch up to the next one's.
        losses: the bound of each; None: no bound.

    Before the first epoch and after the last one there is no bound.
    """

    epochs: tuple[int, ...] = ()
    losses: tuple[float | None, ...] = ()


class StoppingPruner(Protocol):
    """Bounds the losses at which a trial may continue."""

    def __call__(self, settings: Any, curves: Sequence[LossCurve], /) -> Bounds:
        """Return the bounds for a trial.

        Args:
            settings: the user's settings, as in the settings model of the registry entry.
            curves: of the complete trials that the trial may see (speed-independence), in any order. A loss that is not
                finite or above 1e300 counts as not reported.
        """


def stop_bounds(settings: Literal["none"] | NamedKnob, curves: Sequence[LossCurve]) -> Bounds:
    """Return the bounds for a trial by the pruner with these settings; see :class:`StoppingPruner`.

    A pruner that pauses trials sets no bounds.
    """
    if isinstance(settings, str) or is_pausing(settings):
        return Bounds()
    pruner: StoppingPruner = implementation(pruner_info(settings.name).implementation)
    return pruner(settings, curves)


class PausingPruner(Protocol):
    """Decides which trial is trained next, and to which rung."""

    def __call__(
        self,
        settings: Any,
        curves: Sequence[Curve],
        fractions: Sequence[float],
        space: Space,
        seed: int,
        /,
        *,
        may_begin: bool,
    ) -> Action | None:
        """Return the next action.

        Args:
            settings: the user's settings, as in the settings model of the registry entry.
            curves: every trial that was begun, by number, with the results that the decision may use
                (speed-independence). A pruner that depends on arrival gets all results.
            fractions: the rungs as fractions of a full training; at least one, and the last one is 1.
            space: the space of a new trial's point.
            seed: the study's seed.
            may_begin: whether a new trial may be begun.

        Returns:
            A paused trial with a rung above its own, or a new trial; None if these results allow no action.
        """


def next_action(
    settings: Pausing,
    curves: Sequence[Curve],
    fractions: Sequence[float],
    space: Space,
    seed: int,
    *,
    may_begin: bool,
) -> Action | None:
    """Return the next action by the pruner with these settings; see :class:`PausingPruner`."""
    info = pruner_info(settings.name)
    pruner: PausingPruner = implementation(info.implementation)
    action = pruner(settings, curves, fractions, space, seed, may_begin=may_begin)
    needs_fallback = action is None and not may_begin and info.has_fallback
    return fallback(curves) if needs_fallback else action


def fallback(curves: Sequence[Curve]) -> Action | None:
    """Continue the best paused trial of the highest rung if no trial is complete or running, else return None.

    This happens after too few trials for a promotion to the end, or if all promoted trials failed. It makes sure that a
    study ends with a complete trial if any trial can be trained. Brackets that are computed again later do not change
    by it; to `asha` it is one more result at its rungs.
    """
    paused = [curve for curve in curves if curve.is_paused]
    if not paused or any(curve.state in (State.COMPLETE, State.WAITING) for curve in curves):
        return None
    ranks = feasibility_rank(
        [curve.losses[curve.rung] for curve in paused],
        violation_matrix([curve.violations_at(curve.rung) for curve in paused]),
    )
    best, _ = min(zip(paused, ranks, strict=True), key=lambda pair: (-pair[0].rung, pair[1]))
    return Action(best.number, best.rung + 1)


def full_trainings(
    settings: Pausing, fractions: Sequence[float], space: Space, n_trials: int
) -> tuple[float, float]:
    """Return how many full trainings ``n_trials`` trials take, at least and at most.

    Args:
        settings: of the pruner.
        fractions: the rungs as fractions of a full training; the last one is 1.
        space: the space of the trials.
        n_trials: the number of trials that are begun.
    """
    info = pruner_info(settings.name)
    if not info.full_trainings:
        return n_trials * fractions[0], float(n_trials)
    least, most = implementation(info.full_trainings)(settings, fractions, space, n_trials)
    return least, most


def discarded_trials(settings: Pausing, curves: Sequence[Curve], n_rungs: int) -> set[int]:
    """Return the numbers of the paused trials that are never continued, so that their checkpoints can be deleted.

    Empty before a trial is complete: until then any trial may be the :func:`fallback`.
    """
    info = pruner_info(settings.name)
    if not info.discarded or all(curve.state is not State.COMPLETE for curve in curves):
        return set()
    numbers: set[int] = implementation(info.discarded)(settings, curves, n_rungs)
    return numbers
