"""Cost and regret of `bayes` with many pending trials, beside the exact treatment of all of them.

    python -m tests.benchmarks.pending [--sizes 100/20 1000/1000] [--runs 9] [--exact]
    python -m tests.benchmarks.pending --data DIR [--lookahead 96 256] [--results 96] [--pairs 12] [--jobs 1]

The first form times consecutive suggestions of a sweep: from one to the next, one more trial has ended and one more is
pending. The table has the median seconds of the processor and the largest, which includes the fit of a model. With
``--exact`` each line also has the time of one suggestion that treats every pending trial exactly, as with up to 64.

The second form runs both ways on tasks of LCBench (`lcbench.py` describes DIR): sweeps whose suggestion n has the results
of the trials up to n - lookahead. A *pair* is a task and a seed, and both ways run on it. The regret is that of the best
of all trials once ``--results`` results were used; means and standard errors are over the pairs, as are those of the
difference.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from tests.benchmarks.lcbench import SPACE, load
from tests.benchmarks.problems import space_of
from tunecli.config.space import Space
from tunecli.search.bo import batches, gaussian_process
from tunecli.search.protocols import suggest
from tunecli.search.samplers.random import random
from tunecli.trial import Observation, State

SIZES = ("100/20", "300/20", "1000/20", "300/300", "1000/1000", "3000/1000")
N_MOST = gaussian_process.MAX_EXACT_PENDING
WAYS = {"bounded": N_MOST, "exact": 10**9}


def treat_exactly(n_most: int) -> None:
    """Treat up to ``n_most`` pending trials exactly in this process."""
    gaussian_process.MAX_EXACT_PENDING = batches.MAX_EXACT_PENDING = n_most


def visible(trials: Sequence[Observation], n_begun: int, n_ended: int) -> list[Observation]:
    """The first trials as a sampler sees them, the first ``n_ended`` of them with their results."""
    return [
        trial if trial.number < n_ended else Observation(trial.number, trial.parameters, State.WAITING)
        for trial in trials[:n_begun]
    ]


def record_of(space: Space, n_trials: int) -> list[Observation]:
    """``n_trials`` random trials with results: a smooth function of three parameters, and noise."""
    noise, trials = np.random.default_rng(0), []
    for number in range(n_trials):
        point = random(space, (), number, 0) or {}
        rate, momentum, dropout = (
            float(point[name] or 0) for name in ("learning_rate", "momentum", "max_dropout")
        )
        loss = (np.log10(rate) + 2) ** 2 + (momentum - 0.8) ** 2 + dropout + 0.05 * noise.standard_normal()
        trials.append(Observation(number, point, State.COMPLETE, float(loss)))
    return trials


def seconds_of(
    space: Space, trials: Sequence[Observation], n_ended: int, n_pending: int, n_runs: int
) -> list[float]:
    """CPU seconds of each of ``n_runs`` consecutive suggestions."""
    taken_s = []
    for run in range(n_runs):
        history = visible(trials, n_ended + n_pending + run, n_ended + run)
        began_s = time.process_time()
        suggest("bayes", space, history, len(history), 0)
        taken_s.append(time.process_time() - began_s)
    return taken_s


def print_times(options: argparse.Namespace) -> None:
    """Print the time of suggestions at each size."""
    space = space_of(SPACE.replace("DECAY", "uniform"))
    suggest("bayes", space, record_of(space, 20), 20, 1)  # imports
    print(f"{'ended/pending':>13}  {'median s':>8}  {'largest s':>9}" + f"  {'exact s':>8}" * options.exact)
    for size in options.sizes:
        n_ended, n_pending = map(int, size.split("/"))
        trials = record_of(space, n_ended + n_pending + options.runs)
        treat_exactly(WAYS["bounded"])
        taken_s = seconds_of(space, trials, n_ended, n_pending, options.runs)
        line = f"{size:>13}  {statistics.median(taken_s):>8.3f}  {max(taken_s):>9.3f}"
        if options.exact:
            treat_exactly(WAYS["exact"])
            line += f"  {seconds_of(space, trials, n_ended, n_pending, 1)[0]:>8.3f}"
        print(line, flush=True)


def regret_of(data_path: Path, task_name: str, seed: int, lookahead: int, n_results: int, way: str) -> float:
    """The regret of the best trial of one sweep."""
    treat_exactly(WAYS[way])
    task = next(task for task in load(data_path) if task.name == task_name)
    space, trials = space_of(SPACE.replace("DECAY", "uniform")), list[Observation]()
    with threadpool_limits(1):
        for number in range(lookahead + n_results):
            history = visible(trials, number, number - lookahead + 1)
            point = suggest("bayes", space, history, number, seed)
            assert point is not None, "the space is infinite"
            trials.append(Observation(number, point, State.COMPLETE, task.error(point)))
    return task.regret(min(trial.loss for trial in trials if trial.loss is not None))


def mean_and_error(values: Sequence[float]) -> str:
    """The mean and its standard error."""
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.4f}"


def print_regrets(options: argparse.Namespace) -> None:
    """Print the regret of both ways at each lookahead."""
    names = [task.name for task in load(options.data)]
    print(f"{'lookahead':>9}  {'pairs':>5}  {'bounded':>16}  {'exact':>16}  {'difference':>17}")
    for lookahead in options.lookahead:
        with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
            # Each pair has another seed, and tasks follow each other before one comes a second time.
            waiting = [
                [
                    pool.submit(
                        regret_of,
                        options.data,
                        names[seed % len(names)],
                        seed,
                        lookahead,
                        options.results,
                        way,
                    )
                    for way in WAYS
                ]
                for seed in range(options.first_seed, options.first_seed + options.pairs)
            ]
            regrets = []
            for pair in waiting:
                regrets.append([sweep.result() for sweep in pair])
                print(f"  {' '.join(f'{regret:.4f}' for regret in regrets[-1])}", flush=True)
        bounded, exact = zip(*regrets, strict=True)
        difference = [one - other for one, other in regrets]
        cells = "  ".join(map(mean_and_error, (bounded, exact, difference)))
        print(f"{lookahead:>9}  {len(regrets):>5}  {cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="numbers of ended and pending trials")
    parser.add_argument("--runs", type=int, default=9, help="consecutive suggestions at each size")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument(
        "--data", type=Path, help="the folder with tasks.json and model.onnx: compare regrets"
    )
    parser.add_argument("--lookahead", type=int, nargs="+", default=[96, 256])
    parser.add_argument("--results", type=int, default=96, help="results that the last suggestion uses")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    print_regrets(options) if options.data else print_times(options)


if __name__ == "__main__":
    main()
