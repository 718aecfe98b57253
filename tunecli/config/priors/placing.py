"""The priors of a space: for each parameter of which something is known, its distribution, by the parameter's key.

A parameter is known by its path under ``trial``, by the name that the file gives beside its range (``as:``), or, in own
functions and commands, by its own name (`names`). A rate and a decay depend on the optimizer, which is fixed, or that
of the branch, or another parameter; a rate also depends on the batch size and the momentum. A parameter has no prior if
the file says more than its range (``default:``, ``weights:``, a normal distribution), or if nearly all of the prior
lies outside the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from tunecli.config.concrete_trial import concrete, parents_of
from tunecli.config.domains import Categorical, Domain, Normal, Powers
from tunecli.config.expressions import (
    Choice,
    Expression,
    FixedList,
    Group,
    VariableList,
    children,
    is_among,
    join,
)
from tunecli.config.priors.names import fixed_values, is_own_program, knobs_by_name
from tunecli.config.priors.prior import Prior, Shift, lies_outside, number_of, says_something, shift_at
from tunecli.config.priors.table import (
    ANY_OPTIMIZER,
    BATCH,
    DECAY,
    MOMENTUM,
    NAMES,
    NO_SETTING,
    NUMBERS,
    OPTIMIZER,
    OPTIMIZERS,
    RATE,
    REFERENCE_BATCH,
    Numbers,
    OfOptimizer,
    knob_at,
    split_optimizer,
)
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.space import Parameter, Space, point_with
from tunecli.trial import Scalar

_DEFAULTS: Mapping[str, Scalar] = {BATCH: 64, OPTIMIZER: "adamw", MOMENTUM: 0.0}
"""Of a trial that names none of them."""


def with_priors(space: Space) -> Space:
    """The space with the priors of its parameters."""
    return replace(space, priors=priors_of(space))


def priors_of(space: Space) -> dict[str, Prior]:
    """The priors of a checked space, by the keys of its parameters."""
    return {
        parameter.key: prior for parameter, prior in _found(space) if says_something(prior, parameter.domain)
    }


def outside_priors(space: Space) -> list[tuple[Parameter, Prior]]:
    """The parameters whose prior is not used because it lies outside of their range, with that prior."""
    return [(parameter, prior) for parameter, prior in _found(space) if lies_outside(prior, parameter.domain)]


def _found(space: Space) -> Iterator[tuple[Parameter, Prior]]:
    """Yield each parameter that is a known setting, unless the file says where its good values lie, with the prior."""
    knobs = knobs_of(space)
    with_default = tuple(_lists_with_default(space.tree, ""))
    for parameter in space.parameters:
        if not knobs[parameter.key] or has_own(parameter) or parameter.name.startswith(with_default):
            continue
        if (prior := _prior(space, parameter, knobs)) is not None:
            yield parameter, prior


def knobs_of(space: Space) -> dict[str, str]:
    """The name in the table of each parameter, by the parameter's key; empty if nothing is known of it."""
    by_name = knobs_known_by_name(space)
    return {
        parameter.key: ""
        if parameter.known_as == NO_SETTING
        else parameter.known_as or by_name.get(parameter.key) or knob_at(parameter.name)
        for parameter in space.parameters
    }


def knobs_known_by_name(space: Space) -> dict[str, str]:
    """The settings that parameters of an own function or command have the names of, by the parameters' keys."""
    if not is_own_program(space.tree):
        return {}
    fixed = (path for path, _ in fixed_values(_plain(space, {})))
    by_path = knobs_by_name([*(parameter.name for parameter in space.parameters), *fixed])
    return {
        parameter.key: by_path[parameter.name]
        for parameter in space.parameters
        if parameter.name in by_path and not parameter.known_as
    }


def has_own(parameter: Parameter) -> bool:
    """Whether the file itself says where good values lie."""
    domain: Domain = parameter.domain
    if isinstance(domain, Powers):
        domain = domain.exponents
    is_weighted = isinstance(domain, Categorical) and bool(domain.weights)
    return parameter.default is not None or is_weighted or isinstance(domain, Normal)


def _lists_with_default(expression: Expression, path: str) -> Iterator[str]:
    """Yield the beginning of the names of all parameters of each list that has a default."""
    match expression:
        case VariableList(default_items=default) if default is not None:
            yield f"{path}."
        case Group() | FixedList():
            for step, item in children(expression):
                yield from _lists_with_default(item, join(path, step))
        case Choice(options=options):
            for option in options:
                yield from _lists_with_default(option, path)


def _prior(space: Space, parameter: Parameter, knobs: Mapping[str, str]) -> Prior | None:
    knob = knobs[parameter.key]
    _, key = split_optimizer(knob)
    if key in (RATE, DECAY):
        return _of_optimizer(space, parameter, knobs)
    domain = parameter.domain
    if key in NAMES:
        if not isinstance(domain, Categorical):
            return None
        weights = NAMES[key].weights
        return Prior(knob, weights=tuple(weights.get(_name(option), 1.0) for option in domain.options))
    numbers = NUMBERS[key]
    return Prior(knob, numbers.scale, numbers.centre, numbers.deviation)


def _name(option: Scalar) -> str:
    """The name of an option by its label, in lower case; the second one of the name `sgd` has the label ``sgd#2``."""
    return str(option).partition("#")[0].lower()


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The surroundings of a parameter in its trials: values by knob, and the parameters that vary beside it.

    Attributes:
        values: fixed values, or those of the parameter's branch.
        varying: by knob, another parameter that may have several values in such a trial.
    """

    values: Mapping[str, Scalar]
    varying: Mapping[str, Parameter]


def _surroundings(space: Space, parameter: Parameter, knobs: Mapping[str, str]) -> _Surroundings:
    chosen = parents_of(parameter)
    plain = _plain(space, chosen)
    values: dict[str, Scalar] = {}
    if is_own_program(space.tree):
        values |= _of_own_program(space, plain)
    elif isinstance(plain, dict):
        values |= _of_our_trial(plain)
    varying: dict[str, Parameter] = {}
    active = [one for one in space.parameters if _goes_with(one, chosen)]
    for one in active:
        if knobs[one.key] not in _DEFAULTS:
            continue
        if one.key in chosen:
            values[knobs[one.key]] = chosen[one.key]
        else:
            values.pop(knobs[one.key], None)
            varying.setdefault(knobs[one.key], one)
    return _Surroundings(values, varying)


def _plain(space: Space, chosen: Mapping[str, Scalar]) -> Any:
    """A trial of the space in which some parameters have the values ``chosen``; None without a complete one."""
    with suppress(DanglingReferenceError):
        return concrete(space, point_with(space, chosen))
    return None


def _of_own_program(space: Space, plain: Any) -> dict[str, Scalar]:
    """The fixed values of known names in an own function or command."""
    searched = {parameter.name for parameter in space.parameters}
    fixed = {path: value for path, value in fixed_values(plain) if path not in searched}
    return {knob: fixed[path] for path, knob in knobs_by_name([*fixed, *searched]).items() if path in fixed}


def _goes_with(parameter: Parameter, chosen: Mapping[str, Scalar]) -> bool:
    """Whether a parameter is active in each trial in which the parents of another one have the values ``chosen``."""
    return all(
        condition.key in chosen and is_among(chosen[condition.key], condition.values)
        for condition in parameter.conditions
    )


def _of_our_trial(plain: Mapping[str, Any]) -> dict[str, Scalar]:
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
    return values


def _of_optimizer(space: Space, parameter: Parameter, knobs: Mapping[str, str]) -> Prior | None:
    """The prior of a learning rate or a weight decay."""
    knob = knobs[parameter.key]
    own, key = split_optimizer(knob)
    near = _surroundings(space, parameter, knobs)
    name = own or _name(near.values.get(OPTIMIZER, _optimizer_with_momentum(near)))
    known = OPTIMIZERS.get(name, ANY_OPTIMIZER)
    chooser = near.varying.get(OPTIMIZER)
    shifts: tuple[Shift, ...] = ()
    if own or chooser is None or not isinstance(chooser.domain, Categorical):
        numbers = _numbers(known, key)
    else:
        numbers, shifts = _by_option(chooser, chooser.domain.options, key)
        known = ANY_OPTIMIZER
    if numbers is None:
        return None
    if key == DECAY:
        return Prior(knob, numbers.scale, numbers.centre, numbers.deviation, shifts)
    centre = numbers.centre
    batch = Shift("", scale="log", slope=known.batch_power, reference=REFERENCE_BATCH)
    momentum = Shift("", scale="below_one", slope=-known.momentum_power, reference=0.0)
    for one, by in ((BATCH, batch), (MOMENTUM, momentum)):
        if not by.slope:
            continue
        if one in near.varying:
            shifts = (*shifts, replace(by, key=near.varying[one].key))
        elif (fixed := number_of(near.values.get(one))) is not None:
            centre *= 10 ** shift_at(by, fixed)
    return Prior(knob, numbers.scale, centre, numbers.deviation, shifts)


def _optimizer_with_momentum(near: _Surroundings) -> str | None:
    """The optimizer of an own program that has a momentum and names no optimizer."""
    return "sgd" if MOMENTUM in near.values or MOMENTUM in near.varying else None


def _numbers(known: OfOptimizer, key: str) -> Numbers | None:
    return known.rate if key == RATE else known.decay


def _by_option(chooser: Parameter, options: Iterable[Scalar], key: str) -> tuple[Numbers, tuple[Shift, ...]]:
    """The prior with the geometric mean of the options' centres, and the shift from it for each option."""
    every = [
        (option, _numbers(OPTIMIZERS.get(_name(option), ANY_OPTIMIZER), key) or ANY_OPTIMIZER.rate)
        for option in options
    ]
    mean = fmean(math.log10(numbers.centre) for _, numbers in every)
    deviation = max(numbers.deviation for _, numbers in every)
    by_option = tuple((option, math.log10(numbers.centre) - mean) for option, numbers in every)
    return Numbers(10**mean, deviation, "log", ""), (Shift(chooser.key, by_option),)
