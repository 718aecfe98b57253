"""The table of `lcbench.py`: regrets of sweeps after numbers of trials, and their exchange between runs as JSON.

Means are dominated by the few sweeps that stay in a bad region, so the table also has the median and the 90th
percentile. Methods share tasks and seeds, so differences are paired.

Axes of every array of regrets: tasks, seeds, trials; it holds the lowest regret so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RESOLUTION = 1e-3  # of a regret: smaller ones count as equal in logarithms


@dataclass(frozen=True)
class Results:
    """The sweeps of several methods.

    Attributes:
        tasks, seeds: what the first two axes of each array are.
        decay: how the weight decay was declared.
        regrets: by method.
        seconds: the mean time of a suggestion, by method.
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    decay: str
    regrets: dict[str, Floats] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write every trial's regret to ``path``."""
        regrets = {name: regret_TSN.tolist() for name, regret_TSN in self.regrets.items()}
        about = {"tasks": self.tasks, "seeds": self.seeds, "decay": self.decay, "seconds": self.seconds}
        path.write_text(json.dumps({**about, "regrets": regrets}))

    def joined(self, path: Path) -> Results:
        """Return these results with those methods of an earlier ``save`` that are not among them.

        Raises:
            ValueError: the file has other tasks, seeds or another decay.
        """
        known = json.loads(path.read_text())
        about = (tuple(known["tasks"]), tuple(known["seeds"]), known["decay"])
        if about != (self.tasks, self.seeds, self.decay):
            raise ValueError(f"{path} has other tasks, seeds or another decay: {about}")
        others = {name: np.array(r) for name, r in known["regrets"].items() if name not in self.regrets}
        return Results(*about, {**self.regrets, **others}, {**known["seconds"], **self.seconds})


def mean_and_error(values_S: Floats) -> tuple[float, float]:
    """Return the mean of the sweeps and its standard error; 0 for a single sweep."""
    error = values_S.std(ddof=1) / np.sqrt(len(values_S)) if len(values_S) > 1 else 0.0
    return float(values_S.mean()), float(error)


def log_ratio(regret_S: Floats, other_S: Floats) -> tuple[float, float]:
    """Return the mean of log(regret / other) over paired sweeps, and its standard error."""
    return mean_and_error(np.log(regret_S + _RESOLUTION) - np.log(other_S + _RESOLUTION))


def print_table(results: Results, marks: Sequence[int]) -> None:
    """Print the regrets after each of ``marks`` trials: mean ± standard error, median, 90th percentile, log ratio.

    The log ratio is to the first method: -0.69 is half its regret in most sweeps.
    """
    ranks = mean_ranks({name: regret[:, :, -1] for name, regret in shortened(results.regrets).items()})
    for mark in marks:
        columns = ("mean", "median", "90 %", "log ratio to the first", "rank", "s each")
        title = f"regret after {mark}"
        print(f"{title:18}{columns[0]:>18}" + "".join(f"{text:>10}" for text in columns[1:3]), end="")
        print(f"{columns[3]:>24}" + "".join(f"{text:>10}" for text in columns[4:]))
        first_S = next(iter(results.regrets.values()))[:, :, :mark].min(axis=2).ravel()
        for name, regret_TSN in results.regrets.items():
            if regret_TSN.shape[2] < mark:
                continue
            regret_S = regret_TSN[:, :, mark - 1].ravel()
            mean, error = mean_and_error(regret_S)
            ratio, ratio_error = log_ratio(regret_S, first_S)
            cells = f"{mean:>10.4f} ± {error:.4f}"[-18:].rjust(18)
            cells += f"{np.median(regret_S):>10.4f}{np.quantile(regret_S, 0.9):>10.4f}"
            cells += f"{ratio:>+17.2f} ± {ratio_error:.2f}{ranks[name]:>10.2f}"
            print(f"{name:18}{cells}{results.seconds.get(name, float('nan')):>10.4f}")


def shortened(regrets: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the regrets of each method up to the shortest one's last trial."""
    n_trials = min(regret.shape[2] for regret in regrets.values())
    return {name: regret[:, :, :n_trials] for name, regret in regrets.items()}


def mean_ranks(final: Mapping[str, Floats]) -> dict[str, float]:
    """Return the mean rank of each method among all, from 1; tied methods get the mean of their ranks."""
    from scipy.stats import rankdata

    ranks = rankdata(np.stack(list(final.values())), axis=0)
    return {name: float(ranks[i].mean()) for i, name in enumerate(final)}
