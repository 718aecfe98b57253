"""torchvision for tests: a narrow network with the names of its resnet18, or the installed package.

The stand-in serves the tests that run everywhere: torchvision is not installed with the other packages of the tests, and
its build on PyPI needs CUDA. The slow tests use the installed package.
"""

from __future__ import annotations

import importlib
import re
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block with the names of torchvision's BasicBlock."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        around = [nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)]
        self.downsample = nn.Sequential(*around) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(inner + around)  # type: ignore[no-any-return]


class NarrowResNet(nn.Module):
    """A network with the names of torchvision's ResNet, of two stages and a few channels."""

    def __init__(self, n_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 4, 1))
        self.layer2 = nn.Sequential(Block(4, 8, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(self.layer2(self.layer1(x))).flatten(1))  # type: ignore[no-any-return]


class _Weights:
    url = "https://download.example/resnet18.pth"

    @staticmethod
    def get_state_dict(**options: Any) -> Any:
        raise OSError("Name or service not known")


class _WeightsEnum:
    DEFAULT = _Weights


def _get_model(name: str, weights: None = None, **arguments: Any) -> nn.Module:
    if name != "resnet18":
        raise ValueError(f"Unknown model {name}")
    return NarrowResNet(**arguments)


@pytest.fixture
def narrow_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torchvision.models` with a narrow resnet18, whose weights cannot be downloaded."""
    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    package.__spec__ = ModuleSpec("torchvision", None)
    package.models = models  # type: ignore[attr-defined]
    models.get_model = _get_model  # type: ignore[attr-defined]
    models.get_model_weights = lambda name: _WeightsEnum  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


def installed_torchvision() -> Any:
    """The installed `torchvision.models`; skips the test if there is none.

    A build for CUDA cannot load its operators beside torch for the CPU, and fails where it describes them. The networks
    need none of them, so the operators that it misses are declared, without code.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for _ in range(50):
        try:
            return importlib.import_module("torchvision.models")
        except ModuleNotFoundError:
            pytest.skip("torchvision is not installed")
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            library.define(f"{missing[1]}(Tensor x) -> Tensor")
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
    raise AssertionError("torchvision misses too many operators")
