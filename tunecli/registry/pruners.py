"""The registry of pruners, with their settings. `tunecli.search.pruners` contains the implementations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeGuard

from pydantic import Field, model_validator

from tunecli.knob import Auto, Count, NamedKnob
from tunecli.registry import plugins


@dataclass(frozen=True)
class PrunerInfo:
    """The registry entry of a pruner: its implementation, settings and capabilities.

    There are two kinds. A stopping pruner sets upper bounds of the loss, and ends a trial that exceeds one. A pausing
    pruner pauses every trial at rungs, and decides which paused trial is continued.

    Attributes:
        name: the value of ``search.pruner``.
        implementation: ``module:attribute`` of the function; see :class:`tunecli.search.protocols.StoppingPruner`, or
            where ``pauses_trials``, :class:`tunecli.search.protocols.PausingPruner`.
        settings: the model of its settings in the file; a subclass of `Pausing` for a pausing pruner.
        package: the top-level package that only this pruner needs; may be empty.
        extra: the extra of tunecli that installs ``package``; may be empty.
        pauses_trials: whether it is a pausing pruner.
        depends_on_arrival: whether a decision uses all results that have arrived, so that the table depends on the
            speed of the trials. Otherwise a decision uses the results that ``search.lookahead`` allows.
        required_sampler: the sampler that the file must name, with its default settings, because the pruner suggests
            points itself; empty: any sampler.
        n_initial: ``module:attribute`` of a function of the space that returns how many first trials the sampler
            suggests, before the pruner suggests points itself; empty: it suggests none.
        has_fallback: whether the best paused trial is continued if the pruner has no further action and no trial is
            complete.
        full_trainings: ``module:attribute`` of a function of (knob, rung fractions, space, number of trials) that
            returns how many full trainings the trials take, at least and at most. Empty: any number of trials is
            continued.
        discarded: ``module:attribute`` of a function of (knob, curves, number of rungs) that returns the numbers of
            the paused trials that are never continued, so that their checkpoints can be deleted. Empty: unknown.
        handles_several_goals: whether ``objective.pareto`` may be given.
    """

    name: str
    implementation: str
    settings: type[NamedKnob]
    package: str = ""
    extra: str = ""
    pauses_trials: bool = False
    depends_on_arrival: bool = False
    required_sampler: str = ""
    n_initial: str = ""
    has_fallback: bool = True
    full_trainings: str = ""
    discarded: str = ""
    handles_several_goals: bool = False


class Median(NamedKnob):
    """End a trial whose best value is worse than the median of the other trials' averages (Golovin et al. 2017).

    Attributes:
        startup_trials: number of complete trials before any trial is ended.
        warmup_epochs: epochs of a trial whose values are not used.
    """

    name: Literal["median"] = "median"
    startup_trials: Count = 5
    warmup_epochs: Annotated[int, Field(ge=0)] = 1


class Pausing(NamedKnob):
    """Base of the pruners that pause trials at rungs, each `factor` times as far as the one before.

    Attributes:
        min_epochs: epochs of the first rung; `auto` is about a tenth of a full training.
        max_epochs: epochs of a full training; `auto` is each trial's own `training.epochs`.
        factor: ratio of the epochs of two consecutive rungs.
    """

    min_epochs: Count | Auto = "auto"
    max_epochs: Count | Auto = "auto"
    factor: Annotated[int, Field(ge=2, le=10)] = 3

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        least, most = self.min_epochs, self.max_epochs
        if isinstance(least, int) and isinstance(most, int) and least > most:
            raise ValueError(f"`min_epochs` must be at most `max_epochs`: {least} is above {most}")
        return self


class Halving(Pausing):
    """Successive halving, one bracket after another (Jamieson & Talwalkar 2016).

    Attributes:
        bracket: number of trials that start in a bracket; `auto` is as many as leave one that trains to the end.
    """

    name: Literal["halving"] = "halving"
    bracket: Annotated[int, Field(ge=2)] | Auto = "auto"


class Hyperband(Pausing):
    """Brackets of successive halving that start at each rung in turn (Li et al. 2018)."""

    name: Literal["hyperband"] = "hyperband"


class Asha(Pausing):
    """Asynchronous successive halving (Li et al. 2020).

    No trial waits, so the table depends on the order in which results arrive.
    """

    name: Literal["asha"] = "asha"


class Curves(Pausing):
    """Start or continue the trial that a model of configurations and learning curves expects to be best at the end.

    From trial 4 · (parameters + 1) on, every third new trial trains to the end without a pause.
    """

    name: Literal["curves"] = "curves"


_HALVING = "tunecli.search.pruners.successive_halving"
PRUNERS: Mapping[str, PrunerInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            PrunerInfo("median", "tunecli.search.pruners.median:median", Median),
            PrunerInfo(
                "halving",
                f"{_HALVING}:in_brackets",
                Halving,
                pauses_trials=True,
                full_trainings=f"{_HALVING}:full_trainings",
                discarded=f"{_HALVING}:discarded",
            ),
            PrunerInfo(
                "hyperband",
                f"{_HALVING}:in_brackets",
                Hyperband,
                pauses_trials=True,
                full_trainings=f"{_HALVING}:full_trainings",
                discarded=f"{_HALVING}:discarded",
            ),
            PrunerInfo(
                "asha",
                f"{_HALVING}:asha",
                Asha,
                pauses_trials=True,
                depends_on_arrival=True,
                full_trainings=f"{_HALVING}:full_trainings",
            ),
            PrunerInfo(
                "curves",
                "tunecli.search.pruners.freeze_thaw:freeze_thaw",
                Curves,
                pauses_trials=True,
                required_sampler="bayes",
                n_initial="tunecli.search.pruners.full_fidelity:n_sampler_trials",
                has_fallback=False,
                full_trainings="tunecli.search.pruners.freeze_thaw:full_trainings",
            ),
        )
    }
)
"""The built-in pruners by name; ``none`` is no pruner."""


def pruner_info(name: str) -> PrunerInfo:
    """Return the registry entry of a pruner.

    Raises:
        UsageError: there is no such pruner, or it belongs to a plug-in that cannot be used.
    """
    if name in PRUNERS:
        return PRUNERS[name]
    info: PrunerInfo = plugins.require("pruners", name, PrunerInfo, ["none", *PRUNERS])
    return info


def is_pausing(knob: Any) -> TypeGuard[Pausing]:
    """Return whether the settings belong to a pausing pruner; False for ``none``."""
    return knob != "none" and pruner_info(knob.name).pauses_trials
