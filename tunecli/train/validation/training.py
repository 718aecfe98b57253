"""Knobs of the loop that do not go together, and a metric that does not fit the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunecli.config.metrics import METRICS
from tunecli.config.schema.optimizers import Gd, Lbfgs
from tunecli.config.suggestions import nearest
from tunecli.config.user_code import goal_places
from tunecli.train.data.sources import read_validation
from tunecli.train.data.splits import n_validated_classes
from tunecli.train.machine import missing_compiler
from tunecli.train.sizes import has_batch_norm
from tunecli.train.validation.case import Case, Complaint, Rule


def _batches(case: Case) -> Iterator[Complaint]:
    if not has_batch_norm(case.config.model):
        return
    if case.config.training.batch_size == 1:
        hint = "use a larger batch, or another `norm`"
        yield Complaint("training.batch_size", "batch norm needs more than one example in a batch", hint)
    elif case.n_train == 1:
        yield Complaint("model.norm", "batch norm needs more than one training example", "use another `norm`")


def _precision(case: Case) -> Iterator[Complaint]:
    training = case.config.training
    if isinstance(case.config.optimizer, Lbfgs) and training.precision != "float32":
        message = f"lbfgs takes second differences of the loss, which {training.precision} has no digits for"
        yield Complaint("training.precision", message, "use float32, or another optimizer")
    if training.compile and (missing := missing_compiler()):
        message = f"torch.compile needs a C++ compiler, and there is no {missing} here"
        yield Complaint("training.compile", message, "install one, or drop `compile`")
    if training.channels_last and case.facts.inputs.kind != "image":
        message = f"channels_last is a layout of images, and the data are {case.facts.inputs.kind}"
        yield Complaint("training.channels_last", message, "drop it")


def _accumulation(case: Case) -> Iterator[Complaint]:
    training = case.config.training
    if training.accumulate == 1:
        return
    if isinstance(case.config.optimizer, Gd) or training.batch_size == "full":
        message = "a step takes the whole training set already: there is nothing to accumulate"
        yield Complaint("training.accumulate", message, "drop it, or use smaller batches")
    elif training.accumulate > (n_batches := -(-case.n_train // training.batch_size)):
        message = f"a step would take {training.accumulate} batches, and an epoch has {n_batches}"
        yield Complaint("training.accumulate", message, f"at most {n_batches}, or smaller batches")


def _metric(case: Case) -> Iterator[Complaint]:
    objective = case.objective
    named = [
        (".".join(map(str, place)), goal.metric)
        for place, goal in zip(goal_places(objective), objective.goals, strict=True)
        if not goal.python
    ]
    own = {goal.metric for goal in objective.goals if goal.python}
    named += [
        (f"objective.subject_to.{each.metric}", each.metric)
        for each in objective.constraints
        if each.metric not in own
    ]
    for path, name in named:
        yield from _of_metric(case, path, name)


def _of_metric(case: Case, path: str, name: str) -> Iterator[Complaint]:
    known = METRICS.get(name)
    fitting = [each for each, facts in METRICS.items() if case.facts.task in facts.tasks]
    shown = [f"{each} (macro average)" if each == "val_f1" else each for each in fitting]
    hint = f"one of {', '.join(shown)}"
    if known is None:
        yield Complaint(path, f"`{name}` is no metric", nearest(name, fitting) or hint)
    elif case.facts.task not in known.tasks:
        yield Complaint(path, f"a {case.facts.task} task has no {name}", hint)
    elif case.n_valid == 1 and name in ("val_auroc", "val_r2"):
        yield Complaint(path, f"{name} of one validation example is not defined", "validate on more")
    elif (name == "val_auroc" and _n_validated_classes(case) < 2) or (
        name == "val_r2" and _is_constant(case)
    ):
        what = "class" if name == "val_auroc" else "target"
        message = f"{name} is not defined where all {case.n_valid} validation examples have one {what}"
        yield Complaint(path, message, "validate on more")


def _n_validated_classes(case: Case) -> int:
    """The classes among the validation examples, of the parts the fewest."""
    data = case.config.data
    own = read_validation(data, case.base_path)
    if own is not None:
        return len(np.unique(own.y))
    return n_validated_classes(case.facts.class_counts, data.validation, data.test)


def _is_constant(case: Case) -> bool:
    """Whether the targets of a validation file are all the same; of a part of the training file, its seed decides."""
    own = read_validation(case.config.data, case.base_path)
    return own is not None and len(np.unique(own.y)) == 1


RULES: tuple[Rule, ...] = (_batches, _precision, _accumulation, _metric)
