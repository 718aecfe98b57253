"""What is wrong with a trial, as far as it can be known without training.

Owns the rules that need data and knobs together (the spec checks each knob alone). Called for hundreds of
candidates before a sweep, so everything read from disk is cached below. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tunecli.errors import DataError
from tunecli.spec.knobs import TrialConfig
from tunecli.spec.knobs.data import Crop, Cutout, Noise
from tunecli.spec.knobs.learning_rate import Cut
from tunecli.spec.knobs.models import Cnn
from tunecli.spec.metrics import METRICS
from tunecli.spec.wording import nearest
from tunecli.train.cost import Cost, cost, has_batch_norm, sizes_of_parts
from tunecli.train.sources import DataFacts, facts_of
from tunecli.trial import Objective

__all__ = ["Complaint", "Cost", "complaints", "cost"]


class Complaint(NamedTuple):
    """One thing wrong with a trial.

    Attributes:
        parameter: the path under ``trial`` that is to blame, or ``objective.metric``.
        message: what is wrong, in one sentence.
        hint: what to do about it; empty where the message says so already.
    """

    parameter: str
    message: str
    hint: str = ""


def complaints(config: TrialConfig, objective: Objective, base_path: Path) -> list[Complaint]:
    """Everything wrong with a trial that can be known without training it.

    Args:
        config: the trial.
        objective: what is optimised.
        base_path: the folder that relative file names start from.

    Returns:
        The complaints, empty where there are none. Data that cannot be read is the only one then: the
        other rules need its facts.
    """
    try:
        facts = facts_of(config.data, base_path)
        n_train = min(size for size, _ in sizes_of_parts(config.data, facts, base_path))
    except DataError as error:
        return [Complaint(error.parameter, error.message, error.hint)]
    found = [complaint for rule in RULES for complaint in rule(config, facts)]
    return [*found, *_batches(config, n_train), *_metric(objective, facts)]


def _metric(objective: Objective, facts: DataFacts) -> Iterator[Complaint]:
    known = METRICS.get(objective.metric)
    fitting = [name for name, each in METRICS.items() if facts.task in each.tasks]
    hint = f"one of {', '.join(fitting)}"
    if known is None:
        message = f"`{objective.metric}` is no metric"
        yield Complaint("objective.metric", message, nearest(objective.metric, fitting) or hint)
    elif facts.task not in known.tasks:
        yield Complaint("objective.metric", f"a {facts.task} task has no {objective.metric}", hint)


def _batches(config: TrialConfig, n_train: int) -> Iterator[Complaint]:
    if not has_batch_norm(config.model):
        return
    if config.training.batch_size == 1:
        hint = "use a larger batch, or another `norm`"
        yield Complaint("training.batch_size", "batch norm needs more than one example in a batch", hint)
    elif n_train == 1:
        yield Complaint("model.norm", "batch norm needs more than one training example", "use another `norm`")


def _loss(config: TrialConfig, facts: DataFacts) -> Iterator[Complaint]:
    if config.loss is not None and facts.task not in config.loss.tasks:
        own = "cross_entropy, focal or hinge" if facts.task == "classification" else "mse, mae or huber"
        yield Complaint("loss", f"{config.loss.name} is no loss for a {facts.task} task", f"use {own}")


def _model(config: TrialConfig, facts: DataFacts) -> Iterator[Complaint]:
    if isinstance(config.model, Cnn) and len(facts.input_shape) != 3:
        message = f"cnn needs images, and the data has {facts.input_shape[0]} plain features"
        yield Complaint("model", message, "use mlp or linear")


def _augmentation(config: TrialConfig, facts: DataFacts) -> Iterator[Complaint]:
    for number, augmentation in enumerate(config.data.augment):
        parameter = f"data.augment.{number}"
        if isinstance(augmentation, Noise):
            continue
        if len(facts.input_shape) != 3:
            yield Complaint(parameter, f"{augmentation.name} needs images", "only noise fits plain features")
            continue
        side = min(facts.input_shape[1:])
        if isinstance(augmentation, Crop) and augmentation.pixels >= side:
            message = f"a shift of {augmentation.pixels} pixels can empty an image of {side}"
            yield Complaint(f"{parameter}.pixels", message, f"at most {side - 1}")
        if isinstance(augmentation, Cutout) and augmentation.size > side:
            message = f"a square of {augmentation.size} pixels is larger than the image, {side}"
            yield Complaint(f"{parameter}.size", message, f"at most {side}")


def _balance(config: TrialConfig, facts: DataFacts) -> Iterator[Complaint]:
    if config.data.balance != "none" and facts.task != "classification":
        yield Complaint("data.balance", "only classes can be balanced", "drop `balance`")


def _milestones(config: TrialConfig, facts: DataFacts) -> Iterator[Complaint]:
    if config.training.steps is not None:  # how many epochs that is depends on the split
        return
    epochs = config.training.epochs
    for number, link in enumerate(config.learning_rate):
        late = [epoch for epoch in link.at or [] if epoch >= epochs] if isinstance(link, Cut) else []
        if late:
            message = f"a cut after epoch {late[0]} never acts: there are {epochs} epochs"
            yield Complaint(f"learning_rate.{number}.cut.at", message, f"at most {epochs - 1}")


Rule = Callable[[TrialConfig, DataFacts], Iterator[Complaint]]

RULES: tuple[Rule, ...] = (_loss, _model, _augmentation, _balance, _milestones)
"""The rules that need the data's facts alone."""
