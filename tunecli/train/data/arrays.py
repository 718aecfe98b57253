"""Arrays of inputs and targets, from an NPZ file or from the user's code: checked, and brought into one of four shapes.

Nothing is ever unpickled. An array's header is compared with the archive's real size before memory is allocated.
Loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.columns import no_such_column
from tunecli.train.data.file_patterns import is_pattern
from tunecli.train.data.role_arrays import ROLES
from tunecli.train.main_memory import require_memory

InputsKnob = Literal["auto", "features", "sequence", "image"]

_TAKEN: dict[InputsKnob, str] = {
    "auto": "(N, F), (N, H, W) or (N, C, H, W)",
    "features": "(N, F), or more axes to be flattened",
    "sequence": "(N, T, F), or (N, T) for one feature",
    "image": "(N, H, W) or (N, C, H, W)",
}
"""The accepted shapes, in words, by the value of ``data.inputs``."""


def as_inputs(x: NDArray[Any], inputs: InputsKnob, name: str, parameter: str) -> NDArray[Any]:
    """Read an array of numbers as inputs.

    Args:
        x: the raw array.
        inputs: the kind of the inputs; ``auto`` reads three axes as images of one channel.
        name: the array's name, for messages.
        parameter: the configuration key that errors name.

    Returns:
        (N, F) float64; or (N, T, F) or (N, C, H, W) float32.

    Raises:
        DataError: the array does not hold numbers, has another shape, or contains NaN or infinity.
    """
    is_numbers = bool(x.size) and x.dtype.kind in "biuf"
    shaped = _shaped(x, inputs) if is_numbers else None
    if shaped is None:
        message = f"{name} is {x.dtype} of shape {x.shape}: it must hold numbers, {_TAKEN[inputs]}"
        is_misread = is_numbers and inputs != "auto" and _shaped(x, "auto") is not None
        raise DataError(message, parameter="data.inputs" if is_misread else parameter)
    with np.errstate(over="ignore"):  # numbers that are too large become infinite, and fail below
        shaped = shaped.astype(np.float64 if shaped.ndim == 2 else np.float32)
    is_bad_N = ~np.isfinite(shaped).reshape(len(shaped), -1).all(axis=1)
    if is_bad_N.any():
        message = f"{name} has NaN or infinity in example {int(is_bad_N.argmax())}"
        raise DataError(message, hint="replace it by a number, or remove the example", parameter=parameter)
    return shaped


def as_tokens(x: NDArray[Any], n_tokens: int, name: str, parameter: str) -> NDArray[np.int64]:
    """Read an array of whole numbers as tokens.

    Returns:
        (N, T) int64 in [0, n_tokens).

    Raises:
        DataError: the array has another shape or type, or a token is out of range.
    """
    if x.ndim != 2 or x.size == 0 or x.dtype.kind not in "iu":
        message = f"{name} is {x.dtype} of shape {x.shape}: tokens must be whole numbers, (N, T)"
        raise DataError(message, parameter=parameter)
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= n_tokens:
        message = (
            f"{name} has the token {low if low < 0 else high}, but tokens must be from 0 to {n_tokens - 1}"
        )
        raise DataError(message, parameter=parameter)
    return x.astype(np.int64)


def as_target(y: NDArray[Any], n_examples: int, name: str, parameter: str) -> NDArray[Any]:
    """Read an array as a target: one value an example, or several numbers or truth values.

    Args:
        y: the raw array, (N,) or (N, K).
        n_examples: N.
        name: the array's name, for messages.
        parameter: the configuration key that errors name.

    Returns:
        (N,) bool, float64 or object (str); or (N, K) bool or float64, K above 1.

    Raises:
        DataError: the array has another shape, or holds neither numbers nor truth values nor text.
    """
    y_N = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    kinds = {1: "biufU", 2: "biuf"}.get(y_N.ndim, "") if y_N.size else ""
    if y_N.dtype.kind not in kinds or len(y_N) != n_examples:
        message = f"{name} is {y.dtype} of shape {y.shape}, for {n_examples} examples"
        hint = (
            "a target is one number, truth value or text for each example, or several numbers or truth values"
        )
        raise DataError(message, hint=hint, parameter=parameter)
    if y_N.dtype.kind == "U":
        return y_N.astype(object)
    return y_N.copy() if y_N.dtype == bool else y_N.astype(np.float64)


def _shaped(x: NDArray[Any], inputs: InputsKnob) -> NDArray[Any] | None:
    match inputs, x.ndim:
        case ("auto", 2) | ("features", 2) | ("sequence", 3) | ("auto" | "image", 4):
            return x
        case (("auto" | "image"), 3):
            return x[:, None]
        case "features", n_axes if n_axes > 2:
            return x.reshape(len(x), -1)
        case "sequence", 2:
            return x[:, :, None]
    return None


_HINT = "write it with np.savez"
_SUFFIX = ".npy"
_MAX_UNPACKED = 200
_MIN_UNPACKED_BYTES = 2**30
"""A larger array with a compression ratio above 200 is refused: it holds little, and unpacking it takes long."""

_MAX_HEADER_BYTES = 10_000  # as numpy

_BROKEN = (
    ValueError,
    OSError,
    EOFError,
    SyntaxError,
    TypeError,
    KeyError,
    RuntimeError,  # an encrypted member
    NotImplementedError,  # a compression that Python does not know
    RecursionError,
    MemoryError,
    OverflowError,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)
"""The errors that zipfile and numpy raise on damaged or malicious files."""


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)


def read_npz(
    path: Path,
    target: str | None,
    parameter: str,
    inputs: InputsKnob = "auto",
    *,
    needs_target: bool = True,
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read inputs and target from an NPZ file.

    Args:
        path: the file.
        target: the name of the target's array; None: ``y``. The inputs are ``x``, or the only other array.
        parameter: the configuration key that errors about the file name.
        inputs: the kind of the inputs.
        needs_target: whether the target must be there.

    Returns:
        The inputs from `as_inputs`, and the target from `as_target`; None if it is absent.

    Raises:
        DataError: the file is no NPZ file, or lacks the arrays; shapes do not agree; an array contains objects, NaN or
            infinity, claims more data than the file holds, or does not fit into memory.
    """
    if is_pattern(path):
        message = f"{path.name} is a pattern, but arrays are read from one NPZ file"
        raise DataError(message, hint="join the arrays in one file", parameter=parameter)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                member.filename.removesuffix(_SUFFIX): member
                for member in archive.infolist()
                if member.filename.endswith(_SUFFIX)
            }
            is_absent = not needs_target and (target or "y") not in members
            input_name, target_name = _names(
                list(members), target, path.name, parameter, needs_target=not is_absent
            )
            x = _array(archive, members[input_name], f"`{input_name}` in {path.name}", parameter)
            y_N = None
            if not is_absent:
                y_N = _array(archive, members[target_name], f"`{target_name}` in {path.name}", parameter)
    except _BROKEN as error:
        message = f"{path.name} is not an NPZ archive of plain numbers"
        raise DataError(message, hint=_HINT, parameter=parameter) from error
    x = as_inputs(x, inputs, f"`{input_name}` in {path.name}", parameter)
    if y_N is None:
        return x, None
    return x, as_target(y_N, len(x), f"`{target_name}` in {path.name}", "data.target")


def read_row_arrays(
    path: Path, names: Collection[str], n_examples: int, parameter: str
) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file with some names, by name, as far as they have one value for each example.

    Args:
        path: the file, which `read_npz` has read.
        names: of the arrays.
        n_examples: N.
        parameter: the configuration key that errors about the file name.

    Raises:
        DataError: as `read_npz`.
    """
    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(_SUFFIX)
            if name in names and member.filename.endswith(_SUFFIX):
                try:
                    with archive.open(member) as file:
                        header, _ = _header(file)
                except _BROKEN:
                    continue
                if header.shape in ((n_examples,), (n_examples, 1)):
                    found[name] = _array(archive, member, f"`{name}` in {path.name}", parameter)
    return found


def _names(
    names: list[str], target: str | None, file: str, parameter: str, *, needs_target: bool
) -> tuple[str, str]:
    """The names of the inputs' and the target's array."""
    target_name = target or "y"
    if needs_target and target_name not in names:
        raise no_such_column(target_name, names, file, kind="array")
    others = [name for name in names if name != target_name]
    inputs = [name for name in others if name not in ROLES] or others
    input_name = "x" if "x" in others else inputs[0] if len(inputs) == 1 else None
    if input_name is None:
        message = f"{file} has {len(others)} arrays besides `{target_name}`"
        raise DataError(message, hint="give the array of inputs the name `x`", parameter=parameter)
    return input_name, target_name


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, parameter: str) -> NDArray[Any]:
    """Read one array, after its header is checked."""
    with archive.open(member) as file:
        header, n_header_bytes = _header(file)
    if header.dtype.hasobject:
        message = f"{Path(archive.filename or '').name} is not an NPZ archive of plain numbers: {name} holds objects"
        raise DataError(message, hint="save numbers or text", parameter=parameter)
    n_bytes = header.n_values * header.dtype.itemsize
    held_bytes = member.file_size - n_header_bytes
    if n_bytes > held_bytes:
        message = f"{name} claims {n_bytes} bytes, but the file holds {max(0, held_bytes)}"
        raise DataError(message, hint="the file is damaged: write it again", parameter=parameter)
    packed_bytes = min(member.compress_size, Path(archive.filename or "").stat().st_size)
    if n_bytes > _MIN_UNPACKED_BYTES and n_bytes > _MAX_UNPACKED * packed_bytes:
        message = f"{name} unpacks from {packed_bytes} to {n_bytes} bytes, which looks malicious"
        hint = "if the file is right, save it without compression: np.savez"
        raise DataError(message, hint=hint, parameter=parameter)
    require_memory(n_bytes + header.n_values * np.dtype(np.float64).itemsize, name, parameter)
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _header(file: IO[bytes]) -> tuple[_Header, int]:
    """The shape and dtype in an array's header, and the header's length in bytes.

    Raises:
        ValueError: the header is invalid, too long, or of a version for dtypes other than numbers and text.
    """
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of version {version}")
    length = file.read(2 if version == (1, 0) else 4)
    n_bytes = int.from_bytes(length, "little")
    if n_bytes > _MAX_HEADER_BYTES:  # numpy would read all of it before it looks
        raise ValueError(f"a header of {n_bytes} bytes")
    text = io.BytesIO(length + file.read(n_bytes))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(text)
    if any(n < 0 for n in shape):
        raise ValueError(f"an array of shape {shape}")
    return _Header(shape, dtype), npy.MAGIC_LEN + len(length) + n_bytes
