"""Random worlds, in each of which a calibration of priors trains some trials: their command line, and their effects.

`rates.py`, `short_trainings.py` and `effects.py` share it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch


def worlds_of(one: Callable[[int], Any], description: str, n_usual: int) -> list[Any]:
    """Read the command line, and return the worlds that it asks for and that have a result.

    Args:
        one: the result of the world of a seed, as plain values; it is empty for a world that says nothing.
        description: of the program.
        n_usual: the number of worlds if the command line does not say it.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=n_usual)
    parser.add_argument("--json", type=Path, help="keeps the worlds: a further run goes on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept: Path | None = options.json
    known: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    for seed in range(options.worlds):
        if str(seed) not in known:
            known[str(seed)] = one(seed)
            if kept:
                kept.write_text(json.dumps(known))
    return [world for world in known.values() if world]


def print_effects(title: str, worlds: Sequence[Sequence[tuple[Mapping[str, float], float]]]) -> None:
    """Print the least-squares effects of features on the rank of a loss within its world, with their standard errors.

    Args:
        title: of the table.
        worlds: of each trial of a world its features and its loss; a feature that a trial lacks is 0. The best rank is
            0, the worst 1.
    """
    names = list(dict.fromkeys(name for world in worlds for features, _ in world for name in features))
    design, target = [], []
    for world in worlds:
        values = np.array([[features.get(name, 0.0) for name in names] for features, _ in world])
        ranks = np.argsort(np.argsort([loss for _, loss in world], kind="stable")) / (len(world) - 1)
        design.append(values - values.mean(axis=0))
        target.append(ranks - ranks.mean())
    x, y = np.vstack(design), np.concatenate(target)
    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    rest = y - x @ solution
    variance = rest @ rest / (len(y) - len(names) - len(worlds))
    errors = np.sqrt(np.diag(variance * np.linalg.pinv(x.T @ x)))
    print(f"{title}: {len(worlds)} worlds, {len(y)} trials")
    for name, value, error in zip(names, solution, errors, strict=True):
        print(f"  {name:36}{value:+.3f} ± {error:.3f}", flush=True)
