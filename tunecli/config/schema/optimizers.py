"""The optimizers and their arguments, as in `torch.optim`, without importing torch.

A test compares each knob with its constructor in torch: same argument names, same defaults. A knob with another
default, because torch's would not train, says so. All of torch's optimizers are here except SparseAdam, which needs
sparse gradients.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.families import OpenTo
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import Count, Momentum, NamedKnob, NonNegative, Pair, Positive, Values, name_alone, pair

_KINDS = {
    "bias": "Biases of layers and norms.",
    "norm": "Scales and shifts of norms.",
    "embedding": "Token vectors.",
}
ParameterKind = Annotated[Literal["bias", "norm", "embedding"], Values(_KINDS)]
DecayExclude = list[ParameterKind]
_SEARCHES = {
    "none": "Steps of the length `lr`.",
    "strong_wolfe": "Steps that meet the strong Wolfe conditions.",
}
_RATES = {
    "original": "The rule of Jordan et al. 2024.",
    "match_rms_adamw": "Updates as large as those of AdamW.",
}


class OptimizerKnob(NamedKnob):
    """Base of the optimizers. The other fields are arguments of the implementation, by name.

    Attributes:
        implementation: subclass of `torch.optim.Optimizer`, or a function that makes one from (parameter groups,
            **arguments).
        has_fused_kernel: whether it accepts ``fused=True``, which updates all parameters in one kernel.
        needs_closure: whether a step evaluates the loss itself, several times, through a closure passed to ``step``.
        steps_once_an_epoch: whether a step uses the gradient of the whole training set.
        why_not_fused: why several trials with it cannot be trained as one model; empty if they can.
        lr: learning rate, before the `learning_rate` chain.
        layer_decay: factor of the learning rate from each layer to the one before it; the last layer has `lr`.
        weight_decay: weight decay: L2 penalty, or decoupled decay in adamw and muon.
        decay_exclude: parameters without weight decay: `bias` (of every layer and norm), `norm` (scales and shifts of
            norms), `embedding` (token vectors).
        momentum: momentum: share of the old direction that a step keeps.
        nesterov: use Nesterov momentum.
        betas: decay rates of the running means of the gradient and of its square.
        eps: small number in the denominator, against division by zero.
        amsgrad: use the AMSGrad variant: the largest squared gradient so far (Reddi et al. 2018).
        decoupled_weight_decay: apply weight decay to the weights directly, as adamw does.
    """

    has_fused_kernel: ClassVar[bool] = False
    needs_closure: ClassVar[bool] = False
    steps_once_an_epoch: ClassVar[bool] = False
    why_not_fused: ClassVar[str] = ""

    lr: Positive
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0


class Sgd(OptimizerKnob):
    """Stochastic gradient descent, optionally with momentum. torch's default rate of 1e-3 would hardly train.

    Attributes:
        dampening: factor by which momentum reduces the new gradient.
    """

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
            raise ValueError("`nesterov` needs `momentum` above 0 and `dampening` 0")
        return self


class Gd(OptimizerKnob):
    """Gradient descent: one step per epoch on the gradient of the whole training set, with any batch size."""

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
    """Adam with Nesterov momentum (Dozat 2016).

    Attributes:
        momentum_decay: decay of the momentum schedule.
    """

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
    """AdaGrad (Duchi, Hazan & Singer 2011).

    Attributes:
        lr_decay: decay of the learning rate with the number of steps.
        initial_accumulator_value: initial sum of squared gradients.
    """

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
    """AdaDelta (Zeiler 2012).

    Attributes:
        rho: decay rate of the running mean of squared gradients.
    """

    implementation: ClassVar[str] = "torch.optim:Adadelta"
    name: Literal["adadelta"] = "adadelta"
    lr: Positive = 1.0
    rho: Annotated[float, Field(ge=0, le=1)] = 0.9
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []


class RmsProp(OptimizerKnob):
    """RMSprop (Hinton 2012), optionally centred (Graves 2013).

    Attributes:
        alpha: decay rate of the running mean of squared gradients.
        centered: divide by the estimated variance of the gradient instead of its second moment.
    """

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
    """Resilient backpropagation (Riedmiller & Braun 1993), for full batches.

    Attributes:
        lr: initial step size; later steps grow and shrink by `etas`.
        etas: factors by which a step size shrinks and grows.
        step_sizes: smallest and largest step size.
    """

    implementation: ClassVar[str] = "torch.optim:Rprop"
    name: Literal["rprop"] = "rprop"
    lr: Positive = 1e-2
    etas: Pair = (0.5, 1.2)
    step_sizes: Pair = (1e-6, 50.0)

    @model_validator(mode="after")
    def _etas_shrink_and_grow(self) -> Rprop:
        if not 0 < self.etas[0] < 1 < self.etas[1]:
            raise ValueError("`etas` must be a factor between 0 and 1, and a factor above 1")
        if not 0 <= self.step_sizes[0] <= self.step_sizes[1]:
            raise ValueError("`step_sizes` must be the smallest and the largest step, both at least 0")
        return self


class Asgd(OptimizerKnob):
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992).

    In torch, a rate that a chain changes takes effect one step late.

    Attributes:
        lambd: decay term.
        alpha: power of the learning rate's decay.
        t0: step at which averaging starts.
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
    """Adafactor (Shazeer & Stern 2018).

    Attributes:
        beta2_decay: exponent of the decay of the squared-gradient mean.
        d: threshold that clips the size of an update.
    """

    implementation: ClassVar[str] = "torch.optim:Adafactor"
    why_not_fused: ClassVar[str] = "adafactor treats each matrix as a whole"
    name: Literal["adafactor"] = "adafactor"
    lr: Positive = 1e-2
    beta2_decay: Annotated[float, Field(le=0)] = -0.8
    d: Annotated[float, Field(ge=1)] = 1.0
    weight_decay: NonNegative = 0.0
    decay_exclude: DecayExclude = []


class Lbfgs(OptimizerKnob):
    """Limited-memory BFGS (Liu & Nocedal 1989), for full batches.

    Attributes:
        lr: learning rate: with `line_search: none`, the step length.
        max_iter: iterations per step.
        max_eval: loss evaluations per step; by default 1.25 times `max_iter`.
        tolerance_grad: stop a step when the gradient is smaller than this.
        tolerance_change: stop a step when the loss or the parameters change by less than this.
        history_size: number of past updates that approximate the curvature.
        line_search: torch's `line_search_fn`. With `none`, torch's default, steps are often too long.
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
    line_search: Annotated[Literal["none", "strong_wolfe"], Values(_SEARCHES)] = "strong_wolfe"

    @model_validator(mode="after")
    def _has_one_rate(self) -> Lbfgs:
        if self.layer_decay < 1:
            raise ValueError("lbfgs steps along one line for all layers: it takes no `layer_decay`")
        return self


class Muon(OptimizerKnob):
    """Muon on the hidden weight matrices (Jordan et al. 2024), and AdamW on all other parameters.

    AdamW has the same lr and weight decay.

    Attributes:
        ns_coefficients: coefficients of the Newton-Schulz iteration.
        ns_steps: number of Newton-Schulz iterations.
        adjust_lr_fn: how the rate follows a matrix's shape. The default, not torch's, suits AdamW's learning rates
            (Liu et al. 2025, section 2.2).
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
    adjust_lr_fn: Annotated[Literal["original", "match_rms_adamw"], Values(_RATES)] = "match_rms_adamw"
    decay_exclude: DecayExclude = []


AdamLike = TypeVar("AdamLike", Adam, AdamW, NAdam, RAdam, Adamax)


def _checked_betas(knob: AdamLike) -> AdamLike:
    if not all(0 <= beta < 1 for beta in knob.betas):
        raise ValueError("`betas` must be at least 0 and below 1")
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
