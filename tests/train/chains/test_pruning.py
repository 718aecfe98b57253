"""Every cut against `torch.nn.utils.prune`, and a gradual one against its closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from tunecli.config.schema.weights import WeightCut
from tunecli.train.chains import StepPosition
from tunecli.train.chains.pruning import RULES, SPARE_OUTPUT, Pruning, cut_fraction

STEPS, EPOCHS = 4, 10
SEED = 11


def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 7, 3), nn.Conv2d(7, 9, 3), nn.Flatten(), nn.Linear(9, 5))


def weights_of(model: nn.Sequential) -> list[Tensor]:
    return [model[0].weight.detach(), model[1].weight.detach(), model[3].weight.detach()]


def at(step: int) -> StepPosition:
    return StepPosition(step, STEPS, STEPS * EPOCHS)


def chosen(links: list[WeightCut], weights: list[Tensor]) -> list[Tensor]:
    """The masks of cuts that act one after another."""
    masks = [torch.ones_like(weight) for weight in weights]
    for link in links:
        pruning = Pruning(link, weights, lambda step: SEED)
        pruning.choose(at(0), masks[: len(pruning.weights)])
        masks[: len(pruning.masks)] = [old * new for old, new in zip(masks, pruning.masks, strict=False)]
    return masks


def torchs_cut(model: nn.Sequential, link: WeightCut) -> None:
    """The same cut by torch's own functions."""
    modules = [model[0], model[1], model[3]]
    each: dict[str, Any] = {
        "magnitude": prune.l1_unstructured,
        "random": prune.random_unstructured,
        "rows": lambda m, name, amount: prune.ln_structured(m, name, amount, n=2, dim=0),
        "columns": lambda m, name, amount: prune.ln_structured(m, name, amount, n=2, dim=1),
        "random_rows": lambda m, name, amount: prune.random_structured(m, name, amount, dim=0),
    }
    whole: dict[str, Any] = {"magnitude": prune.L1Unstructured, "random": prune.RandomUnstructured}
    torch.manual_seed(SEED)
    if link.by in whole and link.per != "tensor":
        prune.global_unstructured([(m, "weight") for m in modules], whole[link.by], amount=link.fraction)
        return
    for module in modules[:-1] if link.by in SPARE_OUTPUT else modules:
        each[link.by](module, "weight", amount=link.fraction)


def torchs_masks(links: list[WeightCut]) -> list[Tensor]:
    model = net()
    for link in links:
        torchs_cut(model, link)
    return [getattr(m, "weight_mask", torch.ones_like(m.weight)) for m in (model[0], model[1], model[3])]


CUTS = [
    WeightCut(by="magnitude", fraction=0.3),
    WeightCut(by="magnitude", fraction=0.3, per="tensor"),
    WeightCut(by="random", fraction=0.3),
    WeightCut(by="random", fraction=0.3, per="tensor"),
    WeightCut(by="rows", fraction=0.3),
    WeightCut(by="columns", fraction=0.5),
    WeightCut(by="random_rows", fraction=0.3),
]


def test_every_pruning_rule_is_compared_with_torch() -> None:
    assert {cut.by for cut in CUTS} == set(RULES)


@pytest.mark.parametrize("link", CUTS, ids=repr)
def test_a_cut_equals_torchs_to_the_last_entry(link: WeightCut) -> None:
    found = chosen([link], weights_of(net()))
    assert all(torch.equal(*pair) for pair in zip(found, torchs_masks([link]), strict=True))
    assert any((mask == 0).any() for mask in found)


@pytest.mark.parametrize("first", CUTS, ids=repr)
@pytest.mark.parametrize("second", CUTS, ids=repr)
def test_a_second_cut_takes_its_fraction_of_the_remaining_weights_like_torchs_container(
    first: WeightCut, second: WeightCut
) -> None:
    expected = torchs_masks([first, second])
    assert all(
        torch.equal(*pair) for pair in zip(chosen([first, second], weights_of(net())), expected, strict=True)
    )


def test_two_cuts_of_a_fifth_leave_sixty_four_percent() -> None:
    masks = chosen([WeightCut(fraction=0.2), WeightCut(fraction=0.2)], [torch.randn(25, 40)])
    assert masks[0].sum() == 640


@pytest.mark.parametrize("by", SPARE_OUTPUT)
def test_the_output_layer_keeps_its_rows(by: Any) -> None:
    *_, output = chosen([WeightCut(by=by, fraction=0.9)], weights_of(net()))
    assert output.all()


@pytest.mark.parametrize(("until", "end"), [(8, 8), (None, EPOCHS)])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_a_gradual_cut_follows_zhu_and_gupta(until: int | None, end: int, steps: int) -> None:
    link = WeightCut(fraction=0.9, gradual=True, start=0.1, from_epoch=2, until_epoch=until)
    for step in range(2 * steps, end * steps):
        t, t_0, span = step + 1, 2 * steps, (end - 2) * steps
        expected = 0.9 + (0.1 - 0.9) * (1 - (t - t_0) / span) ** 3
        assert cut_fraction(link, StepPosition(step, steps, EPOCHS * steps)) == pytest.approx(
            expected, rel=1e-12
        )
    assert cut_fraction(link, StepPosition(end * steps - 1, steps, EPOCHS * steps)) == 0.9


@pytest.mark.parametrize("by", RULES)
def test_the_masks_of_a_gradual_cut_only_grow_and_reach_the_fraction(by: Any) -> None:
    link = WeightCut(by=by, fraction=0.6, gradual=True, per="tensor")
    weights = [torch.randn(10, 20), torch.randn(20, 10)]
    pruning = Pruning(link, weights, lambda step: step)
    left = [torch.ones_like(weight) for weight in pruning.weights]
    before = left
    counts = []
    for step in range(STEPS * EPOCHS):
        for weight in weights:
            weight.normal_()  # small weights may be large by now
        pruning.choose(at(step), left)
        assert all((mask <= old).all() for mask, old in zip(pruning.masks, before, strict=True))
        before = pruning.masks
        counts.append(sum(int((mask == 0).sum()) for mask in before))
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    assert counts[-1] == 0.6 * sum(weight.numel() for weight in pruning.weights)
