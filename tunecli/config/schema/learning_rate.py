"""The learning-rate chain: links that are applied in order to the optimizer's learning rate.

A link maps an incoming rate to an outgoing rate: schedules multiply it, a clip bounds it. Only ``cut.on_plateau`` has a
state, so the rate at a step is known without training the steps before it.

Every link has the keys of `Timed`. A link counts epochs from its ``from_epoch``, and a schedule over "the whole run"
ends at ``until_epoch`` if that is set. Only the milestones of ``at`` count epochs of the run. ``every`` matters only
for links that change within an epoch: steps, milestones and plateaus come at the end of an epoch, and bounds do not
change.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Count, Knob, NonNegative, Positive, Values, link

Share = Annotated[float, Field(ge=0, le=1)]
Start = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, le=1)]
Divisor = Annotated[float, Field(ge=1)]
_Every = Annotated[
    Literal["step", "epoch"],
    Values(
        {
            "step": "At each optimizer step.",
            "epoch": "Once per epoch.",
        }
    ),
]


class Timed(Knob):
    """Base of the links of both chains. A link acts while `from_epoch` <= epochs done < `until_epoch`.

    Attributes:
        every: how often the link acts: at each step, or once per epoch (a rate is set when the epoch starts, weights
            change when it ends). The default depends on the link.
        from_epoch: first epoch, counted from 0, in which the link acts.
        until_epoch: epoch from which the link no longer acts; by default it acts to the end.
    """

    every: _Every | None = None
    from_epoch: Annotated[int, Field(ge=0)] = 0
    until_epoch: Count | None = None

    @model_validator(mode="after")
    def _window_in_order(self) -> Self:
        if self.until_epoch is not None and self.until_epoch <= self.from_epoch:
            raise ValueError(
                f"`until_epoch` ({self.until_epoch}) must be above `from_epoch` ({self.from_epoch})"
            )
        return self


class Warmup(Timed):
    """Rise linearly to the full rate (Goyal et al. 2017). With `every: epoch`, epochs are counted instead of steps.

    Attributes:
        epochs: length of the warmup, in epochs.
        start: fraction of the rate at the first step. By default the first of n steps has 1/n of the rate and the n-th
            all of it, so no step trains at rate 0.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:warmup"
    name: Literal["warmup"] = "warmup"
    epochs: Positive = 1.0
    start: Share | None = None


class Cosine(Timed):
    """Fall along half a cosine over the whole run (Loshchilov & Hutter 2017).

    Attributes:
        to: final rate, as a fraction of the full rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:cosine"
    name: Literal["cosine"] = "cosine"
    to: Share = 0.0


class CosineRestarts(Timed):
    """Fall along half a cosine, again and again (SGDR, Loshchilov & Hutter 2017).

    Attributes:
        epochs: length of the first fall, in epochs.
        factor: length of each fall, as a multiple of the one before.
        to: rate at the end of a fall, as a fraction of the full rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:cosine_restarts"
    name: Literal["cosine_restarts"] = "cosine_restarts"
    epochs: Annotated[float, Field(ge=1e-3)] = 5.0
    factor: Annotated[float, Field(ge=1, le=100)] = 1.0
    to: Share = 0.0


class LinearDecay(Timed):
    """Fall linearly over the whole run.

    Attributes:
        to: final rate, as a fraction of the full rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:linear"
    name: Literal["linear"] = "linear"
    to: Share = 0.0


class Polynomial(Timed):
    """Fall as (1 - progress)^power over the whole run.

    Attributes:
        power: exponent of the fall; 1 is linear.
        to: final rate, as a fraction of the full rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:polynomial"
    name: Literal["polynomial"] = "polynomial"
    power: Positive = 2.0
    to: Share = 0.0


class Exponential(Timed):
    """Multiply the rate by a factor every epoch; with `every: step`, by the corresponding root at each step.

    Attributes:
        every: how often the factor is applied.
        gamma: factor per epoch.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:exponential"
    name: Literal["exponential"] = "exponential"
    every: _Every = "epoch"
    gamma: Decay = 0.95


class Step(Timed):
    """Multiply the rate by a factor every few epochs.

    Attributes:
        epochs: number of epochs between two cuts.
        gamma: number that the rate is multiplied by.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:step"
    name: Literal["step"] = "step"
    epochs: Count = 10
    gamma: Decay = 0.1


class MultiStep(Timed):
    """Multiply the rate by a factor at given epochs.

    Attributes:
        at: numbers of epochs of the run after which the rate changes.
        gamma: number that the rate is multiplied by.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:multistep"
    name: Literal["multistep"] = "multistep"
    at: list[Count]
    gamma: Decay = 0.1


class OneCycle(Timed):
    """Rise to the rate, then fall far below the start, over the whole run (Smith & Topin 2019).

    Attributes:
        warmup_fraction: fraction of the run after which the rate peaks.
        div: the run starts at the peak rate divided by this.
        final_div: the run ends at the initial rate divided by this.
        shape: shape of the rise and the fall.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:one_cycle"
    name: Literal["one_cycle"] = "one_cycle"
    warmup_fraction: Start = 0.3
    div: Divisor = 25.0
    final_div: Divisor = 1e4
    shape: Annotated[
        Literal["cosine", "linear"],
        Values(
            {
                "cosine": "Half a cosine.",
                "linear": "A straight line.",
            }
        ),
    ] = "cosine"


class InverseSqrt(Timed):
    """Constant at first, then falling with the inverse square root of the epoch (Vaswani et al. 2017).

    Attributes:
        epochs: number of epochs with the constant rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:inverse_sqrt"
    name: Literal["inverse_sqrt"] = "inverse_sqrt"
    epochs: Positive = 1.0


class WarmupStableDecay(Timed):
    """Rise linearly, stay, and fall, over the whole run (Hu et al. 2024). As with `warmup`, no step trains at rate 0.

    Attributes:
        warmup_fraction: fraction of the run in which the rate rises.
        decay_fraction: fraction of the run in which the rate falls; a fifth is enough for `sqrt` (Hägele et al. 2024).
        shape: shape of the fall; `sqrt` is 1 - sqrt (Hägele et al. 2024).
        to: final rate, as a fraction of the full rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:warmup_stable_decay"
    name: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    warmup_fraction: Start = 0.05
    decay_fraction: Decay = 0.2
    shape: Annotated[
        Literal["linear", "cosine", "sqrt"],
        Values(
            {
                "linear": "A straight line.",
                "cosine": "Half a cosine.",
                "sqrt": "1 minus the square root of the progress (Hägele et al. 2024).",
            }
        ),
    ] = "sqrt"
    to: Share = 0.0


class OnPlateau(Knob):
    """Cut the rate when the validation loss has stopped falling, as torch's `ReduceLROnPlateau`.

    Attributes:
        patience: epochs in a row without improvement that are allowed; the next one triggers a cut.
        threshold: an epoch counts as an improvement if the loss falls by more than this.
        threshold_mode: whether `threshold` is a fraction of the best loss, or an absolute number.
        cooldown: epochs after a cut that are not counted.
    """

    patience: Annotated[int, Field(ge=0)] = 3
    threshold: NonNegative = 1e-4
    threshold_mode: Annotated[
        Literal["relative", "absolute"],
        Values(
            {
                "relative": "`threshold` is a fraction of the best loss.",
                "absolute": "`threshold` is in units of the loss.",
            }
        ),
    ] = "relative"
    cooldown: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _can_improve(self) -> OnPlateau:
        if self.threshold_mode == "relative" and self.threshold >= 1:
            raise ValueError(f"a relative `threshold` must be below 1, not {self.threshold:g}")
        return self


class Cut(Timed):
    """Multiply the rate by a factor at given epochs or on each plateau, or keep it above a floor.

    Attributes:
        at: numbers of epochs of the run after which the rate is multiplied by `factor`.
        on_plateau: multiply the rate by `factor` on each plateau of the validation loss.
        factor: number between 0 and 1 that the rate is multiplied by.
        floor: lowest learning rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:cut"
    name: Literal["cut"] = "cut"
    at: list[Count] | None = None
    on_plateau: OnPlateau | None = None
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    floor: Positive | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Cut:
        said = [key for key in ("at", "on_plateau", "floor") if getattr(self, key) is not None]
        if len(said) != 1:
            raise ValueError(
                "write exactly one of `at` with `factor`, `on_plateau` with `factor`, and `floor`"
            )
        if said == ["floor"] and self.factor is not None:
            raise ValueError("`floor` takes no `factor`; only `at` and `on_plateau` do")
        if said != ["floor"] and self.factor is None:
            raise ValueError(f"`{said[0]}` needs a `factor`")
        return self


class Clip(Timed):
    """Keep the rate between two bounds.

    Attributes:
        min: lowest learning rate.
        max: highest learning rate.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:clip"
    name: Literal["clip"] = "clip"
    min: NonNegative = 0.0
    max: Positive | None = None

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Clip:
        if self.min == 0 and self.max is None:
            raise ValueError("write `min`, `max` or both")
        if self.max is not None and self.max < self.min:
            raise ValueError(f"`max` must be at least `min`: {self.max:g} is below {self.min:g}")
        return self


AnyLink = (
    Warmup
    | Cosine
    | CosineRestarts
    | LinearDecay
    | Polynomial
    | Exponential
    | Step
    | MultiStep
    | OneCycle
    | InverseSqrt
    | WarmupStableDecay
    | Cut
    | Clip
)
Link = Annotated[
    Annotated[AnyLink, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
