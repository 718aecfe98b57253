"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from tunecli.errors import UsageError
from tunecli.train.devices import describe, names, resolve


def test_the_cpu_is_always_here() -> None:
    assert resolve("cpu") == torch.device("cpu")
    assert names()[0] == "cpu"


def test_auto_is_the_accelerator_where_there_is_one() -> None:
    assert str(resolve("auto")) == (names()[1] if len(names()) > 1 else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "xpu:99", "cpu:1", "gpu", "cuda:", "cuda:x", ""])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert "cpu" in caught.value.hint


def test_every_device_is_described() -> None:
    assert [facts.name for facts in describe()] == names()
    assert all(facts.description for facts in describe())
