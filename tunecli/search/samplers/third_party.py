"""Samplers of other packages: `tpe` of Optuna and `cmaes` of cmaes, installed by the extra ``optuna``.

Their objects keep state. Here each suggestion creates a new object and replays the record into it, with random numbers
that are named by seed and trial number (record-is-the-state, seeds-by-name). Both see units and not values, so a range
has the scale that the file gives it. A package is imported when its sampler is used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from tunecli.config.domains import LAST_UNIT, Categorical, position_of, unit_of_value, value_of_unit
from tunecli.config.space import Parameter, Space, is_active, point_of_units, units_of_point
from tunecli.registry.samplers import require_sampler, sampler_info
from tunecli.search.draws import propose
from tunecli.seeding import generator_for, seed_for
from tunecli.trial import Observation, Parameters, Scalar

_CONSTRAINTS = "constraints"  # Optuna's key of a trial's violations
_UNKNOWN_VIOLATION = 1e300
_MAX_NAMES = 6
_N_ASKS = 16  # for a feasible point of a constrained space


def tpe(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Return the suggestion of Optuna's tree-structured Parzen estimator.

    Bergstra, Bardenet, Bengio, Kégl (2011), "Algorithms for Hyper-Parameter Optimization". Pending trials count as bad
    (constant liar), and so do infeasible ones; failed ones do not count. Several objectives: Ozaki, Tanigaki, Watanabe,
    Nomura, Onishi (2022), "Multiobjective Tree-Structured Parzen Estimator". It does not use the weights of a choice.
    See :class:`tunecli.search.protocols.Sampler`.

    Raises:
        UsageError: Optuna is not installed.
    """
    optuna = _package("tpe")
    return propose(space, history, number, seed, _tpe_draws(optuna, space, history, number, seed))


def cmaes(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Return the suggestion of the covariance matrix adaptation evolution strategy.

    Hansen, Ostermeier (2001), "Completely Derandomized Self-Adaptation in Evolution Strategies", as Nomura and
    Shibata's `cmaes` implements it. It adapts the numeric parameters that are always active, if there are at least two,
    and draws all others at random, options by their weights. Trials that ended form the generations, by their numbers;
    a failed one has the worst loss of all. See :class:`tunecli.search.protocols.Sampler`.

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
    n_losses = max((len(trial.losses) for trial in history), default=0) or 1
    has_violations = any(trial.violations for trial in history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constant liar and constraints are experimental in Optuna
        sampler = optuna.samplers.TPESampler(
            seed=seed_for(seed, number, "tpe") % 2**32,
            constant_liar=True,
            constraints_func=_recorded_violations if has_violations else None,
        )
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * n_losses)
    for trial in history:
        losses = _losses(trial)
        values = _optuna_values(space, trial.parameters)
        has_constraints = bool(losses) and has_violations
        study.add_trial(
            optuna.trial.create_trial(
                state=states.COMPLETE if losses else states.RUNNING if trial.is_pending else states.FAIL,
                values=losses or None,
                params=values,
                distributions={key: distributions[key] for key in values},
                system_attrs={_CONSTRAINTS: _finite_violations(trial)} if has_constraints else {},
            )
        )
    for _ in range(_N_ASKS if space.constraints else 1):  # `propose` takes the first feasible one
        yield point_of_units(space, _suggested_units(study.ask(), space, distributions))


def _suggested_units(trial: Any, space: Space, distributions: Mapping[str, Any]) -> list[float]:
    """Ask Optuna for each active parameter; an inactive one has unit 0.5."""
    values, units = dict[str, Scalar](), list[float]()
    for parameter in space.parameters:
        unit = 0.5
        if is_active(parameter, values):
            distribution, domain = distributions[parameter.key], parameter.domain
            if isinstance(domain, Categorical):
                position = trial.suggest_categorical(parameter.key, distribution.choices)
                values[parameter.key] = domain.options[position]
                unit = unit_of_value(domain, domain.options[position])
            else:
                unit = min(trial.suggest_float(parameter.key, 0.0, 1.0), LAST_UNIT)
                values[parameter.key] = value_of_unit(domain, unit)
        units.append(unit)
    return units


def _distributions(optuna: Any, space: Space) -> dict[str, Any]:
    """Return the distribution of each parameter by key: of units, or of positions, since 1 equals true in Optuna."""
    return {
        parameter.key: optuna.distributions.CategoricalDistribution(range(len(parameter.domain.options)))
        if isinstance(parameter.domain, Categorical)
        else optuna.distributions.FloatDistribution(0.0, 1.0)
        for parameter in space.parameters
    }


def _optuna_values(space: Space, point: Parameters) -> dict[str, float | int]:
    """Return a point's values in Optuna's distributions: the position of an option, and the unit of a number."""
    values: dict[str, float | int] = {}
    for parameter, unit in zip(space.parameters, units_of_point(space, point), strict=True):
        if unit is not None:
            domain = parameter.domain
            if isinstance(domain, Categorical):
                position = position_of(domain, value_of_unit(domain, unit))
                assert position is not None  # the value is an option
                values[parameter.key] = position
            else:
                values[parameter.key] = unit
    return values


def adapted_by_cmaes(space: Space) -> tuple[Parameter, ...]:
    """Return the parameters that `cmaes` adapts: numbers that are always active; none if there are fewer than two."""
    adapted = tuple(
        parameter
        for parameter in space.parameters
        if not parameter.conditions and not isinstance(parameter.domain, Categorical)
    )
    return adapted if len(adapted) >= 2 else ()


def cmaes_notes(space: Space) -> Iterator[str]:
    """Yield a note for `check`: the parameters that `cmaes` adapts, and those that it draws at random."""
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
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _cmaes_draws(
    package: Any, space: Space, history: Sequence[Observation], number: int, seed: int
) -> Iterator[Parameters]:
    import numpy as np

    adapted = {parameter.key for parameter in adapted_by_cmaes(space)}
    indices = [index for index, parameter in enumerate(space.parameters) if parameter.key in adapted]
    if not indices:
        return
    strategy = package.CMA(
        mean=np.full(len(indices), 0.5),
        sigma=0.2,
        bounds=np.tile([0.0, 1.0], (len(indices), 1)),
        seed=seed_for(seed, number, "cmaes") % 2**32,
    )
    ended = [o for o in history if not o.is_pending]
    worst = max((loss for o in ended if (loss := _loss(o)) is not None), default=0.0)
    size = strategy.population_size
    for first in range(0, len(ended) - size + 1, size):
        generation = []
        for trial in ended[first : first + size]:
            units, loss = units_of_point(space, trial.parameters), _loss(trial)
            adapted_units = np.array([units[index] for index in indices], dtype=np.float64)
            generation.append((adapted_units, worst if loss is None else loss))
        strategy.tell(generation)
    suggested = generator_for(seed, number, "cmaes", "others").random(len(space.parameters))
    for attempt in range(_N_ASKS if space.constraints else 1):  # `propose` takes the first feasible one
        if attempt:
            suggested = generator_for(seed, number, "cmaes", "others", attempt).random(len(space.parameters))
        suggested[indices] = np.clip(strategy.ask(), 0.0, LAST_UNIT)
        yield point_of_units(space, suggested.tolist())


def _loss(trial: Observation) -> float | None:
    loss = trial.loss
    return loss if loss is not None and math.isfinite(loss) else None


def _losses(trial: Observation) -> list[float]:
    """Return the loss of each objective; empty if one of them is not finite."""
    losses = trial.losses or (() if trial.loss is None else (trial.loss,))
    return [*losses] if all(map(math.isfinite, losses)) else []


def _finite_violations(trial: Observation) -> list[float]:
    """Return the violations, an unknown one as 1e300, since Optuna requires numbers."""
    return [violation if math.isfinite(violation) else _UNKNOWN_VIOLATION for violation in trial.violations]


def _recorded_violations(trial: Any) -> Sequence[float]:
    violations: Sequence[float] = trial.system_attrs[_CONSTRAINTS]
    return violations
