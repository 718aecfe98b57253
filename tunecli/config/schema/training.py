"""The training loop's own knobs: how long, in what batches, what bounds the gradient, when to stop, in what numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Count, Fraction, Knob, NonNegative, Positive, name_alone


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


class Ema(Knob):
    """Validate and keep an exponential moving average of the weights, taken after every step (Polyak & Juditsky 1992).

    ``decay`` is the share of the old average that stays; the average begins as the weights after the first step.
    """

    name: Literal["ema"] = "ema"
    decay: Fraction = 0.99


class Swa(Knob):
    """Validate and keep the mean of the weights at the ends of the last epochs (Izmailov et al. 2018).

    It begins once ``start_fraction`` of the epochs are done; batch norm's statistics are taken anew for the mean.
    """

    name: Literal["swa"] = "swa"
    start_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.75


AnyAverage = Ema | Swa
Average = Annotated[Annotated[AnyAverage, Field(discriminator="name")], BeforeValidator(name_alone)]


class Training(Knob):
    """How one model is trained.

    ``batch_size`` is a number, 1 for single examples, or ``full``. ``accumulate`` batches make one optimizer step,
    on the gradient that one batch of all their examples would have. ``steps``, optimizer steps in all, takes the
    place of ``epochs``; the last epoch then ends where the steps do. ``precision`` is what the model computes in
    (mixed precision; weights stay float32). ``tf32`` lets an NVIDIA GPU round float32 products to 10 bits, and is
    nothing elsewhere. ``deterministic`` refuses every kernel that may differ between two runs. ``compile`` hands the
    model to torch.compile; with ``cuda_graphs`` what it makes for an NVIDIA GPU is recorded once and replayed, and
    elsewhere that is the same as ``true``. ``channels_last`` stores images with their channels innermost.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    steps: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    batch_size: Count | Literal["full"] = 64
    accumulate: Count = 1
    grad_clip: GradientClip | None = None
    early_stop: EarlyStop | None = None
    average: Average | None = None
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: bool | Literal["cuda_graphs"] = False
    channels_last: bool = False
    tf32: bool = False
    deterministic: bool = False

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
