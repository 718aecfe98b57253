"""Two samplers that others wrote: `tpe` of Optuna and `cmaes` of the package of that name, with ``tunecli[optuna]``.

Both are state in their own houses. Here each is made anew for every suggestion and told the record, with random numbers
named by seed and trial number (law 1). Both see the units of a point and no values, so the scale of a range is the
file's. Neither package is imported before its sampler is used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from tunecli.config.domains import LAST_UNIT, Categorical, n_values, value_of_unit
from tunecli.config.space import Parameter, Space, is_active, point_of_units, units_of_point
from tunecli.registry.samplers import require_sampler, sampler_info
from tunecli.search.draws import propose
from tunecli.seeding import generator_for, seed_for
from tunecli.trial import Observation, Parameters, Scalar

_CONSTRAINTS = "constraints"  # the key under which Optuna keeps a trial's excesses
_FAR = 1e300
_MOST_NAMES = 6


def tpe(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Optuna's tree-structured Parzen estimator; see :class:`tunecli.search.protocols.Sampler`.

    Bergstra, Bardenet, Bengio, Kégl (2011), "Algorithms for Hyper-Parameter Optimization". Pending trials count as bad
    ones (its constant liar), failed ones do not count. Several goals go by Ozaki, Tanigaki, Watanabe, Nomura, Onishi
    (2022), "Multiobjective Tree-Structured Parzen Estimator", and what breaks a constraint counts as bad.

    Raises:
        UsageError: Optuna is not installed.
    """
    optuna = _package("tpe")
    return propose(space, history, number, seed, _tpe_draws(optuna, space, history, number, seed))


def cmaes(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Covariance matrix adaptation; see :class:`tunecli.search.protocols.Sampler`.

    Hansen, Ostermeier (2001), "Completely Derandomized Self-Adaptation in Evolution Strategies", as Nomura and
    Shibata's `cmaes` implements it. It adapts the numeric parameters that are always active, where there are two or
    more; all others are drawn at random. Trials that ended make up the generations in the order of their numbers;
    a failed one ranks below all others.

    Raises:
        UsageError: the package is not installed.
    """
    package = _package("cmaes")
    return propose(space, history, number, seed, _cmaes_draws(package, space, history, number, seed))


def _package(sampler: str) -> Any:
    require_sampler(sampler)
    return import_module(sampler_info(sampler).package)


def _tpe_draws(
    optuna: Any, space: Space, history: Sequence[Observation], number: int, seed: int
) -> Iterator[Parameters]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    states, distributions = optuna.trial.TrialState, _distributions(optuna, space)
    n_losses = max((len(observation.losses) for observation in history), default=0) or 1
    has_excesses = any(observation.violations for observation in history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the constant liar and constraints are experimental
        sampler = optuna.samplers.TPESampler(
            seed=seed_for(seed, number, "tpe") % 2**32,
            constant_liar=True,
            constraints_func=_excesses if has_excesses else None,
        )
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * n_losses)
    for observation in history:
        losses = _losses(observation)
        state = states.COMPLETE if losses else states.RUNNING if observation.is_pending else states.FAIL
        told = _told(space, observation.parameters)
        of_told = {key: distributions[key] for key in told}
        excesses = {_CONSTRAINTS: _finite_excesses(observation)} if losses and has_excesses else {}
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=losses or None,
                params=told,
                distributions=of_told,
                system_attrs=excesses,
            )
        )
    trial, values, units = study.ask(), dict[str, Scalar](), list[float]()
    for parameter in space.parameters:
        unit = 0.5
        if is_active(parameter, values):
            distribution, domain = distributions[parameter.key], parameter.domain
            if isinstance(domain, Categorical):
                position = trial.suggest_categorical(parameter.key, distribution.choices)
                unit = (position + 0.5) / len(domain.options)
                values[parameter.key] = domain.options[position]
            else:
                unit = min(trial.suggest_float(parameter.key, 0.0, 1.0), LAST_UNIT)
                values[parameter.key] = value_of_unit(domain, unit)
        units.append(unit)
    yield point_of_units(space, units)


def _distributions(optuna: Any, space: Space) -> dict[str, Any]:
    """By key: an option is told by its position, since to Optuna 1 and true are the same."""
    return {
        parameter.key: optuna.distributions.CategoricalDistribution(range(len(parameter.domain.options)))
        if isinstance(parameter.domain, Categorical)
        else optuna.distributions.FloatDistribution(0.0, 1.0)
        for parameter in space.parameters
    }


def _told(space: Space, point: Parameters) -> dict[str, float | int]:
    told: dict[str, float | int] = {}
    for parameter, unit in zip(space.parameters, units_of_point(space, point), strict=True):
        if unit is not None:
            domain = parameter.domain
            is_option = isinstance(domain, Categorical)
            told[parameter.key] = int(unit * (n_values(domain) or 1)) if is_option else unit
    return told


def adapted_by_cmaes(space: Space) -> tuple[Parameter, ...]:
    """The parameters that `cmaes` adapts: numbers that are always active, where there are two or more; else none."""
    found = tuple(
        parameter
        for parameter in space.parameters
        if not parameter.conditions and not isinstance(parameter.domain, Categorical)
    )
    return found if len(found) >= 2 else ()


def cmaes_notes(space: Space) -> Iterator[str]:
    """Which parameters `cmaes` adapts and which it draws at random, for `check`."""
    adapted = [parameter.name for parameter in adapted_by_cmaes(space)]
    others = [name for name in space.names if name not in adapted]
    if not space.parameters or not others:
        return
    if not adapted:
        yield (
            "cmaes adapts two or more numbers that are always active, and this space has fewer: all parameters are "
            "drawn at random (`bayes` and `tpe` model such a space)"
        )
        return
    yield f"cmaes adapts {_listed(adapted)}; it draws {_listed(others)} at random"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _cmaes_draws(
    package: Any, space: Space, history: Sequence[Observation], number: int, seed: int
) -> Iterator[Parameters]:
    import numpy as np

    adapted = {parameter.key for parameter in adapted_by_cmaes(space)}
    places = [place for place, parameter in enumerate(space.parameters) if parameter.key in adapted]
    if not places:
        return
    strategy = package.CMA(
        mean=np.full(len(places), 0.5),
        sigma=0.2,
        bounds=np.tile([0.0, 1.0], (len(places), 1)),
        seed=seed_for(seed, number, "cmaes") % 2**32,
    )
    ended = [o for o in history if not o.is_pending]
    worst = max((loss for o in ended if (loss := _loss(o)) is not None), default=0.0)
    size = strategy.population_size
    for first in range(0, len(ended) - size + 1, size):
        told = []
        for observation in ended[first : first + size]:
            units_of_all = units_of_point(space, observation.parameters)
            loss = _loss(observation)
            units_D = np.array([units_of_all[place] for place in places], dtype=np.float64)
            told.append((units_D, worst if loss is None else loss))
        strategy.tell(told)
    units = generator_for(seed, number, "cmaes", "others").random(len(space.parameters))
    units[places] = np.clip(strategy.ask(), 0.0, LAST_UNIT)
    yield point_of_units(space, units.tolist())


def _loss(observation: Observation) -> float | None:
    loss = observation.loss
    return loss if loss is not None and math.isfinite(loss) else None


def _losses(observation: Observation) -> list[float]:
    """Of each goal; none where one of them is not a number."""
    losses = observation.losses or (() if observation.loss is None else (observation.loss,))
    return [*losses] if all(map(math.isfinite, losses)) else []


def _finite_excesses(observation: Observation) -> list[float]:
    """What is not known is told as broken, since Optuna takes numbers only."""
    return [excess if math.isfinite(excess) else _FAR for excess in observation.violations]


def _excesses(trial: Any) -> Sequence[float]:
    found: Sequence[float] = trial.system_attrs[_CONSTRAINTS]
    return found
