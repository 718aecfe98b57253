"""The samplers of other libraries, which get a benchmark's space through their own interfaces.

A library that is not installed raises `ImportError`, and the tables report it in a line.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.problems import Method, Problem, Sweep, true_loss
from tunecli.config.domains import Categorical, Integer, Real
from tunecli.config.space import Space, is_active
from tunecli.trial import Parameters, Scalar


def optuna_with(make_sampler: Callable[[Any, int], Any]) -> Method:
    """Optuna by ask and tell, with the sampler ``make_sampler(optuna, seed)``."""

    def run(problem: Problem, seed: int, n_trials: int) -> Sweep:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        space, losses, seconds = problem.space, list[float](), list[float]()
        study = optuna.create_study(sampler=make_sampler(optuna, seed))
        for _ in range(n_trials):
            began_s = time.process_time()
            trial = study.ask()
            point = suggested_point(trial, space)
            seconds.append(time.process_time() - began_s)
            loss = problem.loss(point)
            if loss is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, loss)
            losses.append(true_loss(problem, point))
        return Sweep(tuple(losses), tuple(seconds))

    return run


def suggested_point(trial: Any, space: Space) -> Parameters:
    """The point that an Optuna trial suggests, branch by branch."""
    values: dict[str, Scalar] = {}
    point: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            value = suggested_by(trial, parameter.key, parameter.domain)
            values[parameter.key] = point[parameter.name] = value
    return point


def suggested_by(trial: Any, key: str, domain: Any) -> Scalar:
    """The value that an Optuna trial suggests for one of our parameters."""
    match domain:
        case Categorical(options=options):
            value: Scalar = trial.suggest_categorical(key, options)
        case Integer():
            value = int(trial.suggest_int(key, domain.low, domain.high, log=domain.is_log))
        case Real():
            value = float(trial.suggest_float(key, domain.low, domain.high, log=domain.is_log))
        case _:
            raise TypeError(f"no problem here has such a domain: {domain}")
    return value


def skopt_defaults(problem: Problem, seed: int, n_trials: int) -> Sweep:
    """scikit-optimize's own `Optimizer`: a Gaussian process and gp_hedge.

    The space contains the parameters of every branch. It has no failed trials, so they get the worst loss so far.
    """
    import skopt

    warnings.simplefilter("ignore")
    space, losses, seconds = problem.space, list[float](), list[float]()
    dimensions: list[Any] = []
    for parameter in space.parameters:
        match parameter.domain:
            case Categorical(options=options):
                dimensions.append(skopt.space.Categorical(options))
            case Integer() | Real() as domain:
                kind = skopt.space.Integer if isinstance(domain, Integer) else skopt.space.Real
                prior = "log-uniform" if domain.is_log else "uniform"
                dimensions.append(kind(domain.low, domain.high, prior=prior))
            case _:
                raise TypeError(f"no problem here has such a domain: {parameter.domain}")
    optimizer = skopt.Optimizer(dimensions, random_state=seed)
    reported: list[float] = []
    for _ in range(n_trials):
        began_s = time.process_time()
        suggested = optimizer.ask()
        seconds.append(time.process_time() - began_s)
        values: dict[str, Scalar] = {}
        point: dict[str, Scalar] = {}
        for parameter, value in zip(space.parameters, suggested, strict=True):
            if is_active(parameter, values):
                plain = value.item() if isinstance(value, np.generic) else value
                values[parameter.key] = point[parameter.name] = plain
        loss = problem.loss(point)
        reported.append(max(reported, default=1.0) if loss is None else loss)
        began_s = time.process_time()
        optimizer.tell(suggested, reported[-1])  # fits the model for the next suggestion
        seconds[-1] += time.process_time() - began_s
        losses.append(true_loss(problem, point))
    return Sweep(tuple(losses), tuple(seconds))


def hebo_defaults(problem: Problem, seed: int, n_trials: int) -> Sweep:
    """Huawei's HEBO (Cowen-Rivers et al. 2022).

    The space contains the parameters of every branch, and a failed trial gets the worst loss so far.
    """
    import pandas
    import torch
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    warnings.simplefilter("ignore")
    torch.manual_seed(seed)
    np.random.seed(seed)  # HEBO draws from the global generator
    kinds = {(Integer, False): "int", (Integer, True): "pow_int", (Real, False): "num", (Real, True): "pow"}
    described: list[dict[str, Any]] = []
    for parameter in problem.space.parameters:
        domain = parameter.domain
        match domain:
            case Categorical(options=options):
                described.append(
                    {"name": parameter.key, "type": "cat", "categories": [str(option) for option in options]}
                )
            case Integer() | Real():
                kind = kinds[type(domain), domain.is_log]
                described.append({"name": parameter.key, "type": kind, "lb": domain.low, "ub": domain.high})
            case _:
                raise TypeError(f"no problem here has such a domain: {domain}")
    optimizer = HEBO(DesignSpace().parse(described), scramble_seed=seed)

    def ask() -> tuple[Mapping[str, Any], Callable[[float], None]]:
        suggested: pandas.DataFrame = optimizer.suggest(1)
        return suggested.iloc[0].to_dict(), lambda loss: optimizer.observe(suggested, np.array([[loss]]))

    return _ask_and_tell(problem, n_trials, ask)


def smac_defaults(problem: Problem, seed: int, n_trials: int) -> Sweep:
    """SMAC3's facade for hyper-parameters (Lindauer et al. 2022): a random forest and log expected improvement.

    The space contains the parameters of every branch, and a failed trial gets the worst loss so far.
    """
    import ConfigSpace
    import smac
    from smac.runhistory import TrialInfo, TrialValue

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    configurations = ConfigSpace.ConfigurationSpace(seed=seed)
    for parameter in problem.space.parameters:
        domain, key = parameter.domain, parameter.key
        match domain:
            case Categorical(options=options):
                configurations.add(ConfigSpace.CategoricalHyperparameter(key, [str(o) for o in options]))
            case Integer(low=low, high=high, is_log=is_log):
                configurations.add(ConfigSpace.UniformIntegerHyperparameter(key, low, high, log=is_log))
            case Real(low=low, high=high, is_log=is_log):
                configurations.add(ConfigSpace.UniformFloatHyperparameter(key, low, high, log=is_log))
            case _:
                raise TypeError(f"no problem here has such a domain: {domain}")

    def never(config: Any, seed: int = 0) -> float:
        raise RuntimeError("the benchmark uses only ask and tell")

    with tempfile.TemporaryDirectory() as folder:
        scenario = smac.Scenario(
            configurations, output_directory=Path(folder), deterministic=True, n_trials=n_trials, seed=seed
        )
        facade = smac.HyperparameterOptimizationFacade(scenario, never, logging_level=False)

        def ask() -> tuple[Mapping[str, Any], Callable[[float], None]]:
            suggested: TrialInfo = facade.ask()
            return dict(suggested.config), lambda loss: facade.tell(suggested, TrialValue(cost=loss))

        return _ask_and_tell(problem, n_trials, ask)


def _ask_and_tell(
    problem: Problem, n_trials: int, ask: Callable[[], tuple[Mapping[str, Any], Callable[[float], None]]]
) -> Sweep:
    """Run a sweep by ask and tell.

    Args:
        problem: the function to optimise.
        n_trials: the number of trials.
        ask: returns a value for every parameter, with options as text, and a function that takes the loss.
    """
    space, reported, losses, seconds = problem.space, list[float](), list[float](), list[float]()
    for _ in range(n_trials):
        began_s = time.process_time()
        suggested, tell = ask()
        seconds.append(time.process_time() - began_s)
        values: dict[str, Scalar] = {}
        point: dict[str, Scalar] = {}
        for parameter in space.parameters:
            if is_active(parameter, values):
                values[parameter.key] = point[parameter.name] = _in_domain(
                    parameter.domain, suggested[parameter.key]
                )
        loss = problem.loss(point)
        reported.append(max(reported, default=1.0) if loss is None else loss)
        began_s = time.process_time()
        tell(reported[-1])  # may fit a model
        seconds[-1] += time.process_time() - began_s
        losses.append(true_loss(problem, point))
    return Sweep(tuple(losses), tuple(seconds))


def _in_domain(domain: Any, value: Any) -> Scalar:
    match domain:
        case Categorical(options=options):
            chosen: Scalar = next(option for option in options if str(option) == str(value))
            return chosen
        case Integer(low=low, high=high):
            nearest: int = min(max(round(float(value)), low), high)
            return nearest
        case _:
            within: float = min(max(float(value), domain.low), domain.high)
            return within
