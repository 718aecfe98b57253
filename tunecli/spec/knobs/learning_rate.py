"""The learning-rate chain: links applied in order to the optimizer's base rate.

A link maps the rate that reaches it to the rate that leaves it. All are closed forms of the step, so the
rate at any step is known without having trained the steps before it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.spec.knobs.base import Count, Knob, NonNegative, Positive, link


class Warmup(Knob):
    """Rise linearly from ``start`` (a factor) to 1 over the first ``epochs`` (Goyal et al. 2017)."""

    name: Literal["warmup"] = "warmup"
    epochs: Positive = 1.0
    start: Annotated[float, Field(ge=0, le=1)] = 0.0


class Cosine(Knob):
    """Fall along half a cosine to ``to`` times the rate, over the whole run (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"] = "cosine"
    to: Annotated[float, Field(ge=0, le=1)] = 0.0


class LinearDecay(Knob):
    """Fall linearly to ``to`` times the rate, over the whole run."""

    name: Literal["linear"] = "linear"
    to: Annotated[float, Field(ge=0, le=1)] = 0.0


class Polynomial(Knob):
    """Fall as (1 - progress)^power to ``to`` times the rate, over the whole run."""

    name: Literal["polynomial"] = "polynomial"
    power: Positive = 2.0
    to: Annotated[float, Field(ge=0, le=1)] = 0.0


class Exponential(Knob):
    """Times ``gamma`` every epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.95


class Step(Knob):
    """Times ``gamma`` every ``epochs`` epochs."""

    name: Literal["step"] = "step"
    epochs: Count = 10
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1


class InverseSqrt(Knob):
    """Constant for ``epochs``, then falling as the square root of epochs / epoch (Vaswani et al. 2017)."""

    name: Literal["inverse_sqrt"] = "inverse_sqrt"
    epochs: Positive = 1.0


class Cut(Knob):
    """Times ``factor`` at each epoch of ``at``; or never below ``floor``, a rate."""

    name: Literal["cut"] = "cut"
    at: list[Count] | None = None
    factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    floor: Positive | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Cut:
        if (self.at is None) == (self.floor is None):
            raise ValueError("say either `at` with `factor`, or `floor`")
        if (self.at is None) != (self.factor is None):
            raise ValueError("`at` and `factor` go together")
        return self


class Clip(Knob):
    """Keep the rate within [``min``, ``max``]."""

    name: Literal["clip"] = "clip"
    min: NonNegative = 0.0
    max: Positive | None = None

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Clip:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max:g} is below min {self.min:g}")
        return self


AnyLink = Warmup | Cosine | LinearDecay | Polynomial | Exponential | Step | InverseSqrt | Cut | Clip
Link = Annotated[
    Annotated[AnyLink, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
