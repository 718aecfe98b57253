"""The weights of many models of one structure in one block of memory, one model a row.

The parameters and gradients of each model are views of its row. So code that reads or writes one model (its optimizer's
kernel, its weight chain, its validation) works without knowing of the others. Owns the memory and the views; knows
neither optimizers nor the arithmetic.

Axes: T models, P numbers of one model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

LANES = 32
"""The length of a row is a multiple of this. torch's vectorised loops handle the last few numbers of a block by other
instructions, which may round differently, and a row's numbers must not depend on whether it is the last row."""

UNIT = 16
"""The length of a batch is a multiple of this. So each model's part of a block begins at a multiple of 64 bytes, and
MKL's products, which depend on the alignment of their results, are the same at every position in the stack."""


class Block(NamedTuple):
    """A tensor (``view``), and the memory behind it with some spare numbers at its end (``flat``)."""

    flat: Tensor
    view: Tensor


def padded_block(shape: tuple[int, ...], like: Tensor) -> Block:
    """A block of zeros with `LANES` spare numbers, so that a vectorised loop's special last numbers are all spare."""
    n = math.prod(shape)
    flat = torch.zeros(n + LANES, dtype=like.dtype, device=like.device)
    return Block(flat, flat[:n].view(shape))


class Span(NamedTuple):
    """The part of a row that holds a parameter: from ``first`` to ``last``, exclusive."""

    first: int
    last: int
    shape: tuple[int, ...]


class Stack:
    """The stacked weights, gradients and buffers."""

    def __init__(self, models: Sequence[nn.Module], groups: Sequence[Sequence[str]]) -> None:
        """Move the models' weights into one block; afterwards each model is a view of its row.

        Args:
            models: of one structure, on one device, at least one.
            groups: the names of the parameters in each group of the optimizer; together all parameters.
        """
        self._models = [*models]
        parameters = dict(models[0].named_parameters())
        self.spans: dict[str, Span] = {}
        self.bounds: list[tuple[int, int]] = []
        """Where each optimizer group's part of a row begins and ends, padding included."""
        first = 0
        for names in groups:
            begin = first
            for name in names:
                last = first + parameters[name].numel()
                self.spans[name] = Span(first, last, tuple(parameters[name].shape))
                first = last
            first = -(-first // LANES) * LANES
            self.bounds.append((begin, first))
        self._n = first
        self._allocate()

    @property
    def n_models(self) -> int:
        """Number of models."""
        return len(self._models)

    def weight(self, name: str) -> Tensor:
        """One parameter of all models: (T, *shape)."""
        return self._part(self.weights_TP, name)

    def weight_with_spare(self, name: str) -> Tensor:
        """As :meth:`weight`, followed by a spare model of zeros, which is never trained: (T + 1, *shape)."""
        return self._part(self._block, name)

    def gradient(self, name: str) -> Tensor:
        """The gradients of one parameter of all models: (T, *shape)."""
        return self._part(self.gradients_TP, name)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only the models of these rows; their bits do not change."""
        self._models = [self._models[row] for row in rows]
        self._allocate()

    def _part(self, block_TP: Tensor, name: str) -> Tensor:
        first, last, shape = self.spans[name]
        return block_TP[:, first:last].view(-1, *shape)

    @torch.no_grad()
    def _allocate(self) -> None:
        """Copy the models into a new block, and make them views of it."""
        like = next(self._models[0].parameters())
        n_models = len(self._models)
        self._block = torch.zeros(n_models + 1, self._n, dtype=like.dtype, device=like.device)
        self.weights_TP = self._block[:n_models]
        self.gradients_TP = torch.zeros_like(self.weights_TP)
        # the last row is the spare model's
        self.buffers: dict[str, Tensor] = {
            name: torch.stack([model.get_buffer(name) for model in [*self._models, self._models[0]]])
            for name, _ in self._models[0].named_buffers()
        }
        for row, model in enumerate(self._models):
            for name, parameter in model.named_parameters():
                first, last, shape = self.spans[name]
                weight = self.weights_TP[row, first:last].view(shape)
                weight.copy_(parameter)
                parameter.data = weight
                parameter.grad = self.gradients_TP[row, first:last].view(shape)
            for name, stacked in self.buffers.items():
                path, _, leaf = name.rpartition(".")
                setattr(model.get_submodule(path), leaf, stacked[row])


def probability(model: nn.Module, name: str) -> float:
    """The drop probability of a model's dropout layer."""
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Dropout)
    return layer.p
