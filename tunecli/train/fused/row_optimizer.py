"""One trial's optimizer on its row of the stacked weights: torch's own, on one tensor a group instead of many.

Every optimizer here acts on each number by itself, so a step of the whole row equals the steps of its parts. If torch
has a kernel for the whole step, it is called directly: torch's own dispatch at each step takes three times as long as
the step. The mathematics is torch's. Knows neither models nor chains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Step = Callable[[float, Tensor], None]
"""(learning rate, number of steps taken with this one) → None; takes one step."""


class RowOptimizer:
    """An optimizer of one row, whose state converts to and from that of the same optimizer of a model."""

    def __init__(self, like: Optimizer, bounds: Sequence[tuple[int, int]]) -> None:
        """Take over the state of a model's optimizer.

        Args:
            like: the optimizer of the model's parameters. It never steps; it holds the state for checkpoints.
            bounds: where each group's part of the row begins and ends: its parameters in order, then padding.
        """
        self._like = like
        self._bounds = bounds
        parameter = like.param_groups[0]["params"][0]
        self._leaves = [
            torch.zeros(last - first, dtype=parameter.dtype, device=parameter.device)
            for first, last in bounds
        ]
        for leaf in self._leaves:
            leaf.grad = torch.zeros_like(leaf)
        groups = [
            {**_options(group), "params": [leaf]}
            for group, leaf in zip(like.param_groups, self._leaves, strict=True)
        ]
        make: Callable[..., Optimizer] = type(like)
        self._optimizer = make(groups)
        self._direct: list[Step] = []
        self._n_steps: Tensor | None = None
        if any(like.state.get(parameter) for parameter in _parameters(like)):
            self._take_state()

    def bind(self, weights_P: Tensor, gradients_P: Tensor) -> None:
        """Act on this row from the next step on."""
        for leaf, (first, last) in zip(self._leaves, self._bounds, strict=True):
            leaf.data = weights_P[first:last]
            assert leaf.grad is not None
            leaf.grad.data = gradients_P[first:last]

    def step(self, rates: Sequence[float], n_steps: Tensor) -> None:
        """Take one step.

        Args: rates: each group's learning rate. n_steps: the number of steps taken, this one included, as a scalar
            tensor. Making these once an epoch for all its steps saves a fifth of a small model's step.
        """
        if self._direct:
            self._n_steps = n_steps
            for step, rate in zip(self._direct, rates, strict=True):
                step(rate, n_steps)
            return
        self._set_rates(rates)
        self._optimizer.step()
        kernel = KERNELS.get(type(self._optimizer))
        if kernel is not None and all(group["fused"] for group in self._optimizer.param_groups):
            self._direct = [
                kernel(leaf, group, self._optimizer.state[leaf])
                for leaf, group in zip(self._leaves, self._optimizer.param_groups, strict=True)
            ]

    @property
    def kind(self) -> type[Optimizer]:
        """The class of torch's optimizer."""
        return type(self._optimizer)

    def options(self, group: int) -> Mapping[str, Any]:
        """A group's options, by torch's names."""
        options: Mapping[str, Any] = self._optimizer.param_groups[group]
        return options

    def state(self, group: int) -> Mapping[str, Any]:
        """The state of a group's part of the row, by torch's names; empty before the first step."""
        state: Mapping[str, Any] = self._optimizer.state[self._leaves[group]]
        return state

    def hold(self, group: int, tensors: Mapping[str, Tensor]) -> None:
        """Use these tensors as a group's state. The caller takes all steps from now on."""
        self._optimizer.state[self._leaves[group]].update(tensors)

    def count(self, n_steps: Tensor) -> None:
        """Record the number of steps taken without :meth:`step`."""
        self._n_steps = n_steps

    def put_state(self, rates: Sequence[float]) -> None:
        """Give the model's optimizer this one's state: views of its tensors, and copies of its counters."""
        self._set_rates(rates)
        for leaf, group in zip(self._leaves, self._optimizer.param_groups, strict=True):
            state = self._optimizer.state[leaf]
            if self._n_steps is not None and type(self._optimizer) in _COUNTING:
                # torch's fused kernel keeps the counter on the weights' device, its other implementations on the CPU
                device = leaf.device if group["fused"] else "cpu"
                state["step"] = self._n_steps.to(device, copy=True)
        for own, group, leaf in zip(
            self._optimizer.param_groups, self._like.param_groups, self._leaves, strict=True
        ):
            group["lr"] = own["lr"]
            first = 0
            for parameter in group["params"]:
                last = first + parameter.numel()
                self._like.state[parameter] = {
                    name: _part(value, first, last, parameter)
                    for name, value in self._optimizer.state[leaf].items()
                }
                first = last

    def _set_rates(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _take_state(self) -> None:
        for own, group, leaf in zip(
            self._optimizer.param_groups, self._like.param_groups, self._leaves, strict=True
        ):
            own.update(_options(group))
            states = [self._like.state[parameter] for parameter in group["params"]]
            self._optimizer.state[leaf] = {
                name: _joined([state[name] for state in states], leaf) for name in states[0]
            }


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _parameters(optimizer: Optimizer) -> Iterable[Tensor]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def _part(value: Any, first: int, last: int, like: Tensor) -> Any:
    """One parameter's part of a row's state entry; counters and rates belong to the whole row."""
    if not isinstance(value, Tensor):
        return value
    return value.clone() if value.dim() == 0 else value[first:last].view_as(like)


def _joined(values: Sequence[Any], leaf: Tensor) -> Any:
    """A row's state entry from those of all parameters; a scalar is a counter, which is the same for all."""
    if not isinstance(values[0], Tensor):
        return values[0]
    if values[0].dim() == 0:
        return values[0].clone()
    joined = torch.zeros_like(leaf)
    flat = torch.cat([value.flatten() for value in values])
    joined[: len(flat)] = flat
    return joined


def _sgd(leaf: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Step:
    momentum = state.get("momentum_buffer")
    call = partial(
        torch._fused_sgd_,
        [leaf],
        [leaf.grad],
        [] if momentum is None else [momentum],
        is_first_step=False,
        **{name: group[name] for name in ("weight_decay", "momentum", "dampening", "nesterov", "maximize")},
    )

    def step(rate: float, n_steps: Tensor) -> None:
        call(lr=rate)

    return step


def _adam(leaf: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Step:
    most = [state["max_exp_avg_sq"]] if group["amsgrad"] else []
    call = partial(
        torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_,
        *([leaf], [leaf.grad], [state["exp_avg"]], [state["exp_avg_sq"]], most),
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        **{name: group[name] for name in ("weight_decay", "eps", "amsgrad", "maximize")},
    )

    def step(rate: float, n_steps: Tensor) -> None:
        call([n_steps], lr=rate)

    return step


def _adagrad(leaf: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Step:
    call = partial(
        torch._fused_adagrad_,
        *([leaf], [leaf.grad], [state["sum"]]),
        **{name: group[name] for name in ("lr_decay", "weight_decay", "eps", "maximize")},
    )

    def step(rate: float, n_steps: Tensor) -> None:
        call([n_steps], lr=rate)

    return step


_COUNTING = {torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad}
"""Optimizers with a fused kernel that count their steps."""

KERNELS: dict[type[Optimizer], Callable[[Tensor, Mapping[str, Any], Mapping[str, Any]], Step]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adam,
    torch.optim.Adagrad: _adagrad,
}
"""(a group's part of the row, the group, its state) → its step by torch's fused kernel. Others use ``step``."""
