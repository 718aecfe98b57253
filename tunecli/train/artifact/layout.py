"""The model file: one safetensors file of weights and arrays, with one JSON entry of metadata.

The weights have the names of a plain weights file; arrays have names below a prefix that no weight has. The entry holds
everything else, and its `format` says how to read it. The first bytes of a safetensors file are the length of its JSON
header (https://github.com/huggingface/safetensors#format). Loads no torch, and runs no code of the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tunecli.errors import UsageError

FORMAT = 1
"""The version of the layout that this program writes. It reads this one and all earlier ones."""

ENTRY = "tunecli"
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # as safetensors


class Header(NamedTuple):
    """The header of a safetensors file.

    Attributes:
        tensors: dtype, shape and place of each tensor, by name, in the order of the file.
        metadata: texts by name.
        n_bytes: number of bytes before the tensors.
    """

    tensors: dict[str, Any]
    metadata: dict[str, str]
    n_bytes: int


def header_of(content: bytes) -> Header:
    """Read the header of a safetensors file.

    Raises:
        ValueError: the file has no such header.
    """
    n_bytes = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) < _LENGTH_BYTES or n_bytes > min(_MAX_HEADER_BYTES, len(content) - _LENGTH_BYTES):
        raise ValueError("its header is cut off")
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + n_bytes])
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is not a map")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata is not a map of texts")
    return Header(header, metadata, _LENGTH_BYTES + n_bytes)


def entry_of_file(path: Path) -> dict[str, Any]:
    """The JSON entry of a model file on disk, of which only the header is read.

    Raises:
        OSError: the file cannot be read.
        UsageError: as for `facts_of`.
    """
    with path.open("rb") as file:
        first = file.read(_LENGTH_BYTES)
        n_bytes = min(int.from_bytes(first, "little"), _MAX_HEADER_BYTES)
        return facts_of(first + file.read(n_bytes), path.name)


def is_model_file(content: bytes) -> bool:
    """Whether a safetensors file says that it is a model file, and not plain weights."""
    try:
        return ENTRY in header_of(content).metadata
    except ValueError:
        return False


def facts_of(content: bytes, name: str) -> dict[str, Any]:
    """The JSON entry of a model file.

    Args:
        content: the file.
        name: its name, for errors.

    Raises:
        UsageError: it is no model file, it is damaged, or a later version wrote it.
    """
    try:
        header = header_of(content)
        if ENTRY not in header.metadata:
            hint = "`tunecli export RUN --model FILE` writes a model file"
            raise UsageError(f"{name} holds no model of tunecli", hint=hint)
        facts: dict[str, Any] = json.loads(header.metadata[ENTRY])
        version = facts["format"] if isinstance(facts, dict) else None
    except (ValueError, KeyError, RecursionError) as error:
        raise damaged(name, str(error) or type(error).__name__) from error
    if type(version) is not int or version < 1:
        raise damaged(name, f"its format is {version!r:.40}")
    if version > FORMAT:
        message = f"{name} has the format {version}, and this version of tunecli reads up to {FORMAT}"
        raise UsageError(message, hint="install a later version of tunecli")
    return facts


def damaged(name: str, reason: str) -> UsageError:
    """The error that a file is no sound model file."""
    return UsageError(
        f"{name} is not a sound model file: {reason[:300]}",
        hint="copy or export it again; `tunecli export RUN --model FILE` writes a model file",
    )


def bare_weights(content: bytes) -> bytes:
    """The weights alone, as a plain safetensors file whose metadata has the trial's ``config``.

    Equal weights and configs give equal bytes. A file that is no model file is returned unchanged.

    Raises:
        ValueError: the content is no safetensors file.
    """
    header = header_of(content)
    if ENTRY not in header.metadata:
        return content
    facts = json.loads(header.metadata[ENTRY])
    config = json.dumps(facts["config"], sort_keys=True)
    kept: dict[str, Any] = {"__metadata__": {"config": config}}
    parts, n_bytes = [], 0
    for name, tensor in header.tensors.items():
        if name.startswith(facts["arrays"]):
            continue
        first, last = tensor["data_offsets"]
        parts.append(content[header.n_bytes + first : header.n_bytes + last])
        kept[name] = {**tensor, "data_offsets": [n_bytes, n_bytes + last - first]}
        n_bytes += last - first
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # safetensors aligns the tensors
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, *parts])
