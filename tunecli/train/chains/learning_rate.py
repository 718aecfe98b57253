"""The learning-rate chain: each link maps an incoming learning rate to an outgoing one.

A link is a pure function of the step, like optax's schedules: the rate at any step follows without the steps before it.
Only ``cut.on_plateau`` depends on training so far. Its memory is the chain's state, a tuple of plain numbers: `begin`
makes it, `observe` adds an epoch's loss, `rate` reads it. So a checkpoint saves no scheduler, and a resumed chain
equals the uninterrupted one (record-is-the-state). Each link equals torch's scheduler of that name, stepped as often as
the link's ``every`` says. A warmup counts the step itself: counting only the steps before it would train the first step
at rate 0, which with full batches is a whole epoch. Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tunecli.config.schema.learning_rate import (
    AnyLink,
    Clip,
    Cosine,
    CosineRestarts,
    Cut,
    Exponential,
    InverseSqrt,
    LinearDecay,
    MultiStep,
    OneCycle,
    OnPlateau,
    Polynomial,
    Step,
    Warmup,
    WarmupStableDecay,
)
from tunecli.registry.implementations import implementation
from tunecli.train.chains import StepPosition


class Plateaus(NamedTuple):
    """The memory of ``cut.on_plateau``.

    Attributes:
        best: the lowest loss; None before the first.
        n_bad: number of epochs in a row without improvement.
        n_cooling: number of coming epochs that do not count as bad.
        n: number of plateaus found.
        n_epochs: number of epochs observed.
    """

    best: float | None = None
    n_bad: int = 0
    n_cooling: int = 0
    n: int = 0
    n_epochs: int = 0


LinkState = tuple[()] | Plateaus
"""The memory of a link: empty, or its plateaus."""

ChainState = tuple[LinkState, ...]
"""The memory of each link of a chain."""


def begin(links: Sequence[AnyLink]) -> ChainState:
    """The state of a chain before its first epoch."""
    return tuple(Plateaus() if isinstance(link, Cut) and link.on_plateau else () for link in links)


def rate(links: Sequence[AnyLink], state: ChainState, base: float, now: StepPosition) -> float:
    """The learning rate of one step.

    Args:
        links: the chain, applied in order.
        state: the chain's state, after all epochs before this one.
        base: the optimizer's own rate, at least 0.
        now: the step.

    Returns:
        The rate, at least 0.
    """
    for link, memory in zip(links, state, strict=True):
        own = now.epoch_start() if link.every == "epoch" else now
        if link.from_epoch or link.until_epoch is not None:
            window = own.within(link.from_epoch, link.until_epoch)
            if window is None:
                continue
            own = window
        if memory:
            base = _cut_on_plateaus(link, memory, base)
        else:
            base = implementation(link.implementation)(link, base, own)
    return base


def observe(links: Sequence[AnyLink], state: ChainState, loss: float) -> ChainState:
    """The state of a chain after one more epoch, which ended with validation loss ``loss``."""
    return tuple(_observe(link, memory, loss) for link, memory in zip(links, state, strict=True))


def _observe(link: AnyLink, memory: LinkState, loss: float) -> LinkState:
    if not isinstance(link, Cut) or link.on_plateau is None:
        return ()
    seen = Plateaus(*memory)
    is_outside = seen.n_epochs < link.from_epoch or seen.n_epochs >= (link.until_epoch or math.inf)
    return skip_epoch(seen) if is_outside else observe_plateau(link.on_plateau, seen, loss)


def _cut_on_plateaus(link: AnyLink, memory: LinkState, rate: float) -> float:
    assert isinstance(link, Cut) and link.factor is not None
    return rate * math.pow(link.factor, Plateaus(*memory).n)


def observe_plateau(knob: OnPlateau, seen: Plateaus, loss: float) -> Plateaus:
    """Add the loss of one more epoch; lower is better. A loss that is not a number counts as no improvement.

    Equals ``torch.optim.lr_scheduler.ReduceLROnPlateau.step`` in mode ``min``, with two differences: torch's ``eps``
    ignores cuts of less than 1e-8, and for a loss below 0 torch's relative threshold counts some increases as better.
    """
    best = math.inf if seen.best is None else seen.best
    is_relative = knob.threshold_mode == "relative"
    is_better = loss < best - knob.threshold * (abs(best) if is_relative and seen.best is not None else 1.0)
    n_bad = 0 if is_better or seen.n_cooling else seen.n_bad + 1
    is_plateau = n_bad > knob.patience
    return Plateaus(
        loss if is_better else seen.best,
        0 if is_plateau else n_bad,
        knob.cooldown if is_plateau else max(0, seen.n_cooling - 1),
        seen.n + is_plateau,
        seen.n_epochs + 1,
    )


def skip_epoch(seen: Plateaus) -> Plateaus:
    """Add an epoch whose loss does not count, because the link is not active."""
    return seen._replace(n_epochs=seen.n_epochs + 1)


def warmup(link: Warmup, rate: float, now: StepPosition) -> float:
    """The link `warmup`: linear from ``start`` (by default from one step's share) to the full rate."""
    if link.start is not None:
        return rate * (link.start + (1.0 - link.start) * min(1.0, now.epoch / link.epochs))
    return rate * min(1.0, _epoch_with_this(link, now) / link.epochs)


def cosine(link: Cosine, rate: float, now: StepPosition) -> float:
    """The link `cosine` (Loshchilov & Hutter 2017, equation 5, one period)."""
    return rate * _toward(link.to, _half_cosine(now.progress))


def cosine_restarts(link: CosineRestarts, rate: float, now: StepPosition) -> float:
    """SGDR (Loshchilov & Hutter 2017, equation 5).

    The period follows in closed form: n of them last epochs · (factor^n - 1) / (factor - 1).
    """
    n_first = now.epoch / link.epochs  # elapsed time, in lengths of the first period
    # _EPSILON: rounding may put a restart just after its step; it belongs to that step.
    if link.factor == 1.0:
        return rate * _toward(link.to, _half_cosine(n_first - math.floor(n_first + _EPSILON)))
    growth = link.factor - 1.0
    n_done = math.floor(math.log1p(n_first * growth) / math.log1p(growth) + _EPSILON)
    length = math.pow(link.factor, n_done)
    return rate * _toward(link.to, _half_cosine((n_first - (length - 1.0) / growth) / length))


def linear(link: LinearDecay, rate: float, now: StepPosition) -> float:
    """The link `linear`: from the full rate to ``to`` times it, over the run."""
    return rate * (1.0 + (link.to - 1.0) * now.progress)


def polynomial(link: Polynomial, rate: float, now: StepPosition) -> float:
    """The link `polynomial`: from the full rate to ``to`` times it, by (1 - progress) to the power ``power``."""
    return rate * _toward(link.to, math.pow(1.0 - now.progress, link.power))


def exponential(link: Exponential, rate: float, now: StepPosition) -> float:
    """The link `exponential`: times ``gamma`` an epoch."""
    return rate * math.pow(link.gamma, now.epoch)


def step(link: Step, rate: float, now: StepPosition) -> float:
    """The link `step`: times ``gamma`` every ``epochs`` epochs."""
    return rate * math.pow(link.gamma, now.epochs_done // link.epochs)


def multistep(link: MultiStep, rate: float, now: StepPosition) -> float:
    """The link `multistep`: times ``gamma`` at each milestone."""
    return rate * math.pow(link.gamma, _n_passed(link.at, link.from_epoch, now))


def one_cycle(link: OneCycle, rate: float, now: StepPosition) -> float:
    """Smith & Topin 2019. As in ``torch.optim.lr_scheduler.OneCycleLR``, the last step has the lowest rate.

    The peak is one step before ``warmup_fraction`` of the run.
    """
    low, lowest = rate / link.div, rate / link.div / link.final_div
    peak, last = link.warmup_fraction * now.n_steps - 1.0, now.n_steps - 1.0
    if now.step < peak:
        share = now.step / peak
        return low + (rate - low) * (share if link.shape == "linear" else 1.0 - _half_cosine(share))
    share = min(1.0, (now.step - peak) / max(_EPSILON, last - peak))
    return lowest + (rate - lowest) * (1.0 - share if link.shape == "linear" else _half_cosine(share))


def inverse_sqrt(link: InverseSqrt, rate: float, now: StepPosition) -> float:
    """The link `inverse_sqrt`: constant for ``epochs``, then √(epochs / epoch) (Vaswani et al. 2017, equation 3)."""
    return rate * math.sqrt(link.epochs / max(link.epochs, now.epoch))


def warmup_stable_decay(link: WarmupStableDecay, rate: float, now: StepPosition) -> float:
    """Hu et al. 2024, equation 1. If warmup and decay overlap, both act."""
    done = now.progress
    n_warmup = link.warmup_fraction * now.total_epochs
    if n_warmup > 0:
        rate *= min(1.0, _epoch_with_this(link, now) / n_warmup)
    left = min(1.0, (1.0 - done) / link.decay_fraction)
    return rate * _toward(link.to, _DECAYS[link.shape](1.0 - left))


def cut(link: Cut, rate: float, now: StepPosition) -> float:
    """The link `cut`: by a factor at each milestone, or to a floor. ``on_plateau`` is handled in `rate`."""
    if link.at is None or link.factor is None:
        return max(rate, link.floor or 0.0)
    return rate * math.pow(link.factor, _n_passed(link.at, link.from_epoch, now))


def clip(link: Clip, rate: float, now: StepPosition) -> float:
    """The link `clip`: bounds the rate from below and above."""
    return max(link.min, rate if link.max is None else min(rate, link.max))


_EPSILON = 1e-9  # far less than a step, far more than a rounding error


def _epoch_with_this(link: Warmup | WarmupStableDecay, now: StepPosition) -> float:
    """Epochs done after this step; after this epoch if the link keeps one value for an epoch."""
    return (now.step + (now.steps_per_epoch if link.every == "epoch" else 1)) / now.steps_per_epoch


def _toward(to: float, share: float) -> float:
    """Interpolate: 1 at ``share`` 1, ``to`` at ``share`` 0."""
    return to + (1.0 - to) * share


def _half_cosine(progress: float) -> float:
    """Half a cosine: 1 at ``progress`` 0, and 0 at ``progress`` 1."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


def _n_passed(milestones: Sequence[int], from_epoch: int, now: StepPosition) -> int:
    """Number of milestones passed. Milestones count epochs of the run, ``now`` those since the link's start."""
    done = from_epoch + now.epochs_done
    return sum([milestone <= done for milestone in milestones])  # a list takes half a generator's time


_DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1.0 - progress,
    "cosine": _half_cosine,
    "sqrt": lambda progress: 1.0 - math.sqrt(progress),
}
