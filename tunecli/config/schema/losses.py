"""The losses and their arguments, each with the tasks it serves.

``class_weights``, one for each class in the classes' order, multiply the examples' losses. They are part of the
loss, and so of ``val_loss``; ``data.balance: weight`` weighs training alone.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tunecli.config.schema.base import UserCode
from tunecli.knob import Fraction, Knob, NonNegative, Positive, name_alone

Task = Literal["classification", "regression"]
Smoothing = Annotated[float, Field(ge=0, lt=1)]


class CrossEntropy(Knob):
    """Cross entropy on logits; ``label_smoothing`` in [0, 1) (Szegedy et al. 2016)."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Smoothing = 0.0
    class_weights: list[Positive] = []


class Focal(Knob):
    """Focal loss, (1 - p)^gamma times the cross entropy (Lin et al. 2017); gamma 0 is cross entropy."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["focal"] = "focal"
    gamma: NonNegative = 2.0
    class_weights: list[Positive] = []


class Hinge(Knob):
    """Multi-class hinge with margin (Weston & Watkins 1999), as ``torch.nn.MultiMarginLoss``; ``p`` 2 squares it."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["hinge"] = "hinge"
    p: Literal[1, 2] = 1
    margin: Positive = 1.0
    class_weights: list[Positive] = []


class Bce(Knob):
    """Binary cross entropy of each class against the rest, the mean over classes (Wightman et al. 2021)."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["bce"] = "bce"
    label_smoothing: Smoothing = 0.0
    class_weights: list[Positive] = []


class Kl(Knob):
    """Kullback-Leibler divergence of the prediction from the smoothed target: cross entropy less its least value."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["kl"] = "kl"
    label_smoothing: Smoothing = 0.1


class Mse(Knob):
    """Mean squared error."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["mse"] = "mse"


class Mae(Knob):
    """Mean absolute error."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["mae"] = "mae"


class Huber(Knob):
    """Huber loss: squared below ``delta``, linear above (Huber 1964)."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["huber"] = "huber"
    delta: Positive = 1.0


class SmoothL1(Knob):
    """Smooth L1: Huber divided by ``beta`` (Girshick 2015)."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["smooth_l1"] = "smooth_l1"
    beta: Positive = 1.0


class LogCosh(Knob):
    """log(cosh(error)): squared near zero, absolute far away."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["log_cosh"] = "log_cosh"


class Quantile(Knob):
    """Pinball loss, least at the target's quantile ``q`` (Koenker & Bassett 1978)."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["quantile"] = "quantile"
    q: Fraction = 0.5


class Poisson(Knob):
    """Negative log-likelihood of counts, the output being the log of their rate; ``full`` adds Stirling's term."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["poisson"] = "poisson"
    full: bool = False


AnyClassLoss = CrossEntropy | Focal | Hinge | Bce | Kl
AnyNumberLoss = Mse | Mae | Huber | SmoothL1 | LogCosh | Quantile | Poisson
AnyLoss = AnyClassLoss | AnyNumberLoss | UserCode
Loss = Annotated[Annotated[AnyLoss, Field(discriminator="name")], BeforeValidator(name_alone)]
