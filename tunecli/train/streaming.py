"""An epoch whose examples lie on the host: they come to the device in chunks, the next one while one is used.

The same batches in the same order as epoch.py's, bit for bit: what is drawn is drawn alike, an augmented epoch is made
whole on the host, and chunks are cut where batches end. An accelerator takes a chunk from pinned memory on a stream of
its own; two such buffers take turns. Memory on the device: about three chunks, or three batches where one is larger.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from tunecli.train.epoch_batches import Batch, Cut, Drawn, Step, cuts_of

_PINNING = ("cuda", "xpu")

Rows = tuple[int, int]
"""The first and one past the last of consecutive examples of an epoch."""


@dataclass(frozen=True)
class StreamedEpoch:
    """The epoch's steps; iterated over as often as one likes.

    Attributes:
        drawn: what the epoch trains on, on the host.
        sizes: per step, the sizes of its batches.
        device: where they are used.
        chunk_bytes: how much comes at a time; a batch at least.
        memory_format: how images are stored.
        split: (a batch's size) → the sizes of its parts; None leaves it whole.
    """

    drawn: Drawn
    sizes: Sequence[Sequence[int]]
    device: torch.device
    chunk_bytes: int
    memory_format: torch.memory_format = torch.contiguous_format
    split: Callable[[int], Sequence[int]] | None = None

    def __iter__(self) -> Iterator[Step]:
        steps = [*cuts_of(self.sizes, self.split)]
        most = self._most_rows()
        buffers = _Buffers(self.drawn, self.device)
        for is_long, several in groupby(steps, key=lambda cuts: _n_rows(cuts) > most):
            if is_long:
                for cuts in several:
                    yield _LongStep(self, cuts, buffers)
                continue
            chunks = [*_chunks(several, most)]
            rows = [(chunk[0][0].first, chunk[-1][-1].last) for chunk in chunks]
            arriving = brought(rows, buffers, self.device)
            for chunk, (first, _), examples in zip(chunks, rows, arriving, strict=True):
                for step in chunk:
                    yield [self.batch(cut, examples, first) for cut in step]

    def batch(self, cut: Cut, examples: Sequence[Tensor | None], first: int) -> Batch:
        """A batch, of the examples from the epoch's ``first`` on that are on the device."""
        x, y, partner_y = (
            None if each is None else each[cut.first - first : cut.last - first] for each in examples
        )
        assert x is not None
        assert y is not None
        if self.memory_format is not torch.contiguous_format:
            x = x.contiguous(memory_format=self.memory_format)
        first_share = None if self.drawn.first_shares is None else self.drawn.first_shares[cut.batch]
        return Batch(x, y, cut.share, partner_y, None if first_share is None else first_share.to(self.device))

    def _most_rows(self) -> int:
        x = self.drawn.x
        return max(1, self.chunk_bytes // max(1, x[:1].nbytes))


@dataclass(frozen=True)
class _LongStep:
    """A step of more examples than a chunk: its batches come one by one, each time it is gone through."""

    epoch: StreamedEpoch
    cuts: Sequence[Cut]
    buffers: _Buffers

    def __len__(self) -> int:
        return len(self.cuts)

    def __iter__(self) -> Iterator[Batch]:
        rows = [(cut.first, cut.last) for cut in self.cuts]
        for cut, examples in zip(self.cuts, brought(rows, self.buffers, self.epoch.device), strict=True):
            yield self.epoch.batch(cut, examples, cut.first)


def brought(
    rows: Iterable[Rows], buffers: _Buffers, device: torch.device
) -> Iterator[Sequence[Tensor | None]]:
    """The examples of each of ``rows`` on the device, the next on their way while one's are used."""
    ahead: _OnTheWay | None = None
    for number, each in enumerate(rows):
        following = buffers.send(each, number % 2)
        if ahead is not None:
            yield ahead.arrived(device)
        ahead = following
    if ahead is not None:
        yield ahead.arrived(device)


@dataclass(frozen=True)
class _OnTheWay:
    """Examples that were sent to a device, and the event after which they are there."""

    examples: Sequence[Tensor | None]
    event: Any

    def arrived(self, device: torch.device) -> Sequence[Tensor | None]:
        """The examples, for the device's current stream to use."""
        if self.event is not None:
            stream = torch.get_device_module(device).current_stream(device)
            stream.wait_event(self.event)
            for each in self.examples:
                if (
                    each is not None
                ):  # its memory belongs to the stream that copied it, which may not take it back yet
                    each.record_stream(stream)
        return self.examples


class _Buffers:
    """Pinned memory for two chunks, and the stream that takes them to the device."""

    def __init__(self, drawn: Drawn, device: torch.device) -> None:
        self._drawn, self._device = drawn, device
        self._is_pinned = device.type in _PINNING
        self._stream = torch.get_device_module(device).Stream(device) if self._is_pinned else None
        self._rooms: list[list[Tensor]] = [[], []]
        self._events: list[Any] = [None, None]

    def send(self, rows: Rows, turn: int) -> _OnTheWay:
        """Gather examples on the host and begin to copy them, from the buffer whose turn it is."""
        if self._stream is None:
            gathered = self._drawn.gathered(*rows)
            return _OnTheWay([None if each is None else each.to(self._device) for each in gathered], None)
        if self._events[turn] is not None:
            self._events[turn].synchronize()  # the last copy from this buffer
        sources = self._drawn.sources
        n = rows[1] - rows[0]
        if not self._rooms[turn] or len(self._rooms[turn][0]) < n:
            self._rooms[turn] = [
                torch.empty((n, *source.shape[1:]), dtype=source.dtype, pin_memory=True)
                for source in sources
                if source is not None
            ]
        rooms = iter(self._rooms[turn])
        into = [None if source is None else next(rooms)[:n] for source in sources]
        gathered = self._drawn.gathered(*rows, into)
        module = torch.get_device_module(self._device)
        with module.stream(self._stream):
            sent = [None if each is None else each.to(self._device, non_blocking=True) for each in gathered]
            self._events[turn] = module.Event()
            self._events[turn].record(self._stream)
        return _OnTheWay(sent, self._events[turn])


def _n_rows(cuts: Sequence[Cut]) -> int:
    return cuts[-1].last - cuts[0].first


def _chunks(steps: Iterable[Sequence[Cut]], most: int) -> Iterator[list[Sequence[Cut]]]:
    """Consecutive steps together, as long as they are at most so many examples."""
    chunk: list[Sequence[Cut]] = []
    for cuts in steps:
        if chunk and cuts[-1].last - chunk[0][0].first > most:
            yield chunk
            chunk = []
        chunk.append(cuts)
    if chunk:
        yield chunk
