"""The references of the benchmark `real.py`: the best known loss of each problem, and the median of random points.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.real_reference [--problems wine-mlp,…] [--trials 2000] [--seed 0]

A quarter of the trials are random: random shapes (all that the trials of a fused group share), and for each of them
random values of the other parameters. The others refine the best points: groups with small changes of one point, whose
size shrinks, half of them with another shape. The best points of an earlier file are trained again, so a new reference is
not worse. So all but few trials are trained 16 at a time. The file
`real_problems.json` then has for each problem the two losses, the number of trials, the seed and the best points. A
problem whose file says as many trials with the same seed is left out.

Few of the best points are as good in a second training. So the file also has the point that is best by fresh trainings:
the best trials are trained with other seeds, the better ones again with further seeds, and the mean loss of the last one
is that of 20 trainings that chose nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.benchmarks.real_problems import NAMES, REFERENCE_PATH, WIDTH, RealProblem, load_problems
from tunecli.config.domains import Real
from tunecli.config.space import point_of_units, units_of_point
from tunecli.trial import Parameters

Floats = np.ndarray[Any, np.dtype[np.float64]]
_N_BEST = 5  # points in the file
_STAGES = ((200, 2), (50, 4), (12, 10))  # how many points are trained afresh, and how often each
_FIRST_FRESH_SEED, _N_QUOTED = 101, 20
_N_REFINED = 8  # groups of a round
_SHRINKING = (0.25, 0.03)  # standard deviation of a change of a unit, in the first and in the last round


class Reference:
    """The trials of a problem so far. Axes: D parameters."""

    def __init__(self, problem: RealProblem, seed: int) -> None:
        """Begin without a trial."""
        self.problem, self.random_losses = problem, list[float]()
        self.trials: list[tuple[float, Parameters, str]] = []  # loss, point, shape
        self._generator = np.random.default_rng(seed)
        self._is_free_D = self._free_parameters()

    def draw(self, n_trials: int) -> None:
        """Train random points: groups of a random shape."""
        while len(self.random_losses) < n_trials:
            n, units_D = len(self.problem.space.parameters), self._generator.random(len(self._is_free_D))
            units = [np.where(self._is_free_D, self._generator.random(n), units_D) for _ in range(WIDTH)]
            self.random_losses += self._train([point_of_units(self.problem.space, u) for u in units])

    def refine(self, deviation: float) -> None:
        """Train small changes of the best points, of at most two for each shape."""
        chosen: list[tuple[float, Parameters, str]] = []
        for trial in sorted(self.trials, key=lambda trial: trial[0]):
            if sum(trial[2] == other[2] for other in chosen) < 2:
                chosen.append(trial)
            if len(chosen) == _N_REFINED:
                break
        for index, (_, point, _) in enumerate(chosen):
            self._train(self._near(point, deviation, has_other_shape=index % 2 == 1))

    def train_again(self, points: Sequence[Parameters]) -> None:
        """Train known points, one at a time: their shapes differ."""
        for point in points:
            self._train([point])

    def entry(self, seed: int) -> dict[str, Any]:
        """The problem's entry in the file."""
        ranked = sorted(self.trials, key=lambda trial: trial[0])
        return {
            "best_known": ranked[0][0],
            "random_median": float(np.median(self.random_losses)),
            "n_trials": len(self.trials),
            "n_random": len(self.random_losses),
            "seed": seed,
            "best": [[loss, dict(point)] for loss, point, _ in ranked[:_N_BEST]],
        }

    def best_points(self) -> list[Parameters]:
        """The points of the trials, the best first."""
        return [point for _, point, _ in sorted(self.trials, key=lambda trial: trial[0])]

    def _near(self, point: Parameters, deviation: float, *, has_other_shape: bool) -> list[Parameters]:
        space, generator = self.problem.space, self._generator
        known = units_of_point(space, point)
        # A parameter that the point does not have may appear with another shape.
        units_D = np.array([generator.random() if unit is None else unit for unit in known])
        (shape_D,) = np.nonzero(~self._is_free_D)
        if has_other_shape and len(shape_D):
            units_D[generator.choice(shape_D)] = generator.random()
        points = []
        for _ in range(WIDTH):
            changes_D = generator.normal(0.0, deviation, len(units_D)) * (
                generator.random(len(units_D)) < 0.7
            )
            near_D = np.where(self._is_free_D, np.clip(units_D + changes_D, 0.0, 1.0), units_D)
            points.append(point_of_units(space, near_D))
        return points

    def _train(self, points: Sequence[Parameters]) -> list[float]:
        losses = self.problem.final_losses(points)
        for point, loss in zip(points, losses, strict=True):
            self.trials.append((loss, point, self.problem.shape(point)))
        return losses

    def _free_parameters(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """For each parameter whether the trials of a fused group may differ in it."""
        space, generator = self.problem.space, np.random.default_rng(0)
        is_free_D = np.zeros(len(space.parameters), dtype=bool)
        for position, parameter in enumerate(space.parameters):
            for _ in range(200 if isinstance(parameter.domain, Real) else 0):
                units_D = generator.random(len(space.parameters))
                point = point_of_units(space, units_D)
                if units_of_point(space, point)[position] is None:
                    continue
                units_D[position] = (units_D[position] + 0.5) % 1.0
                other = point_of_units(space, units_D)
                is_free_D[position] = self.problem.shape(point) == self.problem.shape(other)
                break
        return is_free_D


def fresh_entry(problem: RealProblem, points: Sequence[Parameters]) -> dict[str, Any]:
    """Find the point that is best by fresh trainings, and return what the file has of it.

    Args:
        problem: the problem.
        points: the candidates, the most promising first.
    """
    losses: list[list[float]] = [[] for _ in points]
    kept, seed = list(range(len(points))), _FIRST_FRESH_SEED
    for n_points, n_seeds in _STAGES:
        kept = kept[:n_points]
        for fresh_seed in range(seed, seed + n_seeds):
            fresh = problem.final_losses([points[index] for index in kept], [fresh_seed] * len(kept))
            for index, loss in zip(kept, fresh, strict=True):
                losses[index].append(loss)
        seed += n_seeds
        kept.sort(key=lambda index: float(np.mean(losses[index])))
    best = points[kept[0]]
    quoted = problem.final_losses([best] * _N_QUOTED, range(seed, seed + _N_QUOTED))
    return {"best_fresh": float(np.mean(quoted)), "fresh_point": dict(best)}


def main() -> None:
    """Compute the references that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", default=",".join(NAMES))
    parser.add_argument("--trials", type=int, default=2000, help="for each problem")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    entries = json.loads(REFERENCE_PATH.read_text()) if REFERENCE_PATH.exists() else {}
    with TemporaryDirectory() as folder:
        for problem in load_problems(Path(folder), options.problems.split(",")):
            known = entries.get(problem.name, {})
            is_enough = known.get("n_trials", 0) >= options.trials and "best_fresh" in known
            if is_enough and known["seed"] == options.seed:
                continue
            began_s = time.process_time()
            reference = Reference(problem, options.seed)
            reference.draw(options.trials // 4)
            earlier = [known["fresh_point"]] if "fresh_point" in known else []
            reference.train_again([*(point for _, point in known.get("best", [])), *earlier])
            n_rounds = max(1, (options.trials - len(reference.trials)) // (_N_REFINED * WIDTH))
            for deviation in np.geomspace(*_SHRINKING, n_rounds):
                reference.refine(float(deviation))
            while len(reference.trials) < options.trials:
                reference.refine(_SHRINKING[1])
            entry = reference.entry(options.seed)
            entry |= fresh_entry(problem, [*earlier, *reference.best_points()])
            entries[problem.name] = entry
            ordered = {name: entries[name] for name in NAMES if name in entries}
            REFERENCE_PATH.write_text(json.dumps(ordered, indent=1) + "\n")
            spent_s = time.process_time() - began_s
            print(
                f"{problem.name:18}{entry['n_trials']:>6} trials, best {entry['best_known']:.4f}, "
                f"random median {entry['random_median']:.4f}, {spent_s:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
