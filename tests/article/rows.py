"""The rows of the article: a fixed value with its loop by hand, and a range with the column that it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.article.by_hand import (
    ROWS,
    STEPS,
    Hand,
    Pruner,
    by_scheduler,
    clamp,
    deep_model,
    focal,
    tanh_model,
)


@dataclass
class Row:
    """One row of the table: a fixed value with its loop by hand, and a range with the column it gives."""

    number: int
    fixed: dict[str, Any]
    hand: Hand
    searched: dict[str, Any]
    column: str
    is_between: Callable[[str], bool] = field(default=lambda text: text != "")


def within(low: float, high: float) -> Callable[[str], bool]:
    return lambda text: low <= float(text) <= high


def one_of(*values: object) -> Callable[[str], bool]:
    return lambda text: text in {str(value) for value in values}


KNOBS = [
    Row(
        1,
        {"optimizer": {"name": "rmsprop", "lr": 0.01}},
        Hand(lambda p: torch.optim.RMSprop(p, lr=0.01)),
        {"optimizer": {"choice": ["sgd", "adagrad", "rmsprop", "adam"]}},
        "optimizer",
        one_of("sgd", "adagrad", "rmsprop", "adam"),
    ),
    Row(
        2,
        {"optimizer": {"lr": 0.7}},
        Hand(lambda p: torch.optim.SGD(p, lr=0.7)),
        {"optimizer": {"lr": {"loguniform": [1e-3, 1.0]}}},
        "optimizer.lr",
        within(1e-3, 1.0),
    ),
    Row(
        3,
        {"training": {"batch_size": 24}},
        Hand(batch=24),
        {"training": {"batch_size": {"int": [10, 50]}}},
        "training.batch_size",
        within(10, 50),
    ),
    Row(
        4,
        {"optimizer": {"weight_decay": 0.1}},
        Hand(lambda p: torch.optim.SGD(p, lr=0.2, weight_decay=0.1)),
        {"optimizer": {"weight_decay": {"uniform": [0.0, 0.5]}}},
        "optimizer.weight_decay",
        within(0.0, 0.5),
    ),
    Row(
        5,
        {"model": {"activation": "tanh"}},
        Hand(model=tanh_model),
        {"model": {"activation": {"choice": ["relu", "tanh", "gelu"]}}},
        "model.activation",
        one_of("relu", "tanh", "gelu"),
    ),
    Row(
        6,
        {"loss": {"name": "focal", "gamma": 2.0}},
        Hand(loss=focal),
        {"loss": {"choice": ["cross_entropy", {"name": "focal", "gamma": {"uniform": [0.5, 5.0]}}]}},
        "loss",
        one_of("cross_entropy", "focal"),
    ),
    Row(
        7,
        {"model": {"hidden": [5, 7]}},
        Hand(model=deep_model),
        {"model": {"hidden": {"list": {"of": {"int": [2, 9]}, "length": {"int": [1, 2]}}}}},
        "model.hidden.0",
        within(2, 9),
    ),
    Row(
        12,
        {"learning_rate": [{"exponential": {"gamma": 0.5}}]},
        by_scheduler(lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.5)),
        {"learning_rate": [{"exponential": {"gamma": {"uniform": [0.3, 0.9]}}}]},
        "learning_rate.0.exponential.gamma",
        within(0.3, 0.9),
    ),
    Row(
        15,
        {"learning_rate": [{"step": {"epochs": 2, "gamma": 0.1}}]},
        by_scheduler(lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.1)),
        {"learning_rate": [{"step": {"epochs": {"int": [1, 2]}, "gamma": 0.1}}]},
        "learning_rate.0.step.epochs",
        one_of(1, 2),
    ),
    Row(
        14,
        {"training": {"batch_size": "full"}},
        Hand(batch=ROWS),
        {"training": {"batch_size": {"choice": [1, 32, "full"]}}},
        "training.batch_size",
        one_of(1, 32, "full"),
    ),
    Row(
        16,
        {"weights": [{"clip": {"value": 0.25}}]},
        Hand(after_step=clamp(0.25)),
        {"weights": [{"clip": {"value": {"uniform": [0.1, 1.0]}}}]},
        "weights.0.clip.value",
        within(0.1, 1.0),
    ),
    Row(
        17,
        {"learning_rate": [{"clip": {"min": 0.01, "max": 0.05}}]},
        Hand(lambda p: torch.optim.SGD(p, lr=0.05)),
        {"learning_rate": [{"clip": {"max": {"loguniform": [1e-3, 1e-1]}}}]},
        "learning_rate.0.clip.max",
        within(1e-3, 1e-1),
    ),
    Row(
        18,
        {"weights": [{"cut": {"by": "magnitude", "fraction": 0.4}}]},
        Hand(after_step=Pruner(0.4)),
        {
            "weights": [
                {"cut": {"by": {"choice": ["magnitude", "random"]}, "fraction": {"uniform": [0.1, 0.9]}}}
            ]
        },
        "weights.0.cut.fraction",
        within(0.1, 0.9),
    ),
    Row(
        19,
        {"learning_rate": [{"cut": {"at": [1, 2], "factor": 0.5}}]},
        by_scheduler(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 2], 0.5)),
        {"learning_rate": [{"cut": {"at": [1], "factor": {"uniform": [0.1, 0.9]}}}]},
        "learning_rate.0.cut.factor",
        within(0.1, 0.9),
    ),
]


def chain_of_rates(n_links: int) -> Row:
    """cut → clip → cut → … of ``n_links`` links: each cut halves from one epoch on, each clip is tighter."""
    links: list[dict[str, Any]] = []
    for number in range(n_links):
        is_cut = number % 2 == 0
        ceiling = 0.18 - 0.01 * number / 2
        links.append(
            {"cut": {"at": [1 + number % 2], "factor": 0.9}} if is_cut else {"clip": {"max": ceiling}}
        )

    def rate(step: int) -> float:
        found = 0.2
        for link in links:
            if "cut" in link:
                found *= 0.9 if step // STEPS >= link["cut"]["at"][0] else 1.0
            else:
                found = min(found, link["clip"]["max"])
        return found

    searched = [dict(link) for link in links]
    searched[0] = {"cut": {"at": [1], "factor": {"uniform": [0.2, 0.8]}}}
    number = 21 + 2 * (n_links - 2)
    column = "learning_rate.0.cut.factor"
    return Row(
        number,
        {"learning_rate": links},
        Hand(rate=rate),
        {"learning_rate": searched},
        column,
        within(0.2, 0.8),
    )


def chain_of_weights(n_links: int) -> Row:
    """cut → clip → cut → … of ``n_links`` links: each cut takes a tenth of the remaining weights, each clip is tighter."""
    links: list[dict[str, Any]] = []
    acts: list[Callable[[list[nn.Parameter]], None]] = []
    for number in range(n_links):
        if number % 2 == 0:
            links.append({"cut": {"by": "magnitude", "fraction": 0.1}})
        else:
            bound = 0.6 - 0.02 * number
            links.append({"clip": {"value": bound}})
            acts.append(clamp(bound))

    class Folded:
        """Applies the links in their order; a cut takes a tenth of the weights that no earlier cut has taken."""

        def __init__(self) -> None:
            self.masks: list[Tensor] = []

        def __call__(self, parameters: list[nn.Parameter]) -> None:
            weights = [parameters[0], parameters[2]]
            n_cuts = 0
            for link in links:
                if "clip" in link:
                    clamp(link["clip"]["value"])(parameters)
                    continue
                if n_cuts == len(self.masks):
                    sizes = torch.cat([weight.abs().flatten() for weight in weights])
                    is_left = self.masks[-1] if self.masks else torch.ones_like(sizes)
                    left = is_left.nonzero().squeeze(1)
                    smallest = sizes[left].topk(round(0.1 * len(left)), largest=False).indices
                    self.masks.append(is_left.index_fill(0, left[smallest], 0.0))
                mask, n_cuts = self.masks[n_cuts], n_cuts + 1
                for weight, part in zip(weights, torch.split(mask, [24, 18]), strict=True):
                    weight.mul_(part.view_as(weight))

    searched = [dict(link) for link in links]
    searched[-1] = (
        {"cut": {"by": "magnitude", "fraction": {"uniform": [0.1, 0.3]}}}
        if "cut" in links[-1]
        else {"clip": {"value": {"uniform": [0.1, 0.3]}}}
    )
    key = "cut.fraction" if "cut" in links[-1] else "clip.value"
    number, column = 20 + 2 * (n_links - 2), f"weights.{n_links - 1}.{key}"
    hand = Hand(after_step=Folded())
    return Row(number, {"weights": links}, hand, {"weights": searched}, column, within(0.1, 0.3))


CHAINS = [row for n in range(2, 21) for row in (chain_of_weights(n), chain_of_rates(n))]
ALL = {row.number: row for row in [*KNOBS, *CHAINS]}
ELSEWHERE = {8, 9, 10, 11, 13}
"""Rows that a loop by hand with 3 × 40 examples cannot show; each has its own test in test_article.py."""
