"""How far a trial has come: which epoch is kept, whether patience has run out, and for how long it has trained."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tunecli.config.schema.training import EarlyStop

_KEPT = ("epochs", "kept_epoch", "metrics", "weights", "kept_loss", "least_loss", "mark_loss", "stale_epochs")


@dataclass(slots=True)
class Course:
    """A trial's course, over all its attempts.

    Attributes:
        epochs: how many were trained.
        kept_epoch, metrics, weights: the epoch that is the trial's so far; one model's weights an entry, and only
            where they are wanted.
        kept_loss: the kept epoch's ``sign * objective``.
        least_loss: the least of any epoch.
        mark_loss: what has to be beaten by more than ``min_delta``.
        stale_epochs: how long it has not been.
        earlier_s: how long earlier attempts trained, up to where this one went on.
    """

    epochs: int = 0
    kept_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    weights: list[dict[str, Tensor]] = field(default_factory=list)
    kept_loss: float = math.inf
    least_loss: float = math.inf
    mark_loss: float = math.inf
    stale_epochs: int = 0
    earlier_s: float = 0.0
    _began_s: float | None = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the trial has trained, over all its attempts; monotonic clock."""
        return self.earlier_s + (0.0 if self._began_s is None else time.monotonic() - self._began_s)

    def charge(self, seconds: float) -> None:
        """Count these seconds, and from now on only such: its part of the time of several that train as one."""
        self.earlier_s, self._began_s = self.earlier_s + seconds, None

    def take(self, loss: float, metrics: Mapping[str, float], early_stop: EarlyStop | None) -> bool:
        """Note what the last epoch came to: ``sign * objective``, and its metrics.

        Returns:
            Whether it is the epoch that is kept now: the last one, or the best under early stopping.
        """
        self.least_loss = min(self.least_loss, loss)
        if early_stop is not None and loss >= self.kept_loss:
            return False
        self.kept_epoch, self.kept_loss, self.metrics = self.epochs, loss, dict(metrics)
        return True

    def is_over(self, loss: float, early_stop: EarlyStop) -> bool:
        """Note an epoch's ``sign * objective``; whether patience has run out."""
        if loss < self.mark_loss - early_stop.min_delta:
            self.mark_loss, self.stale_epochs = loss, 0
        else:
            self.stale_epochs += 1
        return self.stale_epochs >= early_stop.patience

    def state(self) -> dict[str, Any]:
        """All of it, as plain data and tensors."""
        return {**{name: getattr(self, name) for name in _KEPT}, "seconds": self.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`.

        Raises:
            KeyError: it is none.
        """
        self.earlier_s = state["seconds"]
        for name in _KEPT:
            setattr(self, name, state[name])
