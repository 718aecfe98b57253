"""The losses and their arguments, each with the tasks it is for."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tunecli.config.families import OpenTo
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import Fraction, NamedKnob, NonNegative, Positive, Values, name_alone

Task = Literal["classification", "regression", "multilabel"]
Smoothing = Annotated[float, Field(ge=0, lt=1)]


class LossKnob(NamedKnob):
    """Base of the losses.

    Attributes:
        implementation: for classification a function of (knob, class weights (K,) or None, logits (B, K), classes
            (B,)), for regression of (knob, target scale, outputs, standardised targets), both (B,) or (B, K); they
            return the mean loss as a tensor of no axes. See `tunecli.train.losses`.
        label_implementation: for labels a function of (knob, label weights (K,) or None, logits (B, K), 1 where an
            example has a label (B, K)); empty if the loss is not for labels.
        tasks: the tasks that the loss is for.
        is_of_counts: whether targets are counts, and outputs the logarithms of their rates, in the target's own units.
        label_smoothing: probability that the target spreads over all classes; of labels, over having one or not.
        class_weights: factor for the loss of each class or label, in their order. It is part of `val_loss`, whereas
            `data.balance: weight` changes training only.
    """

    label_implementation: ClassVar[str] = ""
    tasks: ClassVar[tuple[Task, ...]]
    is_of_counts: ClassVar[bool] = False


class CrossEntropy(LossKnob):
    """Cross entropy on logits (Szegedy et al. 2016 for label smoothing)."""

    implementation: ClassVar[str] = "tunecli.train.losses:cross_entropy"
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Smoothing = 0.0
    class_weights: list[Positive] = []


class Focal(LossKnob):
    """Focal loss: (1 - p)^gamma times the cross entropy (Lin et al. 2017); of labels, averaged over them.

    Attributes:
        gamma: exponent; a larger one gives easy examples less weight, and 0 is cross entropy.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:focal"
    label_implementation: ClassVar[str] = "tunecli.train.label_losses:focal"
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "multilabel")
    name: Literal["focal"] = "focal"
    gamma: NonNegative = 2.0
    class_weights: list[Positive] = []


class Hinge(LossKnob):
    """Multi-class hinge loss with a margin (Weston & Watkins 1999), as `torch.nn.MultiMarginLoss`.

    Attributes:
        p: exponent of the margin's violation: 1, or 2 for the squared hinge.
        margin: margin by which the right class must win.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:hinge"
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["hinge"] = "hinge"
    p: Annotated[Literal[1, 2], Values({1: "Hinge loss.", 2: "Squared hinge loss."})] = 1
    margin: Positive = 1.0
    class_weights: list[Positive] = []


class Bce(LossKnob):
    """Binary cross entropy of each class against the rest or of each label, averaged (Wightman et al. 2021)."""

    implementation: ClassVar[str] = "tunecli.train.losses:bce"
    label_implementation: ClassVar[str] = "tunecli.train.label_losses:bce"
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "multilabel")
    name: Literal["bce"] = "bce"
    label_smoothing: Smoothing = 0.0
    class_weights: list[Positive] = []


class Kl(LossKnob):
    """Kullback-Leibler divergence of the prediction from the smoothed target.

    It equals the cross entropy minus its smallest value.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:kl"
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    name: Literal["kl"] = "kl"
    label_smoothing: Smoothing = 0.1


class Mse(LossKnob):
    """Mean squared error."""

    implementation: ClassVar[str] = "tunecli.train.losses:mse"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["mse"] = "mse"


class Mae(LossKnob):
    """Mean absolute error."""

    implementation: ClassVar[str] = "tunecli.train.losses:mae"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["mae"] = "mae"


class Huber(LossKnob):
    """Huber loss: squared for small errors, linear for large ones (Huber 1964).

    Attributes:
        delta: error at which the loss becomes linear.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:huber"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["huber"] = "huber"
    delta: Positive = 1.0


class SmoothL1(LossKnob):
    """Smooth L1 loss: the Huber loss divided by `beta` (Girshick 2015).

    Attributes:
        beta: error at which the loss becomes linear.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:smooth_l1"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["smooth_l1"] = "smooth_l1"
    beta: Positive = 1.0


class LogCosh(LossKnob):
    """log(cosh(error)): squared for small errors, absolute for large ones."""

    implementation: ClassVar[str] = "tunecli.train.losses:log_cosh"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["log_cosh"] = "log_cosh"


class Quantile(LossKnob):
    """Pinball loss, which is smallest at a quantile of the target (Koenker & Bassett 1978).

    Attributes:
        q: quantile to predict.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:quantile"
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["quantile"] = "quantile"
    q: Fraction = 0.5


class Poisson(LossKnob):
    """Negative log-likelihood of counts; the model's output is the logarithm of their rate.

    Attributes:
        full: add Stirling's approximation of the constant term.
    """

    implementation: ClassVar[str] = "tunecli.train.losses:poisson"
    is_of_counts: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    name: Literal["poisson"] = "poisson"
    full: bool = False


AnyClassLoss = CrossEntropy | Focal | Hinge | Bce | Kl
AnyNumberLoss = Mse | Mae | Huber | SmoothL1 | LogCosh | Quantile | Poisson
AnyLoss = AnyClassLoss | AnyNumberLoss | UserCode
Loss = Annotated[
    Annotated[AnyLoss, Field(discriminator="name")],
    OpenTo("losses", LossKnob),
    BeforeValidator(name_alone),
]
