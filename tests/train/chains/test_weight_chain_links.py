"""Each link of the weight chain except cuts, against torch or its formula."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from tunecli.config.schema.weights import AnyWeightLink, Center, UnitNorm, WeightClip, WeightCut, WeightNoise
from tunecli.registry.implementations import implementation
from tunecli.train.chains import StepPosition
from tunecli.train.chains.weight_chain import KEEP_ZEROS

NOW = StepPosition(3, 4, 40)
SHAPES = ((6, 5), (4, 3, 2, 2), (3, 6))


def weights() -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def after(link: Any, tensors: list[Tensor], now: StepPosition = NOW) -> list[Tensor]:
    found = [tensor.clone() for tensor in tensors]
    implementation(link.implementation)(link, found, lambda step: 100 + step)(now)
    return found


def rows(tensor: Tensor) -> list[list[float]]:
    """The values of each row as Python floats."""
    return [row.flatten().double().tolist() for row in tensor]


def norm(values: list[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values))


def same(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_every_link_of_the_chain_has_its_function() -> None:
    links = set(get_args(AnyWeightLink)) - {WeightCut}
    assert all(callable(implementation(each.implementation)) for each in links)


def test_a_value_bounds_every_entry() -> None:
    assert same(after(WeightClip(value=0.3), weights()), [weight.clamp(-0.3, 0.3) for weight in weights()])


def test_the_norm_of_the_model_is_bounded_like_that_of_a_gradient_in_torch() -> None:
    parameters = [nn.Parameter(torch.empty(shape)) for shape in SHAPES]
    for parameter, weight in zip(parameters, weights(), strict=True):
        parameter.grad = weight
    nn.utils.clip_grad_norm_(parameters, 2.0)
    for found, parameter in zip(after(WeightClip(norm=2.0), weights()), parameters, strict=True):
        torch.testing.assert_close(found, parameter.grad, rtol=1e-6, atol=0)


def test_the_norm_of_each_tensor_is_bounded_separately() -> None:
    bound = 4.5
    norms = [norm(weight.flatten().tolist()) for weight in weights()]
    assert min(norms) < bound < max(norms)
    expected = [weight * min(1.0, bound / each) for weight, each in zip(weights(), norms, strict=True)]
    for found, each in zip(after(WeightClip(norm=bound, per="tensor"), weights()), expected, strict=True):
        torch.testing.assert_close(found, each, rtol=1e-6, atol=0)


def test_the_norm_of_each_row_is_bounded_separately() -> None:
    bound = 2.0
    link = WeightClip(norm=bound, per="row")
    n_bounded = 0
    for found, weight in zip(after(link, weights()), weights(), strict=True):
        for row, old in zip(rows(found), rows(weight), strict=True):
            n_bounded += norm(old) > bound
            assert row == pytest.approx([value * min(1.0, bound / norm(old)) for value in old], rel=1e-6)
    assert 0 < n_bounded < sum(shape[0] for shape in SHAPES)


@pytest.mark.parametrize("per", ["model", "tensor", "row"])
def test_clipping_a_norm_within_its_bound_changes_no_bit(per: Any) -> None:
    assert same(after(WeightClip(norm=1e3, per=per), weights()), weights())


@pytest.mark.parametrize("per", ["model", "tensor", "row"])
def test_a_model_of_zeros_stays_zero(per: Any) -> None:
    zeros = [torch.zeros(shape) for shape in SHAPES]
    assert same(after(WeightClip(norm=1.0, per=per), zeros), zeros)


def test_center_subtracts_the_mean_of_each_row() -> None:
    for found, weight in zip(after(Center(), weights()), weights(), strict=True):
        for row, old in zip(rows(found), rows(weight), strict=True):
            mean = math.fsum(old) / len(old)
            assert row == pytest.approx([value - mean for value in old], abs=1e-6)


def test_unit_norm_scales_each_row_and_leaves_a_row_of_zeros() -> None:
    given = weights()
    given[0][2] = 0.0
    for found, weight in zip(after(UnitNorm(), given), given, strict=True):
        for row, old in zip(rows(found), rows(weight), strict=True):
            assert row == pytest.approx([value / (norm(old) or 1.0) for value in old], rel=1e-5)


def test_noise_has_its_standard_deviation_and_mean_zero() -> None:
    (found,) = after(WeightNoise(std=0.1), [torch.ones(200, 200)])
    assert found.mean().item() == pytest.approx(1.0, abs=4 * 0.1 / 200)
    assert found.std().item() == pytest.approx(0.1, rel=0.02)


def test_noise_is_a_function_of_the_step() -> None:
    link = WeightNoise(std=0.1)
    assert same(after(link, weights()), after(link, weights()))
    assert not same(after(link, weights()), after(link, weights(), NOW._replace(step=4)))
    (first, second) = after(link, [torch.zeros(3, 3), torch.zeros(3, 3)])
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "link", [WeightClip(value=0.1), WeightClip(norm=1.0), WeightClip(norm=0.5, per="row"), UnitNorm()]
)
def test_links_declared_to_keep_zeros_keep_them(link: Any) -> None:
    given = weights()
    for weight in given:
        weight[weight.abs() < 0.5] = 0.0
    assert isinstance(link, KEEP_ZEROS)
    for found, weight in zip(after(link, given), given, strict=True):
        assert not found[weight == 0].any()
