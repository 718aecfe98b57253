"""The weight chain: links that are applied in order to the model's weights after an optimizer step.

Without ``every``, a link acts at each step, and a gradual cut at the end of each epoch. ``every: epoch`` acts at the
last step of an epoch. A row is a slice along the first dimension: the incoming weights of one unit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.schema.learning_rate import Timed
from tunecli.knob import Fraction, Positive, Values, link

CutRule = Annotated[
    Literal["magnitude", "random", "rows", "columns", "random_rows"],
    Values(
        {
            "magnitude": "The smallest weights (Han et al. 2015).",
            "random": "Random weights.",
            "rows": "Whole rows, the output units, of smallest L2 norm (Li et al. 2017).",
            "columns": "Whole columns, the inputs, of smallest L2 norm.",
            "random_rows": "Random rows, the output units.",
        }
    ),
]
Parameters = Annotated[
    Literal["weights", "all"],
    Values(
        {
            "weights": "Tensors of two or more dimensions, without biases and norms.",
            "all": "Every trainable tensor.",
        }
    ),
]

_WeightsOnly = Annotated[
    Literal["weights"], Values({"weights": "Tensors of two or more dimensions, without biases and norms."})
]
SPARE_OUTPUT: tuple[CutRule, ...] = ("rows", "random_rows")
"""Rules that leave the output layer alone, because each of its rows is a class or the prediction itself."""


class WeightClip(Timed):
    """Limit every weight to [-value, value] (Arjovsky et al. 2017), or the L2 norm of the weights.

    Attributes:
        value: largest absolute value of a weight.
        norm: largest L2 norm.
        per: scope of the norm: all weights together, each tensor, or each row (max-norm, Srivastava et al.
            2014).
        parameters: `weights`: tensors of two or more dimensions, without biases and norms; `all`: every trainable
            tensor.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.weight_chain:clip"
    name: Literal["clip"] = "clip"
    value: Positive | None = None
    norm: Positive | None = None
    per: (
        Annotated[
            Literal["model", "tensor", "row"],
            Values(
                {
                    "model": "All weights together.",
                    "tensor": "Each tensor by itself.",
                    "row": "Each row by itself, the weights of one unit (max-norm).",
                }
            ),
        ]
        | None
    ) = None
    parameters: Parameters = "weights"

    @model_validator(mode="after")
    def _one_way(self) -> WeightClip:
        if (self.value is None) == (self.norm is None):
            raise ValueError("write either `value` or `norm`")
        if self.norm is None and self.per is not None:
            raise ValueError("`per` needs `norm`: `value` limits every weight by itself")
        if self.per == "row" and self.parameters == "all":
            raise ValueError("`per: row` needs `parameters: weights`, because a bias has no rows")
        return self


class WeightCut(Timed):
    """Prune: set the least important weights to zero, and keep them there to the end of training.

    Attributes:
        by: which weights are cut: the smallest (Han et al. 2015), random ones, or whole rows (output units) or columns
            (inputs) of smallest L2 norm (Li et al. 2017). Rows leave the output layer alone.
        fraction: fraction of the weights that is zero in the end.
        per: whether weights are compared over the whole model, or within each tensor.
        gradual: raise the fraction cubically from `start` at `from_epoch` to `fraction` at `until_epoch` or the end of
            the run (Zhu & Gupta 2017).
        start: initial fraction of a gradual cut.
        parameters: `weights`: tensors of two or more dimensions, without biases and norms.
    """

    name: Literal["cut"] = "cut"
    by: CutRule = "magnitude"
    fraction: Fraction = 0.2
    per: (
        Annotated[
            Literal["model", "tensor"],
            Values(
                {
                    "model": "Weights are compared over the whole model.",
                    "tensor": "Weights are compared within each tensor.",
                }
            ),
        ]
        | None
    ) = None
    gradual: bool = False
    start: Annotated[float, Field(ge=0, lt=1)] = 0.0
    parameters: _WeightsOnly = "weights"

    @model_validator(mode="after")
    def _fits_together(self) -> WeightCut:
        if self.per == "model" and self.by not in ("magnitude", "random"):
            raise ValueError(
                f"`by: {self.by}` needs `per: tensor`, because the {self.by.removeprefix('random_')} of different "
                "layers differ in length"
            )
        if self.start > 0 and not self.gradual:
            raise ValueError("`start` needs `gradual: true`")
        if self.start >= self.fraction:
            raise ValueError(
                f"`start` must be below `fraction`: {self.start:g} is not below {self.fraction:g}"
            )
        return self


class WeightNoise(Timed):
    """Add Gaussian noise to every weight (Jim, Giles & Horne 1996).

    Attributes:
        std: standard deviation of the noise.
        parameters: `weights`: tensors of two or more dimensions, without biases and norms; `all`: every trainable
            tensor.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.weight_chain:noise"
    name: Literal["noise"] = "noise"
    std: Positive = 1e-3
    parameters: Parameters = "weights"


class Center(Timed):
    """Subtract the mean of each row from it (centred weight normalisation, Huang et al. 2017).

    Attributes:
        parameters: `weights`: tensors of two or more dimensions, without biases and norms.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.weight_chain:center"
    name: Literal["center"] = "center"
    parameters: _WeightsOnly = "weights"


class UnitNorm(Timed):
    """Scale each row to L2 norm 1 (Keras' `UnitNorm`).

    Attributes:
        parameters: `weights`: tensors of two or more dimensions, without biases and norms.
    """

    implementation: ClassVar[str] = "tunecli.train.chains.weight_chain:unit_norm"
    name: Literal["unit_norm"] = "unit_norm"
    parameters: _WeightsOnly = "weights"


AnyWeightLink = WeightClip | WeightCut | WeightNoise | Center | UnitNorm
WeightLink = Annotated[
    Annotated[AnyWeightLink, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
