"""The user's priors in a study with results: their term of the acquisition, and the evidence for or against them.

There are two kinds: the priors of known settings (`knob_priors`), and those around the ``default:``s of the file. The
results judge each kind by pairs of the first trials: of two trials, the one with the higher density should be better.

*Units*: as in `encoding`, NaN for an inactive parameter.

Axes: M points, N trials, D parameters of the space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tunecli.config.domains import Categorical, n_values, unit_of_value
from tunecli.config.space import Space
from tunecli.search.bo.encoding import Floats, units_of_points
from tunecli.search.bo.knob_priors import log_density
from tunecli.trial import Observation, State

# πBO's β, in the paper a tenth of the budget: the prior's exponent is 1 at trial 10, and a tenth at trial 100.
_DEFAULT_STRENGTH = 10.0
_KNOB_STRENGTH = 1.0  # a larger one loses after 15 trials the gain of the draws from the priors
_DEFAULT_DEVIATION = 0.25  # in units: a user's default is accurate to about a quarter of its range
N_JUDGED = 16
"""The first trials, by which the results judge the priors."""
_MIN_JUDGED = 3  # with fewer trials, one bad point would be a contradiction
# Shares of pairs against the priors; of unrelated ones a half is expected. After eight trials of LCBench the share is
# 0.12 to 0.39 (10th to 90th percentile of 36 sweeps) for defaults near the best point, and 0.41 to 0.75 for wrong ones.
_CONTRADICTION, _SUPPORT = 0.65, 0.45


@dataclass(frozen=True, slots=True)
class PriorEvidence:
    """The evidence of the results for or against each kind of prior.

    Attributes:
        settings_share, defaults_share: of the priors of settings, and of the file's defaults, the share of pairs of
            trials in which the likelier one is worse. None: there are no such priors, or too few trials.
    """

    settings_share: float | None = None
    defaults_share: float | None = None

    @property
    def contradicts_settings(self) -> bool:
        """Whether the results contradict the priors of settings: of two trials, the likelier one is mostly worse."""
        return self.settings_share is not None and self.settings_share > _CONTRADICTION

    @property
    def supports_settings(self) -> bool:
        """Whether the results support the priors of settings: of two trials, the likelier one is mostly better.

        Priors that are not contradicted may still be wrong. So only supported ones count after the first trials.
        """
        return self.settings_share is not None and self.settings_share < _SUPPORT

    @property
    def doubts_defaults(self) -> bool:
        """Whether the results do not support the defaults; too few trials are no reason to doubt them."""
        return self.defaults_share is not None and self.defaults_share >= _SUPPORT


NO_EVIDENCE = PriorEvidence()
"""The evidence before any result."""


def has_user_prior(space: Space) -> bool:
    """Return whether a parameter of the space has a prior of either kind."""
    return any(parameter.prior or parameter.default is not None for parameter in space.parameters)


def evidence_on_priors(space: Space, history: Sequence[Observation]) -> PriorEvidence:
    """Return the evidence of the results for or against the priors of ``space``.

    Args:
        space: the space, with its priors and defaults.
        history: as for :func:`share_against`.
    """
    has_priors = any(parameter.prior for parameter in space.parameters)
    has_defaults = any(parameter.default is not None for parameter in space.parameters)
    return PriorEvidence(
        share_against(space, history, partial(log_density, space)) if has_priors else None,
        share_against(space, history, partial(default_log_density, space)) if has_defaults else None,
    )


def log_user_prior(space: Space, number: int, evidence: PriorEvidence) -> Callable[[Floats], Floats]:
    """Return the user's log-prior at trial ``number``: units (M, D), NaN if inactive → term of a log acquisition (M,).

    Hvarfner, Stoll, Souza, Lindauer, Hutter, Nardi (2022), "πBO: Augmenting Acquisition Functions with User Beliefs for
    Bayesian Optimization": the acquisition is multiplied by prior^(β / n) at trial n. Parameters without a default have
    the prior of their setting (`knob_priors`), or else a flat one.

    Args:
        space: the space, with its priors and defaults.
        number: the trial's number.
        evidence: for or against the priors. Those of settings count only if it supports them, and the defaults unless
            it doubts them.
    """
    default_weight = 0.0 if evidence.doubts_defaults else _DEFAULT_STRENGTH / max(number, 1)
    knob_weight = _KNOB_STRENGTH / max(number, 1) if evidence.supports_settings else 0.0

    def log_prior(units_MD: Floats) -> Floats:
        return default_weight * default_log_density(space, units_MD) + knob_weight * log_density(
            space, units_MD
        )

    return log_prior


def default_log_density(space: Space, units_MD: Floats) -> Floats:
    """Return the logarithm of the joint density around the file's defaults over its largest value, (M,).

    The prior of a numeric parameter is normal around its ``default:``, in units. An option that is the default has
    twice the weight of any other. Parameters without a default are flat.
    """
    total_M = np.zeros(len(units_MD))
    for index, parameter in enumerate(space.parameters):
        if parameter.default is None:
            continue
        domain = parameter.domain
        difference_M = units_MD[:, index] - unit_of_value(domain, parameter.default)
        if isinstance(domain, Categorical):
            least_share = min(domain.weights) / math.fsum(domain.weights) if domain.weights else None
            is_other_M = np.abs(difference_M) > 0.25 * (least_share or 1.0 / (n_values(domain) or 1))
            total_M -= math.log(2.0) * is_other_M
        else:
            total_M -= 0.5 * np.square(np.nan_to_num(difference_M) / _DEFAULT_DEVIATION)
    return total_M


def share_against(
    space: Space, history: Sequence[Observation], log_density_of: Callable[[Floats], Floats]
) -> float | None:
    """Return the share of pairs of trials in which the one with the higher density is worse; None if they are too few.

    A failed trial is worse than a complete one. Pairs of equal losses or densities do not count.

    Args:
        space: the space.
        history: trials with one loss each. The first ones count, most of which no model chose.
        log_density_of: units (M, D) → the logarithm of the density of priors, (M,).
    """
    ended = [trial for trial in history[:N_JUDGED] if trial.loss is not None or trial.state is State.FAILED]
    if len(ended) < _MIN_JUDGED:
        return None
    losses_N = np.array([math.inf if trial.loss is None else trial.loss for trial in ended])
    density_N = log_density_of(units_of_points(space, [trial.parameters for trial in ended]))
    is_worse_NN = losses_N[:, None] > losses_N[None, :]
    is_denser_NN = density_N[:, None] > density_N[None, :]
    n_against, n_for = int((is_worse_NN & is_denser_NN).sum()), int((is_worse_NN & is_denser_NN.T).sum())
    return n_against / (n_against + n_for) if n_against + n_for else None
