"""Time of tunecli's training loop compared with a loop written by hand, and the additional time of the two chains.

    python tests/benchmarks/loop.py [--runs 15]

The workload is a 64-64-64-10 MLP on digits: AdamW, batch 64, 20 epochs, with validation after each. The loop by hand
takes its batches from tensors in memory and uses the same fused AdamW. Runs alternate within one process on one thread,
and the ratios are those of medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.support.jobs import make_job
from tunecli.config.schema.data import Data
from tunecli.messages import Ended
from tunecli.objective import Objective
from tunecli.train.data.loading import load
from tunecli.train.loop import run

EPOCHS, BATCH = 20, 64
PLAIN: dict[str, Any] = {
    "data": {"source": "digits"},
    "model": {"name": "mlp", "hidden": [64, 64]},
    "optimizer": {"name": "adamw", "lr": 3e-3},
    "training": {"epochs": EPOCHS, "batch_size": BATCH},
}
CHAINS: dict[str, Any] = {
    **PLAIN,
    "learning_rate": [{"warmup": {"epochs": 1}}, {"cosine": {}}, {"clip": {"min": 1e-6, "max": 1e-1}}],
    "weights": [{"cut": {"by": "magnitude", "fraction": 0.2, "from_epoch": 1}}, {"clip": {"norm": 30.0}}],
}


def by_hand(*, fused: bool) -> float:
    """Train with a loop written by hand; the last validation accuracy."""
    (fold,) = load(Data.model_validate(PLAIN["data"]), Path(), 0, torch.device("cpu"))
    x, y = fold.x_train, fold.y_train
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=fused or None)
    accuracy = 0.0
    for _ in range(EPOCHS):
        model.train()
        order = torch.randperm(len(x))
        total = torch.zeros(())
        for first in range(0, len(x), BATCH):
            rows = order[first : first + BATCH]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach() * len(rows)
        model.eval()
        with torch.no_grad():
            outputs = model(fold.x_valid)
            nn.functional.cross_entropy(outputs, fold.y_valid).item()
            accuracy = (outputs.argmax(1) == fold.y_valid).float().mean().item()
    return accuracy


def by_tunecli(config: dict[str, Any]) -> float:
    """Train as one trial of tunecli; its validation accuracy."""
    job = make_job(0, config, Objective("val_accuracy", True), study_seed=0, seed=0, device="cpu")
    *_, ended = run(job)
    assert isinstance(ended, Ended)
    assert ended.outcome.score is not None, ended.outcome.failure
    return ended.outcome.score


def main() -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    n_runs = parser.parse_args().runs
    torch.set_num_threads(1)
    ways: dict[str, Callable[[], float]] = {
        "by hand, AdamW as it comes": lambda: by_hand(fused=False),
        "by hand, fused AdamW": lambda: by_hand(fused=True),
        "tunecli": lambda: by_tunecli(PLAIN),
        "tunecli with both chains": lambda: by_tunecli(CHAINS),
    }
    for train in ways.values():  # warm up imports and caches
        assert train() > 0.9
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(n_runs):
        for name, train in ways.items():
            began_s = time.perf_counter()
            train()
            seconds[name].append(time.perf_counter() - began_s)
    median_s = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in median_s.items():
        print(f"{name:28} {median * 1000:7.1f} ms  (least {min(seconds[name]) * 1000:.1f})")
    print(f"loop / by hand, as it comes  {median_s['tunecli'] / median_s['by hand, AdamW as it comes']:.3f}")
    print(f"loop / by hand, fused        {median_s['tunecli'] / median_s['by hand, fused AdamW']:.3f}")
    print(f"chains / loop                {median_s['tunecli with both chains'] / median_s['tunecli']:.3f}")


if __name__ == "__main__":
    main()
