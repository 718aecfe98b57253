"""How weights may begin: the rules of `torch.nn.init` and their arguments; no torch is loaded.

Names are torch's without the last underscore. Where torch's default would not train (a deviation of 1), the
default here does, and the knob says which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Fraction, NamedKnob, Positive, name_alone


class InitialisationKnob(NamedKnob):
    """Base of the rules.

    Attributes:
        implementation: a function of (knob, weight, what follows) that sets the weight in place; none for ``default``.
    """


class PlainInitialisation(InitialisationKnob):
    """A rule without arguments; ``default`` is what torch's own layers begin with.

    ``eye`` is for models of matrices alone; ``dirac`` sets convolutions and leaves the last layer to torch.
    """

    implementation: ClassVar[Mapping[str, str]] = {
        "ones": "tunecli.train.initialisation:ones",
        "zeros": "tunecli.train.initialisation:zeros",
        "eye": "tunecli.train.initialisation:eye",
        "dirac": "tunecli.train.initialisation:dirac",
    }
    name: Literal["default", "ones", "zeros", "eye", "dirac"]


class Kaiming(InitialisationKnob):
    """Variance gain² / fan, so that what goes forward (``fan_in``) or back keeps its size (He et al. 2015)."""

    implementation: ClassVar[Mapping[str, str]] = {
        "kaiming_normal": "tunecli.train.initialisation:kaiming_normal",
        "kaiming_uniform": "tunecli.train.initialisation:kaiming_uniform",
    }
    name: Literal["kaiming_normal", "kaiming_uniform"]
    mode: Literal["fan_in", "fan_out"] = "fan_in"


class Xavier(InitialisationKnob):
    """Variance 2 gain² / (fan in + fan out) (Glorot & Bengio 2010); ``gain`` None is the activation's."""

    implementation: ClassVar[Mapping[str, str]] = {
        "xavier_normal": "tunecli.train.initialisation:xavier_normal",
        "xavier_uniform": "tunecli.train.initialisation:xavier_uniform",
    }
    name: Literal["xavier_normal", "xavier_uniform"]
    gain: Positive | None = None


class Orthogonal(InitialisationKnob):
    """A random orthogonal matrix times ``gain`` (Saxe et al. 2014); None is the activation's."""

    implementation: ClassVar[str] = "tunecli.train.initialisation:orthogonal"
    name: Literal["orthogonal"] = "orthogonal"
    gain: Positive | None = None


class NormalWeights(InitialisationKnob):
    """Normally distributed; the deviation is Keras' default."""

    implementation: ClassVar[str] = "tunecli.train.initialisation:normal"
    name: Literal["normal"] = "normal"
    mean: float = 0.0
    std: Positive = 0.05


class UniformWeights(InitialisationKnob):
    """Uniform between ``low`` and ``high``; the bounds are Keras' default."""

    implementation: ClassVar[str] = "tunecli.train.initialisation:uniform"
    name: Literal["uniform"] = "uniform"
    low: float = -0.05
    high: float = 0.05

    @model_validator(mode="after")
    def _low_is_below(self) -> UniformWeights:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class TruncatedNormalWeights(InitialisationKnob):
    """Normally distributed, drawn again outside ``low`` and ``high``; None is two deviations from the mean."""

    implementation: ClassVar[str] = "tunecli.train.initialisation:trunc_normal"
    name: Literal["trunc_normal"] = "trunc_normal"
    mean: float = 0.0
    std: Positive = 0.05
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest weight."""
        low = self.mean - 2 * self.std if self.low is None else self.low
        return low, self.mean + 2 * self.std if self.high is None else self.high

    @model_validator(mode="after")
    def _low_is_below(self) -> TruncatedNormalWeights:
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"low {low:g} is not below high {high:g}")
        return self


class ConstantWeights(InitialisationKnob):
    """All the same."""

    implementation: ClassVar[str] = "tunecli.train.initialisation:constant"
    name: Literal["constant"] = "constant"
    value: float


class SparseWeights(InitialisationKnob):
    """A share ``sparsity`` of each unit's weights zero, the rest normal (Martens 2010); matrices only."""

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
