"""`tunecli export --optuna FILE`: a study as an Optuna storage in SQLite, which optuna-dashboard opens.

Optuna's own storage writes the file, so the file is that of the installed version. Needs the extra ``optuna``.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunecli.config.domains import Categorical, Domain, Integer, Normal, Powers, Real
from tunecli.config.space import Parameter, Space, values_by_key
from tunecli.messages import EpochEnded
from tunecli.objective import Objective
from tunecli.trial import Outcome, Parameters, State, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class OptunaCopy:
    """What was written: the number of trials, and of those that Optuna cannot hold as what they are."""

    n_trials: int
    n_without_finite_values: int


def write_storage(
    path: Path,
    name: str,
    space: Space,
    objective: Objective,
    trials: Sequence[Trial],
    epochs: Mapping[int, Sequence[EpochEnded]],
) -> OptunaCopy:
    """Write the ended trials of a study into a new SQLite storage of Optuna.

    Complete, pruned and failed trials keep their state; a complete trial whose objectives are not all finite becomes a
    failed one, because Optuna refuses it. The objective's value at each epoch becomes an intermediate value. Seeds,
    devices and failures become user attributes, constraints become Optuna's.

    Args:
        path: the new file.
        name: the name of the Optuna study.
        space: the space of the trials.
        objective: the goals and constraints.
        trials: in any order; those that have not ended are left out.
        epochs: the recorded epochs, by trial number.

    Returns:
        How many trials were written.

    Raises:
        OSError: the file cannot be written.
    """
    import optuna
    from optuna.storages import RDBStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = RDBStorage(f"sqlite:///{path.absolute()}")
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=["maximize" if goal.maximize else "minimize" for goal in objective.goals],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([goal.metric for goal in objective.goals])
        copies = [
            _copy(trial, trial.outcome, space, objective, epochs.get(trial.number, ()))
            for trial in sorted(trials, key=lambda trial: trial.number)
            if trial.outcome is not None
        ]
        study.add_trials(copies)
    finally:
        storage.remove_session()
        storage.engine.dispose()
    n_lost = sum("not_finite" in copy.user_attrs for copy in copies)
    return OptunaCopy(len(copies), n_lost)


def _copy(
    trial: Trial,
    outcome: Outcome,
    space: Space,
    objective: Objective,
    epochs: Sequence[EpochEnded],
) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    states = {
        State.COMPLETE: TrialState.COMPLETE,
        State.PRUNED: TrialState.PRUNED,
        State.FAILED: TrialState.FAIL,
    }
    metrics = {**outcome.metrics, **({} if outcome.score is None else {objective.metric: outcome.score})}
    values = [metrics.get(goal.metric, math.nan) for goal in objective.goals]
    attributes: dict[str, Any] = {
        "tunecli:trial": trial.number,
        "seed": str(trial.seed),
        "device": outcome.device,
        "epochs": outcome.epochs,
        **{f"metric:{name}": value for name, value in outcome.metrics.items() if math.isfinite(value)},
    }
    state = states[outcome.state.shown]
    if outcome.failure is not None:
        attributes["failure"] = f"{outcome.failure.kind.value}: {outcome.failure.cause}"[:1000]
    if state is TrialState.COMPLETE and not all(map(math.isfinite, values)):
        state = TrialState.FAIL
        attributes["not_finite"] = str(values)
    has_values = state is TrialState.COMPLETE
    violations = [amount for amount in objective.violations(metrics) if math.isfinite(amount)]
    is_constrained = bool(violations) and len(violations) == len(objective.constraints)
    active = _active(space, trial.parameters)
    return create_trial(
        state=state,
        values=values if has_values else None,
        params={label: trial.parameters[parameter.name] for label, parameter in active.items()},
        distributions={
            label: _distribution(parameter.domain, trial.parameters[parameter.name])
            for label, parameter in active.items()
        },
        user_attrs=attributes,
        system_attrs={"constraints": violations} if is_constrained else {},
        intermediate_values={
            epoch.epoch: epoch.metrics[objective.metric]
            for epoch in epochs
            if math.isfinite(epoch.metrics.get(objective.metric, math.nan))
        }
        if not objective.further_objectives
        else {},
    )


def _active(space: Space, point: Parameters) -> dict[str, Parameter]:
    """The parameters that a point has, by the name that Optuna gets.

    Optuna allows one distribution for a name, so parameters of different branches that share a name get their keys,
    such as ``optimizer{adamw}.lr``.
    """
    n_of = Counter(parameter.name for parameter in space.parameters)
    active = values_by_key(space, point)
    return {
        parameter.name if n_of[parameter.name] == 1 else parameter.key: parameter
        for parameter in space.parameters
        if parameter.key in active
    }


def _distribution(domain: Domain, value: Any) -> BaseDistribution:
    """Optuna's distribution with the values of a domain.

    Optuna has no normal distribution: its range is widened to the values within four deviations. A range with a step on
    a logarithmic scale, powers, and a value outside of its own range become the nearest that Optuna can say.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match domain:
        case Categorical(options=options):
            return CategoricalDistribution(options)
        case Integer(low=low, high=high, is_log=is_log, step=step):
            return IntDistribution(low, high, log=is_log, step=1 if is_log else step)
        case Real(low=low, high=high, is_log=is_log, step=step):
            return FloatDistribution(low, high, log=is_log, step=None if is_log else step)
        case Normal(mean=mean, deviation=deviation, is_log=is_log):
            low, high = mean - 4 * deviation, mean + 4 * deviation
            if is_log:
                low, high = math.exp(low), math.exp(high)
            return FloatDistribution(min(low, value), max(high, value), log=is_log and min(low, value) > 0)
        case Powers():
            if isinstance(value, int):
                return IntDistribution(min(1, value), max(value, 1))
            return FloatDistribution(min(value, 0.0), max(value, 1.0))
