"""Which settings suit short trainings: ranks of random settings of a small network within random tables.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.short_trainings [--worlds 60] [--json FILE]

Each world is a table of `random_tables.py` and a number of epochs. Fourteen settings (width, depth, activation, dropout,
scaling of the inputs, batch size) are trained with Adam, each with ten learning rates around the line of `rates.py`; its
loss is the mean of the two best. The table has the least-squares effect of each setting on the rank within its world,
from 0 (best) to 1: hidden layers and activations beside one layer and ReLU, others by their unit or power of ten.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from tests.benchmarks.random_tables import table
from tests.benchmarks.rates import Data, Setting, train
from tests.benchmarks.worlds import print_effects, worlds_of

_N_SETTINGS, _N_RATES, _N_BEST = 14, 10, 2
_MIN_SETTINGS = 5
_MAX_STEPS = 350
_ACTIVATIONS = ("relu", "gelu", "silu", "tanh")


def one(seed: int) -> list[dict[str, Any]]:
    """Train the settings of a world; empty if too many are too long."""
    generator = np.random.default_rng([seed, 80])
    torch.manual_seed(seed)
    x_ND, target = table(generator, round(10 ** generator.uniform(1.9, 3.0)))
    if target.dtype.kind == "f":
        target = ((target - target.mean()) / target.std()).astype(np.float32)
    scaled = {
        "standard": (x_ND - x_ND.mean(axis=0)) / x_ND.std(axis=0),
        "minmax": (x_ND - x_ND.min(axis=0)) / np.ptp(x_ND, axis=0),
    }
    n_train = round(len(x_ND) * float(generator.choice([0.5, 0.6, 0.8])))
    epochs, rows = round(10 ** generator.uniform(0.8, 1.4)), []
    for _ in range(_N_SETTINGS):
        batch = min(int(generator.choice([8, 16, 32, 64, 128, 4096])), n_train)
        width, depth = round(2 ** generator.uniform(2, 8)), int(generator.integers(0, 5))
        activation, scaling = str(generator.choice(_ACTIVATIONS)), str(generator.choice(list(scaled)))
        dropout = float(generator.choice([0.0, 0.0, 0.1, 0.2, 0.3, 0.5]))
        steps = epochs * math.ceil(n_train / batch)
        if steps > _MAX_STEPS:
            continue
        setting = Setting("adam", batch, epochs, width, depth, activation, 0.0, dropout)
        data = Data(torch.tensor(scaled[scaling], dtype=torch.float32), torch.tensor(target), n_train)
        centre = -2.25 - 0.5 * math.log10(steps / 200) + 0.3 * math.log10(batch / 64) - 0.3 * (depth - 1)
        centre -= 0.65 * math.log10(width / 64) * (depth > 0)
        losses_K = train(data, setting, torch.logspace(centre - 0.7, centre + 0.8, _N_RATES))
        loss = float(np.sort(losses_K)[:_N_BEST].mean())
        rows.append({**setting.__dict__, "scaling": scaling, "steps": steps, "loss": loss})
    return rows if len(rows) >= _MIN_SETTINGS else []


def _features(row: dict[str, Any]) -> dict[str, float]:
    log_steps = math.log10(row["steps"] / 100)
    return {
        **{f"depth {depth}": float(row["depth"] == depth) for depth in (0, 2, 3, 4)},
        "depth by steps": row["depth"] * log_steps,
        "width": math.log10(row["width"]) * (row["depth"] > 0),
        **{name: float(row["activation"] == name) for name in _ACTIVATIONS[1:]},
        "dropout": row["dropout"],
        "dropout by steps": row["dropout"] * log_steps,
        "minmax": float(row["scaling"] == "minmax"),
        "steps": log_steps,
    }


def main() -> None:
    """Train the worlds and print the effects."""
    worlds = worlds_of(one, __doc__ or "", 60)
    print_effects("short trainings", [[(_features(row), row["loss"]) for row in rows] for rows in worlds])


if __name__ == "__main__":
    main()
