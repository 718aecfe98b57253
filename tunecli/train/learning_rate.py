"""The learning-rate chain: each link maps the rate that reaches it to the rate that leaves it.

All links are closed forms of the step, so the rate at any step is known without the steps before it, and a
checkpoint has no scheduler to save. ``warmup``, ``cosine``, ``linear``, ``polynomial`` and ``inverse_sqrt``
move with every step; ``exponential``, ``step`` and ``cut.at`` act at an epoch's end. At the start of every
epoch each of them equals torch's scheduler of that name, stepped once an epoch. Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tunecli.spec.knobs.learning_rate import (
    AnyLink,
    Clip,
    Cosine,
    Cut,
    Exponential,
    InverseSqrt,
    LinearDecay,
    Polynomial,
    Step,
    Warmup,
)


class Moment(NamedTuple):
    """A step of the run.

    Attributes:
        step: optimizer steps taken before it, counting from 0.
        steps_per_epoch: at least 1.
        total_epochs: the planned number.
    """

    step: int
    steps_per_epoch: int
    total_epochs: float

    @property
    def epoch(self) -> float:
        """Epochs done, with fractions."""
        return self.step / self.steps_per_epoch

    @property
    def epochs_done(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def progress(self) -> float:
        """The share of the run that is done, in [0, 1]."""
        return min(1.0, self.step / (self.steps_per_epoch * self.total_epochs))


def rate(
    links: Sequence[AnyLink], base: float, step: int, steps_per_epoch: int, total_epochs: float
) -> float:
    """The learning rate of one step.

    Args:
        links: the chain, applied in order.
        base: the optimizer's own rate.
        step: optimizer steps taken before this one, counting from 0.
        steps_per_epoch: at least 1.
        total_epochs: the planned number, at least 1.
    """
    moment = Moment(step, steps_per_epoch, total_epochs)
    for link in links:
        base = LINKS[type(link)](link, base, moment)
    return base


def _warmup(link: Warmup, rate: float, now: Moment) -> float:
    return rate * (link.start + (1.0 - link.start) * min(1.0, now.epoch / link.epochs))


def _cosine(link: Cosine, rate: float, now: Moment) -> float:
    return rate * (link.to + (1.0 - link.to) * (1.0 + math.cos(math.pi * now.progress)) / 2.0)


def _linear(link: LinearDecay, rate: float, now: Moment) -> float:
    return rate * (1.0 + (link.to - 1.0) * now.progress)


def _polynomial(link: Polynomial, rate: float, now: Moment) -> float:
    return rate * (link.to + (1.0 - link.to) * math.pow(1.0 - now.progress, link.power))


def _exponential(link: Exponential, rate: float, now: Moment) -> float:
    return rate * math.pow(link.gamma, now.epochs_done)


def _step(link: Step, rate: float, now: Moment) -> float:
    return rate * math.pow(link.gamma, now.epochs_done // link.epochs)


def _inverse_sqrt(link: InverseSqrt, rate: float, now: Moment) -> float:
    return rate * math.sqrt(link.epochs / max(link.epochs, now.epoch))


def _cut(link: Cut, rate: float, now: Moment) -> float:
    if link.at is None or link.factor is None:
        return max(rate, link.floor or 0.0)
    return rate * math.pow(link.factor, sum(milestone <= now.epochs_done for milestone in link.at))


def _clip(link: Clip, rate: float, now: Moment) -> float:
    return max(link.min, rate if link.max is None else min(rate, link.max))


LINKS: dict[type[Any], Callable[[Any, float, Moment], float]] = {
    Warmup: _warmup,
    Cosine: _cosine,
    LinearDecay: _linear,
    Polynomial: _polynomial,
    Exponential: _exponential,
    Step: _step,
    InverseSqrt: _inverse_sqrt,
    Cut: _cut,
    Clip: _clip,
}
"""(link, the rate that reaches it, now) → the rate that leaves it."""
