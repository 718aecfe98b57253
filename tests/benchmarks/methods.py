"""The problems and methods of the search benchmarks.

A method runs a whole sweep of a problem, one trial after another, and returns the loss of each trial and the seconds of
a processor of each suggestion. Our methods are the pure function alone, or the whole of `tunecli search` (``through_study``); a peer
gets the same space through its own interface. A peer that is not installed raises `ImportError`, and the tables report
it in a line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import math
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.cli import main
from tunecli.config.domains import Categorical, Integer, Real
from tunecli.config.grammar import parse
from tunecli.config.priors.placing import with_priors
from tunecli.config.reader import read
from tunecli.config.space import Space, is_active
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, Scalar, State

Loss = Callable[[Parameters], float | None]
"""The loss at a point, lower is better; None: the trial fails."""


@dataclass(frozen=True)
class Problem:
    """A function to optimise.

    Attributes:
        name: its name.
        text: its space, as in the file.
        loss: the loss that a trial reports, possibly with noise.
        truth: the loss without noise, which the benchmark evaluates.
        has_priors: whether our samplers get the priors of the settings that the space names (``search.priors``).
        is_own_program: whether the parameters are those of a user's function, whose names say which settings they are.
        folder: the folder of the data files.
    """

    name: str
    text: str
    loss: Loss
    truth: Loss
    has_priors: bool = False
    is_own_program: bool = False
    folder: Path | None = None

    @property
    def space(self) -> Space:
        """The space that ``text`` describes."""
        space = space_of(in_own_program(self.text) if self.is_own_program else self.text)
        return with_priors(space, self.folder) if self.has_priors else space


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep.

    Attributes:
        losses: the true loss of each trial in order; infinite: it failed.
        seconds: the time of each suggestion, of a processor.
    """

    losses: tuple[float, ...]
    seconds: tuple[float, ...]

    def best_after(self, n_trials: int) -> float:
        """The lowest loss of the first ``n_trials``."""
        return min(self.losses[:n_trials])


def space_of(text: str) -> Space:
    """The space that the text under `trial` describes."""

    def refuse(problem: Any) -> None:
        raise ValueError(str(problem))

    return Space(parse(read(text.encode(), "benchmark"), refuse))


def in_own_program(text: str) -> str:
    """The text of a space as that of a function of the user, with the same names of the parameters."""
    return f"python: benchmark:train\n{text.strip()}"


def ours(sampler: str, *, lookahead: int = 1, has_priors: bool = True) -> Method:
    """Our sampler of that name, called as by a study; the results of the last ``lookahead`` - 1 trials are pending.

    Without ``has_priors`` it runs as with `search.priors: off`.
    """

    def run(problem: Problem, seed: int, n_trials: int) -> Sweep:
        space = problem.space if has_priors else space_of(problem.text)
        done, losses, seconds = list[Observation](), list[float](), list[float]()
        for number in range(n_trials):
            known = number - lookahead
            history = [o if o.number <= known else _pending(o) for o in done]
            began_s = time.process_time()
            point = suggest(sampler, space, history, number, seed)
            seconds.append(time.process_time() - began_s)
            if point is None:
                break
            loss = problem.loss(point)
            done.append(Observation(number, point, State.FAILED if loss is None else State.COMPLETE, loss))
            losses.append(_true_loss(problem, point))
        return Sweep(tuple(losses), tuple(seconds))

    return run


def through_study(sampler: str) -> Method:
    """A whole `tunecli search` with that sampler: file, record, engine. Only for spaces without branches.

    The seconds are those of a clock, from the end of a trial to the start of the next one.
    """

    def run(problem: Problem, seed: int, n_trials: int) -> Sweep:
        losses, seconds = list[float](), list[float]()
        ended_s = time.perf_counter()

        def tried(params: Parameters) -> float | None:
            nonlocal ended_s
            seconds.append(time.perf_counter() - ended_s)
            losses.append(_true_loss(problem, params))
            loss = problem.loss(params)
            ended_s = time.perf_counter()
            return loss

        with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
            path = Path(name) / "study.yaml"
            path.write_text(
                _STUDY.format(seed, textwrap.indent(problem.text.strip(), "    "), sampler, n_trials)
            )
            (Path(name) / "tried.py").write_text(_MODULE)
            _TRIED[:] = [tried]
            with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
                main(["search", str(path), "--out", str(Path(name) / "run")])
        if len(losses) != n_trials:
            raise RuntimeError(f"the study ended after {len(losses)} trials of {n_trials}")
        return Sweep(tuple(losses), tuple(seconds))

    return run


def evaluate(params: Parameters) -> dict[str, float]:
    """The metrics of a trial of `through_study`, which the study's own function calls; NaN: the trial fails."""
    loss = _TRIED[0](params)
    return {"loss": math.nan if loss is None else loss}


_TRIED: list[Loss] = []
_MODULE = "from tests.benchmarks.methods import evaluate\n\ndef train(params, trial):\n    return evaluate(params)\n"
_STUDY = """\
study: benchmark
seed: {}
objective: {{metric: loss, direction: minimize}}
trial:
  python: tried:train
  params:
{}
search: {{sampler: {}, trials: {}, lookahead: 1}}
run: {{device: cpu, engine: inline}}
"""


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
            losses.append(_true_loss(problem, point))
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


def number(point: Parameters, name: str) -> float:
    """The value of a numerical parameter, as a float."""
    value = point[name]
    assert isinstance(value, int | float)
    return float(value)


def parse_options(
    doc: str | None,
    methods: Iterable[str],
    problems: Iterable[str],
    budget: int,
    add_options: Callable[[argparse.ArgumentParser], None] = lambda _: None,
) -> argparse.Namespace:
    """Parse the command line of a benchmark that prints a table of methods and problems.

    Args:
        doc: the docstring of the program.
        methods, problems: all names.
        budget: the default number of trials.
        add_options: adds further options.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="random,bayes,optuna-tpe,optuna-gp", help=", ".join(methods))
    parser.add_argument("--problems", default=",".join(problems))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--budget", type=int, default=budget, help="trials a sweep; shown after a half and all of it"
    )
    add_options(parser)
    return parser.parse_args()


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
        losses.append(_true_loss(problem, point))
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
        losses.append(_true_loss(problem, point))
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


Method = Callable[[Problem, int, int], Sweep]
"""(problem, seed, number of trials) → the result of a sweep."""

METHODS: Mapping[str, Method] = {
    "random": ours("random"),
    "quasirandom": ours("quasirandom"),
    "bayes": ours("bayes"),
    "bayes-no-priors": ours("bayes", has_priors=False),
    "bayes-q4": ours("bayes", lookahead=4),
    "bayes-q8": ours("bayes", lookahead=8),
    "skopt": skopt_defaults,
    "hebo": hebo_defaults,
    "smac": smac_defaults,
    "optuna-tpe": optuna_with(lambda optuna, seed: optuna.samplers.TPESampler(seed=seed)),
    "optuna-gp": optuna_with(lambda optuna, seed: optuna.samplers.GPSampler(seed=seed)),
    "optuna-cmaes": optuna_with(lambda optuna, seed: optuna.samplers.CmaEsSampler(seed=seed)),
}


def _pending(observation: Observation) -> Observation:
    return Observation(observation.number, observation.parameters, State.WAITING)


def _true_loss(problem: Problem, point: Parameters) -> float:
    loss = problem.truth(point)
    return math.inf if loss is None else loss
