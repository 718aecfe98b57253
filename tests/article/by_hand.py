"""A training loop by hand in plain torch, and the parts of it that the rows of the article change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.nn.utils import prune

from tests.support.jobs import make_job
from tunecli.config.schema import TrialConfig
from tunecli.messages import Ended
from tunecli.objective import Objective
from tunecli.seeding import seed_for
from tunecli.train.data.loading import Fold, load
from tunecli.train.learner import Learner
from tunecli.train.loop import run
from tunecli.train.torch_state import cpu_generator

SEED, EPOCHS, ROWS = 11, 3, 120
BASE: dict[str, Any] = {
    "data": {"source": "iris"},
    "model": {"name": "mlp", "hidden": [6]},
    "optimizer": {"name": "sgd", "lr": 0.2},
    "training": {"epochs": EPOCHS, "batch_size": 40},
}
STEPS = ROWS // 40


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` merged into it, key by key; a map with a `name` is replaced as a whole."""
    result = dict(base)
    for key, value in changes.items():
        is_deep = isinstance(value, dict) and isinstance(result.get(key), dict) and "name" not in value
        result[key] = merged(result[key], value) if is_deep and "choice" not in value else value
    return result


def learner_of(changes: dict[str, Any]) -> tuple[Learner, Fold]:
    config = TrialConfig.model_validate(merged(BASE, changes))
    (fold,) = load(config.data, Path(), 7, torch.device("cpu"))
    return Learner(config, fold, SEED), fold


def score_of(trial: dict[str, Any], metric: str = "val_loss", **job: Any) -> dict[str, float]:
    """The metrics of a complete trial."""
    given = {"study_seed": 7, "seed": SEED, "device": "cpu", **job}
    *_, ended = run(make_job(0, trial, Objective(metric, False), **given))
    assert isinstance(ended, Ended) and ended.outcome.failure is None, ended
    return dict(ended.outcome.metrics)


@dataclass
class Hand:
    """A training loop by hand; the default is plain SGD on cross entropy, with batches of 40."""

    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] = lambda p: torch.optim.SGD(p, lr=0.2)
    rate: Callable[[int], float] | None = None
    """step, counted from 0 → the learning rate."""
    after_step: Callable[[list[nn.Parameter]], None] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = fn.cross_entropy
    model: Callable[[], nn.Sequential] = lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    batch: int = 40
    epochs: int = EPOCHS

    def train(self, start: dict[str, Tensor], fold: Fold) -> dict[str, Tensor]:
        """The weights after training from ``start``."""
        model = self.model()
        model.load_state_dict(start)
        parameters = [*model.parameters()]
        optimizer, step = self.optimizer(parameters), 0
        for epoch in range(1, self.epochs + 1):
            order = torch.randperm(
                len(fold.y_train), generator=cpu_generator(seed_for(SEED, "shuffle", epoch))
            )
            for rows in torch.split(order, self.batch):
                if self.rate is not None:
                    optimizer.param_groups[0]["lr"] = self.rate(step)
                optimizer.zero_grad()
                torch.autograd.backward(self.loss(model(fold.x_train[rows]), fold.y_train[rows]))
                optimizer.step()
                if self.after_step is not None:
                    with torch.no_grad():
                        self.after_step(parameters)
                step += 1
        return model.state_dict()


def by_scheduler(make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]) -> Hand:
    """A loop with the rates of a scheduler of torch, stepped once per epoch."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler, rates = make(optimizer), []
    for _ in range(EPOCHS):
        rates += [optimizer.param_groups[0]["lr"]] * STEPS
        optimizer.step()
        scheduler.step()
    return Hand(rate=lambda step: rates[step])


def clamp(bound: float) -> Callable[[list[nn.Parameter]], None]:
    def act(parameters: list[nn.Parameter]) -> None:
        for weight in (parameters[0], parameters[2]):
            weight.clamp_(-bound, bound)

    return act


class Pruner:
    """Keeps a fraction of the model's smallest weights, chosen at the first step, at zero."""

    def __init__(self, fraction: float) -> None:
        self.fraction, self.masks = fraction, []

    def __call__(self, parameters: list[nn.Parameter]) -> None:
        weights = [parameters[0], parameters[2]]
        if not self.masks:
            layers = [nn.Linear(w.shape[1], w.shape[0]) for w in weights]
            for layer, weight in zip(layers, weights, strict=True):
                layer.weight.copy_(weight)
            pairs = [(layer, "weight") for layer in layers]
            prune.global_unstructured(pairs, prune.L1Unstructured, amount=self.fraction)  # type: ignore[no-untyped-call]
            self.masks = [layer.weight_mask for layer in layers]
        for weight, mask in zip(weights, self.masks, strict=True):
            weight.mul_(mask)


def tanh_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def deep_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))


def focal(logits: Tensor, y: Tensor) -> Tensor:
    log_p = fn.log_softmax(logits, 1)[torch.arange(len(y)), y]
    return (-((1 - log_p.exp()) ** 2.0) * log_p).mean()
