"""Networks of torchvision: a new head, weights from files, a frozen body, and rates that fall from layer to layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from tests.support.torchvision_models import NarrowResNet, installed_torchvision, narrow_torchvision
from tests.train.artifact.test_loading import written as model_file
from tests.train.models.test_build import model_of
from tests.train.test_checkpoint import Trial, without_clock
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.models import Backbone
from tunecli.config.schema.models.backbones import Architecture
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.train.artifact.loading import model_of as model_of_file
from tunecli.train.backbone_sizes import BODIES
from tunecli.train.data.loading import load
from tunecli.train.data.table import Inputs
from tunecli.train.learner import Learner
from tunecli.train.model_sizes import size_of
from tunecli.train.models import begin_epoch, build
from tunecli.train.models.backbone import BackboneNet, MeanOverCells
from tunecli.train.validation import trial_problems

__all__ = ["narrow_torchvision"]

RGB, GREY = Inputs((3, 80, 96)), Inputs((1, 8, 8))
DIGITS: dict[str, Any] = {"source": "digits", "train_fraction": 0.05}


def net_of(inputs: Inputs = RGB, base_path: Path = Path(), **knobs: Any) -> BackboneNet:
    net = build(model_of({"name": "backbone", **knobs}), inputs, 5, base_path)
    assert isinstance(net, BackboneNet)
    return net


def trained_network() -> NarrowResNet:
    """A network whose batch norms have seen images, as in a file of trained weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = NarrowResNet(7)
        network(torch.randn(4, 3, 80, 96))
    return network.eval()


def written(path: Path, content: Any) -> str:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path.name


@pytest.mark.usefixtures("narrow_torchvision")
@pytest.mark.parametrize("kind", ["w.pth", "w.safetensors", "wrapped.pt", "parallel.pth", "own.safetensors"])
def test_the_body_of_a_file_is_loaded_and_its_head_is_replaced(kind: str, tmp_path: Path) -> None:
    network = trained_network()
    state: Any = network.state_dict()
    if kind == "wrapped.pt":
        state = {"state_dict": state, "epoch": 3}
    if kind == "parallel.pth":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    if kind == "own.safetensors":  # as `export --weights` writes it
        head = {"head.0.weight": torch.zeros(9, 8)}
        state = {f"body.{name}": one for name, one in state.items() if not name.startswith("fc.")} | head
    net = net_of(base_path=tmp_path, weights=written(tmp_path / kind, state)).eval()
    network.fc = nn.Identity()  # type: ignore[assignment]
    x = torch.randn(2, 3, 80, 96, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net.body(x), network(x))
    assert net(x).shape == (2, 5)


@pytest.mark.usefixtures("narrow_torchvision")
def test_weights_of_another_network_are_refused_with_the_names_that_differ(tmp_path: Path) -> None:
    state = trained_network().state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :1].clone()
    state["extra.weight"] = torch.zeros(1)
    del state["layer1.0.bn1.weight"], state["bn1.num_batches_tracked"]
    with pytest.raises(UsageError) as caught:
        net_of(base_path=tmp_path, weights=written(tmp_path / "w.pth", state))
    assert caught.value.message.endswith(
        "w.pth does not fit resnet18: 1 missing (layer1.0.bn1.weight), 1 unexpected (extra.weight), "
        "1 of another shape (conv1.weight (4, 1, 7, 7) instead of (4, 3, 7, 7))"
    )


@pytest.mark.usefixtures("narrow_torchvision")
@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"nonsense", "holds no weights: "), ({"lr": 1.0}, "not a map of tensors")],
)
def test_a_file_without_weights_is_named(content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UsageError, match=words):
        net_of(base_path=tmp_path, weights="w.pth")


@pytest.mark.usefixtures("narrow_torchvision")
def test_weights_that_cannot_be_downloaded_name_the_address_and_the_key() -> None:
    with pytest.raises(
        UsageError, match=r"can be neither found in .* nor downloaded: Name or service"
    ) as caught:
        net_of(weights="default")
    assert "download https://download.example/resnet18.pth elsewhere" in caught.value.hint
    assert net_of(weights="none").head_name == "fc"


@pytest.mark.usefixtures("narrow_torchvision")
def test_a_model_that_is_restored_needs_no_file() -> None:
    knob = model_of({"name": "backbone", "weights": "lost.pth"})
    assert build(knob, RGB, 5, has_trained_weights=False).state_dict()


@pytest.mark.usefixtures("narrow_torchvision")
def test_a_model_file_is_used_without_the_file_that_its_training_began_with(tmp_path: Path) -> None:
    model = {"name": "backbone", "weights": written(tmp_path / "w.pth", trained_network().state_dict())}
    content = model_file(tmp_path, {"data": DIGITS, "model": model, "training": {"epochs": 1}})
    (tmp_path / "w.pth").unlink()
    loaded = model_of_file(content, "m").module
    assert isinstance(loaded, BackboneNet)
    assert torch.equal(loaded.head[-1].weight, safetensors.torch.load(content)["head.0.weight"])


@pytest.mark.usefixtures("narrow_torchvision")
def test_grey_images_get_three_channels_and_small_images_are_scaled_up() -> None:
    net = net_of(GREY).eval()
    seen: list[torch.Tensor] = []
    net.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = torch.linspace(0, 1, 8).expand(2, 1, 8, 8)
    assert net(image).shape == (2, 5)
    assert seen[0].shape == (2, 3, 64, 64)
    assert torch.equal(seen[0][:, 0], seen[0][:, 2])
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        net_of(Inputs((4, 64, 64)))


@pytest.mark.parametrize("shape", [(2, 2), (7, 7), (9, 14), (5, 3)])
def test_the_mean_over_cells_equals_torchs_pooling(shape: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    for size in (7, (6, 6), (2, 3)):
        torch.testing.assert_close(MeanOverCells(size)(x), nn.AdaptiveAvgPool2d(size)(x))


@pytest.mark.parametrize(
    ("knobs", "inputs", "size"),
    [
        ({}, RGB, (80, 96)),
        ({}, Inputs((3, 30, 45)), (64, 96)),
        ({"resize": 40}, RGB, (40, 48)),
        ({"architecture": "vit_b_16"}, RGB, (224, 224)),
        ({"architecture": "vit_b_16", "resize": 64}, RGB, (64, 64)),
    ],
)
def test_the_shorter_side_is_scaled(knobs: dict[str, Any], inputs: Inputs, size: tuple[int, int]) -> None:
    assert Backbone.model_validate(knobs).image_size(*inputs.shape[1:]) == size


@pytest.mark.usefixtures("narrow_torchvision")
def test_a_head_has_its_hidden_layers() -> None:
    head = net_of(hidden=[6], dropout=0.5).head
    assert [type(layer).__name__ for layer in head] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [tuple(one.shape) for one in head.parameters()] == [(6, 8), (6,), (5, 6), (5,)]


@pytest.mark.usefixtures("narrow_torchvision")
def test_a_frozen_body_changes_nothing_until_its_epoch() -> None:
    model = {"name": "backbone", "freeze": True, "unfreeze_at": 2}
    config = TrialConfig.model_validate({"data": DIGITS, "model": model, "optimizer": "adam"})
    learner = learner_of(config)
    before = learner.weights()
    for epoch in (1, 2, 3):
        learner.train_epoch(epoch)
        changed = {name for name, one in learner.weights().items() if not torch.equal(one, before[name])}
        assert {"head.0.weight", "head.0.bias"} <= changed
        assert any(name.startswith("body.") for name in changed) == (epoch == 3)
        assert ("body.bn1.running_mean" in changed) == (epoch == 3)
    norms = [layer for layer in learner.model.modules() if isinstance(layer, _BatchNorm)]
    assert all(layer.training for layer in norms)
    begin_epoch(learner.model, 2)
    learner.model.train()
    assert not any(layer.training for layer in norms)
    assert learner.model.training


@pytest.mark.usefixtures("narrow_torchvision")
def test_a_scaler_skips_the_optimizer_of_frozen_weights() -> None:
    model = {"name": "backbone", "freeze": True, "resize": 16}
    training = {"precision": "fp16", "epochs": 1}
    config = TrialConfig.model_validate(
        {"data": DIGITS, "model": model, "optimizer": "muon", "training": training}
    )
    learner = learner_of(config)
    hidden = torch.nn.Parameter(torch.ones(2, 2))  # of muon, and frozen
    learner.updater.optimizers.insert(0, torch.optim.Muon([hidden]))
    assert learner.train_epoch(1) > 0.0
    assert torch.equal(hidden, torch.ones(2, 2))


def learner_of(config: TrialConfig) -> Learner:
    (fold,) = load(config.data, Path(), 7, torch.device("cpu"))
    return Learner(config, fold, 5)


@pytest.mark.usefixtures("narrow_torchvision")
@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        {"name": "adamw", "layer_decay": 0.7, "decay_exclude": ["bias", "norm"]},
        {"name": "muon", "lr": 0.01},
    ],
    ids=str,
)
def test_a_trial_that_is_resumed_around_its_unfreezing_equals_the_whole_one(
    optimizer: dict[str, Any], tmp_path: Path
) -> None:
    config = {
        "data": DIGITS,
        "model": {"name": "backbone", "freeze": True, "unfreeze_at": 2, "resize": 16},
        "optimizer": optimizer,
        "training": {"epochs": 4, "batch_size": 32, "average": {"name": "ema", "decay": 0.7}},
    }
    trial = Trial(tmp_path, config)
    whole, outcome = trial.whole()
    assert outcome.failure is None, outcome.failure
    parts, other = trial.in_parts(1, 1, 1)
    assert parts == whole
    assert without_clock(other) == without_clock(outcome)


@pytest.mark.usefixtures("narrow_torchvision")
def test_an_optimizer_steps_the_layers_of_a_backbone_at_falling_rates() -> None:
    config = {
        "data": DIGITS,
        "model": "backbone",
        "optimizer": {"name": "sgd", "lr": 1.0, "layer_decay": 0.5},
    }
    learner = learner_of(TrialConfig.model_validate(config))
    names = {parameter: name for name, parameter in learner.model.named_parameters()}
    (optimizer,) = learner.updater.optimizers
    rates = {names[one]: group["lr"] for group in optimizer.param_groups for one in group["params"]}
    assert learner.updater.last_rate == 1.0
    expected = {
        "head.0.bias": 1.0,
        "body.layer2.0.downsample.0.weight": 0.5,
        "body.layer1.1.conv2.weight": 0.25,
    }
    expected |= {"body.layer1.0.bn1.bias": 0.125, "body.bn1.weight": 0.0625, "body.conv1.weight": 0.0625}
    assert {name: rates[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"unfreeze_at": 2}, "`unfreeze_at` needs `freeze: true`"),
        ({"architecture": "vit_b_16", "resize": 100}, "multiples of 16, not 100"),
        ({"architecture": "resnet19"}, "Input should be"),
    ],
)
def test_a_contradictory_backbone_is_refused(knobs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model_of({"name": "backbone", **knobs})


@pytest.mark.usefixtures("narrow_torchvision")
@pytest.mark.parametrize(
    ("trial", "at_fault"),
    [
        ({"model": {"name": "backbone", "freeze": True, "unfreeze_at": 3}}, []),
        ({"model": {"name": "backbone", "weights": "lost.pth"}}, ["model.weights"]),
        ({"model": {"name": "backbone", "freeze": True, "unfreeze_at": 4}}, ["model.unfreeze_at"]),
        ({"model": {"name": "backbone", "freeze": True}, "weights": ["center"]}, ["weights"]),
        (
            {"model": {"name": "backbone", "freeze": True}, "training": {"average": "swa"}},
            ["training.average"],
        ),
        ({"model": "backbone", "training": {"batch_size": 1}}, ["training.batch_size"]),
        ({"model": {"name": "backbone", "freeze": True}, "training": {"batch_size": 1}}, []),
        ({"model": {"name": "backbone", "architecture": "vgg11"}, "training": {"batch_size": 1}}, []),
    ],
)
def test_the_problems_of_a_backbone_are_found_before_training(
    trial: dict[str, Any], at_fault: list[str]
) -> None:
    training = {"epochs": 4, **trial.get("training", {})}
    config = TrialConfig.model_validate({"data": DIGITS, **trial, "training": training})
    problems = trial_problems(config, Objective("val_loss", False), Path())
    assert [problem.parameter for problem in problems] == at_fault


@pytest.mark.slow
def test_every_architecture_is_one_of_torchvision_and_has_a_head() -> None:
    models = installed_torchvision()
    left_out = {"googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"}
    assert set(get_args(Architecture)) == {*models.list_models(module=models)} - left_out
    for name in get_args(Architecture):
        if name.startswith("regnet"):
            continue  # its widths are computed with tensors, which need data
        knob = Backbone(architecture=name)
        with torch.device("meta"):
            net = BackboneNet(knob, GREY, 5)
            assert net(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
        assert knob.has_batch_norm == any(isinstance(layer, _BatchNorm) for layer in net.modules())


def test_every_architecture_has_a_size() -> None:
    assert set(BODIES) == set(get_args(Architecture))


@pytest.mark.slow
@pytest.mark.parametrize(
    "knobs",
    [
        {"hidden": [6]},
        {"architecture": "densenet121"},
        {"architecture": "mobilenet_v3_small", "resize": 224},
        {"architecture": "swin_t"},
        {"architecture": "vit_b_32"},
    ],
    ids=str,
)
def test_the_size_of_a_backbone_equals_that_of_the_network(knobs: dict[str, Any]) -> None:
    installed_torchvision()
    knob = Backbone.model_validate(knobs)
    with torch.device("meta"):
        net, x = BackboneNet(knob, GREY, 5).eval(), torch.zeros(1, *GREY.shape)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(x)
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    assert size_of(knob, GREY, 5) == (n_parameters, counter.get_total_flops() // 2)


@pytest.mark.slow
def test_a_vision_transformer_of_other_images_has_other_positions() -> None:
    installed_torchvision()
    knob = Backbone(architecture="vit_b_32", resize=64)
    with torch.device("meta"):
        net = BackboneNet(knob, GREY, 5)
    size = size_of(knob, GREY, 5)
    assert size is not None
    assert size.n_parameters == sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "regnet_x_400mf", "mobilenet_v3_small"])
def test_a_network_of_torchvision_trains_and_reads_weights_of_its_own_file(name: str, tmp_path: Path) -> None:
    models = installed_torchvision()
    network = models.get_model(name, weights=None)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    net = net_of(GREY, tmp_path, architecture=name, weights="w.pth")
    own = net.body.state_dict()
    assert all(torch.equal(one, own[key]) for key, one in network.state_dict().items() if key in own)
    torch.autograd.backward(net(torch.randn(2, 1, 8, 8)).sum())
    assert all(parameter.grad is not None for parameter in net.parameters())
