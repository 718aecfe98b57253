"""Who is told while a sweep runs, and how a sweep is kept from minding what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tunecli.messages import Event, SweepInfo
from tunecli.trial import FailedAttempt, Trial


class Display(Protocol):
    """Shows a sweep; what it does never stops training."""

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        """The sweep begins, or goes on, with these trials on record."""

    def suggested(self, trial: Trial) -> None:
        """A trial was recorded and goes to a worker."""

    def happened(self, event: Event | FailedAttempt) -> None:
        """A worker said this, and it was recorded; a `FailedAttempt` stands for an end that is not the trial's."""

    def ended(self) -> None:
        """Nothing more will come."""


class Unfailing:
    """A display whose first failure silences it: a terminal or a pipe that closed never stops training."""

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        self._tell(lambda display: display.began(heading, trials))

    def suggested(self, trial: Trial) -> None:
        self._tell(lambda display: display.suggested(trial))

    def happened(self, event: Event | FailedAttempt) -> None:
        self._tell(lambda display: display.happened(event))

    def ended(self) -> None:
        self._tell(lambda display: display.ended())

    def _tell(self, call: Callable[[Display], None]) -> None:
        if self._display is not None:
            try:
                call(self._display)
            except (OSError, SystemExit):  # rich leaves by SystemExit where its pipe is broken
                self._display = None
