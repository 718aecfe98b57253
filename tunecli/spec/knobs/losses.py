"""The losses and their arguments, each with the tasks it serves."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tunecli.spec.knobs.base import Knob, NonNegative, Positive, name_alone

Task = Literal["classification", "regression"]


class CrossEntropy(Knob):
    """Cross entropy on logits; ``label_smoothing`` in [0, 1) (Szegedy et al. 2016)."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Focal(Knob):
    """Focal loss, (1 - p)^gamma times the cross entropy (Lin et al. 2017); gamma 0 is cross entropy."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["focal"] = "focal"
    gamma: NonNegative = 2.0


class Hinge(Knob):
    """Multi-class hinge with margin (Crammer & Singer 2001), as ``torch.nn.MultiMarginLoss``."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["hinge"] = "hinge"
    margin: Positive = 1.0


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


AnyLoss = CrossEntropy | Focal | Hinge | Mse | Mae | Huber | SmoothL1 | LogCosh

Loss = Annotated[Annotated[AnyLoss, Field(discriminator="name")], BeforeValidator(name_alone)]
