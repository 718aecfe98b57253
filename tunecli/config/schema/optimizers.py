"""The optimizers and their arguments, as `torch.optim` has them; no torch is loaded.

A test holds every model to the constructor it stands for: same argument names, same defaults (except where
a default would not train, which the class says). ``lr`` defaults follow torch. Of torch's own only SparseAdam
is left out, which takes sparse gradients alone.

Where there is weight decay, ``decay_exclude`` names what goes without: ``bias`` (of any layer, a norm's too),
``norm`` (a norm's scales and shifts), ``embedding`` (the vectors of tokens).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.families import OpenTo
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import Count, Momentum, NamedKnob, NonNegative, Pair, Positive, name_alone, pair

ParameterKind = Literal["bias", "norm", "embedding"]
DecayExclude = list[ParameterKind]


class OptimizerKnob(NamedKnob):
    """Base of the optimizers. The other fields of one are arguments of its implementation, by their names.

    Attributes:
        implementation: a subclass of `torch.optim.Optimizer`, or a function that makes one, of (parameter groups,
            **arguments).
        has_fused_kernel: whether it takes ``fused=True``, which updates all parameters in one kernel.
        needs_closure: whether a step evaluates the loss itself, more than once, through a closure given to ``step``.
        steps_once_an_epoch: whether a step takes the gradient of the whole training set.
        why_not_fused: why several trials with it cannot be trained as one model; empty: they can.
    """

    has_fused_kernel: ClassVar[bool] = False
    needs_closure: ClassVar[bool] = False
    steps_once_an_epoch: ClassVar[bool] = False
    why_not_fused: ClassVar[str] = ""

    lr: Positive


class Sgd(OptimizerKnob):
    """Stochastic gradient descent, with momentum where asked. Torch's own default rate, 1e-3, would not train."""

    implementation: ClassVar[str] = "torch.optim:SGD"
    has_fused_kernel: ClassVar[bool] = True
    name: Literal["sgd"] = "sgd"
    lr: Positive = 1e-1
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    dampening: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: bool = False
    decay_exclude: DecayExclude = []

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Sgd:
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ValueError("nesterov needs momentum above 0 and dampening 0")
        return self


class Gd(OptimizerKnob):
    """Gradient descent: one step an epoch on the gradient of the whole training set, whatever the batch size."""

    implementation: ClassVar[str] = "torch.optim:SGD"
    has_fused_kernel: ClassVar[bool] = True
    steps_once_an_epoch: ClassVar[bool] = True
    name: Literal["gd"] = "gd"
    lr: Positive = 1e-1
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []


class Adam(OptimizerKnob):
    """Adam (Kingma & Ba 2015)."""

    implementation: ClassVar[str] = "torch.optim:Adam"
    has_fused_kernel: ClassVar[bool] = True
    name: Literal["adam"] = "adam"
    lr: Positive = 1e-3
    betas: Pair = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: bool = False
    decay_exclude: DecayExclude = []

    @model_validator(mode="after")
    def _betas_below_one(self) -> Adam:
        return _checked_betas(self)


class AdamW(OptimizerKnob):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    implementation: ClassVar[str] = "torch.optim:AdamW"
    has_fused_kernel: ClassVar[bool] = True
    name: Literal["adamw"] = "adamw"
    lr: Positive = 1e-3
    betas: Pair = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: bool = False
    decay_exclude: DecayExclude = []

    @model_validator(mode="after")
    def _betas_below_one(self) -> AdamW:
        return _checked_betas(self)


class NAdam(OptimizerKnob):
    """Adam with Nesterov momentum (Dozat 2016)."""

    implementation: ClassVar[str] = "torch.optim:NAdam"
    name: Literal["nadam"] = "nadam"
    lr: Positive = 2e-3
    betas: Pair = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: bool = False
    decay_exclude: DecayExclude = []

    @model_validator(mode="after")
    def _betas_below_one(self) -> NAdam:
        return _checked_betas(self)


class RAdam(OptimizerKnob):
    """Rectified Adam (Liu et al. 2020)."""

    implementation: ClassVar[str] = "torch.optim:RAdam"
    name: Literal["radam"] = "radam"
    lr: Positive = 1e-3
    betas: Pair = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decoupled_weight_decay: bool = False
    decay_exclude: DecayExclude = []

    @model_validator(mode="after")
    def _betas_below_one(self) -> RAdam:
        return _checked_betas(self)


class Adamax(OptimizerKnob):
    """Adam on the infinity norm (Kingma & Ba 2015)."""

    implementation: ClassVar[str] = "torch.optim:Adamax"
    name: Literal["adamax"] = "adamax"
    lr: Positive = 2e-3
    betas: Pair = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []

    @model_validator(mode="after")
    def _betas_below_one(self) -> Adamax:
        return _checked_betas(self)


class Adagrad(OptimizerKnob):
    """AdaGrad (Duchi, Hazan & Singer 2011)."""

    implementation: ClassVar[str] = "torch.optim:Adagrad"
    has_fused_kernel: ClassVar[bool] = True
    name: Literal["adagrad"] = "adagrad"
    lr: Positive = 1e-2
    lr_decay: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: Positive = 1e-10
    decay_exclude: DecayExclude = []


class Adadelta(OptimizerKnob):
    """AdaDelta (Zeiler 2012)."""

    implementation: ClassVar[str] = "torch.optim:Adadelta"
    name: Literal["adadelta"] = "adadelta"
    lr: Positive = 1.0
    rho: Annotated[float, Field(ge=0, le=1)] = 0.9
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []


class RmsProp(OptimizerKnob):
    """RMSprop (Hinton 2012), centred where asked (Graves 2013)."""

    implementation: ClassVar[str] = "torch.optim:RMSprop"
    name: Literal["rmsprop"] = "rmsprop"
    lr: Positive = 1e-2
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    momentum: Momentum = 0.0
    centered: bool = False
    decay_exclude: DecayExclude = []


class Rprop(OptimizerKnob):
    """Resilient backpropagation (Riedmiller & Braun 1993); meant for full batches.

    ``lr`` is where its steps begin, and nothing after: they grow and shrink by ``etas``.
    """

    implementation: ClassVar[str] = "torch.optim:Rprop"
    name: Literal["rprop"] = "rprop"
    lr: Positive = 1e-2
    etas: Pair = (0.5, 1.2)
    step_sizes: Pair = (1e-6, 50.0)

    @model_validator(mode="after")
    def _etas_shrink_and_grow(self) -> Rprop:
        if not 0 < self.etas[0] < 1 < self.etas[1]:
            raise ValueError("etas are a shrinking factor in (0, 1) and a growing one above 1")
        if not 0 <= self.step_sizes[0] <= self.step_sizes[1]:
            raise ValueError("step_sizes are the smallest and the largest step, at least 0 and in this order")
        return self


class Asgd(OptimizerKnob):
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992).

    torch's takes up a rate that a chain has changed one step late.
    """

    implementation: ClassVar[str] = "torch.optim:ASGD"
    name: Literal["asgd"] = "asgd"
    lr: Positive = 1e-2
    lambd: NonNegative = 1e-4
    alpha: NonNegative = 0.75
    t0: NonNegative = 1e6
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []


class Adafactor(OptimizerKnob):
    """Adafactor (Shazeer & Stern 2018)."""

    implementation: ClassVar[str] = "torch.optim:Adafactor"
    why_not_fused: ClassVar[str] = "adafactor treats each matrix as a whole"
    name: Literal["adafactor"] = "adafactor"
    lr: Positive = 1e-2
    beta2_decay: Annotated[float, Field(le=0)] = -0.8
    d: Annotated[float, Field(ge=1)] = 1.0
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []


class Lbfgs(OptimizerKnob):
    """Limited-memory BFGS (Liu & Nocedal 1989); meant for full batches.

    A step evaluates the loss up to ``max_eval`` times (1.25 times ``max_iter`` where none is said).
    ``line_search`` is torch's ``line_search_fn``; ``none``, torch's default, makes ``lr`` the length of its steps,
    and more often than not too long.
    """

    implementation: ClassVar[str] = "torch.optim:LBFGS"
    needs_closure: ClassVar[bool] = True
    why_not_fused: ClassVar[str] = "lbfgs evaluates the loss as often as each model needs"
    name: Literal["lbfgs"] = "lbfgs"
    lr: Positive = 1.0
    max_iter: Count = 20
    max_eval: Count | None = None
    tolerance_grad: NonNegative = 1e-7
    tolerance_change: NonNegative = 1e-9
    history_size: Count = 100
    line_search: Literal["none", "strong_wolfe"] = "strong_wolfe"


class Muon(OptimizerKnob):
    """Muon (Jordan et al. 2024) on the hidden weight matrices; all else goes to AdamW, with this lr and decay.

    ``adjust_lr_fn`` is by default not torch's ``original`` but the one that makes AdamW's learning rates fit
    both (Liu et al. 2025, section 2.2).
    """

    implementation: ClassVar[str] = "torch.optim:Muon"
    why_not_fused: ClassVar[str] = "muon treats each matrix as a whole"
    name: Literal["muon"] = "muon"
    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.1
    momentum: Momentum = 0.95
    nesterov: bool = True
    ns_coefficients: Annotated[tuple[float, float, float], BeforeValidator(pair)] = (3.4445, -4.775, 2.0315)
    eps: Positive = 1e-7
    ns_steps: Annotated[int, Field(ge=1, lt=100)] = 5
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = "match_rms_adamw"
    decay_exclude: DecayExclude = []


AdamLike = TypeVar("AdamLike", Adam, AdamW, NAdam, RAdam, Adamax)


def _checked_betas(knob: AdamLike) -> AdamLike:
    if not all(0 <= beta < 1 for beta in knob.betas):
        raise ValueError("betas lie in [0, 1)")
    return knob


AnyOptimizer = (
    Sgd
    | Gd
    | Adam
    | AdamW
    | NAdam
    | RAdam
    | Adamax
    | Adagrad
    | Adadelta
    | RmsProp
    | Rprop
    | Asgd
    | Adafactor
    | Lbfgs
    | Muon
    | UserCode
)
Optimizer = Annotated[
    Annotated[AnyOptimizer, Field(discriminator="name")],
    OpenTo("optimizers", OptimizerKnob),
    BeforeValidator(name_alone),
]
