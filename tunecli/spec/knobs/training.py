"""The training loop's own knobs: how long, in what batches, what bounds the gradient, when to stop early."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunecli.spec.knobs.base import Count, Knob, NonNegative, Positive


class GradientClip(Knob):
    """Bound the gradient by its global norm (Pascanu et al. 2013) or each entry by ``value``; norm goes first."""

    norm: Positive | None = None
    value: Positive | None = None

    @model_validator(mode="after")
    def _some_way(self) -> GradientClip:
        if self.norm is None and self.value is None:
            raise ValueError("say `norm`, `value` or both")
        return self


class EarlyStop(Knob):
    """Stop when the objective has not improved by more than ``min_delta`` for ``patience`` epochs.

    The best epoch's weights and metrics are the trial's.
    """

    patience: Count = 5
    min_delta: NonNegative = 0.0


class Training(Knob):
    """How one model is trained.

    ``batch_size`` is a number, 1 for single examples, or ``full``. ``steps``, optimizer steps in all, takes the
    place of ``epochs``; the last epoch then ends where the steps do.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    steps: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    batch_size: Count | Literal["full"] = 64
    grad_clip: GradientClip | None = None
    early_stop: EarlyStop | None = None

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if self.steps is not None and "epochs" in self.model_fields_set:
            raise ValueError("say `epochs` or `steps`, not both")
        return self

    def n_steps(self, steps_per_epoch: int) -> int:
        """Optimizer steps in all."""
        return self.epochs * steps_per_epoch if self.steps is None else self.steps

    def n_epochs(self, steps_per_epoch: int) -> int:
        """Epochs in all, the last one perhaps cut short."""
        return self.epochs if self.steps is None else -(-self.steps // steps_per_epoch)
