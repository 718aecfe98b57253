"""Benchmark of samplers and pruners on ten small problems that tunecli itself trains.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.real [--methods bayes,optuna-gp] [--problems iris-mlp,…] [--seeds 5]
    OMP_NUM_THREADS=1 python -m tests.benchmarks.real --trainings 10 25 50 [--methods curves,optuna-hyperband] …

In the first form every trial is a full training (`methods.METHODS`). The second form compares methods at equal budgets
of epochs, in units of full trainings (`fidelity.METHODS`); a method that has trained no trial to its end counts as the
median of random search. The regret is (loss - best known) / (median of random - best known), with the two losses of
`real_problems.json`, which `real_reference.py` computes. `regrets.py` describes the table.

The best of many trials owes much of its loss to luck: it is not so good when it is trained again. With ``--fresh`` a
second table has the regret of the best trial in five fresh trainings with other seeds, over the point that is best by
fresh trainings. This is what a person gets who uses the result of a search.

``--json FILE`` keeps the sweeps, and a further run goes on with those that the file lacks: all problems with the first
seed, then with the next one. The table has the sweeps of ``--join FILE`` as well, and the peers' sweeps of
`peer_sweeps/real.json` (`kept_sweeps.py`) without ``--no-peers``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tests.benchmarks import fidelity
from tests.benchmarks.kept_sweeps import KeptSweeps, add_options
from tests.benchmarks.methods import METHODS
from tests.benchmarks.problems import Sweep
from tests.benchmarks.real_problems import (
    NAMES,
    CachedTrials,
    RealProblem,
    load_problems,
    load_references,
)
from tests.benchmarks.sweep_files import KeptSweep

_TOLERANCE = 0.02  # of a loss by which a problem is known again: another processor rounds differently
_DEFAULTS = {
    "trials": "random,bayes,optuna-tpe,optuna-gp",
    "trainings": "random,bayes,curves,optuna-hyperband,optuna-gp",
}


def main() -> None:
    """Run the missing sweeps and print the table."""
    options = _options()
    torch.set_num_threads(1)
    kind = "trainings" if options.trainings else "trials"
    marks = sorted(options.trainings or options.marks)
    references = load_references()
    methods = (options.methods or _DEFAULTS[kind]).split(",")
    names = [name for name in options.problems.split(",") if name in references]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with TemporaryDirectory() as folder:
        problems = load_problems(Path(folder), names)
        probed = {problem.name: (problem.space, CachedTrials(problem).loss) for problem in problems}
        kept = KeptSweeps(kind, probed, options, peers="real", tolerance=_TOLERANCE, is_fresh=options.fresh)
        for seed in seeds:
            for problem in problems:
                trials = CachedTrials(problem, is_fresh=options.fresh)
                for method in tuple(methods):
                    if kept.known(method, problem.name, seed, marks[-1]):
                        continue
                    try:
                        sweep = _run(kind, method, problem, trials, (seed, marks[-1]))
                    except ImportError as error:
                        print(f"{method}: left out, {error}", file=sys.stderr)
                        methods.remove(method)
                        continue
                    kept.add(method, problem.name, seed, sweep)
    kept.print_table(
        f"regret after {kind}",
        methods,
        marks,
        (names, seeds),
        regret=lambda name, loss: references[name].regret(loss),
        unfinished=1.0,
    )
    if options.fresh:
        kept.print_fresh_table(
            f"fresh regret after {kind}",
            methods,
            marks,
            (names, seeds),
            lambda name, losses: references[name].fresh_regret(losses),
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--methods",
        default="",
        help=f"{', '.join(METHODS)}; with --trainings {', '.join(fidelity.METHODS)}",
    )
    parser.add_argument("--trainings", type=int, nargs="+", help="budgets of epochs, in full trainings")
    parser.add_argument("--problems", default=",".join(NAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--marks", type=int, nargs="+", default=[10, 25, 50], help="trials to compare after")
    parser.add_argument("--fresh", action="store_true", help="train the best trials again with other seeds")
    add_options(parser)
    return parser.parse_args()


def _run(
    kind: str, method: str, problem: RealProblem, trials: CachedTrials, seed_and_budget: tuple[int, int]
) -> KeptSweep:
    seed, budget = seed_and_budget
    trials.begin_sweep()
    if kind == "trials":
        sweep: Sweep = METHODS[method](trials.problem, seed, budget)
        return KeptSweep.of(budget, enumerate(sweep.losses, start=1), sweep.seconds, fresh_of=trials.fresh_of)
    spent = fidelity.METHODS[method](
        trials.problem.space, trials.loss_at, problem.epochs, seed, budget * problem.epochs
    )
    ends = ((n_epochs / problem.epochs, loss) for n_epochs, loss in spent.ends)
    return KeptSweep.of(budget, ends, spent.seconds, fresh_of=trials.fresh_of)


if __name__ == "__main__":
    main()
