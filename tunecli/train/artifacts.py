"""The files that training leaves behind: written whole, durable and verified (write-ahead), and the weights' format.

A disk that refuses a file is not the trial's fault, so it stops the sweep in order. Temporary files have the name that
the run folder's cleanup knows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from tunecli import durable_files
from tunecli.errors import CHECK_THE_DISK, StoreFailed, from_os_error


def write_whole(path: Path, content: bytes, what: str) -> str:
    """Write ``content`` to ``path``, whole, durable and verified, or leave the earlier file untouched.

    Args:
        path: the file; its folder is made if it is missing.
        content: the bytes of the whole file.
        what: the kind of file, as failpoints name it.

    Returns:
        The content's SHA-256, in hexadecimal.

    Raises:
        DiskFull: no room, a quota or a limit on file sizes.
        StoreFailed: any other error of the disk, or the file differs from the bytes written to it.
    """
    sha256 = hashlib.sha256(content).hexdigest()

    def read_back(temporary: Path) -> None:
        if _sha256_of(temporary) != sha256:
            raise StoreFailed(f"{path} differs from the bytes written to it", hint=CHECK_THE_DISK)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.put(path, content, steps=(f"rename {what}", f"renamed {what}"), examine=read_back)
    except OSError as error:
        raise from_os_error(error, path, is_users_path=False) from error
    return sha256


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # drop the cached pages, so that the disk is read
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_weights(path: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    """Write weights as safetensors, whole and durable or not at all.

    Args:
        path: the file; its folder is made if it is missing.
        tensors: the weights by name, on any device.
        config: the trial, as JSON data; stored in the file's metadata.

    Returns:
        The file's SHA-256, in hexadecimal.

    Raises:
        DiskFull: no room is left.
        StoreFailed: any other error of the disk.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry only: safetensors writes several in varying order, but equal weights should give equal files.
    content = safetensors.torch.save(plain, {"config": json.dumps(config, sort_keys=True)})
    return write_whole(path, content, "weights")


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights onto the CPU, and the config of their trial.

    Raises:
        OSError: the file cannot be read.
        safetensors.SafetensorError: it is not a safetensors file.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        metadata = file.metadata() or {}
    return tensors, json.loads(metadata.get("config", "{}"))
