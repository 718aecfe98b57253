"""The activations and their arguments, as in `torch.nn`, without importing torch.

A test compares each knob with its constructor in torch: same argument names, same defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import NamedKnob, NonNegative, Positive, Values, name_alone


class ActivationKnob(NamedKnob):
    """Base of the activations. The other fields of one are arguments of its implementation, by their names.

    Attributes:
        implementation: a subclass of `torch.nn.Module`.
        gain_as: the name under which `torch.nn.init.calculate_gain` has the gain of the layer before the activation; a
            map by name where one class has several. torch has gains for a few; of the others the rectifiers pass about
            what relu passes, the bounded ones bend as tanh and sigmoid do, the shrinking ones are nearly the identity.
        n_parameters: how many numbers it learns in each place.
        is_random: whether it draws numbers in training.
    """

    gain_as: ClassVar[str | Mapping[str, str]] = "linear"
    n_parameters: ClassVar[int] = 0
    is_random: ClassVar[bool] = False

    @property
    def gain_name(self) -> str:
        """The name for `torch.nn.init.calculate_gain`."""
        return self.gain_as if isinstance(self.gain_as, str) else self.gain_as[self.name]

    @property
    def slope(self) -> float:
        """The slope below 0 where the gain is that of ``leaky_relu``; 0 for all others."""
        return 0.0


class PlainActivation(ActivationKnob):
    """An activation without arguments."""

    implementation: ClassVar[Mapping[str, str]] = {
        "relu": "torch.nn:ReLU",
        "relu6": "torch.nn:ReLU6",
        "selu": "torch.nn:SELU",
        "silu": "torch.nn:SiLU",
        "mish": "torch.nn:Mish",
        "softsign": "torch.nn:Softsign",
        "tanhshrink": "torch.nn:Tanhshrink",
        "hardsigmoid": "torch.nn:Hardsigmoid",
        "hardswish": "torch.nn:Hardswish",
        "sigmoid": "torch.nn:Sigmoid",
        "logsigmoid": "torch.nn:LogSigmoid",
        "tanh": "torch.nn:Tanh",
        "identity": "torch.nn:Identity",
    }
    gain_as: ClassVar[Mapping[str, str]] = {
        "relu": "relu",
        "relu6": "relu",
        "selu": "selu",
        "silu": "relu",
        "mish": "relu",
        "softsign": "tanh",
        "tanhshrink": "linear",
        "hardsigmoid": "sigmoid",
        "hardswish": "relu",
        "sigmoid": "sigmoid",
        "logsigmoid": "sigmoid",
        "tanh": "tanh",
        "identity": "linear",
    }
    name: Annotated[
        Literal[
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
        ],
        Values(
            {
                "relu": "Rectified linear unit: x above 0, else 0.",
                "relu6": "ReLU that is limited to 6.",
                "selu": "Scaled exponential linear unit, which keeps mean and variance (Klambauer et al. 2017).",
                "silu": "x times sigmoid of x, also called swish (Elfwing et al. 2018).",
                "mish": "x times tanh of softplus of x (Misra 2019).",
                "softsign": "x / (1 + |x|).",
                "tanhshrink": "x minus tanh of x.",
                "hardsigmoid": "Sigmoid made of three straight pieces.",
                "hardswish": "SiLU with the hard sigmoid (Howard et al. 2019).",
                "sigmoid": "1 / (1 + exp(-x)).",
                "logsigmoid": "Logarithm of the sigmoid.",
                "tanh": "Hyperbolic tangent, between -1 and 1.",
                "identity": "x itself: no activation.",
            }
        ),
    ]


class LeakyRelu(ActivationKnob):
    """Leaky ReLU (Maas et al. 2013).

    Attributes:
        negative_slope: slope for negative inputs.
    """

    implementation: ClassVar[str] = "torch.nn:LeakyReLU"
    gain_as: ClassVar[str] = "leaky_relu"
    name: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: float = 0.01

    @property
    def slope(self) -> float:
        """The slope for negative inputs."""
        return self.negative_slope


class PRelu(ActivationKnob):
    """Leaky ReLU whose slope is learnt, one number per layer (He et al. 2015).

    Attributes:
        init: initial slope.
    """

    implementation: ClassVar[str] = "torch.nn:PReLU"
    gain_as: ClassVar[str] = "leaky_relu"
    n_parameters: ClassVar[int] = 1
    name: Literal["prelu"] = "prelu"
    init: float = 0.25

    @property
    def slope(self) -> float:
        """The initial slope."""
        return self.init


class RRelu(ActivationKnob):
    """Leaky ReLU whose slope is drawn at random in training; later the mean of the bounds is used (Xu et al. 2015).

    Attributes:
        lower: smallest slope.
        upper: largest slope.
    """

    implementation: ClassVar[str] = "torch.nn:RReLU"
    gain_as: ClassVar[str] = "leaky_relu"
    is_random: ClassVar[bool] = True
    name: Literal["rrelu"] = "rrelu"
    lower: float = 1 / 8
    upper: float = 1 / 3

    @property
    def slope(self) -> float:
        """The mean of the slopes that it draws."""
        return (self.lower + self.upper) / 2

    @model_validator(mode="after")
    def _lower_is_below(self) -> RRelu:
        if self.lower > self.upper:
            raise ValueError(f"`lower` must be at most `upper`: {self.lower:g} is above {self.upper:g}")
        return self


class Elu(ActivationKnob):
    """Exponential linear unit, and its continuously differentiable form (Clevert et al. 2016, Barron 2017).

    Attributes:
        alpha: the function approaches minus this value for very negative inputs.
    """

    implementation: ClassVar[Mapping[str, str]] = {
        "elu": "torch.nn:ELU",
        "celu": "torch.nn:CELU",
    }
    gain_as: ClassVar[str] = "relu"
    name: Annotated[
        Literal["elu", "celu"],
        Values(
            {
                "elu": "Exponential linear unit: x above 0, alpha (exp(x) - 1) below (Clevert et al. 2016).",
                "celu": "ELU that is differentiable for every alpha (Barron 2017).",
            }
        ),
    ]
    alpha: Positive = 1.0


class Gelu(ActivationKnob):
    """Gaussian error linear unit (Hendrycks & Gimpel 2016).

    Attributes:
        approximate: compute it exactly (`none`), or by the tanh approximation.
    """

    implementation: ClassVar[str] = "torch.nn:GELU"
    gain_as: ClassVar[str] = "relu"
    name: Literal["gelu"] = "gelu"
    approximate: Annotated[
        Literal["none", "tanh"],
        Values(
            {
                "none": "The exact function.",
                "tanh": "The approximation by tanh, which is faster.",
            }
        ),
    ] = "none"


class Softplus(ActivationKnob):
    """log(1 + exp(beta · x)) / beta, a smooth ReLU.

    Attributes:
        beta: sharpness of the bend.
        threshold: where beta · x is above this, the function is the identity.
    """

    implementation: ClassVar[str] = "torch.nn:Softplus"
    gain_as: ClassVar[str] = "relu"
    name: Literal["softplus"] = "softplus"
    beta: Positive = 1.0
    threshold: float = 20.0


class Shrink(ActivationKnob):
    """Zero within ±lambd; outside, x (hardshrink) or x moved towards zero by lambd (softshrink).

    Attributes:
        lambd: half the width of the zero interval.
    """

    implementation: ClassVar[Mapping[str, str]] = {
        "softshrink": "torch.nn:Softshrink",
        "hardshrink": "torch.nn:Hardshrink",
    }
    name: Annotated[
        Literal["softshrink", "hardshrink"],
        Values(
            {
                "softshrink": "x moved towards 0 by `lambd`; 0 within ±lambd.",
                "hardshrink": "x outside ±lambd, and 0 within.",
            }
        ),
    ]
    lambd: NonNegative = 0.5


class Hardtanh(ActivationKnob):
    """x, limited to an interval.

    Attributes:
        min_val: lower limit.
        max_val: upper limit.
    """

    implementation: ClassVar[str] = "torch.nn:Hardtanh"
    gain_as: ClassVar[str] = "tanh"
    name: Literal["hardtanh"] = "hardtanh"
    min_val: float = -1.0
    max_val: float = 1.0

    @model_validator(mode="after")
    def _min_is_below(self) -> Hardtanh:
        if self.min_val >= self.max_val:
            raise ValueError(
                f"`min_val` must be below `max_val`: {self.min_val:g} is not below {self.max_val:g}"
            )
        return self


class Threshold(ActivationKnob):
    """x above a threshold, a constant below it. torch has no defaults for the two.

    Attributes:
        threshold: input above which the output is the input.
        value: output for inputs at or below the threshold.
    """

    implementation: ClassVar[str] = "torch.nn:Threshold"
    gain_as: ClassVar[str] = "relu"
    name: Literal["threshold"] = "threshold"
    threshold: float
    value: float


AnyActivation = (
    PlainActivation | LeakyRelu | PRelu | RRelu | Elu | Gelu | Softplus | Shrink | Hardtanh | Threshold
)
Activation = Annotated[Annotated[AnyActivation, Field(discriminator="name")], BeforeValidator(name_alone)]
RELU = PlainActivation(name="relu")
GELU = Gelu()
