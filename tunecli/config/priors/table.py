"""Where good values of the trial's keys usually lie: one entry for each, with its source.

An entry is the centre of a normal distribution on the key's own scale and its deviation; of names, it is a weight for
each. `tests/benchmarks/priors.py` trains many small models and prints where their best settings lie; *calibrated* in a
source means that the centre or the deviation follows from it.

Rates are those for `REFERENCE_BATCH` examples a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tunecli.config.priors.prior import Scale

REFERENCE_BATCH, REFERENCE_STEPS = 64, 200
REFERENCE_WIDTH, REFERENCE_DEPTH = 64, 1
LONG_STEPS, MAX_SHORT_STEPS = 10_000, 1_000
BATCH, EPOCHS = "training.batch_size", "training.epochs"
WIDTH, HIDDEN, DEPTH = "model.width", "model.hidden", "model.depth"
OPTIMIZER = "optimizer.name"
RATE, DECAY, MOMENTUM = "optimizer.lr", "optimizer.weight_decay", "optimizer.momentum"


@dataclass(frozen=True, slots=True)
class Numbers:
    """The usual numbers of a key.

    Attributes:
        centre: the value that is right most often.
        deviation: standard deviation, in powers of ten on a logarithmic scale.
        scale: the scale on which the distribution is normal.
        source: where this is from.
        by_steps: how far the centre moves for each power of ten of optimizer steps, from `LONG_STEPS`.
    """

    centre: float
    deviation: float
    scale: Scale
    source: str
    by_steps: float = 0.0


@dataclass(frozen=True, slots=True)
class Names:
    """The usual names of a key: weights of those that differ from 1, and the source."""

    weights: Mapping[str, float]
    source: str


@dataclass(frozen=True, slots=True)
class RateLine:
    """How the usual learning rate of an optimizer depends on the training.

    Attributes:
        centre: at `REFERENCE_BATCH`, `REFERENCE_STEPS`, `REFERENCE_WIDTH` and `REFERENCE_DEPTH`, without momentum.
        deviation: of the decimal logarithm.
        batch_power: power of the batch size with which the rate grows, at the same number of epochs.
        momentum_power: power of (1 - momentum) with which it falls.
        steps_power: power of the number of optimizer steps with which it falls, at the same batch size.
        width_power: power of the width with which it falls.
        depth_slope: powers of ten by which it falls for each layer.
    """

    centre: float
    deviation: float
    batch_power: float = 0.5
    momentum_power: float = 0.0
    steps_power: float = 0.0
    width_power: float = 0.0
    depth_slope: float = 0.0


@dataclass(frozen=True, slots=True)
class OptimizerEntry:
    """The usual rate and decay of an optimizer.

    Attributes:
        rate: learning rate at `REFERENCE_BATCH`, without momentum.
        batch_power: power of the batch size with which the rate grows.
        momentum_power: power of (1 - momentum) with which the rate falls.
        decay: weight decay.
        short: the rate in a training of tunecli's own that is known to be short, from `tests/benchmarks/rates.py`.
    """

    rate: Numbers
    batch_power: float = 0.5
    momentum_power: float = 0.0
    decay: Numbers | None = None
    short: RateLine | None = None

    def line(self, steps: float | None) -> RateLine:
        """The line for a number of optimizer steps; None: it is unknown."""
        if self.short is not None and steps is not None and steps <= MAX_SHORT_STEPS:
            return self.short
        return RateLine(self.rate.centre, self.rate.deviation, self.batch_power, self.momentum_power)


def _rate(centre: float, deviation: float, source: str) -> Numbers:
    return Numbers(centre, deviation, "log", source)


_L2 = Numbers(1e-4, 1.5, "log", "He et al. 2016 (1e-4), Krizhevsky et al. 2012 (5e-4)")
_L2_ADAPTIVE = Numbers(3e-5, 1.5, "log", "Loshchilov & Hutter 2019, section 4: far below that of SGD")
_DECOUPLED = Numbers(1e-2, 1.4, "log", "Loshchilov & Hutter 2019; torch's default")
_SHORT = "ten times that in short trainings (calibrated)"
_SQRT = "square root of the batch: Krizhevsky 2014, Malladi et al. 2022"

# Half of the measured slopes by width and depth: those are of networks without norms and residual connections.
_SHORT_ADAM = RateLine(6e-3, 0.6, batch_power=0.8, steps_power=0.5, width_power=0.4, depth_slope=0.15)
_SHORT_SGD = RateLine(0.15, 0.6, batch_power=1.0, momentum_power=0.9, steps_power=0.7, width_power=0.25)
_SHORT_RMSPROP = RateLine(
    3e-3, 0.65, batch_power=0.4, momentum_power=0.75, steps_power=0.25, width_power=0.4, depth_slope=0.15
)

OPTIMIZERS: Mapping[str, OptimizerEntry] = MappingProxyType(
    {
        "sgd": OptimizerEntry(
            _rate(
                0.2,
                0.6,
                "Goyal et al. 2017: 0.1 for 256, momentum 0.9; Sutskever et al. 2013: lr / (1 - momentum)",
            ),
            batch_power=0.5,
            momentum_power=0.7,
            decay=_L2,
            short=_SHORT_SGD,
        ),
        "gd": OptimizerEntry(_rate(0.3, 0.6, "as sgd, with the least noise"), batch_power=0.0, decay=_L2),
        "adam": OptimizerEntry(
            _rate(4e-3, 0.7, f"Kingma & Ba 2015: 1e-3; {_SHORT}; {_SQRT}"),
            decay=_L2_ADAPTIVE,
            short=_SHORT_ADAM,
        ),
        "adamw": OptimizerEntry(
            _rate(4e-3, 0.7, f"Loshchilov & Hutter 2019: 1e-3; {_SHORT}; {_SQRT}"),
            decay=_DECOUPLED,
            short=_SHORT_ADAM,
        ),
        "nadam": OptimizerEntry(
            _rate(4e-3, 0.7, f"Dozat 2016: 2e-3; {_SHORT}"), decay=_L2_ADAPTIVE, short=_SHORT_ADAM
        ),
        "radam": OptimizerEntry(
            _rate(4e-3, 0.7, f"Liu et al. 2020: 1e-3; {_SHORT}"), decay=_L2_ADAPTIVE, short=_SHORT_ADAM
        ),
        "adamax": OptimizerEntry(_rate(6e-3, 0.7, f"Kingma & Ba 2015: 2e-3; {_SHORT}"), decay=_L2_ADAPTIVE),
        "adagrad": OptimizerEntry(_rate(3e-2, 0.7, f"torch's default: 1e-2; {_SHORT}"), decay=_L2),
        "adadelta": OptimizerEntry(_rate(1.0, 0.5, "Zeiler 2012: no rate, which is 1"), decay=_L2),
        "rmsprop": OptimizerEntry(
            _rate(3e-3, 0.7, f"Hinton 2012: 1e-3; {_SHORT}"),
            momentum_power=0.7,
            decay=_L2_ADAPTIVE,
            short=_SHORT_RMSPROP,
        ),
        "rprop": OptimizerEntry(_rate(1e-2, 0.6, "torch's default; steps adapt from it"), batch_power=0.0),
        "asgd": OptimizerEntry(_rate(0.1, 0.6, "as sgd"), decay=_L2),
        "adafactor": OptimizerEntry(_rate(1e-2, 0.6, "Shazeer & Stern 2018: 1e-2"), decay=_L2_ADAPTIVE),
        "lbfgs": OptimizerEntry(_rate(1.0, 0.4, "Liu & Nocedal 1989: a full step"), batch_power=0.0),
        "muon": OptimizerEntry(_rate(3e-3, 0.5, "Liu et al. 2025: as AdamW's"), decay=_DECOUPLED),
        "lion": OptimizerEntry(
            _rate(2e-4, 0.5, "Chen et al. 2023: a third to a tenth of AdamW's"),
            decay=Numbers(5e-2, 1.2, "log", "Chen et al. 2023: three to ten times AdamW's"),
        ),
    }
)
"""By name of the optimizer. `lion` is not one of tunecli's own; own code names it by `as: lion.lr`."""

_EACH_LIKELY = "the optimizers here, each equally likely"
ANY_DECAY = Numbers(1e-3, 1.5, "log", _EACH_LIKELY)
"""Of a decay whose optimizer is unknown, or has none in this table."""
ANY_OPTIMIZER = OptimizerEntry(_rate(3e-3, 0.9, _EACH_LIKELY), batch_power=0.5, decay=ANY_DECAY)
"""Of a rate whose optimizer is unknown."""

NUMBERS: Mapping[str, Numbers] = MappingProxyType(
    {
        MOMENTUM: Numbers(0.9, 0.6, "below_one", "Sutskever et al. 2013: 0.9 to 0.99"),
        "optimizer.betas.0": Numbers(0.9, 0.4, "below_one", "Kingma & Ba 2015"),
        "optimizer.betas.1": Numbers(0.995, 0.7, "below_one", "Kingma & Ba 2015: 0.999; 0.95 to 0.99 in short runs"),
        "optimizer.alpha": Numbers(0.98, 0.6, "below_one", "Hinton 2012: 0.9; torch's default: 0.99"),
        "optimizer.rho": Numbers(0.9, 0.5, "below_one", "Zeiler 2012: 0.95; torch's default: 0.9"),
        "optimizer.eps": Numbers(1e-8, 2.0, "log", "Kingma & Ba 2015; Choi et al. 2019: larger ones may help"),
        "optimizer.layer_decay": Numbers(0.85, 0.15, "linear", "Clark et al. 2020: 0.8 to 0.9; Bao et al. 2022"),
        BATCH: Numbers(32, 0.5, "log", "Masters & Luschi 2018: 2 to 32; LCBench: 17 to 64"),
        EPOCHS: Numbers(50, 0.5, "log", "tunecli's default: 20 to 40; calibrated"),
        "training.grad_clip.norm": Numbers(1.0, 0.6, "log", "Pascanu et al. 2013; Merity et al. 2018: 0.25"),
        "training.average.decay": Numbers(0.99, 0.6, "below_one", "Izmailov et al. 2018; tunecli's default"),
        "learning_rate.warmup.epochs": Numbers(2.0, 2.5, "linear", "Goyal et al. 2017: 5 of 90 epochs"),
        "learning_rate.one_cycle.warmup_fraction": Numbers(0.3, 0.12, "linear", "Smith & Topin 2019"),
        "learning_rate.exponential.gamma": Numbers(0.95, 0.5, "below_one", "tunecli's default"),
        "learning_rate.cut.factor": Numbers(0.3, 0.4, "log", "He et al. 2016: 0.1; torch's default: 0.1"),
        "loss.label_smoothing": Numbers(0.05, 0.06, "linear", "Szegedy et al. 2016: 0.1"),
        "loss.gamma": Numbers(2.0, 1.2, "linear", "Lin et al. 2017: 2"),
        "model.dropout": Numbers(0.2, 0.25, "linear", "Srivastava et al. 2014; LCBench; short: calibrated", 0.06),
        "model.residual_dropout": Numbers(0.05, 0.12, "linear", "Gorishniy et al. 2021: 0"),
        "model.attention_dropout": Numbers(0.15, 0.12, "linear", "Gorishniy et al. 2021: 0.2"),
        "model.width": Numbers(200, 0.5, "log", "Gorishniy et al. 2021: 64 to 512; LCBench: 72 to 800"),
        "model.hidden": Numbers(200, 0.5, "log", "as model.width"),
        DEPTH: Numbers(3.5, 2.0, "linear", "Gorishniy et al. 2021: 1 to 8; LCBench: 4 to 5; short: calibrated", 0.75),
        "model.blocks": Numbers(2.5, 1.5, "linear", "Gorishniy et al. 2021: 1 to 8"),
        "model.layers": Numbers(2.5, 1.2, "linear", "Gorishniy et al. 2021: 1 to 4"),
        "model.heads": Numbers(6.0, 0.35, "log", "Vaswani et al. 2017: 8"),
        "model.channels": Numbers(48, 0.35, "log", "He et al. 2016: 16 to 64 for small images"),
        "weights.clip.norm": Numbers(3.5, 0.35, "log", "Srivastava et al. 2014: 3 to 4, of a row"),
        "data.augment.mixup.alpha": Numbers(0.2, 0.4, "log", "Zhang et al. 2018: 0.1 to 0.4"),
        "data.augment.noise.std": Numbers(0.1, 0.5, "log", "Bishop 1995; tunecli's default"),
    }
)  # fmt: skip
"""By key of a trial, without the positions in lists."""

NAMES: Mapping[str, Names] = MappingProxyType(
    {
        OPTIMIZER: Names(
            {"adamw": 1.5, "adam": 1.5, "nadam": 1.5, "radam": 1.3, "muon": 1.3, "adagrad": 0.8, "adadelta": 0.6,
             "gd": 0.3, "asgd": 0.6, "rprop": 0.5, "lbfgs": 0.7},
            "Schmidt et al. 2021, Descending through a Crowded Valley: Adam's family is rarely far from the best",
        ),
        "model.activation": Names(
            {"relu": 1.2, "gelu": 1.5, "silu": 1.5, "tanh": 1.1, "sigmoid": 0.3, "identity": 0.3, "hardtanh": 0.7},
            "Glorot et al. 2011; Ramachandran et al. 2017; calibrated",
        ),
        "model.init": Names(
            {"zeros": 0.2, "constant": 0.2, "sparse": 0.5, "normal": 0.6, "uniform": 0.6}, "He et al. 2015"
        ),
        "model.norm": Names({"batch": 1.4}, "Ioffe & Szegedy 2015; calibrated on short trainings (`effects.py`)"),
        "model.pool": Names({"cls": 0.5}, "of tokens the mean: calibrated on short trainings (`effects.py`)"),
        "data.normalize": Names(
            {"standard": 2.0, "robust": 1.5, "minmax": 0.6, "none": 0.3},
            "LeCun et al. 1998, Efficient BackProp, section 4.3: inputs with mean 0; calibrated",
        ),
        "loss": Names({"cross_entropy": 1.5, "mse": 1.3, "hinge": 0.7}, "the losses that the metrics follow"),
    }
)  # fmt: skip
"""By key of a trial: the weights of names; any other name has 1."""

_SAME = {
    "optimizer": OPTIMIZER,
    "model.hidden.length": "model.depth",
    "model.activation.name": "model.activation",
    "model.init.name": "model.init",
    "loss.name": "loss",
}
"""Paths of a file with another name in the table."""
_PER_OPTIMIZER = (RATE, DECAY)

KNOBS: tuple[str, ...] = (
    *_PER_OPTIMIZER,
    *NUMBERS,
    *NAMES,
    *(f"{name}.{key.rpartition('.')[2]}" for name in OPTIMIZERS for key in _PER_OPTIMIZER),
)
"""The names that `as:` takes: keys of a trial, and `adamw.lr` for a rate with a known optimizer."""
NO_SETTING = "none"
"""The value of `as:` for a parameter that is no known setting in spite of its name."""


def knob_at(path: str) -> str:
    """The name in the table of the parameter at ``path`` under ``trial``; empty if nothing is known of it."""
    plain = ".".join(step for step in path.split(".") if not step.isdigit())
    names = (_SAME.get(path, path), _SAME.get(plain, plain))
    return next((name for name in names if name in NUMBERS or name in NAMES or name in _PER_OPTIMIZER), "")


def split_optimizer(knob: str) -> tuple[str, str]:
    """The optimizer and the key of a name: ``adamw.lr`` is ``("adamw", "optimizer.lr")``; "" without an optimizer."""
    name, _, key = knob.partition(".")
    return (name, f"optimizer.{key}") if name in OPTIMIZERS else ("", knob)
