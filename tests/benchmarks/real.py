"""Benchmark of samplers and pruners on ten small problems that tunecli itself trains.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.real [--methods bayes,optuna-gp] [--problems iris-mlp,…] [--seeds 5]
    OMP_NUM_THREADS=1 python -m tests.benchmarks.real --trainings 10 25 50 [--methods curves,optuna-hyperband] …

In the first form every trial is a full training (`methods.METHODS`). The second form compares methods at equal budgets
of epochs, in units of full trainings (`fidelity.METHODS`); a method that has trained no trial to its end counts as the
median of random search. The regret is (loss - best known) / (median of random - best known), with the two losses of
`real_problems.json`, which `real_reference.py` computes. Means and standard errors are over problems, with the mean over
seeds for each problem; the median and the 90th percentile are over all sweeps.

With ``--json FILE`` the sweeps are written to a file, and those that it has already are not run again. ``--join`` reads
further files, for example of peers that need other packages: the table has their methods too. Sweeps of our own
samplers belong to the code that made them: use another file for another version.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.benchmarks import fidelity
from tests.benchmarks.methods import METHODS, Sweep
from tests.benchmarks.real_problems import (
    NAMES,
    CachedTrials,
    RealProblem,
    Reference,
    load_problems,
    load_references,
)

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ends = Sequence[tuple[float, float]]
"""Of a sweep, for each complete trial: the trainings spent until its end, and its loss."""
Sweeps = dict[str, dict[str, dict[str, Any]]]
"""By method, problem and seed: the ends, and the mean seconds of a suggestion."""

_PEERS = ("optuna-tpe", "optuna-gp", "optuna-cmaes", "optuna-hyperband", "hebo", "smac", "skopt")


def main() -> None:
    """Run the missing sweeps and print the table."""
    options = _options()
    torch.set_num_threads(1)
    marks = sorted(options.trainings or options.marks)
    kind = "trainings" if options.trainings else "trials"
    own = _read(options.json, kind) if options.json else {}
    references = load_references()
    methods = options.methods.split(",")
    names = [name for name in options.problems.split(",") if name in references]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with TemporaryDirectory() as folder:
        problems = load_problems(Path(folder), names)
        for problem in problems:
            for seed in seeds:
                trials = CachedTrials(problem)
                for method in methods:
                    of_problem = own.setdefault(method, {}).setdefault(problem.name, {})
                    done = of_problem.get(str(seed))
                    if done is not None and done["budget"] >= marks[-1]:
                        continue
                    try:
                        of_problem[str(seed)] = _run(kind, method, problem, trials, (seed, marks[-1]))
                    except ImportError as error:
                        print(f"{method}: left out, {error}", file=sys.stderr)
                        methods.remove(method)
                        break
                    if options.json:
                        _write(options.json, kind, own)
    shown = {method: own[method] for method in methods if own.get(method)}
    for path in options.join:
        shown |= {method: sweeps for method, sweeps in _read(path, kind).items() if method not in shown}
    print_table(shown, references, marks, (names, [str(seed) for seed in seeds]), kind)


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
    parser.add_argument(
        "--json", type=Path, help="the file of the sweeps: read, and written after each sweep"
    )
    parser.add_argument("--join", type=Path, nargs="+", default=[], help="files with further sweeps to show")
    options = parser.parse_args()
    defaults = "random,bayes,curves,optuna-hyperband,optuna-gp"
    options.methods = options.methods or (
        defaults if options.trainings else "random,bayes,optuna-tpe,optuna-gp"
    )
    return options


def _run(
    kind: str, method: str, problem: RealProblem, trials: CachedTrials, seed_and_budget: tuple[int, int]
) -> dict[str, Any]:
    """One sweep, as the file has it."""
    seed, budget = seed_and_budget
    if kind == "trials":
        sweep: Sweep = METHODS[method](trials.problem, seed, budget)
        ends: Ends = [(number + 1, loss) for number, loss in enumerate(sweep.losses) if np.isfinite(loss)]
        seconds = sweep.seconds
    else:
        spent = fidelity.METHODS[method](
            problem.text, trials.loss_at, problem.epochs, seed, budget * problem.epochs
        )
        ends = [(epochs / problem.epochs, loss) for epochs, loss in spent.ends if np.isfinite(loss)]
        seconds = spent.seconds
    return {"budget": budget, "ends": [list(end) for end in ends], "seconds": float(np.mean(seconds))}


def _read(path: Path, kind: str) -> Sweeps:
    sweeps: Sweeps = json.loads(path.read_text()).get(kind, {}) if path.exists() else {}
    return sweeps


def _write(path: Path, kind: str, sweeps: Sweeps) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, kind: sweeps}))


def best_within(ends: Ends, mark: float) -> float:
    """The lowest loss of the trials that ended within ``mark`` trainings; infinite if no trial did."""
    return min((loss for spent, loss in ends if spent <= mark + 1e-9), default=np.inf)


def regrets_of(
    sweeps: Mapping[str, Mapping[str, Any]],
    references: Mapping[str, Reference],
    marks: Sequence[int],
    chosen: tuple[Sequence[str], Sequence[str]],
) -> list[Floats]:
    """For each of the chosen problems that a method was run on, the regrets: axes are its seeds and the marks."""
    names, seeds = chosen
    regrets = []
    for name in names:
        of_problem = [sweeps[name][seed] for seed in seeds if seed in sweeps.get(name, {})]
        rows = [[best_within(sweep["ends"], mark) for mark in marks] for sweep in of_problem]
        if rows:
            reference = references[name]
            regrets.append(
                np.array([[reference.regret(x) if np.isfinite(x) else 1.0 for x in row] for row in rows])
            )
    return regrets


def print_table(
    shown: Sweeps,
    references: Mapping[str, Reference],
    marks: Sequence[int],
    chosen: tuple[Sequence[str], Sequence[str]],
    kind: str,
) -> None:
    """Print mean ± standard error, median and 90th percentile of the regrets, and the ratio to the best peer."""
    head = "".join(f"{f'after {mark} {kind}':^32}" for mark in marks)
    columns = f"{'mean ± se':>16}{'median':>8}{'90 %':>8}" * len(marks)
    print(f"{'regret':18}{head}\n{'':18}{columns}{'sweeps':>8}{'s each':>10}")
    means: dict[str, Floats] = {}
    for method, sweeps in shown.items():
        regrets = regrets_of(sweeps, references, marks, chosen)
        if not regrets:
            continue
        by_problem, all_sweeps = np.array([of.mean(axis=0) for of in regrets]), np.concatenate(regrets)
        n = len(by_problem)
        errors = by_problem.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(marks))
        means[method] = by_problem.mean(axis=0)
        cells = "".join(
            f"{mean:>8.4f} ± {error:.3f}{np.median(column):>8.4f}{np.percentile(column, 90):>8.4f}"
            for mean, error, column in zip(means[method], errors, all_sweeps.T, strict=True)
        )
        seconds = [sweep["seconds"] for of in sweeps.values() for sweep in of.values()]
        print(f"{method:18}{cells}{len(all_sweeps):>8}{np.mean(seconds):>10.4f}")
        if n < len(chosen[0]):
            print(f"{'':18}on {n} of {len(chosen[0])} problems only: do not compare its mean with the others")
    _print_ratios(means, marks)


def _print_ratios(means: Mapping[str, Floats], marks: Sequence[int]) -> None:
    peers = [method for method in means if method in _PEERS]
    if not peers:
        return
    print("mean regret divided by that of the best peer:")
    for method in means:
        if method in _PEERS:
            continue
        cells = ""
        for column, mark in enumerate(marks):
            best = min(peers, key=lambda peer: means[peer][column])
            cells += f"  {means[method][column] / means[best][column]:.2f} ({best}) after {mark}"
        print(f"{method:18}{cells}")


if __name__ == "__main__":
    main()
