"""The weight chain: links applied in order to the model's weights after an optimizer step.

Without ``every`` a link acts at each step, a gradual cut at each epoch's end; ``every: epoch`` acts at an epoch's last
step. ``parameters: weights`` are the trainable tensors of two dimensions or more, which leaves out biases and
norms; ``all`` is every trainable tensor. A row is a slice along the first dimension: one unit's incoming weights.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.schema.learning_rate import Timed
from tunecli.knob import Fraction, Positive, link

CutRule = Literal["magnitude", "random", "rows", "columns", "random_rows"]
Parameters = Literal["weights", "all"]

SPARE_OUTPUT: tuple[CutRule, ...] = ("rows", "random_rows")
"""These leave the output layer alone: a row of it is a class, or the prediction itself."""


class WeightClip(Timed):
    """Every entry into [-``value``, ``value``] (Arjovsky et al. 2017), or the L2 norm to at most ``norm``.

    The norm is of all weights together, of each tensor, or of each row (max-norm, Srivastava et al. 2014).
    """

    implementation: ClassVar[str] = "tunecli.train.chains.weight_links:clip"
    name: Literal["clip"] = "clip"
    value: Positive | None = None
    norm: Positive | None = None
    per: Literal["model", "tensor", "row"] | None = None
    parameters: Parameters = "weights"

    @model_validator(mode="after")
    def _one_way(self) -> WeightClip:
        if (self.value is None) == (self.norm is None):
            raise ValueError("say either `value` or `norm`")
        if self.norm is None and self.per is not None:
            raise ValueError("`per` goes with `norm`: a value bounds every entry by itself")
        if self.per == "row" and self.parameters == "all":
            raise ValueError("`per: row` needs `parameters: weights`: a bias has no rows")
        return self


class WeightCut(Timed):
    """Prune: set the ``fraction`` of weights that matters least to zero, and hold it there to the end of training.

    By smallest ``magnitude`` (Han et al. 2015), at ``random``, or whole ``rows`` (output units, channels) or
    ``columns`` (inputs) of smallest L2 norm (Li et al. 2017); rows spare the output layer. ``gradual``: cubically
    from ``start`` at ``from_epoch`` to ``fraction`` at ``until_epoch`` or the run's end (Zhu & Gupta 2017).
    """

    name: Literal["cut"] = "cut"
    by: CutRule = "magnitude"
    fraction: Fraction = 0.2
    per: Literal["model", "tensor"] | None = None
    gradual: bool = False
    start: Annotated[float, Field(ge=0, lt=1)] = 0.0
    parameters: Literal["weights"] = "weights"

    @model_validator(mode="after")
    def _fits_together(self) -> WeightCut:
        if self.per == "model" and self.by not in ("magnitude", "random"):
            raise ValueError(
                f"`per: model` does not go with `by: {self.by}`: layers' {self.by.removeprefix('random_')} differ "
                "in length, so say `per: tensor`"
            )
        if self.start > 0 and not self.gradual:
            raise ValueError("`start` goes with `gradual: true`")
        if self.start >= self.fraction:
            raise ValueError(f"start {self.start:g} is not below fraction {self.fraction:g}")
        return self


class WeightNoise(Timed):
    """Add Gaussian noise of deviation ``std`` to every entry (Jim, Giles & Horne 1996)."""

    implementation: ClassVar[str] = "tunecli.train.chains.weight_links:noise"
    name: Literal["noise"] = "noise"
    std: Positive = 1e-3
    parameters: Parameters = "weights"


class Center(Timed):
    """Take each row's mean from it (centred weight normalisation, Huang et al. 2017)."""

    implementation: ClassVar[str] = "tunecli.train.chains.weight_links:center"
    name: Literal["center"] = "center"
    parameters: Literal["weights"] = "weights"


class UnitNorm(Timed):
    """Scale each row to L2 norm 1 (Keras' ``UnitNorm``)."""

    implementation: ClassVar[str] = "tunecli.train.chains.weight_links:unit_norm"
    name: Literal["unit_norm"] = "unit_norm"
    parameters: Literal["weights"] = "weights"


AnyWeightLink = WeightClip | WeightCut | WeightNoise | Center | UnitNorm
WeightLink = Annotated[
    Annotated[AnyWeightLink, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
