"""Each link against torch's scheduler of that name or its closed form, and chains against their parts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as schedulers

from tunecli.config.schema import learning_rate as knobs
from tunecli.registry.implementations import implementation
from tunecli.train.chains import StepPosition
from tunecli.train.chains.learning_rate import begin, observe, rate

BASE, EPOCHS, STEPS = 0.3, 12, 5
LOSSES = [
    1.0,
    0.8,
    0.81,
    0.79995,
    0.85,
    0.85,
    0.4,
    0.5,
    math.nan,
    0.6,
    0.6,
    math.inf,
    0.6,
    0.6,
    0.39,
    0.41,
    0.41,
    0.41,
]


def at(step: int) -> StepPosition:
    return StepPosition(step, STEPS, STEPS * EPOCHS)


def one(link: knobs.AnyLink, now: StepPosition, base: float = BASE) -> float:
    return rate([link], begin([link]), base, now)


def by_step(link: knobs.AnyLink) -> list[float]:
    return [one(link, at(step)) for step in range(STEPS * EPOCHS)]


def by_epoch(link: knobs.AnyLink) -> list[float]:
    return [one(link, at(STEPS * epoch)) for epoch in range(EPOCHS)]


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)


def torchs(make: Callable[[torch.optim.Optimizer], Any], count: int) -> list[float]:
    """The rates that a scheduler of torch gives, stepped ``count`` times."""
    scheduler = make(stepped := optimizer())
    rates = []
    for _ in range(count):
        rates.append(stepped.param_groups[0]["lr"])
        stepped.step()
        scheduler.step()
    return rates


def same(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-7, abs=1e-12)


PER_EPOCH: list[tuple[Any, Callable[[Any], Any]]] = [
    (knobs.Cosine(to=0.1), lambda o: schedulers.CosineAnnealingLR(o, EPOCHS, eta_min=0.1 * BASE)),
    (knobs.CosineRestarts(epochs=3), lambda o: schedulers.CosineAnnealingWarmRestarts(o, 3)),
    (
        knobs.CosineRestarts(epochs=1, factor=3, to=0.2),
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, 1, 3, eta_min=0.2 * BASE),
    ),
    (knobs.LinearDecay(to=0.2), lambda o: schedulers.LinearLR(o, 1.0, 0.2, EPOCHS)),
    (knobs.Polynomial(power=3.0), lambda o: schedulers.PolynomialLR(o, EPOCHS, power=3.0)),
    (knobs.Exponential(gamma=0.8), lambda o: schedulers.ExponentialLR(o, 0.8)),
    (knobs.Step(epochs=4, gamma=0.5), lambda o: schedulers.StepLR(o, 4, 0.5)),
    (knobs.MultiStep(at=[3, 7, 7], gamma=0.5), lambda o: schedulers.MultiStepLR(o, [3, 7, 7], 0.5)),
    (knobs.Cut(at=[7, 3], factor=0.1), lambda o: schedulers.MultiStepLR(o, [3, 7], 0.1)),
    (knobs.Warmup(epochs=4.0, start=0.25), lambda o: schedulers.LinearLR(o, 0.25, 1.0, 4)),
]


@pytest.mark.parametrize(("link", "make"), PER_EPOCH)
def test_a_link_equals_torchs_scheduler_at_the_start_of_every_epoch(
    link: Any, make: Callable[[Any], Any]
) -> None:
    assert by_epoch(link) == same(torchs(make, EPOCHS))


@pytest.mark.parametrize(("link", "make"), PER_EPOCH)
def test_a_link_with_every_epoch_keeps_one_rate_within_an_epoch(
    link: Any, make: Callable[[Any], Any]
) -> None:
    held = link.model_copy(update={"every": "epoch"})
    assert by_step(held) == same([found for found in torchs(make, EPOCHS) for _ in range(STEPS)])


PER_STEP: list[tuple[Any, Callable[[Any], Any]]] = [
    (knobs.Cosine(), lambda o: schedulers.CosineAnnealingLR(o, EPOCHS * STEPS)),
    (
        knobs.CosineRestarts(epochs=2, factor=2),
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2 * STEPS, 2),
    ),
    (knobs.LinearDecay(to=0.2), lambda o: schedulers.LinearLR(o, 1.0, 0.2, EPOCHS * STEPS)),
    (knobs.Polynomial(), lambda o: schedulers.PolynomialLR(o, EPOCHS * STEPS, power=2.0)),
    (knobs.Warmup(epochs=2.0, start=0.1), lambda o: schedulers.LinearLR(o, 0.1, 1.0, 2 * STEPS)),
    (knobs.Warmup(epochs=2.0), lambda o: schedulers.LinearLR(o, 1 / (2 * STEPS), 1.0, 2 * STEPS - 1)),
    (knobs.Exponential(every="step", gamma=0.8), lambda o: schedulers.ExponentialLR(o, 0.8 ** (1 / STEPS))),
    (
        knobs.OneCycle(),
        lambda o: schedulers.OneCycleLR(o, BASE, total_steps=EPOCHS * STEPS, cycle_momentum=False),
    ),
    (
        knobs.OneCycle(shape="linear", warmup_fraction=0.42, div=7.0, final_div=30.0),
        lambda o: schedulers.OneCycleLR(
            o, BASE, EPOCHS * STEPS, None, None, 0.42, "linear", False, div_factor=7.0, final_div_factor=30.0
        ),
    ),
]


@pytest.mark.parametrize(("link", "make"), PER_STEP)
def test_smooth_links_equal_torchs_schedulers_stepped_every_step(
    link: Any, make: Callable[[Any], Any]
) -> None:
    assert by_step(link) == same(torchs(make, EPOCHS * STEPS))


def test_a_warmup_by_epochs_equals_torchs_linear_warmup() -> None:
    held = by_step(knobs.Warmup(epochs=4.0, every="epoch"))
    expected = torchs(lambda o: schedulers.LinearLR(o, 1 / 4, 1.0, 3), EPOCHS)
    assert held == same([found for found in expected for _ in range(STEPS)])


@given(
    st.sampled_from([knobs.Warmup(epochs=1.0), knobs.Warmup(epochs=7.5), knobs.WarmupStableDecay()]),
    st.sampled_from(["step", "epoch"]),
    st.integers(0, 20),
    st.integers(1, 50),
    st.integers(30, 60),
)
def test_no_step_of_a_warmup_trains_at_rate_0(
    link: Any, every: Any, from_epoch: int, steps_per_epoch: int, n_epochs: int
) -> None:
    windowed = link.model_copy(update={"every": every, "from_epoch": from_epoch})
    moments = [
        StepPosition(n, steps_per_epoch, n_epochs * steps_per_epoch)
        for n in range(n_epochs * steps_per_epoch)
    ]
    rates = [one(windowed, now) for now in moments[: (from_epoch + 8) * steps_per_epoch]]
    assert min(rates) > 0
    assert max(rates) == same(BASE)


def test_a_warmup_with_start_0_starts_at_rate_0() -> None:
    assert by_epoch(knobs.Warmup(epochs=2.0, start=0.0))[:3] == same([0.0, BASE / 2, BASE])


@pytest.mark.parametrize(("epochs", "factor"), [(4, 1), (1, 2), (2, 3)])
def test_cosine_restarts_equal_torchs_stepped_by_fractions_of_an_epoch(epochs: int, factor: int) -> None:
    scheduler = schedulers.CosineAnnealingWarmRestarts(stepped := optimizer(), epochs, factor, eta_min=0.03)
    expected = []
    stepped.step()
    for epoch in range(EPOCHS):
        for i in range(STEPS):
            scheduler.step(epoch + i / STEPS)
            expected.append(stepped.param_groups[0]["lr"])
    assert by_step(knobs.CosineRestarts(epochs=epochs, factor=factor, to=0.1)) == same(expected)


@pytest.mark.parametrize(("epochs", "factor", "restarts"), [(0.1, 1.0, 120), (1.0, 10.0, 2), (0.2, 1.5, 8)])
def test_a_restart_has_the_full_rate_despite_rounding_of_its_period(
    epochs: float, factor: float, restarts: int
) -> None:
    link = knobs.CosineRestarts(epochs=epochs, factor=factor)
    begins = [0.0]
    while len(begins) < restarts:
        begins.append(begins[-1] + epochs * factor ** (len(begins) - 1))
    scale = 10_000_000
    for begun in begins:
        now = StepPosition(round(begun * scale), scale, 1000 * scale)
        assert one(link, now) == pytest.approx(BASE, rel=1e-6)


@pytest.mark.parametrize(
    ("threshold_mode", "torchs_mode", "threshold"), [("relative", "rel", 1e-3), ("absolute", "abs", 0.05)]
)
@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (1, 0), (2, 3), (0, 2)])
def test_cuts_on_plateaus_equal_torchs_over_a_whole_run(
    threshold_mode: Any, torchs_mode: Any, threshold: float, patience: int, cooldown: int
) -> None:
    scheduler = schedulers.ReduceLROnPlateau(
        stepped := optimizer(),
        factor=0.5,
        patience=patience,
        threshold=threshold,
        threshold_mode=torchs_mode,
        cooldown=cooldown,
    )
    plateau = knobs.OnPlateau(
        patience=patience, threshold=threshold, threshold_mode=threshold_mode, cooldown=cooldown
    )
    links = [knobs.Cut(on_plateau=plateau, factor=0.5)]
    state = begin(links)
    found, expected = [], []
    for epoch, loss in enumerate(LOSSES):
        found.append(rate(links, state, BASE, StepPosition(epoch, 1, len(LOSSES))))
        expected.append(stepped.param_groups[0]["lr"])
        state = observe(links, state, loss)
        scheduler.step(loss)
    assert found == same(expected)
    assert found[-1] < BASE


def test_a_chain_continues_from_its_state_in_json() -> None:
    links = [
        knobs.Cosine(),
        knobs.Cut(on_plateau=knobs.OnPlateau(patience=1), factor=0.5),
        knobs.Clip(max=1.0),
    ]
    through = interrupted = begin(links)
    for epoch, loss in enumerate(LOSSES[:EPOCHS]):
        now = at(epoch * STEPS)
        assert rate(links, interrupted, BASE, now) == rate(links, through, BASE, now)
        through = observe(links, through, loss)
        interrupted = json.loads(json.dumps(observe(links, interrupted, loss), allow_nan=False))
    assert rate(links, through, BASE, at(0)) < BASE


def test_plateaus_are_detected_only_within_the_window() -> None:
    link = knobs.Cut(on_plateau=knobs.OnPlateau(patience=1), factor=0.5, from_epoch=3, until_epoch=8)
    state, found = begin([link]), []
    for epoch in range(EPOCHS):
        found.append(rate([link], state, 1.0, at(epoch * STEPS)))
        state = observe([link], state, 1.0)
    # Epochs 3 to 7 count: the first is the best, the two after it make a plateau, and the next two another.
    assert found == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 1, 1, 1, 1]
    assert state[0][3] == 2


@pytest.mark.parametrize("link", [knobs.Exponential(), knobs.Step(epochs=1), knobs.Cut(at=[1], factor=0.5)])
def test_the_stepwise_links_are_constant_within_an_epoch(link: Any) -> None:
    assert len({one(link, at(step)) for step in range(STEPS)}) == 1


def test_inverse_sqrt_is_constant_and_then_falls() -> None:
    link = knobs.InverseSqrt(epochs=2.0)
    assert [one(link, at(epoch * STEPS), 1.0) for epoch in (0, 1, 2, 8)] == same([1.0, 1.0, 1.0, 0.5])


@pytest.mark.parametrize(
    ("shape", "half_way"), [("linear", 0.5), ("cosine", 0.5), ("sqrt", 1 - math.sqrt(0.5))]
)
def test_warmup_stable_decay_rises_stays_and_falls(shape: Any, half_way: float) -> None:
    link = knobs.WarmupStableDecay(warmup_fraction=0.2, decay_fraction=0.4, shape=shape, to=0.1)
    found = [one(link, StepPosition(step, 1, 100), 1.0) for step in (0, 4, 19, 40, 60, 80, 100)]
    assert found == same([0.05, 0.25, 1.0, 1.0, 1.0, 0.1 + 0.9 * half_way, 0.1])


@pytest.mark.parametrize(
    "link",
    [knobs.Cosine(), knobs.LinearDecay(), knobs.Polynomial(), knobs.OneCycle(), knobs.WarmupStableDecay()],
)
def test_a_link_runs_its_whole_schedule_within_its_window(link: Any) -> None:
    windowed = link.model_copy(update={"from_epoch": 2, "until_epoch": 7})
    alone = [one(link, StepPosition(step, STEPS, 5 * STEPS)) for step in range(5 * STEPS)]
    assert by_step(windowed) == [BASE] * 2 * STEPS + alone + [BASE] * 5 * STEPS


def test_an_open_window_lasts_to_the_end_of_the_run() -> None:
    late = knobs.LinearDecay(from_epoch=EPOCHS - 2)
    assert by_epoch(late)[-3:] == same([BASE, BASE, BASE / 2])
    assert one(late, at(EPOCHS * STEPS)) == 0.0


def test_a_window_counts_time_from_its_start_but_milestones_count_epochs_of_the_run() -> None:
    assert by_epoch(knobs.Exponential(gamma=0.5, from_epoch=10)) == same([BASE] * 11 + [BASE / 2])
    assert by_epoch(knobs.Step(epochs=1, gamma=0.5, from_epoch=10)) == same([BASE] * 11 + [BASE / 2])
    assert by_epoch(knobs.Cut(at=[11], factor=0.5, from_epoch=10)) == same([BASE] * 11 + [BASE / 2])
    assert by_epoch(knobs.MultiStep(at=[2, 9], gamma=0.5, from_epoch=4, until_epoch=11))[3:] == same(
        [BASE, *[BASE / 2] * 5, *[BASE / 4] * 2, BASE]
    )


def test_a_link_in_a_window_with_every_epoch_keeps_one_rate_within_an_epoch() -> None:
    link = knobs.LinearDecay(every="epoch", from_epoch=10)
    assert by_step(link)[-2 * STEPS :] == same([BASE] * STEPS + [BASE / 2] * STEPS)


def test_a_run_set_in_steps_may_end_within_an_epoch() -> None:
    run = [StepPosition(step, 10, 25) for step in range(26)]
    assert [one(knobs.LinearDecay(), now, 1.0) for now in run] == same([1 - step / 25 for step in range(26)])
    assert one(knobs.LinearDecay(every="epoch"), run[24], 1.0) == same(1 - 20 / 25)


def test_a_floor_and_a_clip_bound_the_incoming_rate() -> None:
    assert one(knobs.Cut(floor=0.5), at(0), 0.3) == 0.5
    assert one(knobs.Clip(min=0.1, max=0.2), at(0), 0.3) == 0.2
    assert one(knobs.Clip(min=0.4), at(0), 0.3) == 0.4


def test_the_order_of_links_matters() -> None:
    halve, clip = knobs.Cut(at=[1], factor=0.5), knobs.Clip(max=0.1)
    assert rate([halve, clip], begin([halve, clip]), 0.3, at(STEPS)) == 0.1
    assert rate([clip, halve], begin([clip, halve]), 0.3, at(STEPS)) == 0.05


def test_twenty_alternating_cuts_and_clips_apply_in_order() -> None:
    links: list[Any] = []
    for i in range(10):
        links += [knobs.Cut(at=[i + 1], factor=0.9), knobs.Clip(min=0.01 * i, max=0.3 - 0.02 * i)]
    for epoch in range(EPOCHS):
        expected = BASE
        for i in range(10):
            expected *= 0.9 if i + 1 <= epoch else 1.0
            expected = min(max(expected, 0.01 * i), 0.3 - 0.02 * i)
        assert rate(links, begin(links), BASE, at(epoch * STEPS)) == same(expected)


def test_an_empty_chain_gives_the_base_rate_and_every_setting_has_a_link() -> None:
    assert rate([], begin([]), BASE, at(17)) == BASE
    assert all(callable(implementation(each.implementation)) for each in get_args(knobs.AnyLink))


SHARE = st.floats(0, 1)
BELOW_ONE = st.floats(0, 1, exclude_max=True)
DECAY = st.floats(0, 1, exclude_min=True)
LENGTH = st.floats(0, exclude_min=True, allow_infinity=False)
WHOLE = st.integers(1, 10**9)
DIVISOR = st.floats(1, allow_infinity=False)
WINDOW = st.tuples(st.integers(0, 9), st.none() | st.integers(10, 10**6), st.sampled_from(["step", "epoch"]))


def links(kind: type[Any], **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(window: tuple[int, int | None, Any], values: dict[str, Any]) -> Any:
        return kind(from_epoch=window[0], until_epoch=window[1], every=window[2], **values)

    return st.builds(build, WINDOW, st.fixed_dictionaries(values))


ANY_LINK = st.one_of(
    links(knobs.Warmup, epochs=LENGTH, start=SHARE),
    links(knobs.Cosine, to=SHARE),
    links(knobs.CosineRestarts, epochs=st.floats(1e-3, 1e300), factor=st.floats(1, 100), to=SHARE),
    links(knobs.LinearDecay, to=SHARE),
    links(knobs.Polynomial, power=LENGTH, to=SHARE),
    links(knobs.Exponential, gamma=DECAY),
    links(knobs.Step, epochs=WHOLE, gamma=DECAY),
    links(knobs.MultiStep, at=st.lists(WHOLE, max_size=5), gamma=DECAY),
    links(knobs.OneCycle, warmup_fraction=BELOW_ONE, div=DIVISOR, final_div=DIVISOR),
    links(knobs.OneCycle, warmup_fraction=BELOW_ONE, shape=st.just("linear")),
    links(knobs.InverseSqrt, epochs=LENGTH),
    links(
        knobs.WarmupStableDecay,
        warmup_fraction=BELOW_ONE,
        decay_fraction=DECAY,
        shape=st.sampled_from(["linear", "cosine", "sqrt"]),
        to=SHARE,
    ),
    links(knobs.Cut, at=st.lists(WHOLE, max_size=5), factor=st.floats(0.01, 0.99)),
    links(knobs.Cut, on_plateau=st.just(knobs.OnPlateau(patience=0)), factor=st.floats(0.01, 0.99)),
    links(knobs.Cut, floor=LENGTH),
    links(knobs.Clip, min=st.floats(0, 1), max=st.floats(1, allow_infinity=False)),
)


@settings(deadline=None)
@given(
    st.lists(ANY_LINK, max_size=20),
    st.floats(0, 1e3),
    st.lists(st.floats(), max_size=10),
    st.integers(1, 10**4),
    st.integers(1, 10**6),
    SHARE,
)
def test_any_chain_gives_a_finite_rate_that_is_not_negative(
    chain: list[Any], base: float, losses: list[float], steps_per_epoch: int, n_steps: int, done: float
) -> None:
    state = begin(chain)
    for loss in losses:
        state = observe(chain, state, loss)
    for step in {0, int(done * n_steps), n_steps - 1}:
        found = rate(chain, state, base, StepPosition(step, steps_per_epoch, n_steps))
        assert math.isfinite(found)
        assert found >= 0


def test_a_negative_loss_that_increases_is_not_an_improvement() -> None:
    (cut,) = [knobs.Cut(on_plateau=knobs.OnPlateau(patience=1, threshold=1e-2), factor=0.5)]
    state = begin([cut])
    for loss in (-100.0, -99.5, -99.0):
        state = observe([cut], state, loss)
    assert rate([cut], state, 1.0, at(0)) == 0.5
