"""Where good settings lie: random trials of small models on bundled and generated data, beside the priors.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.priors [--trials 64] [--data wine,friedman,…] [--seed 0]

For each data set and each optimizer, random points of wide ranges are trained, fused where that is possible. A setting
is *good* if it belongs to the best tenth of its data set and optimizer. The first table has the quantiles of good
learning rates for each optimizer, as powers of ten above the centre of `tunecli.config.priors.table` at the trial's own
batch size and momentum: a calibrated prior has its median near 0, and its 10 and 90 % near plus and minus 1.28
deviations. The slopes say how many powers of ten a good rate moves for each power of ten of the batch size, and of
1 / (1 - momentum). The second table has the quantiles of the good values of the other settings, and of all of them.

`wrong_priors.py` measures what wrong priors cost.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.benchmarks.problems import number
from tests.benchmarks.real_problems import WIDTH, RealProblem
from tunecli.config.priors.prior import Prior, number_of, position, shift_at
from tunecli.config.priors.space_priors import priors_of
from tunecli.config.space import Space, point_of_units, values_by_key
from tunecli.trial import Parameters

_DATA: Mapping[str, tuple[str, str]] = {
    # name: (metric, `data`)
    "digits": ("val_loss", "{source: digits, train_fraction: 0.15}"),
    "wine": ("val_loss", "{source: wine, validation: {fraction: 0.4}}"),
    "cancer": ("val_loss", "{source: breast_cancer, validation: {fraction: 0.4}}"),
    "iris": ("val_loss", "{source: iris, validation: {fraction: 0.4}}"),
    "diabetes": ("val_r2", "{source: diabetes, validation: {fraction: 0.4}}"),
    "friedman": (
        "val_r2",
        "{source: {name: friedman1, samples: 500, seed: 11}, validation: {fraction: 0.4}}",
    ),
    "linear": ("val_r2", "{source: {name: regression, samples: 400, seed: 12}, validation: {fraction: 0.4}}"),
    "classes": (
        "val_loss",
        "{source: {name: classification, samples: 700, features: 16, informative: 6, classes: 3, seed: 13}, validation: {fraction: 0.4}}",
    ),
}
_OPTIMIZERS: Mapping[str, str] = {
    "sgd": "{name: sgd, lr: {loguniform: [1e-4, 10]}, momentum: {uniform: [0, 0.99]}, weight_decay: {loguniform: [1e-7, 1e-1]}}",
    "adamw": "{name: adamw, lr: {loguniform: [1e-5, 1]}, weight_decay: {loguniform: [1e-6, 1]}}",
    "adam": "{name: adam, lr: {loguniform: [1e-5, 1]}, weight_decay: {loguniform: [1e-7, 1e-1]}, betas: [{uniform: [0.5, 0.99]}, {uniform: [0.9, 0.9999]}]}",
    "rmsprop": "{name: rmsprop, lr: {loguniform: [1e-5, 1]}, momentum: {uniform: [0, 0.95]}, weight_decay: {loguniform: [1e-7, 1e-1]}}",
    "adagrad": "{name: adagrad, lr: {loguniform: [1e-4, 10]}, weight_decay: {loguniform: [1e-7, 1e-1]}}",
}
_TEXT = """
data: DATA
model:
  name: mlp
  width: {logint: [8, 256]}
  depth: {int: [1, 4]}
  activation: {choice: [relu, gelu, silu, tanh, sigmoid]}
  dropout: {uniform: [0.0, 0.8]}
  init: {choice: [default, kaiming_normal, xavier_uniform, orthogonal]}
optimizer: OPTIMIZER
training: {epochs: EPOCHS, batch_size: {choice: [16, 32, 64, 128, full]}, grad_clip: {norm: {loguniform: [0.01, 100]}}}
"""
_EPOCHS = (8, 24)  # half of the trials each
_BEST = 0.1
_QUANTILES = (0.1, 0.5, 0.9)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=64, help="for each data set and optimizer")
    parser.add_argument("--data", default=",".join(_DATA), help=", ".join(_DATA))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    good: dict[str, list[Parameters]] = {name: [] for name in _OPTIMIZERS}
    tried: dict[str, list[Parameters]] = {name: [] for name in _OPTIMIZERS}
    spaces: dict[str, Space] = {}
    with TemporaryDirectory() as folder:
        for place, data in enumerate(options.data.split(",")):
            for optimizer in _OPTIMIZERS:
                metric, source = _DATA[data]
                text = _TEXT.replace("DATA", source).replace("OPTIMIZER", _OPTIMIZERS[optimizer])
                for epochs in _EPOCHS:
                    whole = text.replace("EPOCHS", str(epochs))
                    problem = RealProblem(f"{data}-{optimizer}", metric, epochs, whole, Path(folder))
                    n_trials, seed = options.trials // len(_EPOCHS), 100 * options.seed + place + epochs
                    points, losses = random_trials(problem, n_trials, seed)
                    order = np.argsort(losses)[: max(1, round(_BEST * len(losses)))]
                    good[optimizer] += [points[index] for index in order]
                    tried[optimizer] += points
                    spaces[optimizer] = problem.space
            print(f"{data}: done", flush=True)
    print_rates(spaces, good)
    print_others(spaces, good, tried)


def random_trials(problem: RealProblem, n_trials: int, seed: int) -> tuple[list[Parameters], list[float]]:
    """Train random points in groups; the trials of a group share what a fused group must share.

    Returns:
        The points, and their losses, lower is better; infinite for one that fails.
    """
    generator, space = np.random.default_rng(seed), problem.space
    shared_D = np.array([_is_shared(parameter.name) for parameter in space.parameters])
    points: list[Parameters] = []
    while len(points) < n_trials:
        shape_D = generator.random(len(shared_D))
        for _ in range(min(WIDTH, n_trials - len(points))):
            units_D = np.where(shared_D, shape_D, generator.random(len(shared_D)))
            points.append(point_of_units(space, units_D.tolist()))
    return points, problem.final_losses(points)


def _is_shared(name: str) -> bool:
    return name.startswith(("model.", "training.batch")) and name != "model.dropout"


def print_rates(spaces: Mapping[str, Space], good: Mapping[str, Sequence[Parameters]]) -> None:
    """Print where good rates lie beside the priors' centres, in powers of ten."""
    print(
        f"\n{'rate over centre':18}"
        + "".join(f"{q:>8.0%}" for q in _QUANTILES)
        + "  deviation of the prior   slopes: batch, momentum"
    )
    for name, points in good.items():
        space = spaces[name]
        prior = priors_of(space)["optimizer.lr"]
        over = np.array([_over_centre(space, prior, point) for point in points])
        texts = "".join(f"{value:>8.2f}" for value in np.quantile(over, _QUANTILES))
        print(f"{name:18}{texts}{prior.deviation:>11.2f}{'':16}{_slopes(points)}")


def _over_centre(space: Space, prior: Prior, point: Parameters) -> float:
    values = values_by_key(space, point)
    shift = sum(shift_at(one, values[one.key]) for one in prior.shifts)
    return position(prior.scale, number(point, "optimizer.lr")) - position(prior.scale, prior.centre) - shift


def _slopes(points: Sequence[Parameters]) -> str:
    """The slopes of the least-squares line of the logarithm of good rates."""
    rows, rates = [], []
    for point in points:
        batch = number_of(point["training.batch_size"])
        if batch is not None:
            momentum = number_of(point.get("optimizer.momentum", 0.0)) or 0.0
            rows.append([1.0, math.log10(batch), -math.log10(1.0 - momentum)])
            rates.append(math.log10(number(point, "optimizer.lr")))
    if len(rows) < 4:
        return "too few trials"
    solution = np.linalg.lstsq(np.array(rows), np.array(rates), rcond=None)[0]
    return f"{solution[1]:.2f}, {solution[2]:.2f}"


def print_others(
    spaces: Mapping[str, Space],
    good: Mapping[str, Sequence[Parameters]],
    tried: Mapping[str, Sequence[Parameters]],
) -> None:
    """Print the quantiles of the other settings, of the good trials and of all."""
    print(f"\n{'setting':36}{'good: 10, 50, 90 %':>30}{'all: 10, 50, 90 %':>30}")
    names = dict.fromkeys(name for space in spaces.values() for name in space.names)
    for name in names:
        if name == "optimizer.lr":
            continue
        parts = spaces if name == "optimizer.weight_decay" else {"": None}
        for part in parts:
            chosen = [part] if part else list(spaces)
            best, every = (
                [point[name] for one in chosen for point in points[one] if name in point]
                for points in (good, tried)
            )
            print(f"{(f'{part}: ' if part else '') + name:36}{_shown(best):>30}{_shown(every):>30}")


def _shown(values: Sequence[Any]) -> str:
    numbers = [number for value in values if (number := number_of(value)) is not None]
    if len(set(map(str, values))) <= 6:
        shares = {str(value): 0 for value in values}
        for value in values:
            shares[str(value)] += 1
        return " ".join(f"{key} {count / len(values):.0%}" for key, count in sorted(shares.items()))
    return " ".join(f"{value:.3g}" for value in np.quantile(numbers, _QUANTILES))


if __name__ == "__main__":
    main()
