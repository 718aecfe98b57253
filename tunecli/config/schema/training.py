"""The settings of the training loop: length, batches, gradient limits, early stop, averages and number formats."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Auto, Count, Fraction, Knob, NonNegative, Positive, Values, name_alone

LEAST_EPOCHS = 20
"""`auto` gives at least this number of epochs."""
LEAST_STEPS, MOST_EPOCHS = 200, 500
"""`auto` gives this number of optimizer steps, unless that takes more than this number of epochs."""
ENOUGH_STEPS, USUAL_EPOCHS = 1000, 40
"""`auto` gives this number of optimizer steps, unless that takes more than this number of epochs.

Measured on ten sets of 150 to 1,797 examples (`tests/benchmarks/defaults.py`): with more passes over a few hundred
examples the default `mlp` overfits, and with fewer steps it is not trained.
"""


class GradientClip(Knob):
    """Limit the gradient by its global norm (Pascanu et al. 2013), by value, or by both, the norm first.

    Attributes:
        norm: largest global L2 norm of the gradient.
        value: largest absolute value of an entry.
    """

    norm: Positive | None = None
    value: Positive | None = None

    @model_validator(mode="after")
    def _some_way(self) -> GradientClip:
        if self.norm is None and self.value is None:
            raise ValueError("write `norm`, `value` or both")
        return self


class EarlyStop(Knob):
    """Stop when the objective no longer improves. The trial keeps the weights and metrics of its best epoch.

    Attributes:
        patience: epochs without improvement after which training stops.
        min_delta: an epoch counts as an improvement if the objective improves by more than this.
    """

    patience: Count = 5
    min_delta: NonNegative = 0.0


class Ema(Knob):
    """Validate and keep an exponential moving average of the weights (Polyak & Juditsky 1992).

    It is updated after every step, and starts as the weights after the first step.

    Attributes:
        decay: share of the old average that each update keeps.
    """

    name: Literal["ema"] = "ema"
    decay: Fraction = 0.99


class Swa(Knob):
    """Validate and keep the mean of the weights at the ends of the last epochs (Izmailov et al. 2018).

    The statistics of batch norms are recomputed for the mean.

    Attributes:
        start_fraction: fraction of the epochs after which averaging starts.
    """

    name: Literal["swa"] = "swa"
    start_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.75


AnyAverage = Ema | Swa
Average = Annotated[Annotated[AnyAverage, Field(discriminator="name")], BeforeValidator(name_alone)]


class Training(Knob):
    """How one model is trained.

    Attributes:
        epochs: number of epochs. `auto` is at least 20, as many as give 1,000 optimizer steps but no more than 40, and
            as many as give 200 steps but no more than 500; for `linear`, ten times as many steps and epochs.
        steps: number of optimizer steps, instead of `epochs`; the last epoch ends with the last step.
        batch_size: examples per batch; 1 trains on single examples, `full` on the whole training set.
        accumulate: batches per optimizer step; the gradient equals that of one batch of all their examples.
        grad_clip: limit of the gradient.
        early_stop: stop when the objective no longer improves.
        average: average of the weights that is validated and kept instead of the last ones.
        precision: number format of the model's computation; `bf16` and `fp16` are mixed precision, and the weights
            stay float32.
        compile: compile the model with `torch.compile`. `cuda_graphs` also records and replays it on an NVIDIA GPU,
            and equals `true` elsewhere.
        channels_last: store images with the channels as the innermost dimension.
        tf32: let an NVIDIA GPU round float32 products to 10 bits; no effect elsewhere.
        deterministic: refuse every kernel whose result may differ between two runs.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | Auto = "auto"
    steps: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    batch_size: Count | Annotated[Literal["full"], Values({"full": "The whole training set."})] = 64
    accumulate: Count = 1
    grad_clip: GradientClip | None = None
    early_stop: EarlyStop | None = None
    average: Average | None = None
    precision: Annotated[
        Literal["float32", "bf16", "fp16"],
        Values(
            {
                "float32": "32 bits everywhere.",
                "bf16": "Mixed precision with 16 bits and the range of float32.",
                "fp16": "Mixed precision with 16 bits and a scaled loss.",
            }
        ),
    ] = "float32"
    compile: bool | Annotated[Literal["cuda_graphs"], Values({"cuda_graphs": "Also replay CUDA graphs."})] = (
        False
    )
    channels_last: bool = False
    tf32: bool = False
    deterministic: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if self.steps is not None and "epochs" in self.model_fields_set:
            raise ValueError("write `epochs` or `steps`, not both")
        return self

    @property
    def fixed_epochs(self) -> int | None:
        """The number of epochs that the file sets; None: it follows from the number of steps in an epoch."""
        return self.epochs if self.steps is None and isinstance(self.epochs, int) else None

    def n_epochs(self, steps_per_epoch: int, slowness: float = 1.0) -> int:
        """Total number of epochs; the last one may be incomplete.

        Args:
            steps_per_epoch: optimizer steps in an epoch, at least 1.
            slowness: factor of the steps and of the upper bounds of `auto`; 0: the least number of epochs is enough.
        """
        if self.steps is not None:
            return -(-self.steps // steps_per_epoch)
        if isinstance(self.epochs, int):
            return self.epochs
        bounds = ((LEAST_STEPS, MOST_EPOCHS), (ENOUGH_STEPS, USUAL_EPOCHS))
        wanted = (min(slowness * steps / steps_per_epoch, slowness * most) for steps, most in bounds)
        return max(LEAST_EPOCHS, *map(math.ceil, wanted))
