"""Rules for initial weights: those of `torch.nn.init` and their arguments, without importing torch.

Names are torch's without the last underscore. Where torch's default would not train (a deviation of 1), the knob has
another default and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Fraction, NamedKnob, Positive, Values, name_alone


class InitialisationKnob(NamedKnob):
    """Base of the rules for initial weights.

    Attributes:
        implementation: a function of (knob, weight, next layer) that sets the weight in place; empty for ``default``.
    """


class PlainInitialisation(InitialisationKnob):
    """A rule without arguments.

    `default` keeps torch's own initial weights; `eye` is for models that have matrices only; `dirac` sets convolutions
    and leaves the last layer to torch.
    """

    implementation: ClassVar[Mapping[str, str]] = {
        "ones": "tunecli.train.initialisation:ones",
        "zeros": "tunecli.train.initialisation:zeros",
        "eye": "tunecli.train.initialisation:eye",
        "dirac": "tunecli.train.initialisation:dirac",
    }
    name: Annotated[
        Literal["default", "ones", "zeros", "eye", "dirac"],
        Values(
            {
                "default": "The initial weights of torch's own layers.",
                "ones": "All weights are 1.",
                "zeros": "All weights are 0.",
                "eye": "Identity matrices, for models that have matrices only.",
                "dirac": "Convolutions that pass their input on; the last layer is torch's.",
            }
        ),
    ]


class Kaiming(InitialisationKnob):
    """Variance gain² / fan, so that activations or gradients keep their size through the layers (He et al. 2015).

    Attributes:
        mode: keep the size of activations (`fan_in`) or of gradients (`fan_out`).
    """

    implementation: ClassVar[Mapping[str, str]] = {
        "kaiming_normal": "tunecli.train.initialisation:kaiming_normal",
        "kaiming_uniform": "tunecli.train.initialisation:kaiming_uniform",
    }
    name: Annotated[
        Literal["kaiming_normal", "kaiming_uniform"],
        Values(
            {
                "kaiming_normal": "Normal weights of variance gain² / fan (He et al. 2015).",
                "kaiming_uniform": "Uniform weights of variance gain² / fan (He et al. 2015).",
            }
        ),
    ]
    mode: Annotated[
        Literal["fan_in", "fan_out"],
        Values(
            {
                "fan_in": "Keeps the size of activations in the forward pass.",
                "fan_out": "Keeps the size of gradients in the backward pass.",
            }
        ),
    ] = "fan_in"


class Xavier(InitialisationKnob):
    """Variance 2 gain² / (fan in + fan out) (Glorot & Bengio 2010).

    Attributes:
        gain: scale factor; by default the activation's.
    """

    implementation: ClassVar[Mapping[str, str]] = {
        "xavier_normal": "tunecli.train.initialisation:xavier_normal",
        "xavier_uniform": "tunecli.train.initialisation:xavier_uniform",
    }
    name: Annotated[
        Literal["xavier_normal", "xavier_uniform"],
        Values(
            {
                "xavier_normal": "Normal weights of variance 2 gain² / (fan in + fan out) (Glorot & Bengio 2010).",
                "xavier_uniform": "Uniform weights of variance 2 gain² / (fan in + fan out) (Glorot & Bengio 2010).",
            }
        ),
    ]
    gain: Positive | None = None


class Orthogonal(InitialisationKnob):
    """A random orthogonal matrix (Saxe et al. 2014).

    Attributes:
        gain: scale factor; by default the activation's.
    """

    implementation: ClassVar[str] = "tunecli.train.initialisation:orthogonal"
    name: Literal["orthogonal"] = "orthogonal"
    gain: Positive | None = None


class NormalWeights(InitialisationKnob):
    """Normally distributed weights. The default deviation is that of Keras.

    Attributes:
        mean: mean of the weights.
        std: standard deviation of the weights.
    """

    implementation: ClassVar[str] = "tunecli.train.initialisation:normal"
    name: Literal["normal"] = "normal"
    mean: float = 0.0
    std: Positive = 0.05


class UniformWeights(InitialisationKnob):
    """Uniformly distributed weights. The default bounds are those of Keras.

    Attributes:
        low: lower bound.
        high: upper bound.
    """

    implementation: ClassVar[str] = "tunecli.train.initialisation:uniform"
    name: Literal["uniform"] = "uniform"
    low: float = -0.05
    high: float = 0.05

    @model_validator(mode="after")
    def _low_is_below(self) -> UniformWeights:
        if self.low >= self.high:
            raise ValueError(f"`low` must be below `high`: {self.low:g} is not below {self.high:g}")
        return self


class TruncatedNormalWeights(InitialisationKnob):
    """Normally distributed weights, drawn again if they are out of bounds.

    Attributes:
        mean: mean of the weights.
        std: standard deviation of the weights.
        low: lower bound; by default two deviations below the mean.
        high: upper bound; by default two deviations above the mean.
    """

    implementation: ClassVar[str] = "tunecli.train.initialisation:trunc_normal"
    name: Literal["trunc_normal"] = "trunc_normal"
    mean: float = 0.0
    std: Positive = 0.05
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest weight."""
        low = self.mean - 2 * self.std if self.low is None else self.low
        return low, self.mean + 2 * self.std if self.high is None else self.high

    @model_validator(mode="after")
    def _low_is_below(self) -> TruncatedNormalWeights:
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"`low` must be below `high`: {low:g} is not below {high:g}")
        return self


class ConstantWeights(InitialisationKnob):
    """All weights equal.

    Attributes:
        value: the weight.
    """

    implementation: ClassVar[str] = "tunecli.train.initialisation:constant"
    name: Literal["constant"] = "constant"
    value: float


class SparseWeights(InitialisationKnob):
    """Normally distributed weights, a part of which is zero (Martens 2010); for matrices only.

    Attributes:
        sparsity: fraction of each unit's weights that is zero.
        std: standard deviation of the other weights.
    """

    implementation: ClassVar[str] = "tunecli.train.initialisation:sparse"
    name: Literal["sparse"] = "sparse"
    sparsity: Fraction
    std: Positive = 0.01


AnyInitialisation = (
    PlainInitialisation
    | Kaiming
    | Xavier
    | Orthogonal
    | NormalWeights
    | UniformWeights
    | TruncatedNormalWeights
    | ConstantWeights
    | SparseWeights
)
Initialisation = Annotated[
    Annotated[AnyInitialisation, Field(discriminator="name")], BeforeValidator(name_alone)
]
DEFAULT = PlainInitialisation(name="default")
