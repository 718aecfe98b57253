"""Keeping a model's weights: one safetensors file, written whole or not at all (law 7).

Owns the file; knows neither which weights are worth keeping nor where. The trial's config travels in the
file's metadata, so the file alone says what it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from tunecli.errors import DiskFull


def save(path: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    """Write weights: temporary file in the same folder, flush, fsync, rename, fsync the folder.

    Args:
        path: where to; its folder is made where it is missing.
        tensors: by name; any device.
        config: the trial, as plain JSON data.

    Returns:
        The file's SHA-256, in hexadecimal.

    Raises:
        DiskFull: no room is left.
        OSError: the folder cannot be written to.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry only: safetensors writes several in an order that changes, and equal weights should give equal files.
    content = safetensors.torch.save(plain, {"config": json.dumps(config, sort_keys=True)})
    try:
        _write_whole(path, content)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room is left to write {path}", hint="free some, then resume") from error
        raise
    return hashlib.sha256(content).hexdigest()


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


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
