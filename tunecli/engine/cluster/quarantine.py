"""The trials that may be the cause of dying machines: losses are counted; a suspected trial gets an agent of its own.

An agent runs several trials, and its death does not say which of them caused it. So the last loss that a trial may have
counts only against a trial that was alone on its agent: a neighbour of the culprit reaches an epoch then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from tunecli.engine.cluster.seat import Group, Seat

MOST_LOSSES = 3
"""Losses of a trial's machine, in a row and without an epoch between them, after which the trial is lost."""


class Quarantine:
    """The losses of each trial, and the groups that wait for an agent of their own.

    Attributes:
        waiting: those groups.
    """

    def __init__(self) -> None:
        """Begin without a loss."""
        self.waiting: deque[Group] = deque()
        self._losses: Counter[int] = Counter()
        self._reserved: Seat | None = (
            None  # it takes no group until its last one has ended; another may be empty earlier
        )

    def count(self, number: int, *, is_suspicious: bool) -> bool:
        """Count the loss of a trial's machine.

        Args:
            number: the trial.
            is_suspicious: whether the trial may have caused it. If not, the trial is only known to have had one.

        Returns:
            Whether the trial is lost.
        """
        self._losses[number] += is_suspicious
        if self._losses[number] < MOST_LOSSES:
            return False
        del self._losses[number]
        return True

    def has_lost(self, group: Group) -> bool:
        """Whether a trial of the group has lost a machine since its last epoch."""
        return any(number in self._losses for number in group.jobs)

    def is_suspect(self, group: Group) -> bool:
        """Whether the group needs an agent of its own: a further loss is its end."""
        return any(self._losses.get(number, 0) >= MOST_LOSSES - 1 for number in group.jobs)

    def acquit(self, number: int, seat: Seat) -> None:
        """Forget the losses of a trial that has reached an epoch or its end; its agent takes others again."""
        self._losses.pop(number, None)
        if seat is not self._reserved:
            seat.is_reserved = False

    def forget(self, seat: Seat) -> None:
        """Wait for another agent if this one was reserved: it is gone."""
        if seat is self._reserved:
            self._reserved = None

    def seat_for_next(self, seats: Iterable[Seat]) -> Seat | None:
        """The agent of the first group that waits; None: no group waits, or no agent is empty yet.

        Args:
            seats: all agents with a free slot or a group.
        """
        if not self.waiting:
            return None
        fit = {seat for seat in seats if seat.is_fit and not seat.is_reserved}
        if self._reserved is not None and self._reserved.is_fit:
            fit.add(self._reserved)
        best = min(fit, key=lambda seat: seat.n_groups, default=None)
        if best is None or (best.n_groups and self._reserved is not None):
            return None
        best.is_reserved = True
        if best.n_groups:
            self._reserved = best
            return None
        self.forget(best)
        return best

    def released(self) -> Seat | None:
        """The agent that was reserved for a group that waits no more; it takes others again."""
        if self.waiting or self._reserved is None:
            return None
        seat, self._reserved = self._reserved, None
        seat.is_reserved = False
        return seat
