"""The priors of learning rates and weight decays, which depend on the optimizer and on the training.

A rate grows with the batch and falls with momentum. In a short training of tunecli's own it also falls with the number
of optimizer steps, and with the width and the depth of the model. What varies of these is a shift of the prior.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from tunecli.config.domains import Categorical
from tunecli.config.priors.prior import Prior, Shift, name_of, number_of, shift_at
from tunecli.config.priors.surroundings import Surroundings, middle_of, steps_of, surroundings
from tunecli.config.priors.table import (
    ANY_DECAY,
    ANY_OPTIMIZER,
    BATCH,
    DECAY,
    DEPTH,
    EPOCHS,
    HIDDEN,
    MOMENTUM,
    OPTIMIZER,
    OPTIMIZERS,
    REFERENCE_BATCH,
    REFERENCE_DEPTH,
    REFERENCE_STEPS,
    REFERENCE_WIDTH,
    WIDTH,
    OptimizerEntry,
    RateLine,
    split_optimizer,
)
from tunecli.config.space import Parameter, Space
from tunecli.trial import Scalar


def rate_or_decay(
    space: Space, parameter: Parameter, knobs: Mapping[str, str], base_path: Path | None
) -> Prior | None:
    """The prior of a learning rate or a weight decay; None: nothing is known of it."""
    knob = knobs[parameter.key]
    own, key = split_optimizer(knob)
    near = surroundings(space, parameter, knobs, base_path)
    name = own or name_of(near.values.get(OPTIMIZER, _optimizer_with_momentum(near)))
    chooser, steps = near.varying.get(OPTIMIZER), steps_of(near)
    options: Iterable[Scalar] = ()
    if not own and chooser is not None and isinstance(chooser.domain, Categorical):
        options = chooser.domain.options
    known = [OPTIMIZERS.get(name_of(option), ANY_OPTIMIZER) for option in options]
    if key == DECAY:
        return _decay(knob, chooser, options, known or [OPTIMIZERS.get(name, ANY_OPTIMIZER)])
    if not known or chooser is None:
        return _rate(knob, OPTIMIZERS.get(name, ANY_OPTIMIZER).line(steps), near, steps, ())
    lines = [one.line(steps) for one in known]
    centres = [math.log10(line.centre) + _shift_by_steps(line, steps) for line in lines]
    mean = fmean(centres)
    shift = Shift(
        chooser.key, tuple((option, at - mean) for option, at in zip(options, centres, strict=True))
    )
    any_line = replace(
        ANY_OPTIMIZER.line(None), centre=10**mean, deviation=max(line.deviation for line in lines)
    )
    return _rate(knob, any_line, near, None, (shift,))


def _rate(
    knob: str, line: RateLine, near: Surroundings, steps: float | None, shifts: tuple[Shift, ...]
) -> Prior:
    shift = _shift_by_steps(line, steps)
    width = Shift("", scale="log", slope=-line.width_power, reference=REFERENCE_WIDTH)
    by_knob = {
        BATCH: Shift("", scale="log", slope=line.batch_power, reference=REFERENCE_BATCH),
        MOMENTUM: Shift("", scale="below_one", slope=-line.momentum_power, reference=0.0),
        WIDTH: width,
        HIDDEN: width,
        DEPTH: Shift("", scale="linear", slope=-line.depth_slope, reference=REFERENCE_DEPTH),
    }
    if (epochs := near.varying.get(EPOCHS)) is not None:
        by_knob[EPOCHS] = Shift("", scale="log", slope=-line.steps_power, reference=middle_of(epochs))
    for one, by in by_knob.items():
        if not by.slope:
            continue
        if one in near.varying:
            shifts = (*shifts, replace(by, key=near.varying[one].key))
        elif (fixed := number_of(near.values.get(one))) is not None:
            shift += shift_at(by, fixed)
    return Prior(knob, "log", line.centre * 10**shift, line.deviation, shifts)


def _shift_by_steps(line: RateLine, steps: float | None) -> float:
    """The powers of ten that a number of steps, with batches of the reference's size, moves the centre by."""
    return 0.0 if steps is None else -line.steps_power * math.log10(steps / REFERENCE_STEPS)


def _decay(
    knob: str, chooser: Parameter | None, options: Iterable[Scalar], known: list[OptimizerEntry]
) -> Prior | None:
    if chooser is None or not options:
        decay = known[0].decay
        return None if decay is None else Prior(knob, decay.scale, decay.centre, decay.deviation)
    every = [one.decay or ANY_DECAY for one in known]
    mean = fmean(math.log10(numbers.centre) for numbers in every)
    by_option = tuple(
        (option, math.log10(numbers.centre) - mean) for option, numbers in zip(options, every, strict=True)
    )
    deviation = max(numbers.deviation for numbers in every)
    return Prior(knob, "log", 10**mean, deviation, (Shift(chooser.key, by_option),))


def _optimizer_with_momentum(near: Surroundings) -> str | None:
    """The optimizer of an own program that has a momentum and names no optimizer."""
    return "sgd" if MOMENTUM in near.values or MOMENTUM in near.varying else None
