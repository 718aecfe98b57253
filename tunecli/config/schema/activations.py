"""The activations and their arguments, as `torch.nn` has them; no torch is loaded.

A test holds every knob to the constructor it stands for: same argument names, same defaults.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Knob, NonNegative, Positive, name_alone


class PlainActivation(Knob):
    """An activation without arguments."""

    name: Literal[
        "relu",
        "relu6",
        "selu",
        "silu",
        "mish",
        "softsign",
        "tanhshrink",
        "hardsigmoid",
        "hardswish",
        "sigmoid",
        "logsigmoid",
        "tanh",
        "identity",
    ]


class LeakyRelu(Knob):
    """A rectifier that leaks: ``negative_slope`` times what is below 0 (Maas et al. 2013)."""

    name: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: float = 0.01


class PRelu(Knob):
    """A leaky rectifier that learns its slope, one number a layer, from ``init`` (He et al. 2015)."""

    name: Literal["prelu"] = "prelu"
    init: float = 0.25


class RRelu(Knob):
    """A leaky rectifier with a slope drawn in training, and the mean of its bounds after (Xu et al. 2015)."""

    name: Literal["rrelu"] = "rrelu"
    lower: float = 1 / 8
    upper: float = 1 / 3

    @model_validator(mode="after")
    def _lower_is_below(self) -> RRelu:
        if self.lower > self.upper:
            raise ValueError(f"lower {self.lower:g} is above upper {self.upper:g}")
        return self


class Elu(Knob):
    """Exponential linear unit, and its continuously differentiable form (Clevert et al. 2016, Barron 2017)."""

    name: Literal["elu", "celu"]
    alpha: Positive = 1.0


class Gelu(Knob):
    """Gaussian error linear unit, exact or by its tanh form (Hendrycks & Gimpel 2016)."""

    name: Literal["gelu"] = "gelu"
    approximate: Literal["none", "tanh"] = "none"


class Softplus(Knob):
    """log(1 + exp(beta · x)) / beta; the identity where beta · x is above ``threshold``."""

    name: Literal["softplus"] = "softplus"
    beta: Positive = 1.0
    threshold: float = 20.0


class Shrink(Knob):
    """Zero within ±``lambd``; outside it x (hard), or x moved towards zero by ``lambd`` (soft)."""

    name: Literal["softshrink", "hardshrink"]
    lambd: NonNegative = 0.5


class Hardtanh(Knob):
    """x, bounded by ``min_val`` and ``max_val``."""

    name: Literal["hardtanh"] = "hardtanh"
    min_val: float = -1.0
    max_val: float = 1.0

    @model_validator(mode="after")
    def _min_is_below(self) -> Hardtanh:
        if self.min_val >= self.max_val:
            raise ValueError(f"min_val {self.min_val:g} is not below max_val {self.max_val:g}")
        return self


class Threshold(Knob):
    """x where it is above ``threshold``, else ``value``; torch gives neither a default."""

    name: Literal["threshold"] = "threshold"
    threshold: float
    value: float


AnyActivation = (
    PlainActivation | LeakyRelu | PRelu | RRelu | Elu | Gelu | Softplus | Shrink | Hardtanh | Threshold
)
Activation = Annotated[Annotated[AnyActivation, Field(discriminator="name")], BeforeValidator(name_alone)]
RELU = PlainActivation(name="relu")
GELU = Gelu()
