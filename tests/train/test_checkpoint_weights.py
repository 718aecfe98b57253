"""The weights file is written whole or not at all, and read as written."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
import safetensors
import torch

from tunecli.errors import DiskFull
from tunecli.train import checkpoint

TENSORS = {"a": torch.arange(6.0).view(2, 3).T, "n": torch.tensor(7)}


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.safetensors"
    sha256 = checkpoint.save_weights(path, TENSORS, {"optimizer": {"lr": 1e-3}})
    found, config = checkpoint.load_weights(path)
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    assert config == {"optimizer": {"lr": 1e-3}}
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [each.name for each in path.parent.iterdir()] == ["w.safetensors"]


def test_the_same_weights_give_the_same_file(tmp_path: Path) -> None:
    configs = [{"b": 1, "a": 2}, {"a": 2, "b": 1}] * 5
    hashes = {checkpoint.save_weights(tmp_path / str(n), TENSORS, config) for n, config in enumerate(configs)}
    assert len(hashes) == 1


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.save_weights(path, TENSORS, {})
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        checkpoint.save_weights(path, {"b": torch.zeros(1)}, {})
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_text("not weights")
    with pytest.raises(safetensors.SafetensorError):
        checkpoint.load_weights(path)
