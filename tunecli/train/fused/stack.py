"""The weights of many models of one structure in one block of memory, a model a row.

Every model's parameters, and their gradients, are views of its row, so that whatever reads or writes one model (its
optimizer's kernel, its weight chain, its validation) needs to know nothing of the others. Owns the memory and the
views; knows neither optimizers nor what is computed.

Axes: T models, P numbers of one model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

LANES = 32
"""Rows are this many numbers long, or a multiple: torch's vectorised loops take the last few numbers of a block by
other instructions, which may round otherwise, and no row's numbers may depend on whether it is the last."""


UNIT = 16
"""Batches are this many examples long, or a multiple: so each model's part of a block begins at a multiple of 64
bytes, and MKL's products, which go by where their results lie in memory, are the same wherever in the stack it is."""


class Block(NamedTuple):
    """A tensor, and the block of memory that it fills but for the spare numbers behind it."""

    flat: Tensor
    view: Tensor


def padded_block(shape: tuple[int, ...], like: Tensor) -> Block:
    """A block of zeros, with so many spare numbers that none of the tensor's is among a vectorised loop's last few."""
    n = math.prod(shape)
    flat = torch.zeros(n + LANES, dtype=like.dtype, device=like.device)
    return Block(flat, flat[:n].view(shape))


class Place(NamedTuple):
    """Where a parameter stands in a row."""

    first: int
    last: int
    shape: tuple[int, ...]


class Stack:
    """The stacked weights, gradients and buffers."""

    def __init__(self, models: Sequence[nn.Module], groups: Sequence[Sequence[str]]) -> None:
        """Move the models' weights into one block; from now on each model is a view of its row.

        Args:
            models: of one structure, on one device, at least one.
            groups: the names of all parameters, by the group of the optimizer that has them.
        """
        self._models = [*models]
        parameters = dict(models[0].named_parameters())
        self.places: dict[str, Place] = {}
        self.bounds: list[tuple[int, int]] = []
        """Where each group's part of a row begins and ends."""
        first = 0
        for names in groups:
            begin = first
            for name in names:
                last = first + parameters[name].numel()
                self.places[name] = Place(first, last, tuple(parameters[name].shape))
                first = last
            first = -(-first // LANES) * LANES
            self.bounds.append((begin, first))
        self._n = first
        self._hold()

    @property
    def n_models(self) -> int:
        """How many there are."""
        return len(self._models)

    def weight(self, name: str) -> Tensor:
        """All models' values of one parameter: (T, *its shape)."""
        return self._part(self.weights_TP, name)

    def weight_with_spare(self, name: str) -> Tensor:
        """The same, and behind it that of a model of zeros, which nobody trains: (T + 1, *its shape)."""
        return self._part(self._block, name)

    def gradient(self, name: str) -> Tensor:
        """All models' gradients of one parameter: (T, *its shape)."""
        return self._part(self.gradients_TP, name)

    def keep(self, rows: Sequence[int]) -> None:
        """Let go of all models but some, whose bits stay as they are."""
        self._models = [self._models[row] for row in rows]
        self._hold()

    def _part(self, block_TP: Tensor, name: str) -> Tensor:
        first, last, shape = self.places[name]
        return block_TP[:, first:last].view(-1, *shape)

    @torch.no_grad()
    def _hold(self) -> None:
        """Copy the models into a block of their own, and make them views of it."""
        some = next(self._models[0].parameters())
        n_models = len(self._models)
        self._block = torch.zeros(n_models + 1, self._n, dtype=some.dtype, device=some.device)
        self.weights_TP = self._block[:n_models]
        self.gradients_TP = torch.zeros_like(self.weights_TP)
        # with a spare model's behind them
        self.buffers: dict[str, Tensor] = {
            name: torch.stack([model.get_buffer(name) for model in [*self._models, self._models[0]]])
            for name, _ in self._models[0].named_buffers()
        }
        for row, model in enumerate(self._models):
            for name, parameter in model.named_parameters():
                first, last, shape = self.places[name]
                weight = self.weights_TP[row, first:last].view(shape)
                weight.copy_(parameter)
                parameter.data = weight
                parameter.grad = self.gradients_TP[row, first:last].view(shape)
            for name, stacked in self.buffers.items():
                path, _, leaf = name.rpartition(".")
                setattr(model.get_submodule(path), leaf, stacked[row])


def probability(model: nn.Module, name: str) -> float:
    """With which a model's layer of dropout drops."""
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Dropout)
    return layer.p
