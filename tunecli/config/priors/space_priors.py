"""The priors of a space: for each parameter of which something is known, its distribution, by the parameter's key.

A parameter is known by its path under ``trial``, by the name that the file gives beside its range (``as:``), or, in own
functions and commands, by its own name (`names`). A rate and a decay depend on the optimizer, which is fixed, or that
of the branch, or another parameter; a rate also depends on the batch size and the momentum. A parameter has no prior if
the file says more than its range (``default:``, ``weights:``, a normal distribution), or if nearly all of the prior
lies outside the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tunecli.config.domains import Categorical, Domain, Normal, Powers
from tunecli.config.expressions import Choice, Expression, FixedList, Group, VariableList, children, join
from tunecli.config.priors.names import fixed_values, is_own_program, knobs_by_name
from tunecli.config.priors.prior import Prior, is_informative, lies_outside, name_of
from tunecli.config.priors.rates import rate_or_decay
from tunecli.config.priors.surroundings import plain_of, steps_of, surroundings
from tunecli.config.priors.table import (
    DECAY,
    LONG_STEPS,
    NAMES,
    NO_SETTING,
    NUMBERS,
    RATE,
    knob_at,
    split_optimizer,
)
from tunecli.config.space import Parameter, Space


def with_priors(space: Space, base_path: Path | None = None) -> Space:
    """The space with the priors of its parameters; see :func:`priors_of`."""
    return replace(space, priors=priors_of(space, base_path))


def priors_of(space: Space, base_path: Path | None = None) -> dict[str, Prior]:
    """The priors of a checked space, by the keys of its parameters.

    Args:
        space: the space.
        base_path: the folder that the path of the data file starts from. The rows of that file are counted; None: they
            are unknown.
    """
    return {
        parameter.key: prior
        for parameter, prior in _known_settings(space, base_path)
        if is_informative(prior, parameter.domain)
    }


def outside_priors(space: Space, base_path: Path | None = None) -> dict[str, Prior]:
    """The priors that :func:`priors_of` leaves out because they lie outside of the range, with the same arguments."""
    return {
        parameter.key: prior
        for parameter, prior in _known_settings(space, base_path)
        if lies_outside(prior, parameter.domain)
    }


def _known_settings(space: Space, base_path: Path | None) -> Iterator[tuple[Parameter, Prior]]:
    """Yield each parameter of a known setting with its prior, unless the file states where its good values lie."""
    knobs = knobs_of(space)
    with_default = tuple(_lists_with_default(space.tree, ""))
    for parameter in space.parameters:
        if (
            not knobs[parameter.key]
            or states_good_values(parameter)
            or parameter.name.startswith(with_default)
        ):
            continue
        if (prior := _prior(space, parameter, knobs, base_path)) is not None:
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
    others = {parameter.name for parameter in space.parameters if parameter.known_as == NO_SETTING}
    fixed = (path for path, _ in fixed_values(plain_of(space, {})))
    every = [*(parameter.name for parameter in space.parameters), *fixed]
    by_path = knobs_by_name(path for path in every if path not in others)
    return {
        parameter.key: by_path[parameter.name]
        for parameter in space.parameters
        if parameter.name in by_path and not parameter.known_as
    }


def states_good_values(parameter: Parameter) -> bool:
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


def _prior(
    space: Space, parameter: Parameter, knobs: Mapping[str, str], base_path: Path | None
) -> Prior | None:
    knob = knobs[parameter.key]
    _, key = split_optimizer(knob)
    if key in (RATE, DECAY):
        return rate_or_decay(space, parameter, knobs, base_path)
    domain = parameter.domain
    if key in NAMES:
        if not isinstance(domain, Categorical):
            return None
        weights = NAMES[key].weights
        return Prior(knob, weights=tuple(weights.get(name_of(option), 1.0) for option in domain.options))
    numbers, centre = NUMBERS[key], NUMBERS[key].centre
    if numbers.by_steps:
        steps = steps_of(surroundings(space, parameter, knobs, base_path))
        centre += 0.0 if steps is None else numbers.by_steps * math.log10(min(steps / LONG_STEPS, 1.0))
    return Prior(knob, numbers.scale, centre, numbers.deviation)
