"""The history of a sweep as samplers read it, which finds a point without a walk over all trials.

A sampler is a pure function of its history, and a history of 20,000 trials is read at each of 20,000 suggestions. Most
suggestions need two answers only: how many trials there are, and whether a point is among them. `Observations` gives
both from an index of the points that all views of one record share, and makes the list of trials when it is read. Its
content is that of the list, so a suggestion does not depend on which of the two a sampler gets.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import overload

from tunecli.trial import Observation, Parameters


def point_key(point: Parameters) -> Hashable:
    """Return a value that two points share if they have equal values of equal types; 1 and true differ."""
    return frozenset((name, type(value), value) for name, value in point.items())


class PointIndex:
    """The points of a record, in the order in which they were added, and where each of them first stands.

    The first search makes the index, so a record that is only read pays nothing for it.
    """

    def __init__(self) -> None:
        self._points: list[Parameters] = []
        self._first: dict[Hashable, int] = {}
        self._n_indexed = 0

    def __len__(self) -> int:
        return len(self._points)

    def add(self, point: Parameters) -> None:
        """Add the point of a further trial."""
        self._points.append(point)

    def first_position(self, point: Parameters) -> int | None:
        """Return the position of the first trial at ``point``, from 0; None if there is none."""
        for position, known in enumerate(islice(self._points, self._n_indexed, None), start=self._n_indexed):
            self._first.setdefault(point_key(known), position)
        self._n_indexed = len(self._points)
        return self._first.get(point_key(point))


class Observations(Sequence[Observation]):
    """The first trials of a record by number, as a sequence that does not change."""

    def __init__(self, n_trials: int, index: PointIndex, read: Callable[[], list[Observation]]) -> None:
        """Prepare the sequence.

        Args:
            n_trials: its length.
            index: the points of the record; its first ``n_trials`` are those of the sequence.
            read: returns the sequence as a list. The owner of the record calls :meth:`settle` before the record
                changes, so ``read`` is never called after a change.
        """
        self._n_trials, self._index, self._read = n_trials, index, read
        self._list: list[Observation] | None = None

    def settle(self) -> list[Observation]:
        """Return the sequence as a list, which is made once."""
        if self._list is None:
            self._list = self._read()
        return self._list

    def has_point(self, point: Parameters) -> bool:
        """Return whether a trial has this point, with values of the same types."""
        position = self._index.first_position(point)
        return position is not None and position < self._n_trials

    def __len__(self) -> int:
        return self._n_trials

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.settle())

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Observation]: ...
    def __getitem__(self, index: int | slice) -> Observation | list[Observation]:
        return self.settle()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Observations):
            return self.settle() == other.settle()
        return self.settle() == other

    __hash__ = None  # type: ignore[assignment]  # equal to a list, which has no hash
