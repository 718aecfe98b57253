"""Each loss against torch's own class or its closed form."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from tunecli.spec.knobs import losses as knobs
from tunecli.train.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, build_loss

G = torch.Generator().manual_seed(0)
LOGITS = 3.0 * torch.randn(50, 4, generator=G)
CLASSES = torch.randint(0, 4, (50,), generator=G)
OUTPUTS = 2.0 * torch.randn(50, 1, generator=G)
TARGETS = torch.randn(50, generator=G)
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.1])


def test_every_loss_of_the_spec_is_known() -> None:
    assert set(CLASSIFICATION_LOSSES) | set(REGRESSION_LOSSES) == set(get_args(knobs.AnyLoss))


@pytest.mark.parametrize(
    ("knob", "reference"),
    [
        (None, nn.CrossEntropyLoss()),
        (knobs.CrossEntropy(label_smoothing=0.2), nn.CrossEntropyLoss(label_smoothing=0.2)),
        (knobs.Hinge(margin=0.7), nn.MultiMarginLoss(margin=0.7)),
        (knobs.Focal(gamma=0.0), nn.CrossEntropyLoss()),
    ],
)
def test_classification_losses_are_torchs(knob: knobs.AnyLoss | None, reference: nn.Module) -> None:
    torch.testing.assert_close(
        build_loss(knob, "classification")(LOGITS, CLASSES), reference(LOGITS, CLASSES)
    )


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
def test_regression_losses_are_torchs(knob: knobs.AnyLoss | None, reference: nn.Module) -> None:
    found = build_loss(knob, "regression")(OUTPUTS, TARGETS)
    torch.testing.assert_close(found, reference(OUTPUTS[:, 0], TARGETS))


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_is_its_closed_form(gamma: float) -> None:
    p = torch.softmax(LOGITS.double(), 1)[torch.arange(50), CLASSES]
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    found = build_loss(knobs.Focal(gamma=gamma), "classification")(LOGITS.double(), CLASSES)
    torch.testing.assert_close(found, expected)


def test_focal_has_a_finite_gradient_where_the_model_is_certain() -> None:
    logits = torch.tensor([[100.0, -100.0], [-100.0, 100.0]], requires_grad=True)
    loss = build_loss(knobs.Focal(gamma=0.5), "classification")(logits, torch.tensor([0, 0]))
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_log_cosh_is_its_closed_form_and_does_not_overflow() -> None:
    loss = build_loss(knobs.LogCosh(), "regression")
    error = OUTPUTS[:, 0].double() - TARGETS.double()
    torch.testing.assert_close(loss(OUTPUTS.double(), TARGETS.double()), error.cosh().log().mean())
    far = loss(torch.tensor([[1e4]]), torch.zeros(1))
    assert far.item() == pytest.approx(1e4, rel=1e-3)


@pytest.mark.parametrize("knob", [knobs.CrossEntropy(), knobs.Focal(), knobs.Hinge()])
def test_class_weights_multiply_each_examples_loss(knob: knobs.AnyLoss) -> None:
    plain, weighted = build_loss(knob, "classification"), build_loss(knob, "classification", WEIGHTS)
    singles = torch.stack([plain(LOGITS[n : n + 1], CLASSES[n : n + 1]) for n in range(50)])
    torch.testing.assert_close(weighted(LOGITS, CLASSES), (singles * WEIGHTS[CLASSES]).mean())


def test_the_mean_over_batches_is_the_mean_over_examples() -> None:
    def share(loss: Tensor, n: int) -> Tensor:
        return loss * n / 50

    loss = build_loss(knobs.CrossEntropy(), "classification", WEIGHTS)
    parts = share(loss(LOGITS[:13], CLASSES[:13]), 13) + share(loss(LOGITS[13:], CLASSES[13:]), 37)
    torch.testing.assert_close(parts, loss(LOGITS, CLASSES))
