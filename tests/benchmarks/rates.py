"""How the best learning rate depends on the optimizer, the number of steps, the batch size and the model.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.rates [--worlds 100] [--json FILE]

Each world is a random table of `random_tables.py`, a random multilayer perceptron, an optimizer, a batch size and a number
of epochs. Networks that differ in nothing but their learning rate, 24 over three to four decades, are trained together.
The table has for each optimizer the least-squares line of the logarithm of the best rate, the mean of the rates whose
validation loss is in the best sixth: its value at 200 steps, 64 rows a batch, one hidden layer of 64 units, and
its slopes.

Axes: K networks, N rows, D features, B rows of a batch, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.benchmarks.random_tables import table
from tests.benchmarks.worlds import worlds_of

Floats = np.ndarray[Any, np.dtype[Any]]
_RATES: Mapping[str, tuple[float, float]] = {"sgd": (-2.5, 1.0), "adam": (-4.0, 0.0), "rmsprop": (-4.5, -0.3)}
_N_RATES = 24
_N_BEST = 4
_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
}
_MAX_STEPS = 600


@dataclass(frozen=True)
class Setting:
    """What the networks of a world share."""

    optimizer: str
    batch: int
    epochs: int
    width: int
    depth: int
    activation: str
    momentum: float
    dropout: float


@dataclass(frozen=True)
class Data:
    """The rows of a world: standardised features, and numbers or classes; the first ``n_train`` are for training."""

    inputs: Tensor
    target: Tensor
    n_train: int

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers."""
        return self.target.is_floating_point()


def one(seed: int) -> dict[str, Any] | None:
    """Train the networks of a world; None if it is too long."""
    generator = np.random.default_rng([seed, 78])
    torch.manual_seed(seed)
    x_ND, target = table(generator, round(10 ** generator.uniform(1.9, 3.1)))
    x_ND = (x_ND - x_ND.mean(axis=0)) / x_ND.std(axis=0)
    if target.dtype.kind == "f":
        target = ((target - target.mean()) / target.std()).astype(np.float32)
    n_train = round(len(x_ND) * float(generator.choice([0.5, 0.6, 0.8])))
    data = Data(torch.tensor(x_ND, dtype=torch.float32), torch.tensor(target), n_train)
    optimizer = str(generator.choice(["sgd", "adam", "adam", "rmsprop"]))
    batch = min(int(generator.choice([8, 16, 32, 64, 128, 4096])), n_train)
    epochs = round(10 ** generator.uniform(0.7, 1.8))
    width, depth = round(2 ** generator.uniform(2, 8)), int(generator.integers(0, 4))
    activation = str(generator.choice(["relu", "gelu", "tanh"]))
    momentum = float(generator.choice([0.0, 0.5, 0.9, 0.95, 0.98])) if optimizer != "adam" else 0.0
    dropout = float(generator.choice([0.0, 0.0, 0.2, 0.4]))
    n_steps = epochs * math.ceil(n_train / batch)
    if n_steps > _MAX_STEPS:
        return None
    setting = Setting(optimizer, batch, epochs, width, depth, activation, momentum, dropout)
    low, high = _RATES[optimizer]
    if optimizer == "sgd":
        low, high = low + math.log10(1 - momentum), high + 0.5 * math.log10(1 - momentum)
    rates_K = np.logspace(low, high, _N_RATES)
    losses_K = train(data, setting, torch.tensor(rates_K, dtype=torch.float32))
    best = np.argsort(losses_K)[:_N_BEST]
    return {
        **setting.__dict__,
        "steps": n_steps,
        "rate": float(np.log10(rates_K)[best].mean()),
        "losses": [round(float(loss), 5) for loss in losses_K],
    }


def train(data: Data, setting: Setting, rates_K: Tensor) -> Floats:
    """Train networks with equal initial weights and batches, and return their validation losses, (K,)."""
    parameters = list(_parameters(data, setting, len(rates_K)))
    means, squares = ([torch.zeros_like(one) for one in parameters] for _ in range(2))
    rates_K11, step = rates_K[:, None, None], 0
    for _ in range(setting.epochs):
        order_N = torch.randperm(data.n_train)
        for first in range(0, data.n_train, setting.batch):
            step += 1
            rows = order_N[first : first + setting.batch]
            loss = losses_of(data, setting, parameters, rows, is_training=True).sum()
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for one, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
                    one.sub_(rates_K11 * _move(setting, gradient, mean, square, step))
    with torch.no_grad():
        rows = torch.arange(data.n_train, len(data.inputs))
        final_K = losses_of(data, setting, parameters, rows, is_training=False)
        losses_K: Floats = torch.nan_to_num(final_K, nan=1e9).numpy()
        return losses_K


def _parameters(data: Data, setting: Setting, n_networks: int) -> Iterator[Tensor]:
    n_outputs = 1 if data.is_regression else int(data.target.max()) + 1
    for n_in, n_out in pairwise([data.inputs.shape[1], *[setting.width] * setting.depth, n_outputs]):
        for shape in ((n_in, n_out), (1, n_out)):
            same = (2 * torch.rand(1, *shape) - 1) / math.sqrt(n_in)
            yield same.repeat(n_networks, 1, 1).requires_grad_()


def losses_of(
    data: Data, setting: Setting, parameters: Sequence[Tensor], rows: Tensor, *, is_training: bool
) -> Tensor:
    """Return the mean loss of each network over some rows, (K,): squared error, or cross-entropy."""
    n_networks = len(parameters[0])
    hidden = data.inputs[rows].expand(n_networks, -1, -1)
    for layer in range(setting.depth + 1):
        hidden = torch.baddbmm(parameters[2 * layer + 1], hidden, parameters[2 * layer])
        if layer < setting.depth:
            hidden = _ACTIVATIONS[setting.activation](hidden)
            if is_training and setting.dropout:
                is_kept = torch.rand(hidden.shape[1:]) > setting.dropout
                hidden = hidden * is_kept / (1 - setting.dropout)
    target = data.target[rows].expand(n_networks, -1)
    if data.is_regression:
        return (hidden[..., 0] - target).square().mean(dim=1)
    logs = hidden.log_softmax(dim=2).transpose(1, 2)
    return nn.functional.nll_loss(logs, target, reduction="none").mean(dim=1)


def _move(setting: Setting, gradient: Tensor, mean: Tensor, square: Tensor, step: int) -> Tensor:
    """Return the step for a rate of 1, as torch's optimizers compute it."""
    if setting.optimizer == "sgd":
        return mean.mul_(setting.momentum).add_(gradient)
    if setting.optimizer == "adam":
        mean.mul_(0.9).add_(gradient, alpha=0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        return mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    square.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
    return mean.mul_(setting.momentum).add_(gradient / (square.sqrt() + 1e-8))


def print_lines(rows: list[dict[str, Any]]) -> None:
    """Print the line of each optimizer: coefficients with standard errors, and the deviation from it."""
    for optimizer in _RATES:
        own = [row for row in rows if row["optimizer"] == optimizer]
        if len(own) < 12:
            continue
        names = ["rate", "steps", "batch", "width", "depth"] + ["momentum"] * (optimizer != "adam")
        design = np.array(
            [
                [
                    1.0,
                    math.log10(row["steps"] / 200),
                    math.log10(row["batch"] / 64),
                    math.log10(row["width"] / 64) * (row["depth"] > 0),
                    row["depth"] - 1.0,
                    -math.log10(1 - row["momentum"]),
                ][: len(names)]
                for row in own
            ]
        )
        target = np.array([row["rate"] for row in own])
        for used in (names[:2] + names[5:], names[:3] + names[5:], names):
            columns = [names.index(name) for name in used]
            x = design[:, columns]
            solution = np.linalg.lstsq(x, target, rcond=None)[0]
            rest = target - x @ solution
            variance = rest @ rest / (len(own) - len(used))
            errors = np.sqrt(np.diag(variance * np.linalg.inv(x.T @ x)))
            texts = (
                f"{n} {value:+.2f} ± {error:.2f}"
                for n, value, error in zip(used, solution, errors, strict=True)
            )
            print(
                f"{optimizer:8} {len(own):4}  {', '.join(texts)}; deviation {math.sqrt(variance):.2f}",
                flush=True,
            )


def main() -> None:
    """Train the worlds and print the lines."""
    print_lines(worlds_of(one, __doc__ or "", 100))


if __name__ == "__main__":
    main()
