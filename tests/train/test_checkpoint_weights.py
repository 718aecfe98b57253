"""The weights file is written whole or not at all, and read as written."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from tunecli.errors import DiskFull
from tunecli.train import checkpoint

TENSORS = {"a": torch.arange(6.0).view(2, 3), "n": torch.tensor(7)}
CONTENT = safetensors.torch.save(TENSORS, {"config": '{"optimizer": {"lr": 1e-3}}'})


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.safetensors"
    sha256 = checkpoint.write_whole(path, CONTENT, "weights")
    found, config = checkpoint.load_weights(path)
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    assert config == {"optimizer": {"lr": 1e-3}}
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [each.name for each in path.parent.iterdir()] == ["w.safetensors"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.write_whole(path, CONTENT, "weights")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        checkpoint.write_whole(path, CONTENT[::-1], "weights")
    assert path.read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for text in ("not weights", "x" * 8 + "{}"):
        path.write_text(text)
        with pytest.raises((ValueError, safetensors.SafetensorError)):
            checkpoint.load_weights(path)
