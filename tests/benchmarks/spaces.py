"""Benchmark of samplers on mixed, conditional, noisy or partly failing spaces.

    python -m tests.benchmarks.spaces [--methods bayes,optuna-tpe,optuna-gp] [--problems hartmann6,…] [--seeds 5]

There are seven problems with known optima, each with one difficulty of real sweeps. A table (`regrets.py`) for each shows
the gap: the difference between the best true loss so far and the optimum. ``--json FILE`` keeps the sweeps, and a further
run goes on. The table has the sweeps of ``--join FILE`` as well, and the peers' sweeps of `peer_sweeps/spaces.json`
(`kept_sweeps.py`) without ``--no-peers``.
"""

from __future__ import annotations

import math
import sys
import zlib

import numpy as np

from tests.benchmarks.kept_sweeps import KeptSweeps, add_options
from tests.benchmarks.methods import METHODS, parse_options
from tests.benchmarks.problems import Problem, number
from tests.benchmarks.sweep_files import KeptSweep
from tunecli.trial import Parameters

_HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(point: Parameters) -> float:
    """The Hartmann function of six parameters, with several basins (Dixon, Szegő 1978); 0 at the optimum."""
    x = np.array([number(point, f"x{i}") for i in range(6)])
    inner = np.einsum("ij,ij->i", _HARTMANN_A, np.square(x - _HARTMANN_P))
    return 3.32236801 - float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-inner))


def branins(point: Parameters) -> float:
    """One of four Branin functions (Dixon, Szegő 1978), moved and scaled by two options."""
    shift = {"a": 0.0, "b": 2.0, "c": -2.5}[str(point["place"])]
    x, y = number(point, "x") + shift, number(point, "y")
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    value = valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788736
    return (
        value * {True: 1.0, False: 1.5}[bool(point["steep"])]
        + {"a": 1.0, "b": 0.0, "c": 3.0}[str(point["place"])]
    )


def optimizers(point: Parameters) -> float:
    """Two optimizers, each with its own learning rate, and the shape of an MLP; 0 at adamw, relu, three layers."""
    log_lr = math.log10(number(point, "optimizer.lr"))
    if point["optimizer"] == "sgd":
        loss = 0.1 + 0.5 * (log_lr + 1) ** 2 + 2 * (number(point, "optimizer.momentum") - 0.9) ** 2
    else:
        decay = math.log10(number(point, "optimizer.weight_decay"))
        loss = 0.5 * (log_lr + 3) ** 2 + 0.05 * (decay + 2) ** 2
    loss += {"relu": 0.0, "gelu": 0.05, "tanh": 0.4, "sigmoid": 0.9}[str(point["activation"])]
    loss += 0.1 * (number(point, "depth") - 3) ** 2 + 0.1 * (math.log2(number(point, "width")) - 7) ** 2
    return loss + 2 * (number(point, "dropout") - 0.2) ** 2


def kernels(point: Parameters) -> float:
    """A loss like that of a support vector machine: each kernel has its own parameters; 0 at rbf, C 10, gamma 0.01."""
    log_c = math.log10(number(point, "C"))
    kind = str(point["kernel"])
    if kind == "rbf":
        ridge = math.log10(number(point, "kernel.gamma")) + 2 + 0.5 * (log_c - 1)
        return 1 - math.exp(-0.8 * ridge**2 - 0.1 * (log_c - 1) ** 2)
    if kind == "poly":
        degree = number(point, "kernel.degree")
        return (
            0.15 + 0.1 * (degree - 3) ** 2 / 4 + 0.05 * (log_c + 1) ** 2 + number(point, "kernel.coef0") * 0.1
        )
    return 0.3 + 0.03 * log_c**2


def ackley(point: Parameters) -> float:
    """Many local minima in one basin, over four parameters (Ackley 1987); 0 at the optimum, which is off the centre."""
    x = np.array([number(point, f"x{i}") for i in range(4)]) - 0.7
    root = math.sqrt(float(np.square(x).mean()))
    return 20 - 20 * math.exp(-0.2 * root) + math.e - math.exp(float(np.cos(2 * math.pi * x).mean()))


def noisy_ackley(point: Parameters) -> float:
    """Ackley's function with noise of standard deviation 0.3; the noise is a function of the point."""
    seed = zlib.crc32(repr(sorted(point.items())).encode())
    return ackley(point) + 0.3 * float(np.random.default_rng(seed).standard_normal())


def memory(point: Parameters) -> float | None:
    """Larger is better until memory runs out: the optimum lies on the border of the failing region; 0 at the optimum."""
    log_batch, log_width = math.log2(number(point, "batch")), math.log2(number(point, "width"))
    log_lr = math.log10(number(point, "lr"))
    if log_batch + log_width > 15 or log_lr > -0.5:  # out of memory; diverged
        return None
    value = 0.1 * (12 - log_width) + 0.05 * (log_batch - 5) ** 2 + 0.3 * (log_lr + 0.8) ** 2
    value += (number(point, "dropout") - 0.3) ** 2
    return value - 0.15


def depths(point: Parameters) -> float:
    """A list of variable length, with another best width for each layer; 0 at three layers of 2^8, 2^7, 2^6."""
    n_layers = int(number(point, "layers.length"))
    loss = 0.25 * (n_layers - 3) ** 2
    for layer in range(n_layers):
        loss += 0.08 * (math.log2(number(point, f"layers.{layer}")) - (8 - layer)) ** 2
    return loss + (math.log10(number(point, "lr")) + 3) ** 2 * 0.3


PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        Problem(
            "hartmann6",
            "{" + ", ".join(f"x{i}: {{uniform: [0, 1]}}" for i in range(6)) + "}",
            hartmann6,
            hartmann6,
        ),
        Problem(
            "branins",
            "{x: {uniform: [-5, 10]}, y: {uniform: [0, 15]}, place: {choice: [a, b, c]}, steep: {choice: [true, false]}}",
            branins,
            branins,
        ),
        Problem(
            "optimizers",
            """
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-4, 10]}, momentum: {uniform: [0, 0.99]}}
    - {name: adamw, lr: {loguniform: [1e-6, 1]}, weight_decay: {loguniform: [1e-6, 1]}}
activation: {choice: [sigmoid, tanh, gelu, relu]}
depth: {int: [1, 8]}
width: {logint: [8, 1024]}
dropout: {uniform: [0, 0.8]}
""",
            optimizers,
            optimizers,
        ),
        Problem(
            "kernels",
            """
C: {loguniform: [1e-3, 1e4]}
kernel:
  choice:
    - {name: rbf, gamma: {loguniform: [1e-6, 10]}}
    - {name: poly, degree: {int: [2, 6]}, coef0: {uniform: [0, 1]}}
    - linear
""",
            kernels,
            kernels,
        ),
        Problem(
            "noisy-ackley",
            "{" + ", ".join(f"x{i}: {{uniform: [-2, 3]}}" for i in range(4)) + "}",
            noisy_ackley,
            ackley,
        ),
        Problem(
            "memory",
            "{batch: {logint: [8, 1024]}, width: {logint: [32, 4096]}, lr: {loguniform: [1e-4, 10]}, dropout: {uniform: [0, 0.9]}}",
            memory,
            memory,
        ),
        Problem(
            "depths",
            "{layers: {list: {of: {logint: [8, 1024]}, length: {int: [1, 5]}}}, lr: {loguniform: [1e-5, 1]}}",
            depths,
            depths,
        ),
    )
}


def main() -> None:
    """Print the tables."""
    options = parse_options(__doc__, METHODS, PROBLEMS, 60, add_options)
    marks, methods = [options.budget // 2, options.budget], options.methods.split(",")
    names = options.problems.split(",")
    probed = {name: (PROBLEMS[name].space, PROBLEMS[name].loss) for name in names}
    kept = KeptSweeps("trials", probed, options, peers="spaces")
    for name in names:
        for method in tuple(methods):
            try:
                for seed in range(options.seeds):
                    if not kept.known(method, name, seed, options.budget):
                        sweep = METHODS[method](PROBLEMS[name], seed, options.budget)
                        ends = enumerate(sweep.losses, start=1)
                        kept.add(method, name, seed, KeptSweep.of(options.budget, ends, sweep.seconds))
            except ImportError as error:
                print(f"{method}: left out, {error}", file=sys.stderr)
                methods.remove(method)
        kept.print_table(f"{name}, gap after trials", methods, marks, ([name], range(options.seeds)))


if __name__ == "__main__":
    main()
