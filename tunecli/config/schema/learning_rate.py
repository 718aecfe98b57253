"""The learning-rate chain: links applied in order to the optimizer's base rate.

A link maps the rate that reaches it to the rate that leaves it: schedules multiply it, a clip bounds it. None but
``cut.on_plateau`` remembers anything, so the rate at a step is known without having trained the steps before it.

Every link takes the keys of `Timed`. Inside its window a link's clock starts at ``from_epoch``, and what lasts "the
whole run" ends at ``until_epoch``, or with the run where there is none. The milestones of ``at`` alone count epochs of
the run. Only what changes within an epoch tells ``every: step`` from ``every: epoch``: steps, milestones and plateaus
come at an epoch's end either way, and bounds have no clock.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Count, Knob, NonNegative, Positive, link

Share = Annotated[float, Field(ge=0, le=1)]
Start = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, le=1)]
Divisor = Annotated[float, Field(ge=1)]


class Timed(Knob):
    """Base of both chains' links: when one acts. It does so while ``from_epoch`` <= epochs done < ``until_epoch``.

    ``every`` says how often: at each step, or once an epoch (a rate is set as it begins, weights changed as it ends);
    None is the link's own nature.
    """

    every: Literal["step", "epoch"] | None = None
    from_epoch: Annotated[int, Field(ge=0)] = 0
    until_epoch: Count | None = None

    @model_validator(mode="after")
    def _window_in_order(self) -> Self:
        if self.until_epoch is not None and self.until_epoch <= self.from_epoch:
            raise ValueError(f"until_epoch {self.until_epoch} is not after from_epoch {self.from_epoch}")
        return self


class Warmup(Timed):
    """Rise linearly to the full rate over the first ``epochs`` (Goyal et al. 2017).

    Without ``start``, the first of n steps has 1/n of the rate and the n-th all of it, so no step trains at rate 0.
    With ``start`` (a factor), the first step has that part of the rate, and the step after the last one all of it.
    With ``every: epoch``, epochs are counted in place of steps.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:warmup"
    name: Literal["warmup"] = "warmup"
    epochs: Positive = 1.0
    start: Share | None = None


class Cosine(Timed):
    """Fall along half a cosine to ``to`` times the rate, over the whole run (Loshchilov & Hutter 2017)."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:cosine"
    name: Literal["cosine"] = "cosine"
    to: Share = 0.0


class CosineRestarts(Timed):
    """Fall along half a cosine to ``to`` times the rate, again and again (SGDR, Loshchilov & Hutter 2017).

    The first fall lasts ``epochs``, each later one ``factor`` times as long as the one before it.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:cosine_restarts"
    name: Literal["cosine_restarts"] = "cosine_restarts"
    epochs: Annotated[float, Field(ge=1e-3)] = 5.0
    factor: Annotated[float, Field(ge=1, le=100)] = 1.0
    to: Share = 0.0


class LinearDecay(Timed):
    """Fall linearly to ``to`` times the rate, over the whole run."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:linear"
    name: Literal["linear"] = "linear"
    to: Share = 0.0


class Polynomial(Timed):
    """Fall as (1 - progress)^power to ``to`` times the rate, over the whole run."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:polynomial"
    name: Literal["polynomial"] = "polynomial"
    power: Positive = 2.0
    to: Share = 0.0


class Exponential(Timed):
    """Times ``gamma`` every epoch; with ``every: step``, its share of that at each step."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:exponential"
    name: Literal["exponential"] = "exponential"
    every: Literal["step", "epoch"] = "epoch"
    gamma: Decay = 0.95


class Step(Timed):
    """Times ``gamma`` every ``epochs`` epochs."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:step"
    name: Literal["step"] = "step"
    epochs: Count = 10
    gamma: Decay = 0.1


class MultiStep(Timed):
    """Times ``gamma`` at each epoch of ``at``."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:multistep"
    name: Literal["multistep"] = "multistep"
    at: list[Count]
    gamma: Decay = 0.1


class OneCycle(Timed):
    """Rise to the rate, then fall far below where it began, over the whole run (Smith & Topin 2019).

    The rate that reaches the link is the peak: the run begins at its ``div``-th part, peaks after
    ``warmup_fraction``, and ends at the ``final_div``-th part of where it began.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:one_cycle"
    name: Literal["one_cycle"] = "one_cycle"
    warmup_fraction: Start = 0.3
    div: Divisor = 25.0
    final_div: Divisor = 1e4
    shape: Literal["cosine", "linear"] = "cosine"


class InverseSqrt(Timed):
    """Constant for ``epochs``, then falling as the square root of epochs / epoch (Vaswani et al. 2017)."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:inverse_sqrt"
    name: Literal["inverse_sqrt"] = "inverse_sqrt"
    epochs: Positive = 1.0


class WarmupStableDecay(Timed):
    """Rise linearly, stay, and fall to ``to`` times the rate, over the whole run (Hu et al. 2024).

    As with ``warmup``, the first of the n steps that rise has 1/n of the rate: none trains at rate 0.

    The fall by 1 - sqrt is Hägele et al.'s (2024), who find a fifth of the run enough for it.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:warmup_stable_decay"
    name: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    warmup_fraction: Start = 0.05
    decay_fraction: Decay = 0.2
    shape: Literal["linear", "cosine", "sqrt"] = "sqrt"
    to: Share = 0.0


class OnPlateau(Knob):
    """When the validation loss has stopped falling: ``patience`` epochs in a row are forgiven, the next is not.

    An epoch improves that undercuts the best loss by ``threshold``, a share of it or absolute. For ``cooldown``
    epochs after a cut none counts. The names and the meaning are torch's ``ReduceLROnPlateau``'s.
    """

    patience: Annotated[int, Field(ge=0)] = 3
    threshold: NonNegative = 1e-4
    threshold_mode: Literal["relative", "absolute"] = "relative"
    cooldown: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _can_improve(self) -> OnPlateau:
        if self.threshold_mode == "relative" and self.threshold >= 1:
            raise ValueError(f"a relative threshold is below 1; this is {self.threshold:g}")
        return self


class Cut(Timed):
    """Times ``factor`` at each epoch of ``at``, or on each plateau; or never below ``floor``, a rate."""

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
            raise ValueError("say one of `at` with `factor`, `on_plateau` with `factor`, and `floor`")
        if said == ["floor"] and self.factor is not None:
            raise ValueError("`factor` goes with `at` or `on_plateau`, not with `floor`")
        if said != ["floor"] and self.factor is None:
            raise ValueError(f"`{said[0]}` and `factor` go together")
        return self


class Clip(Timed):
    """Keep the rate within [``min``, ``max``]."""

    implementation: ClassVar[str] = "tunecli.train.chains.learning_rate:clip"
    name: Literal["clip"] = "clip"
    min: NonNegative = 0.0
    max: Positive | None = None

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Clip:
        if self.min == 0 and self.max is None:
            raise ValueError("say `min`, `max` or both: a rate is never below 0")
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max:g} is below min {self.min:g}")
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
