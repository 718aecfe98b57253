"""Where a run stands at one of its steps: the time that both chains go by. Loads no torch."""

from __future__ import annotations

from typing import NamedTuple


class StepPosition(NamedTuple):
    """A step of the run.

    Attributes:
        step: optimizer steps taken before it, counting from 0.
        steps_per_epoch: at least 1.
        n_steps: how many there will be in all, at least 1.
    """

    step: int
    steps_per_epoch: int
    n_steps: int

    @property
    def epoch(self) -> float:
        """Epochs done, with fractions."""
        return self.step / self.steps_per_epoch

    @property
    def epochs_done(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def total_epochs(self) -> float:
        """The length of the run, with fractions where it is counted in steps."""
        return self.n_steps / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """The share of the run that is done, in [0, 1]."""
        return min(1.0, self.step / self.n_steps)

    @property
    def is_epoch_end(self) -> bool:
        """Whether this step is the last of its epoch."""
        return (self.step + 1) % self.steps_per_epoch == 0 or self.step + 1 == self.n_steps

    def epoch_start(self) -> StepPosition:
        """The first step of the same epoch."""
        return StepPosition(self.step - self.step % self.steps_per_epoch, self.steps_per_epoch, self.n_steps)

    def within(self, from_epoch: int, until_epoch: int | None) -> StepPosition | None:
        """The same moment of the run that is a window of this one.

        Args:
            from_epoch: epochs done where the window opens, at least 0.
            until_epoch: epochs done where it closes, above ``from_epoch``; None where the run ends.

        Returns:
            None outside the window.
        """
        first = from_epoch * self.steps_per_epoch
        last = self.n_steps if until_epoch is None else until_epoch * self.steps_per_epoch
        if self.step < first or (until_epoch is not None and self.step >= last):
            return None
        return StepPosition(self.step - first, self.steps_per_epoch, max(1, last - first))
