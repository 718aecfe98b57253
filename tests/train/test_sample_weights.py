"""Weights of examples: losses and metrics equal scikit-learn's with ``sample_weight``, however a batch is split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
from numpy.typing import NDArray

from tests.train.fused.trials import epochs_of, job_of
from tunecli.config.schema import TrialConfig
from tunecli.config.schema import losses as knobs
from tunecli.config.schema.data import Data
from tunecli.errors import DataError, UsageError
from tunecli.objective import Objective
from tunecli.train import class_metrics, label_metrics, number_metrics
from tunecli.train.class_metrics import Classified
from tunecli.train.data import loading
from tunecli.train.data.sources import facts_of
from tunecli.train.data.user_data import table_of
from tunecli.train.fused.group import run_group
from tunecli.train.fused.signature import why_not
from tunecli.train.label_metrics import Labelled
from tunecli.train.learner import Learner
from tunecli.train.loop import run
from tunecli.train.losses import build_loss, weighted_mean
from tunecli.train.metrics import evaluate
from tunecli.train.number_metrics import Predicted

CPU = torch.device("cpu")
LOSS = Objective("val_loss", False)
RNG = np.random.default_rng(2)
N = 90
WEIGHTS = np.where(np.arange(N) % 9 == 4, 0.0, RNG.uniform(0.1, 5, N))
CLASSES = RNG.permutation(np.arange(N) % 3)
LOGITS = RNG.normal(size=(N, 3)) + 2 * np.eye(3)[CLASSES]
GUESS, TARGET = RNG.uniform(0.5, 9, (2, N))
LABELS = (RNG.uniform(size=(N, 3)) < 0.4).astype(int)


def scores_of_classes(k: int) -> dict[str, float]:
    y, logits = CLASSES % k, LOGITS[:, :k].astype(np.float32).astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    guess, w = logits.argmax(1), {"sample_weight": WEIGHTS}
    one = p[:, 1] if k == 2 else p
    auroc = np.mean([reference.roc_auc_score(y == c, p[:, c], **w) for c in range(k)])
    precision = np.mean([reference.average_precision_score(y == c, p[:, c], **w) for c in range(k)])
    if k == 2:
        precision = reference.average_precision_score(y, one, **w)
    return {
        "accuracy": reference.accuracy_score(y, guess, **w),
        "balanced_accuracy": reference.balanced_accuracy_score(y, guess, **w),
        "f1": reference.f1_score(y, guess, average="macro", **w),
        "auroc": auroc,
        "average_precision": precision,
        "precision": reference.precision_score(y, guess, average="macro", **w),
        "recall": reference.recall_score(y, guess, average="macro", **w),
        "mcc": reference.matthews_corrcoef(y, guess, **w),
        "kappa": reference.cohen_kappa_score(y, guess, **w),
        "log_loss": reference.log_loss(y, p, **w),
        "brier": reference.brier_score_loss(y, p, labels=range(k), **w),
    }


@pytest.mark.parametrize("k", [2, 3])
def test_metrics_of_classes_are_weighted_as_scikit_learns(k: int) -> None:
    logits, y, weight = (torch.from_numpy(one) for one in (LOGITS[:, :k], CLASSES % k, WEIGHTS))
    expected = scores_of_classes(k)
    part = Classified(logits.float(), y, (), weight)
    found = {
        name[4:]: value
        for name, value in evaluate("classification", logits.float(), y, weight_N=weight).items()
    }
    for name in expected.keys() - found.keys():
        found[name] = float(getattr(class_metrics, name)(part))
    assert found == pytest.approx(expected, rel=1e-9)
    if k == 3:
        top = reference.top_k_accuracy_score(CLASSES, LOGITS, k=2, sample_weight=WEIGHTS)
        assert float(class_metrics.top_k(part, 2)) == pytest.approx(top)
    kept = WEIGHTS > 0
    same = Classified(logits.float()[kept], y[kept])
    once = Classified(logits.float(), y, (), torch.from_numpy(kept.astype(float)))
    assert float(class_metrics.calibration_error(once)) == pytest.approx(
        float(class_metrics.calibration_error(same))
    )


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("mae", reference.mean_absolute_error),
        ("rmse", reference.root_mean_squared_error),
        ("r2", reference.r2_score),
        ("median_absolute_error", reference.median_absolute_error),
        ("mape", reference.mean_absolute_percentage_error),
        ("msle", reference.mean_squared_log_error),
        ("rmsle", reference.root_mean_squared_log_error),
        ("pinball", reference.mean_pinball_loss),
    ],
)
@pytest.mark.parametrize("weights", [WEIGHTS, np.ones(N), (np.arange(N) % 2).astype(float)])
def test_metrics_of_numbers_are_weighted_as_scikit_learns(
    name: str, score: Callable[..., float], weights: NDArray[Any]
) -> None:
    part = Predicted(*(torch.from_numpy(one) for one in (GUESS, TARGET, weights)))
    found = float(getattr(number_metrics, name)(part))
    assert found == pytest.approx(score(TARGET, GUESS, sample_weight=weights), rel=1e-9)


def test_metrics_of_labels_are_weighted_as_scikit_learns() -> None:
    logits = LOGITS.astype(np.float32)
    p, w = 1 / (1 + np.exp(-logits.astype(float))), {"sample_weight": WEIGHTS}
    guess = (logits > 0).astype(int)
    part = Labelled(torch.from_numpy(logits), torch.from_numpy(LABELS), (), torch.from_numpy(WEIGHTS))
    expected = {
        "accuracy": reference.accuracy_score(LABELS, guess, **w),
        "hamming_loss": reference.hamming_loss(LABELS, guess, **w),
        "f1": reference.f1_score(LABELS, guess, average="macro", **w),
        "auroc": reference.roc_auc_score(LABELS, p, average="macro", **w),
        "average_precision": reference.average_precision_score(LABELS, p, average="macro", **w),
        "log_loss": np.mean([reference.log_loss(LABELS[:, k], p[:, k], **w) for k in range(3)]),
        "brier": np.mean([reference.brier_score_loss(LABELS[:, k], p[:, k], **w) for k in range(3)]),
    }
    found = {name: float(getattr(label_metrics, name)(part)) for name in expected}
    assert found == pytest.approx(expected, rel=1e-9)
    for average in ("micro", "weighted", "samples"):
        score = reference.f1_score(LABELS, guess, average=average, zero_division=0, **w)
        assert float(label_metrics.f1(part, average)) == pytest.approx(score)


ALL = [
    *(("classification", knob) for knob in (None, "cross_entropy", "focal", "hinge", "bce", "kl")),
    *(
        ("regression", knob)
        for knob in (None, "mae", "huber", "smooth_l1", "log_cosh", "quantile", "poisson")
    ),
    *(("multilabel", knob) for knob in (None, "focal")),
]
KNOBS = {
    knob.model_fields["name"].default: knob
    for knob in (*knobs.AnyClassLoss.__args__, *knobs.AnyNumberLoss.__args__)
}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("task", "name"), ALL)
def test_a_weighted_loss_is_the_weighted_mean_of_each_examples_loss(task: Any, name: str | None) -> None:
    outputs = torch.from_numpy(LOGITS if task != "regression" else GUESS[:, None]).float()
    y = {"classification": CLASSES, "regression": TARGET, "multilabel": LABELS}[task]
    targets = torch.from_numpy(y) if task == "classification" else torch.from_numpy(y).float()
    knob = None if name is None else KNOBS[name]()
    loss = build_loss(knob, task)
    of_each = np.array([float(loss(outputs[n : n + 1], targets[n : n + 1])) for n in range(N)])
    found = weighted_mean(loss, outputs, targets, torch.from_numpy(WEIGHTS).float())
    assert float(found) == pytest.approx((of_each * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-5)
    assert float(weighted_mean(loss, outputs, targets, torch.zeros(N))) == 0.0


def test_a_loss_of_ones_own_takes_no_weights() -> None:
    own = knobs.UserCode.model_validate({"python": "torch.nn:MSELoss"})
    with pytest.raises(UsageError, match="takes no weights of examples"):
        weighted_mean(build_loss(own, "regression"), torch.zeros(3, 1), torch.zeros(3), torch.ones(3))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "w.npz"
    np.savez(path, x=LOGITS, y=CLASSES, weight=WEIGHTS)
    return str(path)


def learner_of(file: str, micro_batches: int = 1, chunked: bool = False, **changes: Any) -> Learner:
    data = {"source": file, "validation": {"fraction": 0.3}, **changes.pop("data", {})}
    settings = {"model": "linear", "optimizer": {"name": "sgd", "lr": 0.1}, **changes}
    config = TrialConfig.model_validate({"data": data, **settings})
    (fold,) = loading.load(config.data, Path(), 7, CPU, free_bytes=1 if chunked else None)
    return Learner(config, fold, 1, micro_batches=micro_batches)


@pytest.mark.parametrize("balance", ["none", "weight"])
def test_a_step_follows_the_gradient_of_the_weighted_mean(file: str, balance: str) -> None:
    learner = learner_of(file, data={"balance": balance}, training={"batch_size": "full"})
    fold = learner._fold
    (layer,) = (one for one in learner.model.modules() if isinstance(one, torch.nn.Linear))
    before = layer.weight.detach().clone()
    assert fold.w_train is not None
    losses = torch.nn.functional.cross_entropy(
        layer(fold.x_train), fold.y_train, learner.class_weights_K, reduction="none"
    )
    expected = (losses * fold.w_train.float()).sum() / fold.w_train.float().sum()
    (gradient,) = torch.autograd.grad(expected, layer.weight)
    assert learner.train_epoch(1) == pytest.approx(float(expected.detach()))
    torch.testing.assert_close(layer.weight.detach(), before - 0.1 * gradient)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"batch_size": "full"}},
        {"training": {"batch_size": 8, "accumulate": 3}},
        {"training": {"batch_size": 16}, "data": {"augment": [{"mixup": {"alpha": 0.4}}]}},
    ],
)
def test_micro_batches_and_chunks_train_as_whole_batches_do(file: str, changes: dict[str, Any]) -> None:
    whole, split, chunked = (
        learner_of(file, **{**options, **changes})
        for options in ({}, {"micro_batches": 3}, {"chunked": True})
    )
    losses = [[one.train_epoch(epoch) for epoch in (1, 2)] for one in (whole, split, chunked)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] == losses[0]
    for name, weights in whole.weights().items():
        torch.testing.assert_close(split.weights()[name], weights, rtol=1e-4, atol=1e-6)
        assert torch.equal(chunked.weights()[name], weights)


def test_one_batch_of_accumulated_ones_equals_one_large_batch(file: str) -> None:
    full = learner_of(file, training={"batch_size": "full"})
    parts = learner_of(file, training={"batch_size": 9, "accumulate": 10})
    assert parts.train_epoch(1) == pytest.approx(full.train_epoch(1), rel=1e-6)
    for name, weights in full.weights().items():
        torch.testing.assert_close(parts.weights()[name], weights)


def test_validation_is_weighted_and_a_fused_trial_equals_the_plain_one(file: str) -> None:
    trial = {"data": {"source": file}, "training": {"epochs": 2, "batch_size": 32}}
    (plain,) = epochs_of(run(job_of(0, trial, LOSS))).values()
    assert epochs_of(run_group([job_of(0, trial, LOSS), job_of(1, trial, LOSS)]))[0] == plain
    learner = learner_of(file)
    fold = learner._fold
    assert fold.w_valid is not None
    found = learner.validate()
    guess = learner.outputs(fold.x_valid).argmax(1)
    assert found["val_accuracy"] == pytest.approx(
        reference.accuracy_score(fold.y_valid, guess, sample_weight=fold.w_valid)
    )


def test_equal_weights_give_the_losses_of_no_weights(file: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "even.npz", x=LOGITS, y=CLASSES, weight=np.full(N, 3.0))
    np.savez(tmp_path / "plain.npz", x=LOGITS, y=CLASSES)
    even, plain = (learner_of(str(tmp_path / f"{name}.npz")) for name in ("even", "plain"))
    assert plain._fold.w_train is None
    assert even.train_epoch(1) == pytest.approx(plain.train_epoch(1), rel=1e-6)
    assert even.validate() == pytest.approx(plain.validate(), rel=1e-6)


def test_a_column_of_weights_trains_as_the_array_does_and_is_not_fused(file: str, tmp_path: Path) -> None:
    rows = [
        f"{a!r},{b!r},{c!r},{y},{w!r}"
        for (a, b, c), y, w in zip(LOGITS.tolist(), CLASSES, WEIGHTS.tolist(), strict=True)
    ]
    (tmp_path / "w.csv").write_text("\n".join(["x0,x1,x2,y,w", *rows]) + "\n")
    columns = {"source": str(tmp_path / "w.csv"), "target": "y", "columns": {"weight": "w"}}
    trial = {"data": columns, "training": {"epochs": 1}}
    (found,) = epochs_of(run(job_of(0, trial, LOSS))).values()
    (expected,) = epochs_of(run(job_of(0, {**trial, "data": {"source": file}}, LOSS))).values()
    assert found == expected
    assert why_not(job_of(0, trial, LOSS)) == "its examples have weights"


def test_the_effective_number_of_examples_is_known_before_training(file: str) -> None:
    facts = facts_of(Data.model_validate({"source": file}), Path())
    assert facts is not None
    assert facts.n_effective == pytest.approx(WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum())


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, -1.0, 2.0], "is -1 in example 1"),
        ([0, 0, 0], "is 0 in every example"),
        ([1, 2], "for 3 examples"),
        ([1.0, np.nan, 2.0], "is nan in example 1"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weight: list[float], message: str) -> None:
    made = {"x": np.ones((3, 2)), "y": ["a", "b", "a"], "weight": weight}
    with pytest.raises(DataError, match=message):
        table_of(made, Data.model_validate({"source": "digits"}), "mine")
