"""Settings that do not fit the data or each other: losses, models, data and the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd
from typing import get_args

from tunecli.config.schema.augmentations import AnyAugmentation, Crop, Cutout, Mixup
from tunecli.config.schema.initialisations import DEFAULT
from tunecli.config.schema.losses import AnyClassLoss, AnyNumberLoss
from tunecli.config.schema.models import AnyModel, Backbone, Transformer
from tunecli.config.schema.training import Swa
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import DataError, UsageError
from tunecli.registry.implementations import require_package
from tunecli.train.data.sources import read_test, require_test
from tunecli.train.data.stamps import stamps_of
from tunecli.train.machine import missing_compiler
from tunecli.train.validation.case import Case, Problem, Rule
from tunecli.train.workload import has_batch_norm, steps_once_an_epoch

_PLURALS = {
    "features": "plain features",
    "sequence": "sequences",
    "image": "images",
    "tokens": "tokens",
    "mixed": "texts with columns",
}


def _loss_task(case: Case) -> Iterator[Problem]:
    loss, task = case.config.loss, case.facts.task
    if loss is None or isinstance(loss, UserCode) or task in loss.tasks:
        return
    known = [*get_args(AnyClassLoss), *get_args(AnyNumberLoss)]
    names = ", ".join(one.model_fields["name"].default for one in known if task in one.tasks)
    yield Problem("loss", f"`{loss.name}` does not work for {task}", f"use one of {names}")


def _class_weights(case: Case) -> Iterator[Problem]:
    loss, facts, is_balanced = case.config.loss, case.facts, case.config.data.balance == "weight"
    if facts.task == "regression":
        return
    if isinstance(loss, UserCode) and is_balanced:
        message = "a loss of your own takes no class weights"
        yield Problem("data.balance", message, "use `balance: sample`, or apply the weights in your loss")
    class_weights = getattr(loss, "class_weights", [])
    if not class_weights:
        return
    if len(class_weights) != facts.n_outputs:
        of = "classes" if facts.task == "classification" else "labels"
        message = f"{len(class_weights)} class weights, but the data has {facts.n_outputs} {of}"
        yield Problem("loss.class_weights", message)
    if is_balanced:
        message = "`balance: weight` computes class weights of its own"
        yield Problem("loss.class_weights", message, "keep one of the two")


def _weights(case: Case) -> Iterator[Problem]:
    if case.facts.n_effective is not None and isinstance(case.config.loss, UserCode):
        message = "a loss of your own takes no weights of examples, but the data has weights"
        yield Problem("loss", message, "use a built-in loss, or remove the weights from the data")


def _counts(case: Case) -> Iterator[Problem]:
    least = case.facts.min_target
    if getattr(case.config.loss, "is_of_counts", False) and least is not None and least < 0:
        message = f"poisson needs counts, but a target is {least:g}"
        yield Problem("loss", message, "use mse or huber")


def _inputs(case: Case) -> Iterator[Problem]:
    model, kind = case.config.model, case.facts.inputs.kind
    if isinstance(model, UserCode) or kind in model.kinds:
        return
    accepted = _either([_PLURALS[one] for one in model.kinds])
    message = f"{model.name} needs {accepted}, but the data has {_PLURALS[kind]}"
    yield Problem("model", message, f"use {_either(_models_for(kind))}")


def _models_for(kind: str) -> list[str]:
    """The names of the models that read inputs of a kind."""
    return [
        name
        for knob in get_args(AnyModel)
        if knob is not UserCode and kind in knob.kinds
        for name in get_args(knob.model_fields["name"].annotation)
    ]


def _either(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _embedding(case: Case) -> Iterator[Problem]:
    model = case.config.model
    is_set = "embedding" in model.model_fields_set and case.facts.inputs.kind == "features"
    if is_set and not isinstance(model, UserCode) and not case.facts.inputs.categories:
        message = "it is the size of the vectors of categories, but the data has no codes of categories"
        yield Problem("model.embedding", message, "set `data.categories: embedding`, or drop it")


def _backbone(case: Case) -> Iterator[Problem]:
    """A backbone without its package or its file, channels that it cannot read, and frozen weights that are changed."""
    model, training = case.config.model, case.config.training
    if not isinstance(model, Backbone):
        return
    try:
        require_package("a backbone", "torchvision", "torchvision", "the model resnet")
    except UsageError as error:
        yield Problem("model", error.message, error.hint)
    if model.weights_file is not None and not (case.base_path / model.weights_file).is_file():
        message = f"there is no file {model.weights_file}"
        yield Problem("model.weights", message, "correct the path, or use `none` or `default`")
    if model.freeze and case.config.weights:
        message = "the chain changes every weight, and `model.freeze` keeps those of the backbone"
        yield Problem("weights", message, "drop one of the two")
    if model.freeze and isinstance(training.average, Swa):
        message = "swa computes the statistics of batch norms anew, and `model.freeze` keeps them"
        yield Problem("training.average", message, "use ema, or drop `freeze`")
    if model.unfreeze_at is not None and model.unfreeze_at >= case.n_epochs:
        message = f"the backbone is never trained: the run ends after {case.n_epochs:g} epochs"
        yield Problem("model.unfreeze_at", message, f"at most {ceil(case.n_epochs) - 1}, or drop it")
    if case.facts.inputs.kind == "image" and case.facts.inputs.shape[0] not in (1, 3):
        message = f"a backbone reads images of 1 or 3 channels, but the data has {case.facts.inputs.shape[0]}"
        yield Problem("model", message, "use cnn or resnet")


def _patch(case: Case) -> Iterator[Problem]:
    model = case.config.model
    if not isinstance(model, Transformer) or case.facts.inputs.kind != "image":
        return
    _, rows, columns = case.facts.inputs.shape
    if rows % model.patch or columns % model.patch:
        common = gcd(rows, columns)
        fitting = [str(patch) for patch in range(1, common + 1) if common % patch == 0]
        message = f"a patch of {model.patch} does not divide an image of {rows} × {columns}"
        yield Problem("model.patch", message, f"one of {', '.join(fitting)}")


def _initialisation(case: Case) -> Iterator[Problem]:
    model = case.config.model
    if isinstance(model, UserCode):
        return
    init = getattr(model, "init", DEFAULT)
    if model.has_convolutions and init.name in ("eye", "sparse"):
        message = f"{init.name} fits linear layers, but {model.name} has convolutions"
        yield Problem("model.init", message, "use dirac or orthogonal")
    if not model.has_convolutions and init.name == "dirac":
        message = f"dirac fits convolutions, but {model.name} has none"
        yield Problem("model.init", message, "use eye or orthogonal")


def _text(case: Case) -> Iterator[Problem]:
    data = case.config.data
    for key in ("text_with_columns", "tokens", "lowercase", "max_length", "max_tokens"):
        if data.text is None and key in data.model_fields_set:
            yield Problem(f"data.{key}", "it is for texts, but no column of texts is named", "set `text`")


def _files(case: Case) -> Iterator[Problem]:
    """Files that are missing, and a test file without the columns and classes of the training data.

    A test file is checked before a search is spent on it, although no trial reads its rows.
    """
    test = case.config.data.test
    for require in (stamps_of, read_test if test is not None and test.file is not None else require_test):
        try:
            require(case.config.data, case.base_path)
        except DataError as error:
            yield Problem(error.parameter, error.message, error.hint)


def _mixups(case: Case) -> Iterator[Problem]:
    numbers = [number for number, one in enumerate(case.config.data.augment) if isinstance(one, Mixup)]
    for number in numbers[1:]:
        yield Problem(f"data.augment.{number}", "a batch is mixed only once", "keep one mixup")


def _augmentation(case: Case) -> Iterator[Problem]:
    for number, augmentation in enumerate(case.config.data.augment):
        parameter = f"data.augment.{number}"
        if case.facts.inputs.n_tokens:
            message = f"{augmentation.name} changes numbers, but the data has tokens"
            yield Problem(parameter, message, "drop it")
        elif case.facts.inputs.categories and isinstance(augmentation, Mixup):
            message = "mixup cannot mix the codes of categories"
            yield Problem(parameter, message, "use `data.categories: one_hot`, or drop mixup")
        elif augmentation.needs_images:
            yield from _image_augmentation(augmentation, case, parameter)


def _image_augmentation(augmentation: AnyAugmentation, case: Case, parameter: str) -> Iterator[Problem]:
    if case.facts.inputs.kind != "image":
        hint = "noise, mask and mixup fit other inputs"
        yield Problem(parameter, f"{augmentation.name} needs images", hint)
        return
    side = min(case.facts.inputs.shape[1:])
    if isinstance(augmentation, Crop) and augmentation.pixels >= side:
        message = f"a shift of {augmentation.pixels} pixels can empty an image of {side}"
        yield Problem(f"{parameter}.pixels", message, f"at most {side - 1}")
    if isinstance(augmentation, Cutout) and augmentation.size > side:
        message = f"a square of {augmentation.size} pixels is larger than the image, {side}"
        yield Problem(f"{parameter}.size", message, f"at most {side}")


def _balance(case: Case) -> Iterator[Problem]:
    balance, task = case.config.data.balance, case.facts.task
    if balance != "none" and task == "regression":
        yield Problem("data.balance", "only classes can be balanced", "drop `balance`")
    if balance == "sample" and task == "multilabel":
        message = "examples with several labels cannot be sampled so that all labels are equally likely"
        yield Problem("data.balance", message, "use `balance: weight`")


def _batches(case: Case) -> Iterator[Problem]:
    if not has_batch_norm(case.config.model):
        return
    if case.config.training.batch_size == 1:
        hint = "use a larger batch, or another `norm`"
        yield Problem("training.batch_size", "batch norm needs more than one example in a batch", hint)
    elif case.n_train == 1:
        yield Problem("model.norm", "batch norm needs more than one training example", "use another `norm`")


def _precision(case: Case) -> Iterator[Problem]:
    training = case.config.training
    if getattr(case.config.optimizer, "needs_closure", False) and training.precision != "float32":
        message = f"lbfgs needs differences of gradients, which {training.precision} is too coarse for"
        yield Problem("training.precision", message, "use float32, or another optimizer")
    if training.compile and (missing := missing_compiler()):
        message = f"torch.compile needs a C++ compiler, but {missing} is not installed"
        yield Problem("training.compile", message, "install one, or drop `compile`")
    if training.channels_last and case.facts.inputs.kind != "image":
        message = f"channels_last is a layout of images, but the data has {case.facts.inputs.kind} inputs"
        yield Problem("training.channels_last", message, "drop it")


def _accumulation(case: Case) -> Iterator[Problem]:
    training = case.config.training
    if training.accumulate == 1:
        return
    if steps_once_an_epoch(case.config) or training.batch_size == "full":
        message = "each step already takes the whole training set, so there is nothing to accumulate"
        yield Problem("training.accumulate", message, "drop it, or use smaller batches")
    elif training.accumulate > (n_batches := -(-case.n_train // training.batch_size)):
        message = f"a step would take {training.accumulate} batches, but an epoch has {n_batches}"
        yield Problem("training.accumulate", message, f"at most {n_batches}, or smaller batches")


DATA_RULES: tuple[Rule, ...] = (
    *(_loss_task, _class_weights, _weights, _counts),
    *(_inputs, _embedding, _backbone, _patch, _initialisation),
    *(_text, _files, _mixups, _augmentation, _balance),
)
"""Losses, models and data."""

TRAINING_RULES: tuple[Rule, ...] = (_batches, _precision, _accumulation)
"""The training loop."""
