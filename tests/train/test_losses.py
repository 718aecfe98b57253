"""Each loss against torch's own class or its closed form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from tunecli.config.schema import losses as knobs
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.train.losses import (
    TargetScale,
    build_loss,
    predictor,
)

G = torch.Generator().manual_seed(0)
LOGITS = 3.0 * torch.randn(50, 4, generator=G)
CLASSES = torch.randint(0, 4, (50,), generator=G)
OUTPUTS = 2.0 * torch.randn(50, 1, generator=G)
TARGETS = torch.randn(50, generator=G)
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.1])
COUNTS = torch.arange(50) % 7
SCALE = TargetScale(center=2.94, scale=1.9876)
STANDARDISED = ((COUNTS.double() - SCALE.center) / SCALE.scale).float()
ONE_HOT = nn.functional.one_hot(CLASSES, 4).float()
WEIGHABLE = [knobs.CrossEntropy, knobs.Focal, knobs.Hinge, knobs.Bce]


def smoothed(smoothing: float) -> Tensor:
    return ONE_HOT * (1.0 - smoothing) + smoothing / 4


CLASSIFICATION_LOSSES: tuple[Any, ...] = get_args(knobs.AnyClassLoss)
REGRESSION_LOSSES: tuple[Any, ...] = get_args(knobs.AnyNumberLoss)


def test_every_loss_setting_is_implemented() -> None:
    assert set(get_args(knobs.AnyLoss)) == {*CLASSIFICATION_LOSSES, *REGRESSION_LOSSES, UserCode}


def test_every_loss_serves_the_task_it_is_built_for() -> None:
    assert {knob().tasks[0] for knob in CLASSIFICATION_LOSSES} == {"classification"}
    assert all(
        ("multilabel" in knob().tasks) == bool(knob.label_implementation) for knob in CLASSIFICATION_LOSSES
    )
    assert {knob().tasks for knob in REGRESSION_LOSSES} == {("regression",)}


@pytest.mark.parametrize(
    ("knob", "reference"),
    [
        (None, nn.CrossEntropyLoss()),
        (knobs.CrossEntropy(label_smoothing=0.2), nn.CrossEntropyLoss(label_smoothing=0.2)),
        (knobs.Hinge(margin=0.7), nn.MultiMarginLoss(margin=0.7)),
        (knobs.Hinge(p=2), nn.MultiMarginLoss(p=2)),
        (knobs.Focal(gamma=0.0), nn.CrossEntropyLoss()),
    ],
)
def test_classification_losses_equal_torchs(knob: knobs.AnyLoss | None, reference: nn.Module) -> None:
    torch.testing.assert_close(
        build_loss(knob, "classification")(LOGITS, CLASSES), reference(LOGITS, CLASSES)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_bce_equals_torchs_on_one_hot_targets(smoothing: float) -> None:
    found = build_loss(knobs.Bce(label_smoothing=smoothing), "classification")(LOGITS, CLASSES)
    torch.testing.assert_close(found, nn.BCEWithLogitsLoss()(LOGITS, smoothed(smoothing)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_kl_equals_torchs_and_is_cross_entropy_minus_the_targets_entropy(smoothing: float) -> None:
    found = build_loss(knobs.Kl(label_smoothing=smoothing), "classification")(LOGITS, CLASSES)
    reference = nn.KLDivLoss(reduction="batchmean")(torch.log_softmax(LOGITS, 1), smoothed(smoothing))
    torch.testing.assert_close(found, reference)
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=smoothing)(LOGITS, CLASSES).item()
    assert found.item() == pytest.approx(cross_entropy - stats.entropy(smoothed(smoothing)[0]), rel=1e-5)


def test_kl_is_zero_if_the_model_predicts_the_smoothed_target() -> None:
    logits = smoothed(0.2).log()
    assert build_loss(knobs.Kl(label_smoothing=0.2), "classification")(
        logits, CLASSES
    ).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("knob", "reference"),
    [
        (None, nn.MSELoss()),
        (knobs.Mse(), nn.MSELoss()),
        (knobs.Mae(), nn.L1Loss()),
        (knobs.Huber(delta=0.5), nn.HuberLoss(delta=0.5)),
        (knobs.SmoothL1(beta=0.5), nn.SmoothL1Loss(beta=0.5)),
    ],
)
def test_regression_losses_equal_torchs(knob: knobs.AnyLoss | None, reference: nn.Module) -> None:
    found = build_loss(knob, "regression")(OUTPUTS, TARGETS)
    torch.testing.assert_close(found, reference(OUTPUTS[:, 0], TARGETS))


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_equals_its_closed_form(gamma: float) -> None:
    p = torch.softmax(LOGITS.double(), 1)[torch.arange(50), CLASSES]
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    found = build_loss(knobs.Focal(gamma=gamma), "classification")(LOGITS.double(), CLASSES)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("knob", [knobs.Focal(gamma=0.5), *(knob() for knob in CLASSIFICATION_LOSSES)])
def test_gradients_are_finite_where_the_model_is_certain(knob: knobs.AnyLoss) -> None:
    logits = torch.tensor([[100.0, -100.0], [-100.0, 100.0]], requires_grad=True)
    torch.autograd.backward(build_loss(knob, "classification")(logits, torch.tensor([0, 0])))
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("knob", [knob() for knob in CLASSIFICATION_LOSSES])
def test_gradients_of_classification_losses_match_finite_differences(knob: knobs.AnyLoss) -> None:
    loss = build_loss(knob, "classification", WEIGHTS)
    logits = LOGITS[:5].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda outputs: loss(outputs, CLASSES[:5]), logits)


@pytest.mark.parametrize("knob", [knob() for knob in REGRESSION_LOSSES])
def test_gradients_of_regression_losses_match_finite_differences(knob: knobs.AnyLoss) -> None:
    loss = build_loss(knob, "regression", target=SCALE)
    outputs = OUTPUTS[:5].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda outputs: loss(outputs, TARGETS[:5].double()), outputs)


def test_log_cosh_equals_its_closed_form_and_does_not_overflow() -> None:
    loss = build_loss(knobs.LogCosh(), "regression")
    error = OUTPUTS[:, 0].double() - TARGETS.double()
    torch.testing.assert_close(loss(OUTPUTS.double(), TARGETS.double()), error.cosh().log().mean())
    far = loss(torch.tensor([[1e4]]), torch.zeros(1))
    assert far.item() == pytest.approx(1e4, rel=1e-3)


def test_the_pinball_loss_is_least_at_the_quantile() -> None:
    guesses = torch.linspace(-3, 3, 601)
    for q in (0.1, 0.5, 0.8):
        loss = build_loss(knobs.Quantile(q=q), "regression")
        losses = [loss(guess.expand(50, 1), TARGETS).item() for guess in guesses]
        best = guesses[int(np.argmin(losses))].item()
        below, above = np.quantile(TARGETS, [q - 0.021, q + 0.021])
        assert below <= best <= above


def test_the_pinball_loss_at_one_half_is_half_the_absolute_error() -> None:
    found = build_loss(knobs.Quantile(), "regression")(OUTPUTS, TARGETS)
    torch.testing.assert_close(2.0 * found, nn.L1Loss()(OUTPUTS[:, 0], TARGETS))


def test_the_pinball_loss_weighs_errors_above_by_q() -> None:
    loss = build_loss(knobs.Quantile(q=0.9), "regression")
    assert loss(torch.zeros(1, 1), torch.tensor([2.0])).item() == pytest.approx(1.8)
    assert loss(torch.zeros(1, 1), torch.tensor([-2.0])).item() == pytest.approx(0.2)


@pytest.mark.parametrize("full", [False, True])
def test_poisson_equals_torchs_on_the_counts(full: bool) -> None:
    found = build_loss(knobs.Poisson(full=full), "regression", target=SCALE)(OUTPUTS, STANDARDISED)
    torch.testing.assert_close(found, nn.PoissonNLLLoss(full=full)(OUTPUTS[:, 0], COUNTS.float()))


def test_full_poisson_is_the_likelihood_up_to_stirlings_error() -> None:
    counts = np.array([0, 1, 20, 50])
    target = TargetScale(10.0, 20.0)
    standardised = torch.tensor((counts - target.center) / target.scale, dtype=torch.float32)
    log_rates = torch.tensor([[0.5], [1.0], [3.0], [4.0]])
    found = build_loss(knobs.Poisson(full=True), "regression", target=target)(log_rates, standardised)
    expected = -stats.poisson.logpmf(counts, log_rates[:, 0].exp().numpy()).mean()
    assert found.item() == pytest.approx(expected, abs=0.01)


def test_poisson_does_not_round_targets_that_are_not_whole() -> None:
    rates = torch.tensor([1e-5, 3e-5, 2e-4])
    target = TargetScale(rates.mean().item(), rates.std().item())
    standardised = (rates - target.center) / target.scale
    found = build_loss(knobs.Poisson(), "regression", target=target)(OUTPUTS[:3], standardised)
    torch.testing.assert_close(found, nn.PoissonNLLLoss()(OUTPUTS[:3, 0], rates))


def test_only_outputs_of_poisson_need_a_conversion_to_predictions() -> None:
    assert torch.equal(predictor(None, SCALE)(OUTPUTS), OUTPUTS)
    assert torch.equal(predictor(knobs.Mse(), SCALE)(OUTPUTS), OUTPUTS)
    predicted = predictor(knobs.Poisson(), SCALE)(COUNTS[1:].double().log()[:, None])
    torch.testing.assert_close(predicted, ((COUNTS[1:].double() - SCALE.center) / SCALE.scale)[:, None])


@pytest.mark.parametrize(
    "knob", [knobs.CrossEntropy(), knobs.Focal(), knobs.Hinge(), knobs.Hinge(p=2), knobs.Bce(), knobs.Kl()]
)
def test_class_weights_multiply_each_examples_loss(knob: knobs.AnyLoss) -> None:
    plain, weighted = build_loss(knob, "classification"), build_loss(knob, "classification", WEIGHTS)
    singles = torch.stack([plain(LOGITS[n : n + 1], CLASSES[n : n + 1]) for n in range(50)])
    torch.testing.assert_close(weighted(LOGITS, CLASSES), (singles * WEIGHTS[CLASSES]).mean())


@pytest.mark.parametrize("knob", WEIGHABLE)
def test_class_weights_of_the_loss_and_of_the_balance_act_alike(knob: Any) -> None:
    own = build_loss(knob(class_weights=[0.5, 1.0, 2.0, 0.1]), "classification")
    balanced = build_loss(knob(), "classification", WEIGHTS)
    torch.testing.assert_close(own(LOGITS, CLASSES), balanced(LOGITS, CLASSES))


def test_class_weights_multiply_each_part_of_a_smoothed_target_as_in_torch() -> None:
    knob = knobs.CrossEntropy(label_smoothing=0.2, class_weights=WEIGHTS.tolist())
    reference = nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.2, reduction="none")(LOGITS, CLASSES)
    torch.testing.assert_close(build_loss(knob, "classification")(LOGITS, CLASSES), reference.mean())


def test_class_weights_from_two_places_are_refused() -> None:
    with pytest.raises(UsageError, match="not from both"):
        build_loss(knobs.Focal(class_weights=[1.0] * 4), "classification", WEIGHTS)


def test_the_mean_over_batches_is_the_mean_over_examples() -> None:
    def share(loss: Tensor, n: int) -> Tensor:
        return loss * n / 50

    loss = build_loss(knobs.CrossEntropy(), "classification", WEIGHTS)
    parts = share(loss(LOGITS[:13], CLASSES[:13]), 13) + share(loss(LOGITS[13:], CLASSES[13:]), 37)
    torch.testing.assert_close(parts, loss(LOGITS, CLASSES))


OWN = """
import torch
from torch import nn

def power(outputs, targets, p=1):
    return (outputs - targets).abs().pow(p).mean()

class Weighted(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, self.weights)

def each(outputs, targets):
    return (outputs - targets).square()

def number(outputs, targets):
    return 1.0
"""


def own(code: str, **args: Any) -> UserCode:
    return UserCode(python=f"own_losses:{code}", args=args)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_losses.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_losses", raising=False)
    return tmp_path


def test_the_users_own_function_is_given_outputs_and_targets_of_one_shape(folder: Path) -> None:
    found = build_loss(own("power", p=2), "regression", base_path=folder)(OUTPUTS, TARGETS)
    torch.testing.assert_close(found, nn.MSELoss()(OUTPUTS[:, 0], TARGETS))


def test_the_users_own_class_is_made_with_its_args_and_called(folder: Path) -> None:
    loss = build_loss(own("Weighted", weights=WEIGHTS.tolist()), "classification", base_path=folder)
    torch.testing.assert_close(loss(LOGITS, CLASSES), nn.CrossEntropyLoss(WEIGHTS)(LOGITS, CLASSES))


def test_a_loss_of_torch_can_be_used_by_name() -> None:
    knob = UserCode(python="torch.nn:SoftMarginLoss")
    found = build_loss(knob, "regression")(OUTPUTS, TARGETS.sign())
    torch.testing.assert_close(found, nn.SoftMarginLoss()(OUTPUTS[:, 0], TARGETS.sign()))


@pytest.mark.parametrize(("code", "message"), [("each", r"shape \(50,\)"), ("number", "returns 1.0")])
def test_a_user_loss_that_returns_no_scalar_is_refused(folder: Path, code: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_loss(own(code), "regression", base_path=folder)(OUTPUTS, TARGETS)


def test_a_user_loss_takes_no_class_weights(folder: Path) -> None:
    with pytest.raises(UsageError, match="takes no class weights"):
        build_loss(own("power"), "classification", WEIGHTS, base_path=folder)
