"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from tunecli.errors import UsageError
from tunecli.train.devices import describe, in_turn, names, resolve


def test_the_cpu_is_always_available() -> None:
    assert resolve("cpu") == torch.device("cpu")
    assert names()[0] == "cpu"


def test_auto_selects_the_accelerator_if_there_is_one() -> None:
    assert str(resolve("auto")) == (names()[1] if len(names()) > 1 else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "xpu:99", "cpu:1", "gpu", "cuda:", "cuda:x", ""])
def test_a_missing_device_is_refused_with_a_list_of_those_available(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert "cpu" in caught.value.hint


FOUR = ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]


@pytest.mark.parametrize(
    ("slot", "avoid", "device"),
    [
        (0, (), "cuda:0"),
        (3, (), "cuda:3"),
        (5, (), "cuda:1"),
        (0, ("cuda:0",), "cuda:1"),
        (4, ("cuda:0", "cuda:2"), "cuda:1"),
        (0, FOUR, None),
    ],
)
def test_workers_take_devices_in_turn_except_avoided_ones(
    slot: int, avoid: tuple[str, ...], device: str | None
) -> None:
    assert in_turn(FOUR, slot, avoid) == device


@pytest.mark.parametrize("slot", [0, 1, 7])
def test_every_slot_takes_the_only_device(slot: int) -> None:
    assert resolve("cpu", slot) == torch.device("cpu")
    assert resolve(names()[-1], slot, names()[:-1]) == torch.device(names()[-1])


@pytest.mark.parametrize("name", ["auto", *names()])
def test_a_name_whose_devices_are_all_avoided_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="must not be used"):
        resolve(name, 0, names())


def test_every_device_is_described() -> None:
    assert [facts.name for facts in describe()] == names()
    assert all(facts.description for facts in describe())
