"""The workloads of peers.py with a training loop by hand, run by another library. See there."""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def make_table(path: Path) -> None:
    """Write a table of 50,000 rows, 40 features and three classes."""
    from sklearn.datasets import make_classification

    x, y = make_classification(50_000, 40, n_informative=20, n_classes=3, random_state=0)
    np.savez(path, x=x.astype(np.float32), y=y)


def data(work: str) -> Parts:
    """The standardised features and the targets of the training part, and those of the validation part."""
    from sklearn.datasets import load_digits, load_wine
    from sklearn.model_selection import train_test_split

    if work == "tabular":
        with np.load("tabular.npz") as arrays:
            x, y = arrays["x"], arrays["y"]
    else:
        x, y = (load_wine if work == "transformer" else load_digits)(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    mean, std = x_train.mean(0), x_train.std(0) + 1e-8
    tensors = [torch.tensor((part - mean) / std, dtype=torch.float32) for part in (x_train, x_valid)]
    targets = [torch.tensor(part, dtype=torch.int64) for part in (y_train, y_valid)]
    if work == "cnn":
        tensors = [part.view(-1, 1, 8, 8) for part in tensors]
    return tensors[0], targets[0], tensors[1], targets[1]


class Tokens(nn.Module):
    """A transformer with a token for each feature, like tunecli's transformer for tables."""

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.randn(n_features, width)),
            nn.Parameter(torch.zeros(n_features, width)),
        )
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder, self.output = (
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            nn.Linear(width, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.encoder(x[..., None] * self.weight + self.bias).mean(1))


def model(work: str) -> nn.Module:
    """The workload's model."""
    match work:
        case "mlp64" | "mlp256":
            w = int(work[3:])
            return nn.Sequential(nn.Linear(64, w), nn.ReLU(), nn.Linear(w, w), nn.ReLU(), nn.Linear(w, 10))
        case "tabular":
            return nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
        case "cnn":
            blocks: list[nn.Module] = []
            for n_in, n_out in ((1, 16), (16, 32)):
                blocks += [
                    nn.Conv2d(n_in, n_out, 3, padding=1),
                    nn.BatchNorm2d(n_out),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                ]
            return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
        case _:
            return Tokens(13, 32)


def batches(parts: Parts, batch: int, loop: str) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch."""
    x, y = parts[0], parts[1]
    if loop == "dataloader":
        yield from DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
        return
    order = torch.randperm(len(x))
    for first in range(0, len(x), batch):
        rows = order[first : first + batch]
        yield x[rows], y[rows]


def train(arguments: argparse.Namespace, parts: Parts, lr: float, weight_decay: float) -> float:
    """Train one trial; its validation accuracy."""
    net = model(arguments.work)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    accuracy = 0.0
    for _ in range(arguments.epochs):
        net.train()
        for x, y in batches(parts, arguments.batch, arguments.loop):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        net.eval()
        with torch.inference_mode():
            accuracy = (net(parts[2]).argmax(1) == parts[3]).float().mean().item()
    return accuracy


def optuna_process(arguments: argparse.Namespace, storage: str, n_trials: int) -> None:
    """Run one process's part of the trials of a study."""
    import optuna

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = data(arguments.work)
    study = optuna.load_study(study_name="peers", storage=storage, sampler=optuna.samplers.RandomSampler())

    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        return train(arguments, parts, lr, trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True))

    study.optimize(objective, n_trials=n_trials)


def by_optuna(arguments: argparse.Namespace) -> None:
    """Run the workload in Optuna, on SQLite, in one or several processes."""
    import optuna

    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/peers.db"
        optuna.create_study(study_name="peers", storage=storage, direction="maximize")
        share = arguments.trials // arguments.processes
        if arguments.processes == 1:
            optuna_process(arguments, storage, share)
            return
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=optuna_process, args=(arguments, storage, share))
            for _ in range(arguments.processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def by_ray(arguments: argparse.Namespace) -> None:
    """Run the workload in Ray Tune, with a core for each trial."""
    import ray
    from ray import tune

    parts = ray.put(data(arguments.work))

    def objective(config: dict[str, float]) -> dict[str, float]:
        torch.set_num_threads(1)
        return {"accuracy": train(arguments, ray.get(parts), config["lr"], config["weight_decay"])}

    space = {"lr": tune.loguniform(1e-4, 1e-1), "weight_decay": tune.loguniform(1e-6, 1e-1)}
    settings = tune.TuneConfig(num_samples=arguments.trials, metric="accuracy", mode="max")
    tune.Tuner(objective, param_space=space, tune_config=settings).fit()


def main() -> None:
    """Run the workload."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--make")
    parser.add_argument("--peer", choices=["optuna", "ray"])
    parser.add_argument("--work")
    parser.add_argument("--loop")
    for name in ("--trials", "--processes", "--epochs", "--batch"):
        parser.add_argument(name, type=int)
    arguments = parser.parse_args()
    if arguments.make:
        make_table(Path(arguments.make))
    else:
        (by_optuna if arguments.peer == "optuna" else by_ray)(arguments)


if __name__ == "__main__":
    main()
