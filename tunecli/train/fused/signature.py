"""Which trials can be trained as one: what has to be equal, and what keeps a trial by itself. Loads no torch.

A group shares its examples, the shape of its models, its batches and its loss. All else is each trial's own: seeds,
initial weights, probabilities of dropout, the optimizer's numbers, both chains, bounds of the gradient, averages, how
long it trains and when it stops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.augmentations import Mixup
from tunecli.config.schema.base import UserCode
from tunecli.config.schema.models import AnyModel, Recurrent
from tunecli.config.schema.optimizers import Adafactor, Lbfgs, Muon
from tunecli.config.schema.training import Swa
from tunecli.messages import Job

_OWN_VALUES = ("init", "dropout")


@dataclass(frozen=True, slots=True)
class FusionBlocker:
    """What keeps a trial by itself: what stands at a path of its file, and why that does; ``value`` may be empty."""

    key: str
    value: str
    why: str

    def __str__(self) -> str:
        said = f"{self.key}: {self.value}" if self.value else self.key
        return f"`{said}`: {self.why}"


def why_not(job: Job) -> str:
    """Why a trial is trained by itself; empty where it can be one of a group.

    Args:
        job: the trial.

    Raises:
        pydantic.ValidationError: its config is none.
    """
    if trial_model(job.task.config) is not TrialConfig:
        return "it is trained by your own code"
    if reason := _of_the_job(job):
        return reason
    return next((each.why for each in fusion_blockers(TrialConfig.model_validate(dict(job.task.config)))), "")


def fusion_blockers(config: TrialConfig) -> tuple[FusionBlocker, ...]:
    """All that keeps a trial by itself, as far as its knobs tell, by the paths under ``trial``."""
    found = (_of_the_model(config.model), _of_what_is_computed(config), _of_the_training(config))
    return tuple(each for several in found for each in several)


def signature(job: Job) -> str:
    """What trials of one group have in common; a SHA-256, in hexadecimal.

    Args:
        job: a trial that :func:`why_not` has nothing against.
    """
    config = TrialConfig.model_validate(dict(job.task.config))
    training = config.training
    model = config.model.model_dump()
    common = {
        "data": config.data.model_dump(mode="json"),
        "model": {name: value for name, value in model.items() if name not in _OWN_VALUES},
        "has dropout": model.get("dropout", 0.0) > 0.0,
        "loss": None if config.loss is None else config.loss.model_dump(),
        "optimizer": [config.optimizer.name, getattr(config.optimizer, "decay_exclude", [])],
        "steps": [training.batch_size, training.accumulate, training.steps],
        "kernels": [training.tf32, training.deterministic],
        "objective": [[job.task.objective.maximize], [*job.task.objective.metrics]],
        "place": [
            job.files.base_path,
            job.task.study_seed,
            job.task.open_test,
            job.execution.device,
            job.execution.threads,
            [*job.execution.avoid_devices],
        ],
    }
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()


def _of_the_job(job: Job) -> str:
    if any(goal.python for goal in job.task.objective.goals):
        return "its metric is your own code"
    if job.task.code:
        return "part of it is your own code"
    if job.task.repeats > 1:
        return "it is repeated over several seeds"
    if job.limits.until_epoch is not None:
        return "it pauses on its way"
    if job.execution.micro_batches > 1:
        return "its batches are split for want of memory"
    return ""


def _of_the_model(model: AnyModel) -> Iterator[FusionBlocker]:
    if isinstance(model, UserCode):
        yield FusionBlocker("model.python", "", "its model is your own code")
    if isinstance(model, Recurrent):
        yield FusionBlocker("model.name", model.name, "a recurrent net's kernels take one model at a time")
    if getattr(getattr(model, "activation", None), "name", "") == "rrelu":
        yield FusionBlocker("model.activation", "rrelu", "rrelu draws numbers for every model by itself")


def _of_what_is_computed(config: TrialConfig) -> Iterator[FusionBlocker]:
    optimizer = config.optimizer
    if isinstance(config.loss, UserCode):
        yield FusionBlocker("loss.python", "", "its loss is your own code")
    if isinstance(optimizer, UserCode):
        yield FusionBlocker("optimizer.python", "", "its optimizer is your own code")
    elif isinstance(optimizer, Lbfgs):
        why = "lbfgs evaluates the loss as often as each model needs"
        yield FusionBlocker("optimizer.name", optimizer.name, why)
    elif isinstance(optimizer, Muon | Adafactor):
        why = f"{optimizer.name} treats each matrix as a whole"
        yield FusionBlocker("optimizer.name", optimizer.name, why)


def _of_the_training(config: TrialConfig) -> Iterator[FusionBlocker]:
    data, training = config.data, config.training
    if data.validation.folds is not None:
        yield FusionBlocker(
            "data.validation.folds", str(data.validation.folds), "it is trained on several folds"
        )
    if any(isinstance(knob, Mixup) for knob in data.augment):
        yield FusionBlocker("data.augment", "mixup", "mixup mixes the targets of each trial's own batches")
    if isinstance(training.average, Swa):
        why = "swa takes batch norm's statistics anew for every model"
        yield FusionBlocker("training.average", "swa", why)
    if training.precision != "float32":
        yield FusionBlocker("training.precision", training.precision, f"it computes in {training.precision}")
    if training.compile:
        yield FusionBlocker("training.compile", str(training.compile).lower(), "it is compiled by itself")
    if training.channels_last:
        yield FusionBlocker("training.channels_last", "true", "its images are stored channels last")
