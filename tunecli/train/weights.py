"""Keeping a model's weights: one safetensors file, written whole or not at all (law 7).

Owns the file; knows neither which weights are worth keeping nor where. The trial's config travels in the
file's metadata, so the file alone says what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from tunecli.train.whole_files import write_whole


def save(path: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    """Write weights, whole and durable or not at all.

    Args:
        path: where to; its folder is made where it is missing.
        tensors: by name; any device.
        config: the trial, as plain JSON data.

    Returns:
        The file's SHA-256, in hexadecimal.

    Raises:
        DiskFull: no room is left.
        StoreFailed: the disk refuses for another reason.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry only: safetensors writes several in an order that changes, and equal weights should give equal files.
    content = safetensors.torch.save(plain, {"config": json.dumps(config, sort_keys=True)})
    return write_whole(path, content, "weights")


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights, onto the CPU, and the config they belong to.

    Raises:
        OSError: the file cannot be read.
        safetensors.SafetensorError: it is no safetensors file.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        metadata = file.metadata() or {}
    return tensors, json.loads(metadata.get("config", "{}"))
