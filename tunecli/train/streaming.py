"""An epoch whose examples are in host memory: they are copied to the device in chunks, one ahead of the training.

The batches are those of epoch_batches.py, bit for bit and in the same order: the random draws are the same, an
augmented epoch is made whole on the host, and a chunk ends where a batch ends. An accelerator copies a chunk from
pinned memory on a stream of its own; two such buffers alternate. Memory on the device: about three chunks, or three
batches if one batch is larger than a chunk.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from tunecli.train.epoch_batches import Batch, BatchSlice, EpochExamples, Step, batch_slices

_PINNING = ("cuda", "xpu")

Rows = tuple[int, int]
"""A slice of an epoch's examples: first, and last exclusive."""


@dataclass(frozen=True)
class StreamedEpoch:
    """The steps of an epoch; can be iterated over repeatedly.

    Attributes:
        examples: the epoch's examples, in host memory.
        sizes: the sizes of the batches of each step.
        device: the device that trains.
        chunk_bytes: the size of a chunk; at least one batch.
        memory_format: the memory layout of images.
        split: (size of a batch) → the sizes of its micro-batches; None: batches stay whole.
    """

    examples: EpochExamples
    sizes: Sequence[Sequence[int]]
    device: torch.device
    chunk_bytes: int
    memory_format: torch.memory_format = torch.contiguous_format
    split: Callable[[int], Sequence[int]] | None = None

    def __iter__(self) -> Iterator[Step]:
        steps = [*self.examples.weigh(batch_slices(self.sizes, self.split))]
        most = self._most_rows()
        buffers = _Buffers(self.examples, self.device)
        for is_long, group in groupby(steps, key=lambda slices: _n_rows(slices) > most):
            if is_long:
                for slices in group:
                    yield _LongStep(self, slices, buffers)
                continue
            chunks = [*_chunks(group, most)]
            rows = [(chunk[0][0].first, chunk[-1][-1].last) for chunk in chunks]
            arriving = prefetched(rows, buffers, self.device)
            for chunk, (first, _), examples in zip(chunks, rows, arriving, strict=True):
                for step in chunk:
                    yield [self.batch(one, examples, first) for one in step]

    def batch(self, where: BatchSlice, examples: Sequence[Tensor | None], first: int) -> Batch:
        """One batch.

        Args:
            where: its slice of the epoch.
            examples: inputs, targets and partners' targets on the device, in the order of `EpochExamples.sources`.
            first: the index in the epoch of the first of these.
        """
        x, y, partner_y = (
            None if part is None else part[where.first - first : where.last - first] for part in examples
        )
        assert x is not None
        assert y is not None
        if self.memory_format is not torch.contiguous_format:
            x = x.contiguous(memory_format=self.memory_format)
        mix_share = None if self.examples.mix_shares is None else self.examples.mix_shares[where.batch]
        mix_share = None if mix_share is None else mix_share.to(self.device)
        weights = self.examples.weights_of(where, self.device)
        return Batch(x, y, where.share, partner_y, mix_share, *weights)

    def _most_rows(self) -> int:
        x = self.examples.x
        return max(1, self.chunk_bytes // max(1, x[:1].nbytes))


@dataclass(frozen=True)
class _LongStep:
    """A step with more examples than a chunk: its batches are copied one by one, at each iteration."""

    epoch: StreamedEpoch
    slices: Sequence[BatchSlice]
    buffers: _Buffers

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Batch]:
        rows = [(one.first, one.last) for one in self.slices]
        for one, examples in zip(self.slices, prefetched(rows, self.buffers, self.epoch.device), strict=True):
            yield self.epoch.batch(one, examples, one.first)


def prefetched(
    rows: Iterable[Rows], buffers: _Buffers, device: torch.device
) -> Iterator[Sequence[Tensor | None]]:
    """The examples of each of ``rows`` on the device; the next are copied while the caller uses the last."""
    ahead: _Transfer | None = None
    for number, part in enumerate(rows):
        following = buffers.send(part, number % 2)
        if ahead is not None:
            yield ahead.wait(device)
        ahead = following
    if ahead is not None:
        yield ahead.wait(device)


@dataclass(frozen=True)
class _Transfer:
    """Examples that are being copied to a device, and the event that marks the end of the copy."""

    examples: Sequence[Tensor | None]
    event: Any

    def wait(self, device: torch.device) -> Sequence[Tensor | None]:
        """The examples, once the device's current stream has waited for the copy."""
        if self.event is not None:
            stream = torch.get_device_module(device).current_stream(device)
            stream.wait_event(self.event)
            for tensor in self.examples:
                if tensor is not None:
                    # its memory belongs to the copying stream, which must not reuse it yet
                    tensor.record_stream(stream)
        return self.examples


class _Buffers:
    """Pinned memory for two chunks, and the stream that copies them to the device."""

    def __init__(self, examples: EpochExamples, device: torch.device) -> None:
        self._examples, self._device = examples, device
        self._is_pinned = device.type in _PINNING
        self._stream = torch.get_device_module(device).Stream(device) if self._is_pinned else None
        self._pinned: list[list[Tensor]] = [[], []]
        self._events: list[Any] = [None, None]

    def send(self, rows: Rows, turn: int) -> _Transfer:
        """Gather examples on the host and start to copy them from buffer ``turn``, 0 or 1."""
        if self._stream is None:
            gathered = self._examples.gather(*rows)
            return _Transfer([None if part is None else part.to(self._device) for part in gathered], None)
        if self._events[turn] is not None:
            self._events[turn].synchronize()  # until the last copy from this buffer has ended
        sources = self._examples.sources
        n = rows[1] - rows[0]
        if not self._pinned[turn] or len(self._pinned[turn][0]) < n:
            self._pinned[turn] = [
                torch.empty((n, *source.shape[1:]), dtype=source.dtype, pin_memory=True)
                for source in sources
                if source is not None
            ]
        pinned = iter(self._pinned[turn])
        into = [None if source is None else next(pinned)[:n] for source in sources]
        gathered = self._examples.gather(*rows, into)
        module = torch.get_device_module(self._device)
        with module.stream(self._stream):
            sent = [None if part is None else part.to(self._device, non_blocking=True) for part in gathered]
            self._events[turn] = module.Event()
            self._events[turn].record(self._stream)
        return _Transfer(sent, self._events[turn])


def _n_rows(slices: Sequence[BatchSlice]) -> int:
    return slices[-1].last - slices[0].first


def _chunks(steps: Iterable[Sequence[BatchSlice]], most: int) -> Iterator[list[Sequence[BatchSlice]]]:
    """Groups of consecutive steps with at most ``most`` examples each, but at least one step."""
    chunk: list[Sequence[BatchSlice]] = []
    for slices in steps:
        if chunk and slices[-1].last - chunk[0][0].first > most:
            yield chunk
            chunk = []
        chunk.append(slices)
    if chunk:
        yield chunk
