"""The methods of the search benchmarks, each of which runs a whole sweep of a problem, one trial after another.

Our methods are the pure function alone, or the whole of `tunecli search` (``through_study``). The others are those of
`peer_methods.py`. The seconds of a suggestion are those of a processor.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.benchmarks.peer_methods import hebo_defaults, optuna_with, skopt_defaults, smac_defaults
from tests.benchmarks.problems import Loss, Method, Problem, Sweep, space_of, true_loss
from tunecli.cli import main
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, State


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
            losses.append(true_loss(problem, point))
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
            losses.append(true_loss(problem, params))
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
