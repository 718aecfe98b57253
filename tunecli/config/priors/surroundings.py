"""The surroundings of a parameter in its trials: the fixed and varying settings beside it that its prior depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunecli.config.concrete_trial import concrete, parents_of
from tunecli.config.domains import bounds
from tunecli.config.expressions import is_among
from tunecli.config.priors.names import fixed_values, is_own_program, knobs_by_name
from tunecli.config.priors.prior import number_of
from tunecli.config.priors.table import (
    BATCH,
    DEPTH,
    EPOCHS,
    HIDDEN,
    MOMENTUM,
    NO_SETTING,
    OPTIMIZER,
    REFERENCE_BATCH,
    WIDTH,
)
from tunecli.config.priors.training_size import training_rows
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.space import Parameter, Space, point_with
from tunecli.trial import Scalar

_DEFAULTS: Mapping[str, Scalar] = {BATCH: 64, OPTIMIZER: "adamw", MOMENTUM: 0.0}
"""Of a trial that names none of them."""
_NEAR = (*_DEFAULTS, EPOCHS, WIDTH, HIDDEN, DEPTH)
_MIN_STEPS = 10  # the fewest of the calibration


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The surroundings of a parameter in its trials: values by knob, and the parameters that vary beside it.

    Attributes:
        values: fixed values, or those of the parameter's branch.
        varying: by knob, another parameter that may have several values in such a trial.
        rows: the rows that a trial is trained on; None: they are unknown.
    """

    values: Mapping[str, Scalar]
    varying: Mapping[str, Parameter]
    rows: float | None = None


def surroundings(
    space: Space, parameter: Parameter, knobs: Mapping[str, str], base_path: Path | None
) -> Surroundings:
    """Return the surroundings of a parameter.

    Args:
        space: the space.
        parameter: a parameter of the space.
        knobs: the setting that each parameter is, by its key; empty if nothing is known of it.
        base_path: the folder that the path of the data file starts from. The rows of that file are counted; None: they
            are unknown.
    """
    chosen = parents_of(parameter)
    plain = plain_of(space, chosen)
    values: dict[str, Scalar] = {}
    rows = None
    if is_own_program(space.tree):
        values |= _of_own_program(space, plain)
    elif isinstance(plain, dict):
        values |= _of_our_trial(plain)
        rows = training_rows(plain.get("data"), base_path)
    varying: dict[str, Parameter] = {}
    active = [one for one in space.parameters if _goes_with(one, chosen)]
    for one in active:
        if knobs[one.key] not in _NEAR:
            continue
        if one.key in chosen:
            values[knobs[one.key]] = chosen[one.key]
        else:
            values.pop(knobs[one.key], None)
            varying.setdefault(knobs[one.key], one)
    return Surroundings(values, varying, rows)


def plain_of(space: Space, chosen: Mapping[str, Scalar]) -> Any:
    """A trial of the space in which some parameters have the values ``chosen``; None without a complete one."""
    with suppress(DanglingReferenceError):
        return concrete(space, point_with(space, chosen))
    return None


def _of_own_program(space: Space, plain: Any) -> dict[str, Scalar]:
    """The fixed values of known names in an own function or command."""
    searched = {parameter.name for parameter in space.parameters}
    fixed = {path: value for path, value in fixed_values(plain) if path not in searched}
    settings = {parameter.name for parameter in space.parameters if parameter.known_as != NO_SETTING}
    return {knob: fixed[path] for path, knob in knobs_by_name([*fixed, *settings]).items() if path in fixed}


def _goes_with(parameter: Parameter, chosen: Mapping[str, Scalar]) -> bool:
    """Whether a parameter is active in each trial in which the parents of another one have the values ``chosen``."""
    return all(
        condition.key in chosen and is_among(chosen[condition.key], condition.values)
        for condition in parameter.conditions
    )


def _of_our_trial(plain: Mapping[str, Any]) -> dict[str, Scalar]:
    """The fixed settings of a trial that tunecli trains."""
    optimizer, training = plain.get("optimizer"), plain.get("training")
    of_optimizer = {"name": optimizer} if isinstance(optimizer, str) else optimizer
    keys: dict[str, Any] = dict(of_optimizer) if isinstance(of_optimizer, dict) else {}
    values = dict(_DEFAULTS)
    if "python" in keys:
        values[OPTIMIZER] = None
    elif isinstance(keys.get("name"), str):
        values[OPTIMIZER] = keys["name"]
    if number_of(keys.get("momentum")) is not None:
        values[MOMENTUM] = keys["momentum"]
    if isinstance(training, dict):
        values[BATCH] = training.get("batch_size", values[BATCH])
        if number_of(epochs := training.get("epochs")) is not None:
            values[EPOCHS] = epochs
    if isinstance(model := plain.get("model"), dict):
        for key in (WIDTH, DEPTH):
            if number_of(size := model.get(key.rpartition(".")[2])) is not None:
                values[key] = size
    return values


def steps_of(near: Surroundings) -> float | None:
    """The optimizer steps of a training with batches of the reference's size; None if unknown."""
    epochs = number_of(near.values.get(EPOCHS))
    if EPOCHS in near.varying:
        epochs = middle_of(near.varying[EPOCHS])
    if near.rows is None or epochs is None:
        return None
    return max(near.rows * epochs / REFERENCE_BATCH, _MIN_STEPS)


def middle_of(parameter: Parameter) -> float:
    """The middle of the numbers of a parameter on a logarithmic scale."""
    numbers = [number for value in bounds(parameter.domain) if (number := number_of(value)) and number > 0]
    return math.sqrt(numbers[0] * numbers[-1]) if numbers else 1.0
