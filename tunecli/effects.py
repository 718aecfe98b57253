"""What a model of the scores says of each parameter: shares of the variance, profiles, and how far it can be trusted.

`search` computes these values, `results` shows them and advises by them. They are plain data in the metric's own unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

RELIABLE_R2 = 0.85
"""Leave-one-out R² from which on effects may be ranked, if the model's kernels and a forest agree on the ranking."""


class Reliability(StrEnum):
    """How far the effects can be trusted.

    RELIABLE: they may be ranked and advised by. PROVISIONAL: they may be shown, and not ranked. UNKNOWN: nothing is
    shown but what is missing.
    """

    RELIABLE = "reliable"
    PROVISIONAL = "provisional"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Share:
    """A parameter's share of the variance of the score, from 0 to 1: the mean over the kernels, and a 90 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ProfilePoint:
    """The best score that the model expects at one value of a parameter, with all others free (an isolation profile).

    Attributes:
        position: of the value on the parameter's axis (`tunecli.config.axes.axis_position`), from 0 to 1; of an option
            its index.
        score: in the metric's unit.
        deviation: of the score, in the metric's unit; at least 0.
    """

    position: float
    score: float
    deviation: float


@dataclass(frozen=True, slots=True)
class EdgeVotes:
    """How many of the model's kernels expect a better score in the outer tenth of a range than inside of it.

    A vote needs a difference of more than half the noise between the outer tenth and the inner 15 to 85 %.

    Attributes:
        low, high: the number of kernels that vote for the lower and for the upper end.
        n_kernels: the number of kernels.
    """

    low: int
    high: int
    n_kernels: int


@dataclass(frozen=True, slots=True)
class ParameterEffect:
    """What the model says of one parameter.

    Attributes:
        name: the name of the parameter's axis (`tunecli.config.axes.distinct_names`): ``optimizer.lr (adamw)``.
        n_active: the number of the model's trials that have the parameter.
        is_known: whether enough trials have it; if not, its shares are unknown, not 0.
        share: total Sobol share over the whole space.
        share_of_better: the same with the scores of the worse half of the space set to their median.
        forest_share: the same by a random forest, from 0 to 1; None: not computed.
        profile: ascending by position; empty: not computed.
        votes: for a numeric parameter; None: not computed.
    """

    name: str
    n_active: int
    is_known: bool
    share: Share
    share_of_better: Share
    forest_share: float | None = None
    profile: tuple[ProfilePoint, ...] = ()
    votes: EdgeVotes | None = None


@dataclass(frozen=True, slots=True)
class Effects:
    """What the model says of all parameters.

    Attributes:
        reliability: how far it can be trusted.
        r2: leave-one-out R² of the model, at most 1; None: there is no model.
        n_trials: the number of trials that the model was fitted to.
        n_missing: the number of further trials that are needed before anything can be said; 0: none.
        reason: why there is no model, as a clause; empty: there is one.
        noise: deviation of one score around the model, in the metric's unit; None: there is no model.
        parameters: in the order of the file, those that vary (`tunecli.config.axes.varying_parameters`); empty: there
            is no model, or there are too few trials.
        predicted: by trial number, the noise-free score and its deviation, in the metric's unit; of a long record the
            best trials only.
        expected_improvement: of the next trial, in the metric's unit; None: not computed.
        is_deferred: whether no model was fitted only because it takes too long at the end of a sweep.
    """

    reliability: Reliability
    r2: float | None = None
    n_trials: int = 0
    n_missing: int = 0
    reason: str = ""
    noise: float | None = None
    parameters: tuple[ParameterEffect, ...] = ()
    predicted: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    expected_improvement: float | None = None
    is_deferred: bool = False

    def of(self, name: str) -> ParameterEffect | None:
        """The effect of the parameter ``name``; None: there is none."""
        return next((effect for effect in self.parameters if effect.name == name), None)
