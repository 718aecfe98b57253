"""Metrics that do not fit the task, or that are undefined on the validation part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tunecli.config.metric_names import NamedMetric, metric_of
from tunecli.config.metrics import METRICS, TARGET
from tunecli.config.schema.losses import Task
from tunecli.config.suggestions import nearest
from tunecli.config.user_code import goal_places
from tunecli.train.data.sources import DataFacts, read_validation
from tunecli.train.validation.case import Case, Problem, Rule

_LIKE: dict[str, str] = {
    "val_accuracy": "val_r2",
    "val_auroc": "val_spearman",
    "val_log_loss": "val_rmse",
    "val_brier": "val_rmse",
    "val_rmse": "val_brier",
    "val_mae": "val_brier",
    "val_r2": "val_accuracy",
    "val_spearman": "val_auroc",
}
"""For metrics of one task, the one of the other task that measures about the same."""
_SHOWN_CLASSES = 12


def _metrics(case: Case) -> Iterator[Problem]:
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
    named += [
        (f"objective.also.{number}", name) for number, name in enumerate(objective.also) if name not in own
    ]
    for path, name in named:
        yield from _problems(case, path, name)


def _problems(case: Case, path: str, name: str) -> Iterator[Problem]:
    task, metric = case.facts.task, metric_of(name)
    if metric is None:
        yield Problem(path, f"`{name}` is not a metric", nearest(name, _fitting(task)) or _one_of(task))
    elif task not in metric.facts.tasks:
        like = _LIKE.get(metric.base, "")
        hint = f"the nearest is {like}; {_one_of(task)}" if like else _one_of(task)
        yield Problem(path, f"a {task} task has no {name}", hint)
    else:
        yield from _undefined(case, path, metric)
        yield from _misfits(case, path, metric)


def _fitting(task: Task) -> list[str]:
    return [name for name, facts in METRICS.items() if task in facts.tasks]


def _one_of(task: Task) -> str:
    shown = [f"{name} (macro average)" if name == "val_f1" else name for name in _fitting(task)]
    return f"one of {', '.join(shown)}"


def _undefined(case: Case, path: str, metric: NamedMetric) -> Iterator[Problem]:
    """Metrics without a value, as far as the data show it before they are split."""
    name, needs = metric.name, metric.facts.needs
    if case.facts.task == "multilabel":
        return  # a label without two values is left out of the mean
    if needs in ("classes", "variation") and case.n_valid == 1:
        yield Problem(path, f"{name} is not defined for one validation example", "validate on more")
    elif (needs == "classes" and _least_classes(case) < 2) or (needs == "variation" and _is_constant(case)):
        what = "class" if needs == "classes" else "target"
        message = f"{name} is not defined where all {case.n_valid} validation examples have one {what}"
        yield Problem(path, message, "validate on more")
    elif needs == "nonzero" and case.facts.has_zero_target:
        yield Problem(path, f"{name} is not defined where a target is 0", "use val_mae or val_rmsle")
    elif needs == "nonnegative" and (least := case.facts.min_target) is not None and least < 0:
        message = f"{name} needs targets of at least 0, but one is {least:g}"
        yield Problem(path, message, "use val_mae or val_rmse")


def _misfits(case: Case, path: str, metric: NamedMetric) -> Iterator[Problem]:
    """Settings that do not fit the classes of the data."""
    settings, facts = metric.settings, case.facts
    if facts.task == "multilabel":
        yield from _of_labels(path, metric, facts)
        return
    if facts.task == "regression":
        yield from _of_target(path, metric, facts)
        return
    if settings.get("average") == "samples":
        message = f"{metric.name} is the mean over the labels of each example, but the data has classes"
        yield Problem(path, message, f"use {metric.base}, or {metric.base}_weighted")
    if "k" in settings and settings["k"] >= facts.n_classes:
        message = f"{metric.name} is always 1: the data has {facts.n_classes} classes"
        hint = "use val_accuracy" if facts.n_classes == 2 else f"at most {facts.n_classes - 1}"
        yield Problem(path, message, hint)
    if settings.get("average") == "binary" and facts.n_classes != 2:
        message = f"{metric.name} needs two classes, but the data has {facts.n_classes}"
        hint = f"name a class, {{name: {metric.base}, positive: CLASS}}, or use {metric.base}"
        yield Problem(path, message, hint)
    if "positive" in settings and facts.class_names:
        yield from _of_class(case, path, metric, settings["positive"])


def _of_labels(path: str, metric: NamedMetric, facts: DataFacts) -> Iterator[Problem]:
    """Settings that do not fit labels."""
    if metric.settings.get("average") == "binary":
        hint = f"name a label, {{name: {metric.base}, positive: LABEL}}, or use {metric.base}"
        yield Problem(path, f"{metric.name} needs two classes, but the data has labels", hint)
    name = metric.settings.get("positive")
    if name is not None and facts.class_names and name not in facts.class_names:
        yield _no_such(
            path, f"{metric.name}: the data has no label `{name}`", name, facts.class_names, "labels"
        )


def _of_target(path: str, metric: NamedMetric, facts: DataFacts) -> Iterator[Problem]:
    """A target that the data lacks."""
    name, names = metric.settings.get(TARGET), facts.target_names
    if name is not None and not names:
        yield Problem(path, f"{metric.name}: the data has only one target", f"use {metric.base}")
    elif name is not None and name not in names:
        yield _no_such(path, f"{metric.name}: the data has no target `{name}`", name, names, "targets")


def _no_such(path: str, message: str, name: str, names: Sequence[str], word: str) -> Problem:
    n_more = len(names) - _SHOWN_CLASSES
    more = f" and {n_more} more" if n_more > 0 else ""
    hint = nearest(name, names) or f"the {word} are {', '.join(names[:_SHOWN_CLASSES])}{more}"
    return Problem(path, message, hint)


def _of_class(case: Case, path: str, metric: NamedMetric, name: str) -> Iterator[Problem]:
    names = case.facts.class_names
    if name not in names:
        yield _no_such(path, f"{metric.name}: the data has no class `{name}`", name, names, "classes")
    elif any(names.index(name) not in present for present in _classes(case)):
        message = f"{metric.name} is not defined where no validation example has the class `{name}`"
        yield Problem(path, message, "validate on more")


def _classes(case: Case) -> tuple[frozenset[int], ...]:
    """The classes of the examples of each validation part."""
    return case.split.classes


def _least_classes(case: Case) -> int:
    return min(map(len, _classes(case)))


def _is_constant(case: Case) -> bool:
    """Whether all targets of a validation file are equal; False for a part split off, which depends on the seed."""
    own_N = _own_targets(case)
    return own_N is not None and len(own_N) > 0 and bool((own_N == own_N[:1]).all())


def _own_targets(case: Case) -> NDArray[np.generic] | None:
    """The targets of a validation file; None for a part split off."""
    own = read_validation(case.config.data, case.base_path)
    return None if own is None else own.y


def _threshold(case: Case) -> Iterator[Problem]:
    facts = case.facts
    has_threshold = case.objective.tunes_threshold or case.objective.threshold is not None
    if has_threshold and facts.task == "classification" and facts.n_classes != 2:
        message = f"a threshold decides between two classes, but the data has {facts.n_classes}"
        yield Problem("objective.threshold", message, "remove it")


RULES: tuple[Rule, ...] = (_metrics, _threshold)
