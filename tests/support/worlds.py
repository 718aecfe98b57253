"""Worlds: studies without training, with a known true function, a known optimum, noise and failing corners.

A world is a function of its seed, which moves the optimum and the strengths of the effects. So one kind of world gives
any number of different ones. Scores are losses: lower is better.

    world = WORLDS["conditional"](3)
    history = world.sweep("bayes", 50, seed=3)
    shares = true_shares(world)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tests.support.spaces import space_of
from tunecli.config.space import Space, point_of_units
from tunecli.search.draws import sobol_units
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, Scalar, State

Truth = Callable[[Parameters], float]


@dataclass(frozen=True, eq=False)
class World:
    """A study without training.

    Attributes:
        name: of its kind.
        text: its space, as under ``trial``.
        truth: the loss at a point without noise; lower is better. It is defined at failing points too.
        optimum: the point with the least loss.
        noise: the standard deviation of one score.
        fails: whether the trial at a point fails.
        dead: the keys of the parameters that change nothing.
        step: scores are multiples of it; 0: they are not rounded.
    """

    name: str
    text: str
    truth: Truth
    optimum: Parameters
    noise: float = 0.0
    fails: Callable[[Parameters], bool] = lambda point: False
    dead: tuple[str, ...] = ()
    step: float = 0.0

    @cached_property
    def space(self) -> Space:
        """The space that ``text`` describes."""
        return space_of(self.text)

    def observation(self, number: int, point: Parameters, seed: int) -> Observation:
        """The trial ``number`` at a point, with the noise of the seed."""
        if self.fails(point):
            return Observation(number, point, State.FAILED)
        normal = float(np.random.default_rng([seed, number]).standard_normal())
        loss = self.truth(point) + self.noise * normal
        if self.step:
            loss = round(loss / self.step) * self.step
        return Observation(number, point, State.COMPLETE, loss)

    def sweep(self, sampler: str, n_trials: int, seed: int) -> list[Observation]:
        """A study of ``n_trials`` trials by a sampler of the registry, one after another."""
        history: list[Observation] = []
        for number in range(n_trials):
            point = suggest(sampler, self.space, history, number, seed)
            if point is None:
                break
            history.append(self.observation(number, point, seed))
        return history


def number_at(point: Parameters, name: str) -> float:
    """A number of a point."""
    return float(cast("float", point[name]))


def true_shares(world: World, n_points: int = 1024) -> Mapping[str, float]:
    """Total Sobol shares of the true function by the keys of the parameters; see :func:`sobol_shares`."""
    return _true_shares(world, n_points)


@lru_cache(maxsize=256)
def _true_shares(world: World, n_points: int) -> Mapping[str, float]:
    space = world.space

    def losses(units_MD: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([world.truth(point_of_units(space, units_D)) for units_D in units_MD.tolist()])

    shares_D = sobol_shares(losses, len(space.parameters), n_points)
    return {
        parameter.key: share for parameter, share in zip(space.parameters, shares_D.tolist(), strict=True)
    }


def sobol_shares(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], n_dimensions: int, n_points: int
) -> NDArray[np.float64]:
    """Total Sobol shares of a function of the unit cube, (D,), by Monte Carlo on ``n_points`` (D + 1) evaluations.

    The share is E[Var(f | all others)] / Var f (Homma, Saltelli 1996), and E is estimated from pairs of points that
    differ in one coordinate (Jansen 1999). The second coordinates are independent uniforms, not a second half of the
    Sobol sequence, so that the reference shares no scheme with the code that it is compared with.
    """
    generator = np.random.default_rng(12345)
    units_ND = sobol_units(n_points, n_dimensions, generator)
    values_N = function(units_ND)
    variance = values_N.var()
    if not variance:
        return np.zeros(n_dimensions)
    shares = []
    for index in range(n_dimensions):
        moved_ND = units_ND.copy()
        moved_ND[:, index] = generator.permutation(
            (np.arange(n_points) + generator.random(n_points)) / n_points
        )
        shares.append(float(np.square(function(moved_ND) - values_N).mean() / 2 / variance))
    return np.array(shares)


def _log10(point: Parameters, name: str) -> float:
    return math.log10(number_at(point, name))


def conditional(seed: int) -> World:
    """Two optimizers with parameters of their own; the optimum is an `adamw` one. Seven dimensions, none dead."""
    at = np.random.default_rng([1, seed]).uniform(-0.5, 0.5, 6).tolist()
    lr_sgd, lr_adamw, decay = -1.3 + at[0], -3.0 + at[1], -3.0 + at[2]
    dropout, depth = 0.2 + 0.2 * at[3], 3 + round(2 * at[4])
    activations = {"relu": 0.0, "gelu": 0.1 + 0.1 * at[5], "tanh": 0.35}

    def truth(point: Parameters) -> float:
        if point["optimizer"] == "sgd":
            loss = 0.25 + 0.30 * (_log10(point, "optimizer.lr") - lr_sgd) ** 2
            loss += 0.8 * (number_at(point, "optimizer.momentum") - 0.8) ** 2
        else:
            loss = 0.05 + 0.25 * (_log10(point, "optimizer.lr") - lr_adamw) ** 2
            loss += 0.02 * (_log10(point, "optimizer.weight_decay") - decay) ** 2
        loss += activations[str(point["activation"])] + 0.06 * (number_at(point, "depth") - depth) ** 2
        return loss + 0.8 * (number_at(point, "dropout") - dropout) ** 2

    return World(
        "conditional",
        """
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}}
    - {name: adamw, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
activation: {choice: [relu, gelu, tanh]}
depth: {int: [1, 5]}
dropout: {uniform: [0.0, 0.6]}
""",
        truth,
        {
            "optimizer": "adamw",
            "optimizer.lr": 10**lr_adamw,
            "optimizer.weight_decay": 10**decay,
            "activation": "relu",
            "depth": depth,
            "dropout": dropout,
        },
        noise=0.02,
    )


def corner(seed: int) -> World:
    """A learning rate and a momentum that together diverge, and fail beyond a border; six dimensions.

    The loss rises towards the border and saturates at that of chance.
    """
    at = np.random.default_rng([2, seed]).uniform(-0.5, 0.5, 5).tolist()
    effective, width, decay = -1.2 + 0.6 * at[0], 7.0 + at[1], -3.5 + at[2]
    batch, smoothing = 5.0 + 2 * at[3], 0.1 + 0.1 * at[4]

    def speed(point: Parameters) -> float:
        return _log10(point, "lr") - math.log10(1 - number_at(point, "momentum"))

    def truth(point: Parameters) -> float:
        bowl = 0.18 * (speed(point) - effective) ** 2
        bowl += 0.05 * (math.log2(number_at(point, "width")) - width) ** 2
        bowl += 0.02 * (_log10(point, "weight_decay") - decay) ** 2
        bowl += 0.025 * (math.log2(number_at(point, "batch")) - batch) ** 2
        bowl += 1.5 * (number_at(point, "smoothing") - smoothing) ** 2
        return 0.08 + 2.2 * (1 - math.exp(-bowl))

    # Further pairs of a learning rate and a momentum have the same loss.
    return World(
        "corner",
        """
lr: {loguniform: [1e-4, 1.0]}
momentum: {uniform: [0.0, 0.99]}
width: {logint: [16, 1024]}
weight_decay: {loguniform: [1e-6, 1e-1]}
batch: {choice: [8, 16, 32, 64, 128, 256]}
smoothing: {uniform: [0.0, 0.3]}
""",
        truth,
        {
            "lr": 10**effective * 0.5,
            "momentum": 0.5,
            "width": round(2**width),
            "weight_decay": 10**decay,
            "batch": 2 ** round(batch),
            "smoothing": smoothing,
        },
        noise=0.02,
        fails=lambda point: speed(point) > effective + 1.2,
    )


def dead(seed: int) -> World:
    """Nine dimensions, of which three change nothing: a range, whole numbers, and a choice."""
    at = np.random.default_rng([3, seed]).uniform(-0.5, 0.5, 6).tolist()
    lr, width, dropout = -2.5 + at[0], 7.0 + at[1], 0.25 + 0.2 * at[2]
    decay, clip = -3.0 + at[3], 0.5 * at[4]
    inits = {"kaiming": 0.0, "xavier": 0.15 + 0.1 * at[5], "orthogonal": 0.3}

    def truth(point: Parameters) -> float:
        loss = 0.1 + 0.30 * (_log10(point, "lr") - lr) ** 2
        loss += 0.06 * (math.log2(number_at(point, "width")) - width) ** 2
        loss += 1.5 * (number_at(point, "dropout") - dropout) ** 2
        loss += 0.03 * (_log10(point, "weight_decay") - decay) ** 2
        loss += 0.15 * (_log10(point, "clip") - clip) ** 2
        return loss + inits[str(point["init"])]

    return World(
        "dead",
        """
lr: {loguniform: [1e-4, 1e-1]}
width: {logint: [16, 1024]}
dropout: {uniform: [0.0, 0.6]}
weight_decay: {loguniform: [1e-6, 1e-1]}
clip: {loguniform: [0.1, 10.0]}
init: {choice: [kaiming, xavier, orthogonal]}
workers: {int: [1, 8]}
epsilon: {loguniform: [1e-9, 1e-6]}
format: {choice: [channels_first, channels_last, packed]}
""",
        truth,
        {
            "lr": 10**lr,
            "width": round(2**width),
            "dropout": dropout,
            "weight_decay": 10**decay,
            "clip": 10**clip,
            "init": "kaiming",
            "workers": 1,
            "epsilon": 1e-8,
            "format": "packed",
        },
        noise=0.03,
        dead=("workers", "epsilon", "format"),
    )


def digits(seed: int) -> World:
    """Fifteen dimensions, the error rate on 359 examples, and most points almost equally good: like the digits demo."""
    at = np.random.default_rng([4, seed]).uniform(-0.5, 0.5, 6).tolist()
    lr_sgd, lr_adamw = -0.7 + at[0], -2.3 + at[1]
    width, batch = 7.0 + at[2], 5.5 + at[3]
    activations = {"relu": 0.0, "gelu": 0.15 + 0.1 * at[4], "tanh": 0.35}
    inits = {"kaiming": 0.0, "xavier": 0.1 + 0.1 * at[5], "orthogonal": 0.15}

    def truth(point: Parameters) -> float:
        if point["optimizer"] == "sgd":
            away = 0.5 * (_log10(point, "optimizer.lr") - lr_sgd) ** 2
            away += 1.2 * (number_at(point, "optimizer.momentum") - 0.85) ** 2
            away += 0.005 * (_log10(point, "optimizer.weight_decay") + 4) ** 2
        else:
            away = 0.15 + 0.4 * (_log10(point, "optimizer.lr") - lr_adamw) ** 2
            away += 0.005 * (_log10(point, "optimizer.weight_decay") + 3) ** 2
        n_layers = int(number_at(point, "hidden.length"))
        away += 0.08 * (n_layers - 2) ** 2
        for layer in range(n_layers):
            away += 0.03 * (math.log2(number_at(point, f"hidden.{layer}")) - width) ** 2
        away += activations[str(point["activation"])] + inits[str(point["init"])]
        away += 2.0 * (number_at(point, "dropout") - 0.15) ** 2
        away += 0.06 * (math.log2(number_at(point, "batch")) - batch) ** 2
        away += 0.01 * (number_at(point, "smoothing") - 0.1) ** 2
        return 0.018 + 0.88 * (1 - math.exp(-0.3 * away))

    return World(
        "digits",
        """
hidden: {list: {of: {logint: [16, 256]}, length: {int: [1, 3]}}}
activation: {choice: [relu, gelu, tanh]}
dropout: {uniform: [0.0, 0.5]}
init: {choice: [kaiming, xavier, orthogonal]}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}, weight_decay: {loguniform: [1e-6, 1e-2]}}
    - {name: adamw, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
batch: {choice: [16, 32, 64, 128]}
smoothing: {uniform: [0.0, 0.2]}
""",
        truth,
        {
            "hidden.length": 2,
            "hidden.0": round(2**width),
            "hidden.1": round(2**width),
            "activation": "relu",
            "dropout": 0.15,
            "init": "kaiming",
            "optimizer": "sgd",
            "optimizer.lr": 10**lr_sgd,
            "optimizer.momentum": 0.85,
            "optimizer.weight_decay": 1e-4,
            "batch": 2 ** round(batch),
            "smoothing": 0.1,
        },
        noise=0.0045,
        step=1 / 359,
    )


def bowl(seed: int) -> World:
    """A clean study: three to six parameters of mixed kinds, each with an optimum well inside, and a little noise."""
    generator = np.random.default_rng([5, seed])
    terms: list[_Term] = []
    for index in range(int(generator.integers(3, 7))):
        best, strength = generator.uniform([0.3, 0.4], [0.7, 2.0]).tolist()
        kind = str(generator.choice(["uniform", "loguniform", "int", "choice"]))
        terms.append(_Term(f"p{index}", kind, best, strength))
    return World(
        "bowl",
        "\n".join(f"{term.name}: {_RANGES[term.kind]}" for term in terms),
        lambda point: 0.1 + math.fsum(term.loss(point) for term in terms),
        {term.name: term.optimum for term in terms},
        noise=0.01,
    )


_RANGES = {
    "uniform": "{uniform: [0.0, 1.0]}",
    "loguniform": "{loguniform: [1e-4, 1.0]}",
    "int": "{int: [0, 10]}",
    "choice": "{choice: [a, b, c]}",
}


@dataclass(frozen=True)
class _Term:
    """The effect of one parameter of a bowl: its best position in its range, and its strength."""

    name: str
    kind: str
    best: float
    strength: float

    @property
    def optimum(self) -> Scalar:
        by_kind: dict[str, Scalar] = {
            "uniform": self.best,
            "loguniform": 10 ** (4 * self.best - 4),
            "int": round(10 * self.best),
            "choice": "b",
        }
        return by_kind[self.kind]

    def loss(self, point: Parameters) -> float:
        if self.kind == "choice":
            return self.strength * {"a": 0.15, "b": 0.0, "c": 0.3}[str(point[self.name])]
        if self.kind == "loguniform":
            return self.strength * (_log10(point, self.name) / 4 + 1 - self.best) ** 2
        if self.kind == "int":
            return self.strength * ((number_at(point, self.name) - round(10 * self.best)) / 10) ** 2
        return self.strength * (number_at(point, self.name) - self.best) ** 2


WORLDS: Mapping[str, Callable[[int], World]] = {
    "conditional": conditional,
    "corner": corner,
    "dead": dead,
    "digits": digits,
    "bowl": bowl,
}
"""The kinds of worlds by name: seed → world."""
