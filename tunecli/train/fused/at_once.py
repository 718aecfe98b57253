"""A step of all a stack's optimizers at once, for devices where a kernel costs more to start than to run.

By rows (optimizers.py) a step starts a kernel a trial, which on a CPU is the quicker way. Here it starts a dozen,
however many trials there are: each formula acts on all rows, and what differs between the trials (rates, decays,
averages' memories, counts of steps) stands in columns that are made once an epoch. The states stay the rows' own, as
views, so a trial is kept, taken up and made smaller as before. Knows neither models nor chains.

Axes: T rows, P numbers of a group's part of them, S steps of an epoch.
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

from tunecli.train.fused.optimizers import RowOptimizer

Floats = NDArray[np.float64]
Columns = Mapping[str, Tensor]
"""What differs between rows at a step, (T, 1) each, by name."""
Blocks = Mapping[str, Tensor]
"""States of all rows, (T, P) each, by torch's names."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An optimizer's formula over rows.

    Attributes:
        alike: the options in which rows must not differ.
        columns: (rates (S, T), numbers of steps (S, T), an option's values by its name (T,)) → (S, T) by name.
        step: (weights (T, P), gradients (T, P), states, columns, options) → nothing; the weights and states are new.
    """

    alike: tuple[str, ...]
    columns: Callable[[Floats, Floats, Callable[[str], Floats]], dict[str, Floats]]
    step: Callable[[Tensor, Tensor, Blocks, Columns, Mapping[str, Any]], None]


class AtOnce:
    """The optimizers of a stack's rows, each of which has taken a step: torch makes their states in the first one."""

    def __init__(
        self,
        rows: Sequence[RowOptimizer],
        weights_TP: Tensor,
        gradients_TP: Tensor,
        bounds: Sequence[tuple[int, int]],
    ) -> None:
        """Move the rows' states into blocks.

        Args:
            rows: of which :func:`takes` says yes.
            weights_TP, gradients_TP: the stack's, in the order of the rows.
            bounds: where each group's part of a row begins and ends.
        """
        self._rows = rows
        self._rule = RULES[rows[0].kind]
        self._weights = [weights_TP[:, first:last] for first, last in bounds]
        self._gradients = [gradients_TP[:, first:last] for first, last in bounds]
        self._blocks: list[dict[str, Tensor]] = []
        self._columns: list[dict[str, Tensor]] = []
        for group in range(len(bounds)):
            names = _names(rows[0].state(group))
            blocks = {name: torch.stack([row.state(group)[name] for row in rows]) for name in names}
            for place, row in enumerate(rows):
                row.hold(group, {name: block[place] for name, block in blocks.items()})
            self._blocks.append(blocks)

    def begin_epoch(self, rates_TSG: Sequence[Sequence[Sequence[float]]], first_T: Sequence[int]) -> None:
        """Make the columns of an epoch's steps.

        Args:
            rates_TSG: of each row, at each step, each group's learning rate.
            first_T: how many steps each row had taken before the epoch.
        """
        rates_GST = np.array(rates_TSG, dtype=np.float64).transpose(2, 1, 0)
        n_ST = np.arange(1, rates_GST.shape[1] + 1)[:, None] + np.array(first_T, dtype=np.float64)
        device, dtype = self._weights[0].device, self._weights[0].dtype
        self._columns = []
        for group, rates_ST in enumerate(rates_GST):

            def option(name: str, group: int = group) -> Floats:
                return np.array([_number(row.options(group), name) for row in self._rows])

            columns = self._rule.columns(rates_ST, n_ST, option)
            self._columns.append(
                {
                    name: torch.from_numpy(np.broadcast_to(column, rates_ST.shape).copy()).to(device, dtype)
                    for name, column in columns.items()
                }
            )

    def step(self, number: int) -> None:
        """Take a step of the epoch, counted from 0. Called without autograd."""
        parts = zip(self._weights, self._gradients, self._blocks, self._columns, strict=True)
        for group, (weights, gradients, blocks, columns) in enumerate(parts):
            own = {name: column[number][:, None] for name, column in columns.items()}
            self._rule.step(weights, gradients, blocks, own, self._rows[0].options(group))


def takes(rows: Sequence[RowOptimizer]) -> bool:
    """Whether the rows' optimizers have a formula here, have taken a step, and differ in numbers alone."""
    first = rows[0]
    if first.kind not in RULES or any(row.kind is not first.kind for row in rows):
        return False
    alike = RULES[first.kind].alike

    def form(row: RowOptimizer) -> list[object]:
        return [
            ([row.options(group)[name] for name in alike], _names(row.state(group)))
            for group in range(row.n_groups)
        ]

    return all(form(row) == form(first) for row in rows)


def _names(state: Mapping[str, Any]) -> list[str]:
    """Of what is remembered of each number; beside it are counters, and a velocity that is None without momentum."""
    return sorted(name for name, value in state.items() if isinstance(value, Tensor) and value.dim() > 0)


def _number(options: Mapping[str, Any], name: str) -> float:
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


def _adam(
    weights: Tensor, gradients: Tensor, states: Blocks, own: Columns, options: Mapping[str, Any]
) -> None:
    """Kingma, Ba (2015), algorithm 1; Loshchilov, Hutter (2019) for the decay that is decoupled."""
    gradients = -gradients if options["maximize"] else gradients
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
        "news": 1.0 - option("dampening")[None],
        "rate": rates_ST,
    }


def _sgd(
    weights: Tensor, gradients: Tensor, states: Blocks, own: Columns, options: Mapping[str, Any]
) -> None:
    """As torch has it, where a rate that changes leaves the velocity as it was (Sutskever et al. 2013 do not)."""
    gradients = torch.addcmul(-gradients if options["maximize"] else gradients, weights, own["decay"])
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


def _adagrad(
    weights: Tensor, gradients: Tensor, states: Blocks, own: Columns, options: Mapping[str, Any]
) -> None:
    """Duchi, Hazan, Singer (2011), with a diagonal matrix."""
    gradients = torch.addcmul(-gradients if options["maximize"] else gradients, weights, own["decay"])
    total = states["sum"].addcmul_(gradients, gradients)
    weights.sub_(gradients.div(total.sqrt().add_(own["eps"])).mul_(own["rate"]))


_ADAM = Rule(("amsgrad", "maximize", "decoupled_weight_decay"), _adam_columns, _adam)
RULES: dict[type[Optimizer], Rule] = {
    torch.optim.SGD: Rule(("nesterov", "maximize"), _sgd_columns, _sgd),
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAM,
    torch.optim.Adagrad: Rule(("maximize",), _adagrad_columns, _adagrad),
}
"""torch's optimizers by the formula of all rows; others take their steps by rows."""
