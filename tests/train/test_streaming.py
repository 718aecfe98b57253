"""Data that is too large for its device is copied in chunks: the same batches in the same order, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunecli.config.schema import TrialConfig
from tunecli.seeding import seed_for
from tunecli.train.data.loading import Fold, Placement, load, placed
from tunecli.train.epoch_batches import Batch, epoch_examples, epoch_steps
from tunecli.train.learner import Learner
from tunecli.train.streaming import StreamedEpoch
from tunecli.train.workload import parts_of

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
A_ROW = 64 * 4  # of digits
CNN = {"name": "cnn", "channels": [4]}


def fold_of(config: TrialConfig, chunk_bytes: int = 0) -> Fold:
    (fold,) = load(config.data, Path(), 7, CPU)
    return replace(fold, placement=Placement(CPU, chunk_bytes))


def same(ours: Tensor | None, theirs: Tensor | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return torch.equal(ours, theirs) and ours.stride() == theirs.stride()


def fields_of(batch: Batch) -> tuple[Tensor | None, ...]:
    return batch.x, batch.y, batch.partner_y, batch.mix_share


@pytest.mark.parametrize("chunk_bytes", [1, 10 * A_ROW, 150 * A_ROW, 1 << 30])
@pytest.mark.parametrize("split", [None, partial(parts_of, n_parts=3, fold_single=True)], ids=["", "split"])
@pytest.mark.parametrize(
    "sizes",
    [[[64]] * 22 + [[29]], [[64, 64, 64]] * 7 + [[64, 29]], [[1437]]],
    ids=["steps", "several", "full"],
)
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"balance": "sample"},
        {"augment": [{"noise": {"std": 0.1}}, "flip", {"crop": {"pixels": 1}}]},
        {"augment": [{"mixup": {"alpha": 0.4}}, {"cutout": {"size": 2}}]},
    ],
    ids=str,
)
def test_a_streamed_epoch_has_the_same_batches_as_one_on_the_device(
    data: dict[str, Any], sizes: list[list[int]], split: Callable[[int], list[int]] | None, chunk_bytes: int
) -> None:
    config = TrialConfig.model_validate({"data": {"source": "digits", **data}})
    fold = fold_of(config)
    form = torch.channels_last
    for epoch in (1, 2):
        named = partial(seed_for, 5)
        whole = epoch_steps(config.data, fold, sizes, epoch, named, form, split)
        drawn = epoch_examples(config.data, fold, sizes, epoch, named)
        streamed = StreamedEpoch(drawn, sizes, CPU, chunk_bytes, form, split)
        for _ in ("first", "again"):
            found = [[*step] for step in streamed]
            assert [len(step) for step in found] == [len(step) for step in whole]
            for ours, theirs in zip(chain(*found), chain(*whole), strict=True):
                assert all(map(same, fields_of(ours), fields_of(theirs)))
                assert ours.share == theirs.share


@pytest.mark.parametrize(
    ("config", "micro_batches"),
    [
        ({}, 1),
        ({"model": CNN, "training": {"batch_size": 48, "channels_last": True}}, 1),
        ({"training": {"accumulate": 3, "batch_size": 32}}, 2),
        ({"optimizer": {"name": "gd", "lr": 0.1}, "training": {"batch_size": 100}}, 1),
        ({"optimizer": {"name": "lbfgs", "max_iter": 3}, "training": {"batch_size": "full"}}, 3),
        ({"model": {"name": "mlp", "norm": "batch"}, "training": {"average": "swa"}}, 1),
        ({"data": {"source": "digits", "augment": ["mixup"], "balance": "weight"}}, 1),
    ],
    ids=str,
)
def test_a_trial_gives_the_same_bits_with_its_data_on_host_or_device(
    config: dict[str, Any], micro_batches: int
) -> None:
    training = {"epochs": 2, **config.get("training", {})}
    concrete = TrialConfig.model_validate({"data": {"source": "digits"}, **config, "training": training})
    found = []
    for chunk_bytes in (0, 200 * A_ROW):
        learner = Learner(concrete, fold_of(concrete, chunk_bytes), 5, micro_batches=micro_batches)
        losses = [learner.train_epoch(epoch) for epoch in (1, 2)]
        found.append((losses, learner.validate(), learner.weights()))
    resident, streamed = found
    assert streamed[:2] == resident[:2]
    assert all(torch.equal(weight, streamed[2][name]) for name, weight in resident[2].items())


@pytest.mark.parametrize(
    ("free_bytes", "is_whole"), [(None, True), (3 << 30, True), (2 << 30, False), (0, False)]
)
def test_data_is_on_the_device_if_it_and_one_epoch_take_half_of_the_free_memory(
    free_bytes: int | None, is_whole: bool
) -> None:
    found = placed(GPU, 800 << 20, 700 << 20, free_bytes)
    assert (found.chunk_bytes == 0) == is_whole
    assert found.home == (GPU if is_whole else CPU)
    assert found.device == GPU
    if not is_whole:
        assert 1 << 20 <= found.chunk_bytes <= 256 << 20


def test_data_that_does_not_fit_stays_on_the_host_except_validation_targets() -> None:
    config = TrialConfig.model_validate({"data": {"source": "digits", "test": {"fraction": 0.1}}})
    (fold,) = load(config.data, Path(), 7, CPU, open_test=True, free_bytes=1000)
    assert fold.placement == Placement(CPU, 1 << 20)
    learner = Learner(config, fold, 5)
    learner.train_epoch(1)
    assert learner.test(learner.weights()) == learner.test(learner.weights())
