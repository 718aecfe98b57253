"""What a confirmation is worth: the best of some trials after fresh trainings, against the best score of more trials.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.confirmed [--problems iris-mlp,…] [--seeds 5] [--budgets 25 50]

All rules spend the same number of trainings on a problem of `real_problems.py`. `score` spends all on trials of `bayes`
and takes the best score. `5 x 3` keeps 15 trainings back, trains the five trials with the best scores three times with
fresh seeds, and takes the best mean. `in turn` takes the candidates as `tunecli confirm` does: in turn by score and by
the model's estimate. The regret is that of the chosen trial in five further trainings, as in `real.py --fresh`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tests.benchmarks.real_problems import NAMES, CachedTrials, RealProblem, load_problems, load_references
from tests.benchmarks.regrets import Floats, print_table
from tunecli.search.prediction import predict_trials
from tunecli.search.protocols import suggest
from tunecli.study.record.candidates import in_turn
from tunecli.trial import Observation, State

_RULES = {"score": (1, 0), "3 x 3": (3, 3), "5 x 3": (5, 3), "5 x 3 in turn": (5, 3)}
"""The number of candidates and of fresh trainings of each."""
_CHOOSING_SEEDS, _QUOTED_SEEDS = (2, 3, 4), (12, 13, 14, 15, 16)


class Sweep:
    """The trials of one sweep of `bayes`, and fresh trainings of some of them."""

    def __init__(self, problem: RealProblem, seed: int, n_trials: int) -> None:
        """Run the sweep."""
        self._problem, self._seed = problem, seed
        self._fresh: dict[tuple[int, tuple[int, ...]], tuple[float | None, ...]] = {}
        trials = CachedTrials(problem)
        self._space, self._done = trials.problem.space, list[Observation]()
        for number in range(n_trials):
            point = suggest("bayes", self._space, self._done, number, seed)
            if point is None:
                break
            loss = trials.loss(point)
            state = State.FAILED if loss is None else State.COMPLETE
            self._done.append(Observation(number, point, state, loss))

    def chosen(self, rule: str, budget: int) -> int:
        """The number of the trial that a rule chooses with a budget of trainings."""
        n_candidates, n_repeats = _RULES[rule]
        done = self._done[: budget - n_candidates * n_repeats]
        candidates = [
            trial.number for trial in sorted(done, key=lambda o: math.inf if o.loss is None else o.loss)
        ]
        if rule.endswith("in turn"):
            candidates = in_turn(candidates, predict_trials(self._space, done, self._seed))
        if not n_repeats:
            return candidates[0]
        return min(candidates[:n_candidates], key=lambda n: _mean(self.fresh(n, _CHOOSING_SEEDS[:n_repeats])))

    def fresh(self, number: int, seeds: tuple[int, ...]) -> tuple[float | None, ...]:
        """The losses of fresh trainings of a trial."""
        if (number, seeds) not in self._fresh:
            self._fresh[number, seeds] = self._problem.fresh_losses(self._done[number].parameters, seeds)
        return self._fresh[number, seeds]


def _mean(losses: Sequence[float | None]) -> float:
    return fmean(math.inf if loss is None else loss for loss in losses)


def main() -> None:
    """Run the sweeps, and print the regret of each rule at each budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", default=",".join(NAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budgets", type=int, nargs="+", default=[25, 50], help="trainings, at least 20")
    options = parser.parse_args()
    torch.set_num_threads(1)
    references = load_references()
    regrets: dict[str, dict[tuple[str, str], Floats]] = {rule: {} for rule in _RULES}
    with TemporaryDirectory() as folder:
        for problem in load_problems(Path(folder), options.problems.split(",")):
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                sweep = Sweep(problem, seed, max(options.budgets))
                for rule in _RULES:
                    found = [sweep.chosen(rule, budget) for budget in options.budgets]
                    regrets[rule][problem.name, str(seed)] = np.array(
                        [
                            references[problem.name].fresh_regret(sweep.fresh(number, _QUOTED_SEEDS))
                            for number in found
                        ]
                    )
    print_table("fresh regret after trainings", regrets, options.budgets, {})


if __name__ == "__main__":
    main()
