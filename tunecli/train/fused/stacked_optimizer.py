"""One step of all optimizers of a stack, for devices where a kernel costs more to start than to run.

Row by row (row_optimizer.py), a step starts one kernel a trial, which is faster on a CPU. Here a step starts about a
dozen kernels for any number of trials: each formula acts on all rows, and the values that differ between trials (rates,
decays, betas, step counts) are columns, made once an epoch. The states stay the rows' own, as views, so checkpoints and
shrinking work as before. Knows neither models nor chains.

Axes: T rows, P numbers of a group's part of a row, S steps of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from tunecli.train.fused.row_optimizer import RowOptimizer

Floats = NDArray[np.float64]
Columns = Mapping[str, Tensor]
"""The values that differ between rows at one step, (T, 1) each, by name."""
Blocks = Mapping[str, Tensor]
"""The states of all rows, (T, P) each, by torch's names."""
Options = Mapping[str, Any]
"""A group's options, by torch's names."""

MOST_NUMBERS = 100_000
"""The longest row that steps by formula. A formula reads and writes memory four times as often as torch's kernel, and
needs blocks for intermediate results; for longer rows that takes longer than starting a kernel a row. Estimated from 5
µs a start and 2 TB/s, not measured."""


@dataclass(frozen=True, slots=True)
class Formula:
    """An optimizer's formula over rows.

    Attributes:
        flags: (a group's options) → the options that have to be equal in all rows.
        initial_state: (a group's options) → the initial value of each state, by torch's names.
        columns: (rates (S, T), step counts (S, T), (option's name) → its values (T,)) → columns by name: (S, T), or
            (1, T) if they are equal at every step.
        step: (weights (T, P), gradients (T, P), states, columns, options) → None; updates weights and states in place.
    """

    flags: Callable[[Options], tuple[bool, ...]]
    initial_state: Callable[[Options], Mapping[str, float]]
    columns: Callable[[Floats, Floats, Callable[[str], Floats]], dict[str, Floats]]
    step: Callable[[Tensor, Tensor, Blocks, Columns, Options], None]


def form(optimizer: Optimizer) -> tuple[object, ...]:
    """The kind and flags that optimizers need in common to step at once; empty if there is no formula for them."""
    formula = FORMULAS.get(type(optimizer))
    return () if formula is None else (type(optimizer).__name__, *map(formula.flags, optimizer.param_groups))


class StackedOptimizer:
    """The optimizers of some rows of a stack, from their first step on."""

    def __init__(
        self,
        rows: Sequence[RowOptimizer],
        weights_TP: Tensor,
        gradients_TP: Tensor,
        bounds: Sequence[tuple[int, int]],
    ) -> None:
        """Move the rows' states into blocks.

        Args:
            rows: optimizers of one :func:`form`, which is not empty.
            weights_TP, gradients_TP: their weights and gradients, in the same order.
            bounds: where each group's part of a row begins and ends.
        """
        self._rows = rows
        self._formula = FORMULAS[rows[0].kind]
        self._weights = [weights_TP[:, first:last] for first, last in bounds]
        self._gradients = [gradients_TP[:, first:last] for first, last in bounds]
        self._blocks: list[dict[str, Tensor]] = []
        self._columns: list[dict[str, Tensor]] = []
        for group, weights in enumerate(self._weights):
            blocks = {
                name: torch.zeros_like(weights)
                for name in self._formula.initial_state(rows[0].options(group))
            }
            for index, row in enumerate(rows):
                for name, value in self._formula.initial_state(row.options(group)).items():
                    blocks[name][index] = row.state(group).get(name, value)
                row.hold(group, {name: block[index] for name, block in blocks.items()})
            self._blocks.append(blocks)

    def begin_epoch(self, rates_TSG: Sequence[Sequence[Sequence[float]]], first_T: Sequence[int]) -> None:
        """Compute the columns of an epoch's steps.

        Args:
            rates_TSG: the learning rate of each row, step and group.
            first_T: the number of steps that each row took before the epoch.
        """
        rates_GST = np.array(rates_TSG, dtype=np.float64).transpose(2, 1, 0)
        n_ST = np.arange(1, rates_GST.shape[1] + 1)[:, None] + np.array(first_T, dtype=np.float64)
        like = self._weights[0]
        self._columns = []
        for group, rates_ST in enumerate(rates_GST):

            def option(name: str, group: int = group) -> Floats:
                return np.array([_number(row.options(group), name) for row in self._rows])

            columns = self._formula.columns(rates_ST, n_ST, option)
            self._columns.append(
                {
                    name: torch.tensor(column, dtype=like.dtype).to(like.device).expand(rates_ST.shape)
                    for name, column in columns.items()
                }
            )

    def step(self, number: int) -> None:
        """Take a step of the epoch, counted from 0. Called without autograd."""
        parts = zip(self._weights, self._gradients, self._blocks, self._columns, strict=True)
        for group, (weights, gradients, blocks, columns) in enumerate(parts):
            own = {name: column[number][:, None] for name, column in columns.items()}
            self._formula.step(weights, gradients, blocks, own, self._rows[0].options(group))


def _number(options: Options, name: str) -> float:
    return float(options["betas"][int(name[-1]) - 1] if name in ("beta1", "beta2") else options[name])


def _adam_columns(rates_ST: Floats, n_ST: Floats, option: Callable[[str], Floats]) -> dict[str, Floats]:
    decay_T, beta1_T, beta2_T = option("weight_decay"), option("beta1"), option("beta2")
    return {
        "decay": decay_T[None],
        "kept": 1.0 - rates_ST * decay_T,
        "news1": 1.0 - beta1_T[None],
        "beta2": beta2_T[None],
        "news2": 1.0 - beta2_T[None],
        "root": np.sqrt(1.0 - beta2_T**n_ST),
        "eps": option("eps")[None],
        "size": rates_ST / (1.0 - beta1_T**n_ST),
    }


def _adam(weights: Tensor, gradients: Tensor, states: Blocks, own: Columns, options: Options) -> None:
    """Kingma & Ba 2015, algorithm 1; decoupled weight decay as in Loshchilov & Hutter 2019, algorithm 2."""
    if options["decoupled_weight_decay"]:
        weights.mul_(own["kept"])
    else:
        gradients = torch.addcmul(gradients, weights, own["decay"])
    mean, square = states["exp_avg"], states["exp_avg_sq"]
    mean.lerp_(gradients, own["news1"])
    square.mul_(own["beta2"]).addcmul_(gradients * own["news2"], gradients)
    if options["amsgrad"]:
        square = torch.maximum(states["max_exp_avg_sq"], square, out=states["max_exp_avg_sq"])
    deviation = square.sqrt().div_(own["root"]).add_(own["eps"])
    weights.sub_(torch.div(mean, deviation, out=deviation).mul_(own["size"]))


def _sgd_columns(rates_ST: Floats, n_ST: Floats, option: Callable[[str], Floats]) -> dict[str, Floats]:
    return {
        "decay": option("weight_decay")[None],
        "momentum": option("momentum")[None],
        # as in torch, the first velocity is the gradient
        "news": np.where(n_ST == 1.0, 1.0, 1.0 - option("dampening")),
        "rate": rates_ST,
    }


def _sgd(weights: Tensor, gradients: Tensor, states: Blocks, own: Columns, options: Options) -> None:
    """SGD as in `torch.optim.SGD`: the rate multiplies the velocity, unlike in Sutskever et al. 2013."""
    gradients = torch.addcmul(gradients, weights, own["decay"])
    if "momentum_buffer" in states:
        velocity = states["momentum_buffer"]
        velocity.mul_(own["momentum"]).addcmul_(gradients, own["news"])
        gradients = torch.addcmul(gradients, velocity, own["momentum"]) if options["nesterov"] else velocity
    weights.sub_(gradients * own["rate"])


def _adagrad_columns(rates_ST: Floats, n_ST: Floats, option: Callable[[str], Floats]) -> dict[str, Floats]:
    return {
        "decay": option("weight_decay")[None],
        "eps": option("eps")[None],
        "rate": rates_ST / (1.0 + (n_ST - 1.0) * option("lr_decay")),
    }


def _adagrad(weights: Tensor, gradients: Tensor, states: Blocks, own: Columns, options: Options) -> None:
    """Duchi, Hazan & Singer 2011, figure 1, with a diagonal matrix."""
    gradients = torch.addcmul(gradients, weights, own["decay"])
    total = states["sum"].addcmul_(gradients, gradients)
    weights.sub_(gradients.div(total.sqrt().add_(own["eps"])).mul_(own["rate"]))


def _adam_state(options: Options) -> Mapping[str, float]:
    names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if options["amsgrad"] else [])]
    return dict.fromkeys(names, 0.0)


_ADAM = Formula(
    lambda options: (bool(options["amsgrad"]), bool(options["decoupled_weight_decay"])),
    _adam_state,
    _adam_columns,
    _adam,
)
FORMULAS: dict[type[Optimizer], Formula] = {
    torch.optim.SGD: Formula(
        lambda options: (bool(options["nesterov"]), options["momentum"] != 0.0),
        lambda options: {"momentum_buffer": 0.0} if options["momentum"] != 0.0 else {},
        _sgd_columns,
        _sgd,
    ),
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAM,
    torch.optim.Adagrad: Formula(
        lambda options: (),
        lambda options: {"sum": options["initial_accumulator_value"]},
        _adagrad_columns,
        _adagrad,
    ),
}
"""The formula of each of torch's optimizers that has one; the others step row by row."""
