"""The weight chain in training: order, timing, and cuts that stay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.weights import AnyWeightLink, Center, UnitNorm, WeightClip, WeightCut, WeightNoise
from tunecli.seeding import seed_for
from tunecli.train.chains import StepPosition
from tunecli.train.chains.weight_chain import WeightChain
from tunecli.train.data.table import Inputs
from tunecli.train.models import build

STEPS, EPOCHS = 3, 6
SEEDS = partial(seed_for, 7)


def at(step: int) -> StepPosition:
    return StepPosition(step, STEPS, STEPS * EPOCHS)


def net() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4))


def matrices(model: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in model.parameters() if parameter.dim() > 1]


def zeros(model: nn.Module) -> list[Tensor]:
    return [weight == 0 for weight in matrices(model)]


def n_zeros(model: nn.Module) -> int:
    return sum(int(each.sum()) for each in zeros(model))


def same(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def trained(
    model: nn.Module, chain: WeightChain, steps: range, optimizer: torch.optim.Optimizer
) -> Iterator[int]:
    """Train like the loop, and yield after each step."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        x_BF, y_B = torch.randn(16, 8, generator=generator), torch.randint(4, (16,), generator=generator)
        nn.functional.cross_entropy(model(x_BF), y_B).backward()
        chain.mask_gradients()
        optimizer.step()
        optimizer.zero_grad()
        chain.apply(at(step))
        yield step


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.1)


def run(model: nn.Module, links: list[AnyWeightLink]) -> list[Tensor]:
    list(trained(model, WeightChain(links, model, SEEDS), range(STEPS * EPOCHS), adam(model)))
    return matrices(model)


def test_links_apply_in_their_order() -> None:
    cut, clip = WeightCut(fraction=0.5), WeightClip(norm=1.0)
    outcomes = []
    for links in ([cut, clip], [clip, cut]):
        model = net()
        WeightChain(links, model, SEEDS).apply(at(0))
        outcomes.append(matrices(model))
    norms = [torch.cat([weight.flatten() for weight in each]).norm().item() for each in outcomes]
    assert norms[0] == pytest.approx(1.0, rel=1e-6)
    assert norms[1] < 0.999
    assert same([weight == 0 for weight in outcomes[0]], [weight == 0 for weight in outcomes[1]])


def test_a_chain_of_twenty_links_applies_them_one_after_another() -> None:
    links: list[AnyWeightLink] = []
    for number in range(10):
        links += [WeightCut(fraction=0.1), WeightClip(norm=3.0 - number / 4)]
    model = net()
    expected = torch.cat([weight.flatten().clone() for weight in matrices(model)])
    chain = WeightChain(links, model, SEEDS)
    chain.apply(at(0))
    left = torch.ones_like(expected, dtype=torch.bool)
    for number in range(10):
        n_cut = round(0.1 * int(left.sum()))
        order = expected.abs().masked_fill(~left, float("inf")).argsort()
        left[order[:n_cut]] = False
        expected = expected * left
        expected = expected * min(1.0, (3.0 - number / 4) / expected.norm().item())
    found = torch.cat([weight.flatten() for weight in matrices(model)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert torch.equal(found == 0, ~left)


def test_cut_weights_stay_zero_under_momentum_and_weight_decay() -> None:
    model = net()
    chain = WeightChain([WeightCut(fraction=0.3, from_epoch=2, until_epoch=3)], model, SEEDS)
    n_cut = round(0.3 * (8 * 12 + 12 * 4))
    held: list[Tensor] = []
    for step in trained(model, chain, range(STEPS * EPOCHS), adam(model)):
        if step < 2 * STEPS:
            assert n_zeros(model) == 0
            continue
        held = held or zeros(model)
        assert n_zeros(model) == n_cut
        assert same(zeros(model), held)


@pytest.mark.parametrize("after", [WeightNoise(std=0.1), Center()])
def test_a_link_after_a_cut_keeps_cut_weights_at_zero(after: AnyWeightLink) -> None:
    model = net()
    chain = WeightChain([WeightCut(fraction=0.25), after], model, SEEDS)
    for _ in trained(model, chain, range(2 * STEPS), adam(model)):
        assert n_zeros(model) == 36


def test_only_kept_weights_have_a_gradient() -> None:
    model = net()
    chain = WeightChain([WeightCut(by="rows", fraction=0.5)], model, SEEDS)
    model(torch.randn(6, 8)).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    chain.mask_gradients()
    assert same([p.grad for p in model.parameters() if p.grad is not None], before)
    chain.apply(at(0))
    chain.mask_gradients()
    first, *rest = [p.grad for p in model.parameters() if p.grad is not None]
    kept = matrices(model)[0].any(dim=1)
    assert kept.sum() == 6
    assert torch.equal(first, before[0] * kept[:, None])
    assert same(rest, before[1:])


def test_a_parameter_without_a_gradient_is_skipped() -> None:
    model = net()
    chain = WeightChain([WeightCut()], model, SEEDS)
    chain.apply(at(0))
    model[0].weight.grad = torch.ones_like(model[0].weight)
    chain.mask_gradients()
    assert torch.equal(model[0].weight.grad == 0, model[0].weight == 0)
    assert model[3].weight.grad is None


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({}, [*range(18)]),
        ({"from_epoch": 2}, [*range(6, 18)]),
        ({"until_epoch": 2}, [*range(6)]),
        ({"from_epoch": 1, "until_epoch": 3}, [*range(3, 9)]),
        ({"every": "epoch"}, [2, 5, 8, 11, 14, 17]),
        ({"every": "epoch", "from_epoch": 2, "until_epoch": 4}, [8, 11]),
    ],
)
def test_a_link_acts_only_within_its_window(timing: dict[str, Any], expected: list[int]) -> None:
    model = net()
    chain = WeightChain([WeightClip(value=0.01, **timing)], model, SEEDS)
    acted = []
    for step in range(STEPS * EPOCHS):
        with torch.no_grad():
            model[0].weight.fill_(1.0)
        chain.apply(at(step))
        if model[0].weight.max() < 1.0:
            acted.append(step)
    assert acted == expected


@pytest.mark.parametrize(
    ("timing", "first"),
    [
        ({}, 0),
        ({"from_epoch": 2}, 6),
        ({"from_epoch": 2, "every": "epoch"}, 8),
        ({"gradual": True}, 2),
        ({"gradual": True, "every": "step"}, 0),
    ],
)
def test_a_cut_chooses_weights_when_it_first_acts(timing: dict[str, Any], first: int) -> None:
    model = net()
    chain = WeightChain([WeightCut(fraction=0.5, **timing)], model, SEEDS)
    steps = itertools.takewhile(lambda step: not n_zeros(model), range(18))
    for step in steps:
        chain.apply(at(step))
        last = step
    assert last == first


def test_a_gradual_cut_reaches_its_fraction_and_keeps_it() -> None:
    model = net()
    link = WeightCut(fraction=0.5, gradual=True, from_epoch=1, until_epoch=4)
    chain = WeightChain([link], model, SEEDS)
    counts = [n_zeros(model) for _ in trained(model, chain, range(STEPS * EPOCHS), adam(model))]
    expected = [round(144 * 0.5 * (1 - (1 - done / 3) ** 3)) for done in (1, 2, 3)]
    assert counts == [0] * 5 + [expected[0]] * 3 + [expected[1]] * 3 + [expected[2]] * 7
    assert expected[2] == 72


def test_a_later_cut_takes_from_the_remaining_weights_at_any_position_of_the_chain() -> None:
    model = net()
    chain = WeightChain([WeightCut(fraction=0.5, from_epoch=1), WeightCut(fraction=0.5)], model, SEEDS)
    chain.apply(at(0))
    assert n_zeros(model) == 72
    chain.apply(at(STEPS))
    assert n_zeros(model) == 72 + 36


def test_random_cuts_of_one_chain_use_different_seeds() -> None:
    links: list[AnyWeightLink] = [WeightCut(by="random", fraction=0.5) for _ in range(2)]
    found = []
    for seed in (7, 7, 8):
        model = net()
        WeightChain(links, model, partial(seed_for, seed)).apply(at(0))
        found.append(zeros(model))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_a_seed_contains_link_position_and_step_and_a_cut_reads_it_once() -> None:
    asked: list[tuple[str | int, ...]] = []

    def seeds(*names: str | int) -> int:
        asked.append(names)
        return SEEDS(*names)

    chain = WeightChain([WeightNoise(), WeightCut(by="random"), WeightNoise()], net(), seeds)
    for step in range(2):
        chain.apply(at(step))
    assert asked == [("noise", 0, 0), ("cut", 1, 0), ("noise", 2, 0), ("noise", 0, 1), ("noise", 2, 1)]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [("weights", {"0.weight", "3.weight"}), ("all", {"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"})],
)  # fmt: skip
def test_weights_have_two_or_more_dimensions_and_all_means_all_parameters(
    parameters: Any, expected: set[str]
) -> None:
    model = net()
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    WeightChain([WeightNoise(std=0.1, parameters=parameters)], model, SEEDS).apply(at(0))
    changed = {name for name, each in model.named_parameters() if not torch.equal(each, before[name])}
    assert changed == expected


def test_parameters_without_training_are_left_alone() -> None:
    model = net()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    WeightChain([WeightClip(value=0.01, parameters="all")], model, SEEDS).apply(at(0))
    assert torch.equal(model[0].weight, before)
    assert model[3].weight.abs().max() <= 0.01


CHAIN: list[AnyWeightLink] = [
    WeightCut(by="random", fraction=0.2, from_epoch=1),
    WeightNoise(std=0.01),
    WeightCut(fraction=0.6, gradual=True, every="step", until_epoch=5),
    WeightCut(by="rows", fraction=0.3, from_epoch=4),
    UnitNorm(until_epoch=5),
    Center(every="epoch"),
]


@pytest.mark.parametrize("stop", [0, STEPS, 3 * STEPS, 3 * STEPS + 1, 5 * STEPS])
def test_a_restored_chain_continues_bit_for_bit(stop: int) -> None:
    expected = run(net(), CHAIN)
    model = net()
    optimizer = adam(model)
    chain = WeightChain(CHAIN, model, SEEDS)
    list(trained(model, chain, range(stop), optimizer))
    resumed = net()
    resumed.load_state_dict(model.state_dict())
    resumed_optimizer = adam(resumed)
    resumed_optimizer.load_state_dict(optimizer.state_dict())
    other = WeightChain(CHAIN, resumed, SEEDS)
    other.restore({name: mask.clone() for name, mask in chain.state().items()})
    list(trained(resumed, other, range(stop, STEPS * EPOCHS), resumed_optimizer))
    assert same(matrices(resumed), expected)


def test_the_state_names_each_mask_by_link_and_parameter() -> None:
    model = net()
    chain = WeightChain(
        [WeightClip(value=1.0), WeightCut(), WeightCut(by="rows"), WeightCut(from_epoch=1)], model, SEEDS
    )
    assert chain.state() == {}
    chain.apply(at(0))
    assert [*chain.state()] == ["1.0.weight", "1.3.weight", "2.0.weight"]


def test_an_incomplete_state_is_refused() -> None:
    model = net()
    chain = WeightChain([WeightCut()], model, SEEDS)
    chain.apply(at(0))
    state = chain.state()
    del state["0.3.weight"]
    with pytest.raises(KeyError, match=r"0\.3\.weight"):
        chain.restore(state)


def test_restoring_an_earlier_state_undoes_later_cuts() -> None:
    model = net()
    chain = WeightChain([WeightCut()], model, SEEDS)
    start = chain.state()
    chain.apply(at(0))
    chain.restore(start)
    assert chain.state() == {}
    model[0].weight.grad = torch.ones_like(model[0].weight)
    chain.mask_gradients()
    assert model[0].weight.grad.all()


@pytest.mark.parametrize(
    ("model", "link", "where"),
    [
        (nn.Linear(4, 3), WeightCut(by="rows"), "weights.1.cut"),
        (nn.BatchNorm1d(4), WeightNoise(), "weights.1.noise"),
    ],
)
def test_a_model_without_a_tensor_for_a_link_is_refused(
    model: nn.Module, link: AnyWeightLink, where: str
) -> None:
    with pytest.raises(ValueError, match=where):
        WeightChain([WeightClip(value=1.0, parameters="all"), link], model, SEEDS)


def test_an_empty_chain_changes_nothing() -> None:
    model = net()
    chain = WeightChain([], model, SEEDS)
    chain.mask_gradients()
    chain.apply(at(0))
    assert chain.state() == {}
    assert same(matrices(model), matrices(net()))


def test_a_bias_of_two_dimensions_is_still_a_bias() -> None:
    knob = TrialConfig.model_validate({"data": {"source": "iris"}, "model": "transformer"}).model
    model = build(knob, Inputs((4,)), 3)
    bias = dict(model.named_parameters())["tokens.bias"]
    assert bias.ndim == 2
    before = bias.detach().clone()
    chain = WeightChain([WeightClip(value=1e-6)], model, lambda *names: 0)
    chain.apply(StepPosition(0, 1, 1))
    assert torch.equal(bias, before)
