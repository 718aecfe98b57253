"""Which trials can be trained as one: what has to be equal, and what keeps a trial by itself. Loads no torch.

A group shares its examples, the shape of its models, its batches and its loss. All else is each trial's own: seeds,
initial weights, probabilities of dropout, the optimizer's numbers, both chains, bounds of the gradient, averages, how
long it trains and when it stops.
"""

from __future__ import annotations

import hashlib
import json

from tunecli.spec.knobs import TrialConfig, trial_model
from tunecli.spec.knobs.augmentations import Mixup
from tunecli.spec.knobs.base import OwnCode
from tunecli.spec.knobs.models import AnyModel, Recurrent
from tunecli.spec.knobs.optimizers import Adafactor, Lbfgs, Muon
from tunecli.spec.knobs.training import Swa
from tunecli.trial import Job

_OWN_VALUES = ("init", "dropout")


def why_not(job: Job) -> str:
    """Why a trial is trained by itself; empty where it can be one of a group.

    Args:
        job: the trial.

    Raises:
        pydantic.ValidationError: its config is none.
    """
    if trial_model(job.config) is not TrialConfig:
        return "it is trained by your own code"
    config = TrialConfig.model_validate(dict(job.config))
    reasons = (
        _of_the_job(job),
        _of_the_model(config.model),
        _of_what_is_computed(config),
        _of_the_training(config),
    )
    return next((reason for reason in reasons if reason), "")


def signature(job: Job) -> str:
    """What trials of one group have in common; a SHA-256, in hexadecimal.

    Args:
        job: a trial that :func:`why_not` has nothing against.
    """
    config = TrialConfig.model_validate(dict(job.config))
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
        "objective": [[job.objective.maximize], [*job.objective.metrics]],
        "place": [
            job.base_path,
            job.study_seed,
            job.open_test,
            job.device,
            job.threads,
            [*job.avoid_devices],
        ],
    }
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()


def _of_the_job(job: Job) -> str:
    if any(goal.python for goal in job.objective.goals):
        return "its metric is your own code"
    if job.code:
        return "part of it is your own code"
    if job.repeats > 1:
        return "it is repeated over several seeds"
    if job.until_epoch is not None:
        return "it pauses on its way"
    if job.micro_batches > 1:
        return "its batches are split for want of memory"
    return ""


def _of_the_model(model: AnyModel) -> str:
    if isinstance(model, OwnCode):
        return "its model is your own code"
    if isinstance(model, Recurrent):
        return "a recurrent net's kernels take one model at a time"
    if getattr(getattr(model, "activation", None), "name", "") == "rrelu":
        return "rrelu draws numbers for every model by itself"
    return ""


def _of_what_is_computed(config: TrialConfig) -> str:
    optimizer = config.optimizer
    if isinstance(config.loss, OwnCode):
        return "its loss is your own code"
    if isinstance(optimizer, OwnCode):
        return "its optimizer is your own code"
    if isinstance(optimizer, Lbfgs):
        return "lbfgs evaluates the loss as often as each model needs"
    if isinstance(optimizer, Muon | Adafactor):
        return f"{optimizer.name} treats each matrix as a whole"
    return ""


def _of_the_training(config: TrialConfig) -> str:
    training = config.training
    if config.data.validation.folds is not None:
        return "it is trained on several folds"
    if any(isinstance(knob, Mixup) for knob in config.data.augment):
        return "mixup mixes the targets of each trial's own batches"
    if isinstance(training.average, Swa):
        return "swa takes batch norm's statistics anew for every model"
    if training.precision != "float32":
        return f"it computes in {training.precision}"
    if training.compile:
        return "it is compiled by itself"
    if training.channels_last:
        return "its images are stored channels last"
    return ""
