"""Which trials can be trained as one: the settings that have to be equal, and those that rule it out. Loads no torch.

A group shares its examples, the shape of its models, its batches and its loss. All else differs freely: seeds, initial
weights, dropout probabilities, the optimizer's numbers, both chains, gradient clipping, weight averages, the length of
training and early stopping.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import tunecli.config.schema
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.activations import ActivationKnob
from tunecli.config.schema.augmentations import Mixup
from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.training import Swa
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import Knob
from tunecli.messages import Job

_OWN_VALUES = ("init", "dropout")
_SCHEMA = f"{tunecli.config.schema.__name__}."  # the package of the built-in knobs


@dataclass(frozen=True, slots=True)
class FusionBlocker:
    """A setting that keeps a trial out of a group.

    Attributes:
        key: its path under ``trial``.
        value: its value; may be empty.
        why: the reason, as a clause.
    """

    key: str
    value: str
    why: str

    def __str__(self) -> str:
        setting = f"{self.key}: {self.value}" if self.value else self.key
        return f"`{setting}`: {self.why}"


def why_not(job: Job) -> str:
    """Why a trial cannot be trained in a group; empty if it can.

    Args:
        job: the trial.

    Raises:
        pydantic.ValidationError: its config is invalid.
    """
    if trial_model(job.task.config) is not TrialConfig:
        return "it is trained by your own code"
    if reason := _job_blocker(job):
        return reason
    return next(
        (blocker.why for blocker in fusion_blockers(TrialConfig.model_validate(dict(job.task.config)))), ""
    )


def fusion_blockers(config: TrialConfig) -> tuple[FusionBlocker, ...]:
    """The settings that keep a trial out of a group."""
    return (
        *_model_blockers(config.model),
        *_loss_and_optimizer_blockers(config),
        *_plug_in_blockers(config),
        *_training_blockers(config),
    )


def signature(job: Job) -> str:
    """A hash of the settings that the trials of a group share: SHA-256, in hexadecimal.

    Args:
        job: a trial for which :func:`why_not` is empty.
    """
    config = TrialConfig.model_validate(dict(job.task.config))
    training = config.training
    model = config.model.model_dump()
    common = {
        "data": config.data.model_dump(mode="json"),
        "model": {name: value for name, value in model.items() if name not in _OWN_VALUES},
        "has dropout": model.get("dropout", 0.0) > 0.0,
        "loss": None if config.loss is None else config.loss.model_dump(),
        "optimizer": [
            config.optimizer.name,
            getattr(config.optimizer, "decay_exclude", []),
            getattr(config.optimizer, "layer_decay", 1.0) < 1.0,
        ],
        "steps": [training.batch_size, training.accumulate, training.steps],
        "kernels": [training.tf32, training.deterministic],
        "objective": [[job.task.objective.maximize], [*job.task.objective.recorded]],
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


def _job_blocker(job: Job) -> str:
    if job.task.refit is not None:
        return "it is trained on all rows"
    if any(goal.python for goal in job.task.objective.goals):
        return "its metric is your own code"
    if job.task.code:
        return "part of it is your own code"
    if job.task.repeats > 1:
        return "it is repeated over several seeds"
    if job.limits.until_epoch is not None:
        return "it pauses before its end"
    if job.execution.micro_batches > 1:
        return "its batches are split to fit into memory"
    return ""


def _model_blockers(model: AnyModel) -> Iterator[FusionBlocker]:
    if isinstance(model, UserCode):
        yield FusionBlocker("model.python", "", "its model is your own code")
        return
    if model.why_not_fused:
        yield FusionBlocker("model.name", model.name, model.why_not_fused)
    activation: ActivationKnob | None = getattr(model, "activation", None)
    if activation is not None and activation.is_random:
        why = f"{activation.name} draws random slopes for each model separately"
        yield FusionBlocker("model.activation", activation.name, why)


def _loss_and_optimizer_blockers(config: TrialConfig) -> Iterator[FusionBlocker]:
    optimizer = config.optimizer
    if isinstance(config.loss, UserCode):
        yield FusionBlocker("loss.python", "", "its loss is your own code")
    if isinstance(optimizer, UserCode):
        yield FusionBlocker("optimizer.python", "", "its optimizer is your own code")
    elif optimizer.why_not_fused:
        yield FusionBlocker("optimizer.name", optimizer.name, optimizer.why_not_fused)


def _plug_in_blockers(config: TrialConfig) -> Iterator[FusionBlocker]:
    """Parts from plug-ins: the code that computes many models at once does not know them."""
    parts: dict[str, Knob | None] = {
        "model": config.model,
        "loss": config.loss,
        "optimizer": config.optimizer,
    }
    for key, knob in parts.items():
        if knob is not None and not type(knob).__module__.startswith(_SCHEMA):
            name = str(getattr(knob, "name", ""))
            yield FusionBlocker(f"{key}.name", name, "a plug-in's code runs for one trial at a time")


def _training_blockers(config: TrialConfig) -> Iterator[FusionBlocker]:
    data, training = config.data, config.training
    if data.validation.folds is not None:
        yield FusionBlocker(
            "data.validation.folds", str(data.validation.folds), "it is trained on several folds"
        )
    if data.columns.weight is not None:
        yield FusionBlocker("data.columns.weight", data.columns.weight, "its examples have weights")
    if any(isinstance(knob, Mixup) for knob in data.augment):
        yield FusionBlocker("data.augment", "mixup", "mixup mixes the targets of each trial's own batches")
    if isinstance(training.average, Swa):
        why = "swa recomputes the statistics of batch norm for each model"
        yield FusionBlocker("training.average", "swa", why)
    if training.precision != "float32":
        yield FusionBlocker("training.precision", training.precision, f"it computes in {training.precision}")
    if training.compile:
        yield FusionBlocker(
            "training.compile", str(training.compile).lower(), "compiled models run separately"
        )
    if training.channels_last:
        yield FusionBlocker("training.channels_last", "true", "its images are stored channels last")
