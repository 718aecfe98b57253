"""The tables of the search benchmarks: the regrets of methods after numbers of trials, or within numbers of epochs.

Means are dominated by the few sweeps that stay in a bad region, so a table also has the median and the 90th percentile.
Methods share problems and seeds, so the ratio of two methods is computed from the sweeps that both have. With several
problems, a standard error is that over problems, with the mean over seeds for each problem; with one it is over seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Regrets = Mapping[tuple[str, str], Floats]
"""By problem and seed, the regret at each mark; NaN where the sweep is too short."""

_RESOLUTION = 1e-3  # of a regret: smaller ones count as equal in logarithms
_PEERS = ("optuna", "hebo", "smac", "skopt")


def is_peer(method: str) -> bool:
    """Whether a method is that of another library."""
    return method.split("-")[0].split(" ")[0] in _PEERS


def mean_and_error(values: Mapping[tuple[str, str], float]) -> tuple[float, float]:
    """Return the mean, and its standard error over problems; over seeds if there is one problem, 0 for one sweep."""
    by_problem: dict[str, list[float]] = {}
    for (problem, _), value in values.items():
        by_problem.setdefault(problem, []).append(value)
    means = [float(np.mean(of_problem)) for of_problem in by_problem.values()]
    samples = means if len(means) > 1 else list(values.values())
    error = np.std(samples, ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else 0.0
    return float(np.mean(means)), float(error)


def log_ratio(
    regrets: Mapping[tuple[str, str], float], others: Mapping[tuple[str, str], float]
) -> tuple[float, float]:
    """Return the mean of log(regret / other) over the sweeps of both, and its standard error; one below 0 counts as 0."""
    shared = regrets.keys() & others.keys()
    ratios = {
        key: float(np.log(max(regrets[key], 0.0) + _RESOLUTION) - np.log(max(others[key], 0.0) + _RESOLUTION))
        for key in regrets
        if key in shared
    }
    return mean_and_error(ratios)


def print_table(
    title: str, regrets: Mapping[str, Regrets], marks: Sequence[int], seconds: Mapping[str, float]
) -> None:
    """Print the regret of each method at each mark: mean ± standard error, median, 90th percentile, number of sweeps.

    Ratios follow: the first method by every other one, and each of our own by each peer. They are the ratios of the means
    and of the 90th percentiles, and the mean logarithm of the ratio in a sweep: -0.69 is half the regret. The seconds are those of a processor for a suggestion.
    """
    kind = title.split()[-1]
    print(f"{title:24}" + "".join(f"{f'{mark} {kind}':^40}" for mark in marks))
    print(f"{'':24}" + f"{'mean ± se':>17}{'median':>9}{'90 %':>9}{'n':>5}" * len(marks) + f"{'s each':>9}")
    for name, of_method in regrets.items():
        cells = ""
        for column in range(len(marks)):
            values = _at(of_method, column)
            if not values:
                cells += f"{'–':>17}{'':23}"
                continue
            mean, error = mean_and_error(values)
            found = list(values.values())
            cells += f"{f'{mean:.4f} ± {error:.4f}':>17}{np.median(found):>9.4f}"
            cells += f"{np.quantile(found, 0.9):>9.4f}{len(found):>5}"
        print(f"{name:24}{cells}{seconds.get(name, float('nan')):>9.4f}", flush=True)
    pairs = list(_pairs(list(regrets)))
    if pairs:
        print(f"{'ratio':24}" + f"{'mean':>7}{'90 %':>7}{'log ratio ± se':>21}{'n':>5}" * len(marks))
    for name, other in pairs:
        cells = "".join(_ratio_cell(_at(regrets[name], c), _at(regrets[other], c)) for c in range(len(marks)))
        print(f"{f'{name} / {other}':24}{cells}", flush=True)


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, name in enumerate(names):
        if place and is_peer(name):
            continue
        for other in names:
            if other != name and (place == 0 or is_peer(other)):
                yield name, other


def _ratio_cell(values: Mapping[tuple[str, str], float], others: Mapping[tuple[str, str], float]) -> str:
    shared = [key for key in values if key in others]
    if not shared:
        return f"{'–':>7}{'':33}"
    mine, theirs = {key: values[key] for key in shared}, {key: others[key] for key in shared}
    ratio, error = log_ratio(mine, theirs)
    means = mean_and_error(mine)[0] / max(mean_and_error(theirs)[0], 1e-12)
    tails = np.quantile(list(mine.values()), 0.9) / max(np.quantile(list(theirs.values()), 0.9), 1e-12)
    return f"{means:>7.2f}{tails:>7.2f}{f'{ratio:+.2f} ± {error:.2f}':>21}{len(shared):>5}"


def _at(regrets: Regrets, column: int) -> dict[tuple[str, str], float]:
    """The regrets at one mark."""
    return {key: float(row[column]) for key, row in regrets.items() if not np.isnan(row[column])}
