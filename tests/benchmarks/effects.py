"""Which options suit short trainings of tunecli's own models: the effect of each option on the rank within random worlds.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.effects [--worlds 60] [--json FILE]

Each world is a random table of `random_tables.py` or random images, one model and one optimizer. Its trials are random
points of a space with the model's settings, which tunecli trains for nine epochs. The tables have for each model and
each option the least-squares effect on the rank within the world, from 0 (best) to 1, beside the first option of its
choice; a number has its effect from one end of its range to the other. The learning rate has a square as well.

Axes: N trials, D features of a table, C classes.
"""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmarks.random_tables import Floats, table
from tests.benchmarks.real_problems import RealProblem
from tests.benchmarks.worlds import print_effects, worlds_of
from tunecli.config.domains import Categorical, unit_of_value, value_at
from tunecli.config.space import Space, point_of_units
from tunecli.trial import Parameters

_EPOCHS, _N_POINTS = 9, 40
_SIZE = 10  # pixels of a side
_OPTIMIZERS = {
    "sgd": "{name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}, weight_decay: {loguniform: [1e-6, 1e-2]}}",
    "adam": "{name: adam, lr: {loguniform: [1e-4, 1e-1]}, weight_decay: {loguniform: [1e-6, 1e-2]}}",
    "adamw": "{name: adamw, lr: {loguniform: [1e-4, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}}",
}
_MODELS = {
    "mlp": "{name: mlp, width: {logint: [8, 128]}, depth: {int: [1, 3]}, activation: {choice: [relu, gelu, tanh]}, norm: {choice: [none, batch, layer]}, dropout: {uniform: [0.0, 0.5]}, init: {choice: [kaiming_normal, xavier_uniform, orthogonal]}}",
    "tabular_resnet": "{name: tabular_resnet, width: {logint: [8, 64]}, blocks: {int: [1, 3]}, norm: {choice: [none, batch, layer]}, dropout: {uniform: [0.0, 0.5]}, residual_dropout: {uniform: [0.0, 0.5]}}",
    "transformer": "{name: transformer, width: {choice: [8, 16]}, layers: {int: [1, 2]}, heads: {choice: [1, 2, 4]}, dropout: {uniform: [0.0, 0.3]}, pool: {choice: [mean, cls]}}",
    "cnn": "{name: cnn, channels: [{choice: [4, 8]}, {choice: [4, 8, 16]}], kernel: {choice: [3, 5]}, pool: {choice: [max, mean]}, norm: {choice: [none, batch, group]}, activation: {choice: [relu, gelu, silu]}, dropout: {uniform: [0.0, 0.5]}}",
}
_TEXT = """
data: {source: world.npz, target: y, validation: {fraction: 0.4}}
model: MODEL
optimizer: OPTIMIZER
learning_rate: {choice: [[], [{cosine: {to: 0.0}}]]}
training: {epochs: EPOCHS, batch_size: {choice: [16, 32, 64]}}
"""


def one(seed: int) -> list[dict[str, Any]]:
    """Train the trials of a world; empty if fewer than half of them end."""
    generator = np.random.default_rng([seed, 92])
    model = str(generator.choice(["mlp", "mlp", "tabular_resnet", "transformer", "cnn"]))
    n_examples = round(10 ** generator.uniform(2.0, 2.7))
    if model == "cnn":
        x, target = images(generator, n_examples)
    else:
        x, target = table(generator, n_examples)
        x = x[:, :12] if model == "transformer" else x  # a token for each feature
    optimizer = str(generator.choice(list(_OPTIMIZERS)))
    text = _TEXT.replace("MODEL", _MODELS[model]).replace("OPTIMIZER", _OPTIMIZERS[optimizer])
    text = text.replace("EPOCHS", str(_EPOCHS)).strip()
    with TemporaryDirectory() as folder:
        np.savez(Path(folder) / "world.npz", x=x.astype(np.float32), y=target)
        problem = RealProblem(f"world {seed}", "val_loss", _EPOCHS, text, Path(folder))
        space = problem.space
        units_ND = generator.random((_N_POINTS, len(space.parameters)))
        points = [point_of_units(space, row.tolist()) for row in units_ND]
        losses = problem.final_losses(points)
    if sum(map(math.isinf, losses)) > _N_POINTS // 2:
        return []
    return [
        {"model": model, "loss": loss, "features": _features(space, point, optimizer)}
        for point, loss in zip(points, losses, strict=True)
    ]


def _features(space: Space, point: Parameters, optimizer: str) -> dict[str, float]:
    features = {}
    for parameter in space.parameters:
        domain, key, value = parameter.domain, parameter.key, point[parameter.name]
        if isinstance(domain, Categorical):
            for place, option in list(enumerate(domain.options))[1:]:
                features[f"{key}: {option}"] = float(value == value_at(domain, place))
            continue
        name = f"{optimizer}.lr" if key == "optimizer.lr" else key
        features[name] = unit_of_value(domain, value) - 0.5
        if key == "optimizer.lr":
            features[f"{name}²"] = features[name] ** 2
    return features


def images(generator: np.random.Generator, n_examples: int) -> tuple[Floats, Any]:
    """Noisy images of random smooth patterns, one for each class, at random places."""
    n_classes = int(generator.integers(2, 7))
    waves_C2 = generator.uniform(0.3, 1.4, (n_classes, 3, 2)) * generator.choice([-1, 1], (n_classes, 3, 2))
    rows, columns = np.mgrid[0:_SIZE, 0:_SIZE]
    target = generator.integers(0, n_classes, n_examples)
    noise, result = generator.uniform(0.3, 1.2), []
    for label in target:
        dy, dx = generator.uniform(-2, 2, 2)
        waves = [np.sin(a * (rows - dy) + b * (columns - dx)) for a, b in waves_C2[label]]
        result.append(np.prod(waves, axis=0) + noise * generator.normal(size=(_SIZE, _SIZE)))
    return np.array(result), target


def main() -> None:
    """Train the worlds and print the effects for each model."""
    worlds = worlds_of(one, __doc__ or "", 60)
    for model in _MODELS:
        trials = [
            [(row["features"], row["loss"]) for row in world]
            for world in worlds
            if world[0]["model"] == model
        ]
        if trials:
            print_effects(model, trials)


if __name__ == "__main__":
    main()
