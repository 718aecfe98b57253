"""The two chains: links applied in order to the learning rate, and to the weights after a step.

Here is the time scale of both, the position of an optimizer step in the run. Loads no torch.
"""

from __future__ import annotations

from typing import NamedTuple


class StepPosition(NamedTuple):
    """One optimizer step of the run.

    Attributes:
        step: number of steps taken before it.
        steps_per_epoch: at least 1.
        n_steps: planned number of steps of the run, at least 1.
    """

    step: int
    steps_per_epoch: int
    n_steps: int

    @property
    def epoch(self) -> float:
        """Epochs done before this step, with a fraction."""
        return self.step / self.steps_per_epoch

    @property
    def epochs_done(self) -> int:
        """Whole epochs done before this step."""
        return self.step // self.steps_per_epoch

    @property
    def total_epochs(self) -> float:
        """Length of the run in epochs, with a fraction if it is set in steps."""
        return self.n_steps / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """Fraction of the run that is done, in [0, 1]."""
        return min(1.0, self.step / self.n_steps)

    @property
    def is_epoch_end(self) -> bool:
        """Whether this step is the last of its epoch."""
        return (self.step + 1) % self.steps_per_epoch == 0 or self.step + 1 == self.n_steps

    def epoch_start(self) -> StepPosition:
        """The first step of the same epoch."""
        return StepPosition(self.step - self.step % self.steps_per_epoch, self.steps_per_epoch, self.n_steps)

    def within(self, from_epoch: int, until_epoch: int | None) -> StepPosition | None:
        """The position of this step in a window of the run.

        Args:
            from_epoch: number of epochs before the window, at least 0.
            until_epoch: the epoch at whose end the window closes, above ``from_epoch``; None: the end of the run.

        Returns:
            The position, counted from the window's start; None outside the window.
        """
        first = from_epoch * self.steps_per_epoch
        last = self.n_steps if until_epoch is None else until_epoch * self.steps_per_epoch
        if self.step < first or (until_epoch is not None and self.step >= last):
            return None
        return StepPosition(self.step - first, self.steps_per_epoch, max(1, last - first))
