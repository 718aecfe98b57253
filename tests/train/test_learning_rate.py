"""Each link against torch's scheduler of that name, and chains against their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

from tunecli.spec.knobs import learning_rate as knobs
from tunecli.train.learning_rate import LINKS, rate

BASE, EPOCHS, STEPS = 0.3, 12, 5


def torchs(make: Callable[[torch.optim.Optimizer], Any], count: int) -> list[float]:
    """The rates that a scheduler of torch gives, stepped ``count`` times."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


PER_EPOCH: list[tuple[Any, Callable[[Any], Any]]] = [
    (knobs.Cosine(to=0.1), lambda o: schedulers.CosineAnnealingLR(o, EPOCHS, eta_min=0.1 * BASE)),
    (knobs.LinearDecay(to=0.2), lambda o: schedulers.LinearLR(o, 1.0, 0.2, EPOCHS)),
    (knobs.Polynomial(power=3.0), lambda o: schedulers.PolynomialLR(o, EPOCHS, power=3.0)),
    (knobs.Exponential(gamma=0.8), lambda o: schedulers.ExponentialLR(o, 0.8)),
    (knobs.Step(epochs=4, gamma=0.5), lambda o: schedulers.StepLR(o, 4, 0.5)),
    (knobs.Cut(at=[3, 7], factor=0.1), lambda o: schedulers.MultiStepLR(o, [3, 7], 0.1)),
    (knobs.Warmup(epochs=4.0, start=0.25), lambda o: schedulers.LinearLR(o, 0.25, 1.0, 4)),
]


@pytest.mark.parametrize(("link", "make"), PER_EPOCH)
def test_at_every_epochs_start_a_link_is_torchs_scheduler(link: Any, make: Callable[[Any], Any]) -> None:
    found = [rate([link], BASE, epoch * STEPS, STEPS, EPOCHS) for epoch in range(EPOCHS)]
    assert found == pytest.approx(torchs(make, EPOCHS), rel=1e-9)


PER_STEP: list[tuple[Any, Callable[[Any], Any]]] = [
    (knobs.Cosine(), lambda o: schedulers.CosineAnnealingLR(o, EPOCHS * STEPS)),
    (knobs.LinearDecay(to=0.2), lambda o: schedulers.LinearLR(o, 1.0, 0.2, EPOCHS * STEPS)),
    (knobs.Polynomial(), lambda o: schedulers.PolynomialLR(o, EPOCHS * STEPS, power=2.0)),
    (knobs.Warmup(epochs=2.0, start=0.1), lambda o: schedulers.LinearLR(o, 0.1, 1.0, 2 * STEPS)),
]


@pytest.mark.parametrize(("link", "make"), PER_STEP)
def test_between_epochs_the_smooth_links_are_torchs_stepped_every_step(
    link: Any, make: Callable[[Any], Any]
) -> None:
    found = [rate([link], BASE, step, STEPS, EPOCHS) for step in range(EPOCHS * STEPS)]
    assert found == pytest.approx(torchs(make, EPOCHS * STEPS), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("link", [knobs.Exponential(), knobs.Step(epochs=1), knobs.Cut(at=[1], factor=0.5)])
def test_the_stepwise_links_are_constant_within_an_epoch(link: Any) -> None:
    assert len({rate([link], BASE, step, STEPS, EPOCHS) for step in range(STEPS)}) == 1


def test_inverse_sqrt_is_constant_and_then_falls() -> None:
    link = knobs.InverseSqrt(epochs=2.0)
    found = [rate([link], 1.0, epoch * STEPS, STEPS, EPOCHS) for epoch in (0, 1, 2, 8)]
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.5])


def test_a_floor_and_a_clip_bound_the_rate_that_reaches_them() -> None:
    assert rate([knobs.Cut(floor=0.5)], 0.3, 0, STEPS, EPOCHS) == 0.5
    assert rate([knobs.Clip(min=0.1, max=0.2)], 0.3, 0, STEPS, EPOCHS) == 0.2
    assert rate([knobs.Clip(min=0.4)], 0.3, 0, STEPS, EPOCHS) == 0.4


def test_order_matters() -> None:
    halve, clip = knobs.Cut(at=[1], factor=0.5), knobs.Clip(max=0.1)
    assert rate([halve, clip], 0.3, STEPS, STEPS, EPOCHS) == 0.1
    assert rate([clip, halve], 0.3, STEPS, STEPS, EPOCHS) == 0.05


def test_an_empty_chain_is_the_base_rate_and_every_link_of_the_spec_is_known() -> None:
    assert rate([], BASE, 17, STEPS, EPOCHS) == BASE
    assert set(LINKS) == set(get_args(knobs.AnyLink))
