"""Settings of the loop that exclude each other, and metrics that do not fit the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunecli.config.metrics import METRICS
from tunecli.config.suggestions import nearest
from tunecli.config.user_code import goal_places
from tunecli.train.data.sources import read_validation
from tunecli.train.data.splits import n_validated_classes
from tunecli.train.machine import missing_compiler
from tunecli.train.model_size import has_batch_norm
from tunecli.train.validation.case import Case, Problem, Rule
from tunecli.train.workload import steps_once_an_epoch


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


def _metric(case: Case) -> Iterator[Problem]:
    objective = case.objective
    named = [
        (".".join(map(str, place)), goal.metric)
        for place, goal in zip(goal_places(objective), objective.goals, strict=True)
        if not goal.python
    ]
    own = {goal.metric for goal in objective.goals if goal.python}
    named += [
        (f"objective.subject_to.{constraint.metric}", constraint.metric)
        for constraint in objective.constraints
        if constraint.metric not in own
    ]
    for path, name in named:
        yield from _metric_problems(case, path, name)


def _metric_problems(case: Case, path: str, name: str) -> Iterator[Problem]:
    known = METRICS.get(name)
    fitting = [metric for metric, facts in METRICS.items() if case.facts.task in facts.tasks]
    shown = [f"{metric} (macro average)" if metric == "val_f1" else metric for metric in fitting]
    hint = f"one of {', '.join(shown)}"
    if known is None:
        yield Problem(path, f"`{name}` is not a metric", nearest(name, fitting) or hint)
    elif case.facts.task not in known.tasks:
        yield Problem(path, f"a {case.facts.task} task has no {name}", hint)
    elif case.n_valid == 1 and name in ("val_auroc", "val_r2"):
        yield Problem(path, f"{name} is not defined for one validation example", "validate on more")
    elif (name == "val_auroc" and _n_validated_classes(case) < 2) or (
        name == "val_r2" and _is_constant(case)
    ):
        what = "class" if name == "val_auroc" else "target"
        message = f"{name} is not defined where all {case.n_valid} validation examples have one {what}"
        yield Problem(path, message, "validate on more")


def _n_validated_classes(case: Case) -> int:
    """Number of classes among the validation examples, in the part that has the fewest."""
    data = case.config.data
    own = read_validation(data, case.base_path)
    if own is not None:
        return len(np.unique(own.y))
    return n_validated_classes(case.facts.class_counts, data.validation, data.test)


def _is_constant(case: Case) -> bool:
    """Whether all targets of a validation file are equal; False for a part split off, which depends on the seed."""
    own = read_validation(case.config.data, case.base_path)
    return own is not None and len(np.unique(own.y)) == 1


RULES: tuple[Rule, ...] = (_batches, _precision, _accumulation, _metric)
