"""Facts about torchvision's sets without the sets; reading one needs the network, and is not tested."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import pytest

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Torchvision
from tunecli.errors import DataError
from tunecli.registry.packages import install_command
from tunecli.train.data.datasets import CLASS_COUNTS, SHAPES
from tunecli.train.data.sources import facts_of, read_source, require_test

NAMES = get_args(Torchvision.model_fields["name"].annotation)


@pytest.mark.parametrize(
    ("name", "n_examples"),
    [
        ("mnist", 60_000),
        ("fashion_mnist", 60_000),
        ("kmnist", 60_000),
        ("cifar10", 50_000),
        ("cifar100", 50_000),
        ("svhn", 73_257),
    ],
)
def test_class_counts_sum_to_the_published_sizes(name: str, n_examples: int) -> None:
    assert sum(CLASS_COUNTS[name]) == n_examples


def test_every_torchvision_set_has_counts_and_a_shape() -> None:
    assert set(NAMES) == set(CLASS_COUNTS) == set(SHAPES)


@pytest.mark.parametrize("name", NAMES)
def test_facts_need_no_download_and_a_missing_library_names_the_extra(name: str, tmp_path: Path) -> None:
    knob = Data.model_validate({"source": name, "test": {"own": True}})
    require_test(knob, tmp_path)
    if importlib.util.find_spec("torchvision") is not None:
        facts = facts_of(knob, tmp_path)
        assert facts is not None
        assert facts.inputs.kind == "image"
        return
    for read in (facts_of, read_source):
        with pytest.raises(DataError, match="comes with torchvision") as caught:
            read(knob, tmp_path)
        assert caught.value.hint == install_command("torchvision", "torchvision")
    assert list(tmp_path.iterdir()) == []
