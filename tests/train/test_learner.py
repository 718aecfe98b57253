"""An epoch of training against the same epoch written out by hand in plain torch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunecli.config.schema import TrialConfig
from tunecli.seeding import seed_for
from tunecli.train.data.loading import Fold, load
from tunecli.train.epoch_batches import epoch_steps, mix
from tunecli.train.learner import Learner
from tunecli.train.torch_state import cpu_generator

CPU = torch.device("cpu")


def learner_of(
    config: dict[str, Any], seed: int = 5, micro_batches: int = 1
) -> tuple[Learner, Fold, TrialConfig]:
    concrete = TrialConfig.model_validate({"data": {"source": "iris"}, **config})
    (fold,) = load(concrete.data, Path(), 7, CPU)
    return Learner(concrete, fold, seed, micro_batches=micro_batches), fold, concrete


def test_epochs_equal_a_plain_torch_loop() -> None:
    config = {
        "model": {"name": "mlp", "hidden": [8]},
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "learning_rate": ["cosine"],
        "training": {"epochs": 3, "batch_size": 50, "grad_clip": {"norm": 0.5, "value": 0.1}},
    }
    learner, fold, _ = learner_of(config)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model.load_state_dict(learner.weights())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9)
    for epoch in (1, 2, 3):
        found = learner.train_epoch(epoch)
        order = torch.randperm(120, generator=cpu_generator(seed_for(5, "shuffle", epoch)))
        total = 0.0
        for rows in torch.split(order, 50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(fold.x_train[rows]), fold.y_train[rows])
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            nn.utils.clip_grad_value_(model.parameters(), 0.1)
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(rows)
        assert found == pytest.approx(total / 120, rel=1e-5)
    for name, tensor in learner.weights().items():
        torch.testing.assert_close(tensor, model.state_dict()[name])


@pytest.mark.parametrize("balance", ["none", "weight"])
@pytest.mark.parametrize("batch_size", [7, 50])
def test_gradient_descent_does_not_depend_on_the_batch_size(batch_size: int, balance: str) -> None:
    config = {"optimizer": {"name": "gd", "lr": 0.5}, "data": {"source": "wine", "balance": balance}}
    whole, _, _ = learner_of({**config, "training": {"batch_size": "full"}})
    parts, _, _ = learner_of({**config, "training": {"batch_size": batch_size}})
    for epoch in (1, 2, 3):
        assert parts.train_epoch(epoch) == pytest.approx(whole.train_epoch(epoch), rel=1e-5)
    for name, tensor in whole.weights().items():
        torch.testing.assert_close(parts.weights()[name], tensor, rtol=1e-4, atol=1e-6)


def test_an_epoch_depends_only_on_its_seeds() -> None:
    config = {
        "data": {"source": "digits", "augment": ["noise", "crop"], "balance": "sample"},
        "model": {"name": "cnn", "channels": [4], "dropout": 0.3},
        "optimizer": {"name": "sgd", "lr": 0.1},
    }
    straight, _, _ = learner_of(config)
    straight.train_epoch(1)
    resumed, _, _ = learner_of(config)
    resumed.model.load_state_dict(straight.weights())
    torch.rand(17)  # other draws from torch's generator in between
    assert straight.train_epoch(2) == resumed.train_epoch(2)
    assert all(torch.equal(one, resumed.weights()[name]) for name, one in straight.weights().items())


@pytest.mark.parametrize("init", ["default", "orthogonal"])
def test_initial_weights_depend_only_on_the_seed(init: str) -> None:
    config = {"model": {"name": "transformer", "width": 8, "init": init}}
    first, again, other = (learner_of(config, seed)[0].weights() for seed in (5, 5, 6))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["tokens.weight"], other["tokens.weight"])
    assert not torch.equal(first["output.weight"], other["output.weight"])


def test_sampling_makes_the_classes_equally_likely() -> None:
    learner, fold, config = learner_of({"data": {"source": "breast_cancer", "balance": "sample"}})
    learner.train_epoch(1)
    orders = [
        epoch_steps(config.data, fold, [[len(fold.y_train)]], epoch, partial(seed_for, 5))
        for epoch in range(1, 11)
    ]
    drawn = torch.cat([batch.y for ((batch,),) in orders])
    assert drawn.double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert fold.y_train.double().mean().item() > 0.6


def test_class_weights_have_mean_one_over_the_training_examples() -> None:
    learner, fold, _ = learner_of({"data": {"source": "breast_cancer", "balance": "weight"}})
    weights = learner.class_weights_K
    assert weights[fold.y_train].mean().item() == pytest.approx(1.0, rel=1e-5)
    assert (weights * torch.tensor(fold.class_counts)).std().item() == pytest.approx(0.0, abs=1e-3)


def test_batch_norm_survives_a_last_batch_of_one() -> None:
    learner, _, _ = learner_of({"model": {"name": "mlp", "norm": "batch"}, "training": {"batch_size": 17}})
    assert learner.train_epoch(1) > 0


def test_validation_is_in_chunks_and_the_loss_has_no_class_weights() -> None:
    learner, fold, _ = learner_of({"data": {"source": "wine", "balance": "weight"}})
    with torch.no_grad():
        expected = nn.functional.cross_entropy(learner.model.eval()(fold.x_valid), fold.y_valid).item()
    assert learner.validate()["val_loss"] == pytest.approx(expected)


def test_metrics_of_poisson_are_those_of_the_counts() -> None:
    config = {"data": {"source": "diabetes"}, "loss": "poisson", "training": {"epochs": 1}}
    learner, fold, _ = learner_of(config)
    learner.train_epoch(1)
    with torch.no_grad():
        output_N = learner.model.eval()(fold.x_valid)[:, 0]
    count_N = fold.y_valid * fold.target_scale + fold.target_center
    found = learner.validate()
    assert found["val_loss"] == pytest.approx(nn.PoissonNLLLoss()(output_N, count_N).item(), rel=1e-5)
    assert found["val_mae"] == pytest.approx((output_N.exp() - count_N).abs().mean().item(), rel=1e-5)


def test_the_chain_sets_the_rate_of_every_optimizer() -> None:
    config = {"optimizer": {"name": "muon", "lr": 0.1, "decay_exclude": ["bias"]}, "training": {"epochs": 4}}
    learner, _, _ = learner_of({**config, "learning_rate": [{"cut": {"at": [1], "factor": 0.5}}]})
    learner.train_epoch(1)
    learner.train_epoch(2)
    groups = [group for optimizer in learner.updater.optimizers for group in optimizer.param_groups]
    assert [group["lr"] for group in groups] == [0.05, 0.05, 0.05]


def test_accumulated_batches_give_the_step_of_one_large_batch() -> None:
    whole, _, _ = learner_of({"training": {"batch_size": 48}})
    parts, _, _ = learner_of({"training": {"batch_size": 16, "accumulate": 3}})
    for epoch in (1, 2):
        assert parts.train_epoch(epoch) == pytest.approx(whole.train_epoch(epoch), rel=1e-5)
    for name, tensor in whole.weights().items():
        torch.testing.assert_close(parts.weights()[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("micro_batches", [2, 3, 100])
@pytest.mark.parametrize(
    "config",
    [
        {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}, "training": {"batch_size": 50}},
        {"training": {"batch_size": 16, "accumulate": 3}},
        {"data": {"source": "iris", "augment": [{"mixup": {"alpha": 0.4}}], "balance": "sample"}},
        {"data": {"source": "wine", "balance": "weight"}, "optimizer": {"name": "gd", "lr": 0.5}},
        {"optimizer": {"name": "lbfgs", "max_iter": 3}, "training": {"batch_size": "full"}},
    ],
    ids=["sgd", "accumulated", "mixup", "gd", "lbfgs"],
)
def test_a_split_batch_gives_the_step_of_the_whole_batch(config: dict[str, Any], micro_batches: int) -> None:
    model = {"name": "mlp", "hidden": [8], "activation": "tanh"}
    whole, _, _ = learner_of({"model": model, **config})
    parts, _, _ = learner_of({"model": model, **config}, micro_batches=micro_batches)
    for epoch in (1, 2):
        assert parts.train_epoch(epoch) == pytest.approx(whole.train_epoch(epoch), rel=1e-4)
    for name, tensor in whole.weights().items():
        torch.testing.assert_close(parts.weights()[name], tensor, rtol=1e-3, atol=1e-5)
    assert parts.validate() == pytest.approx(whole.validate(), rel=1e-3, abs=1e-5)


def rows_seen(learner: Learner) -> list[int]:
    """The rows of every batch that the model gets from now on."""
    seen: list[int] = []
    learner.model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    return seen


def test_a_split_batch_of_batch_norm_has_no_part_of_one_example() -> None:
    config = {"model": {"name": "mlp", "hidden": [4], "norm": "batch"}, "training": {"batch_size": 7}}
    learner, _, _ = learner_of(config, micro_batches=4)
    seen = rows_seen(learner)
    learner.train_epoch(1)
    assert seen == [3, 2, 2] * 16 + [2, 2, 2, 2]  # 120 examples: 16 batches of 7, the last one of 8


def test_validation_takes_fewer_rows_at_a_time_with_split_batches() -> None:
    whole, _, _ = learner_of({})
    parts, _, _ = learner_of({}, micro_batches=4096)
    seen = rows_seen(parts)
    assert parts.validate() == pytest.approx(whole.validate(), rel=1e-5)
    assert seen == [2] * 15


def test_steps_are_counted_after_accumulating() -> None:
    learner, _, _ = learner_of({"training": {"batch_size": 16, "accumulate": 3, "steps": 4}})
    assert learner.n_epochs == 2  # 8 batches of 120 examples make 3 steps


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_with_weights_in_float32(precision: str) -> None:
    learner, _, _ = learner_of(
        {"optimizer": {"name": "sgd", "lr": 0.5}, "training": {"precision": precision}}
    )
    first = learner.train_epoch(1)
    for epoch in range(2, 8):
        last = learner.train_epoch(epoch)
    assert last < 0.5 * first
    assert {tensor.dtype for tensor in learner.weights().values()} == {torch.float32}


def test_a_scaled_gradient_is_unscaled_before_clipping() -> None:
    config = {"model": "linear", "optimizer": {"name": "sgd", "lr": 1.0}}
    training = {"batch_size": "full", "grad_clip": {"norm": 0.05}}
    half, _, _ = learner_of({**config, "training": {**training, "precision": "fp16"}})
    single, _, _ = learner_of({**config, "training": training})
    start = half.weights()
    half.train_epoch(1), single.train_epoch(1)
    moved = torch.cat([(half.weights()[name] - start[name]).flatten() for name in start])
    assert moved.norm().item() == pytest.approx(0.05, rel=1e-3)
    for name, tensor in single.weights().items():
        torch.testing.assert_close(half.weights()[name], tensor, rtol=0, atol=1e-3)


def test_lbfgs_is_torchs_with_a_closure_over_the_batch() -> None:
    config = {
        "model": "linear",
        "optimizer": {"name": "lbfgs", "lr": 0.1, "max_iter": 4, "line_search": "none"},
    }
    learner, fold, _ = learner_of({**config, "training": {"batch_size": "full"}})
    model = nn.Linear(4, 3)
    model.load_state_dict({name[2:]: tensor for name, tensor in learner.weights().items()})
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)

    def closure() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(fold.x_train), fold.y_train)
        torch.autograd.backward(loss)
        return loss.item()

    for epoch in (1, 2, 3):
        assert learner.train_epoch(epoch) == pytest.approx(float(optimizer.step(closure)), rel=1e-5)
    for name, tensor in learner.weights().items():
        torch.testing.assert_close(tensor, model.state_dict()[name[2:]], rtol=1e-4, atol=1e-6)


def test_both_chains_act_in_their_order_at_every_step() -> None:
    learner, fold, _ = learner_of(
        {
            "model": "linear",
            "optimizer": {"name": "sgd", "lr": 1.0},
            "learning_rate": [{"cut": {"at": [1], "factor": 0.5}}, {"clip": {"max": 0.6}}],
            "weights": [{"cut": {"by": "magnitude", "fraction": 0.5}}, {"clip": {"value": 0.3}}],
            "training": {"batch_size": "full"},
        }
    )
    weight, bias = (tensor.clone().requires_grad_() for tensor in learner.weights().values())
    mask = None
    for epoch, lr in ((1, 0.6), (2, 0.5), (3, 0.5)):
        learner.train_epoch(epoch)
        loss = nn.functional.cross_entropy(fold.x_train @ weight.T + bias, fold.y_train)
        d_weight, d_bias = torch.autograd.grad(loss, (weight, bias))
        with torch.no_grad():
            weight -= lr * d_weight
            bias -= lr * d_bias
            if mask is None:
                mask = torch.ones(12).index_fill(0, weight.abs().flatten().topk(6, largest=False).indices, 0)
            weight.copy_((weight * mask.view(3, 4)).clamp(-0.3, 0.3))
    found = [*learner.weights().values()]
    torch.testing.assert_close(found[0], weight.detach())
    torch.testing.assert_close(found[1], bias.detach())
    assert int((found[0] == 0).sum()) == 6


def test_averaged_weights_are_validated_and_saved() -> None:
    config = {"optimizer": {"name": "sgd", "lr": 0.5}, "training": {"average": {"name": "ema", "decay": 0.9}}}
    averaged, _, _ = learner_of(config)
    plain, _, _ = learner_of({**config, "training": {}})
    averaged.train_epoch(1), plain.train_epoch(1)
    for name, tensor in averaged.model.state_dict().items():
        assert torch.equal(tensor, plain.model.state_dict()[name])
        assert not torch.equal(tensor, averaged.weights()[name])
    plain.model.load_state_dict(averaged.weights())
    assert averaged.validate() == plain.validate()


@pytest.mark.parametrize("average", [{"name": "ema", "decay": 0.9}, {"name": "swa", "start_fraction": 0.0}])
def test_cut_weights_are_zero_in_the_average(average: dict[str, Any]) -> None:
    learner, _, _ = learner_of(
        {
            "weights": [{"cut": {"fraction": 0.5, "from_epoch": 1}}],
            "training": {"epochs": 3, "average": average},
        }
    )
    for epoch in (1, 2, 3):
        learner.train_epoch(epoch)
    own = learner.model.state_dict()
    for name, tensor in learner.weights().items():
        if tensor.ndim == 2:
            assert torch.equal(tensor == 0, own[name] == 0)
            assert not torch.equal(tensor, own[name])


def test_the_stochastic_average_recomputes_batch_statistics() -> None:
    learner, fold, _ = learner_of(
        {
            "model": {"name": "mlp", "hidden": [8], "norm": "batch"},
            "training": {"epochs": 2, "average": "swa", "batch_size": "full"},
        }
    )
    learner.train_epoch(1), learner.train_epoch(2)
    kept = learner.weights()
    x = fold.x_train @ kept["0.weight"].T + kept["0.bias"]
    torch.testing.assert_close(kept["1.running_mean"], x.mean(0))


def test_mixup_is_the_loss_of_both_targets_by_their_shares() -> None:
    config = {"model": "linear", "optimizer": {"name": "sgd", "lr": 0.1}, "training": {"batch_size": "full"}}
    learner, fold, _ = learner_of(
        {**config, "data": {"source": "iris", "augment": [{"mixup": {"alpha": 0.4}}]}}
    )
    start = learner.weights()
    order = torch.randperm(120, generator=cpu_generator(seed_for(5, "shuffle", 1)))
    x, y = fold.x_train[order], fold.y_train[order]
    mixed, partner_y, share = mix(x, y, [120], 0.4, seed_for(5, "mixup", 1))
    assert not torch.equal(mixed, x)
    weight, bias = start.values()
    outputs = mixed @ weight.T + bias
    expected = share[0] * nn.functional.cross_entropy(outputs, y)
    expected += (1 - share[0]) * nn.functional.cross_entropy(outputs, partner_y)
    assert learner.train_epoch(1) == pytest.approx(float(expected), rel=1e-5)


def test_channels_last_is_another_layout_of_the_same_numbers() -> None:
    config = {"data": {"source": "digits"}, "model": {"name": "cnn", "channels": [4]}}
    plain, _, _ = learner_of(config)
    last, _, _ = learner_of({**config, "training": {"channels_last": True}})
    assert last.train_epoch(1) == pytest.approx(plain.train_epoch(1), rel=1e-4)
    kernel = next(parameter for parameter in last.model.parameters() if parameter.ndim == 4)
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    seen: list[bool] = []
    last.model.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    last.train_epoch(2)
    assert seen and all(seen)


def test_the_test_part_is_read_only_if_requested() -> None:
    config = TrialConfig.model_validate({"data": {"source": "iris", "test": {"fraction": 0.2}}})
    (closed,) = load(config.data, Path(), 7, CPU)
    (opened,) = load(config.data, Path(), 7, CPU, open_test=True)
    assert closed.x_test is None and closed.y_test is None
    assert torch.equal(closed.x_train, opened.x_train)
    learner = Learner(config, opened, 5)
    found = learner.test(learner.weights())
    with torch.inference_mode():
        loss = nn.functional.cross_entropy(learner.model.eval()(opened.x_test), opened.y_test)
    assert found["test_loss"] == pytest.approx(float(loss))
    assert {"test_accuracy", "test_auroc"} <= set(found)
    assert Learner(config, closed, 5).test(learner.weights()) == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of torch's own, as it loads its compiler
def test_a_compiled_model_learns_the_same() -> None:
    plain, _, _ = learner_of({})
    compiled, _, _ = learner_of({"training": {"compile": True}})
    assert [*compiled.weights()] == [*plain.weights()]
    for epoch in (1, 2):
        assert compiled.train_epoch(epoch) == pytest.approx(plain.train_epoch(epoch), rel=1e-4)
