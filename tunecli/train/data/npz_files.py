"""NPZ archives: the arrays of inputs and of the target, read only once their sizes are known to be true.

Nothing is ever unpickled. An array's header is compared with the archive's real size before memory is allocated.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.arrays import InputsKnob, as_inputs, as_target
from tunecli.train.data.columns import no_such_column
from tunecli.train.data.memory import require_memory

_HINT = "np.savez writes one"
_SUFFIX = ".npy"
_MAX_UNPACKED = 200
_MIN_UNPACKED_BYTES = 2**30
"""A larger array that is packed more than 200-fold holds next to nothing, and takes long to unpack."""

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
"""What zipfile and numpy raise on files that are damaged or made to do damage."""


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)


def read_npz(
    path: Path, target: str | None, parameter: str, inputs: InputsKnob = "auto"
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read inputs and target from an NPZ file.

    Args:
        path: the file.
        target: the target's array; None: ``y``. The inputs are ``x``, or the one other array.
        parameter: the key to blame for what is wrong with the file.
        inputs: how the inputs' array is to be read.

    Returns:
        The inputs as of `as_inputs`, the target as of `as_target`.

    Raises:
        DataError: not an NPZ file; no such arrays; shapes that do not fit; objects, NaN or infinity inside; more data
            than it holds or than fits into memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                member.filename.removesuffix(_SUFFIX): member
                for member in archive.infolist()
                if member.filename.endswith(_SUFFIX)
            }
            input_name, target_name = _names(list(members), target, path.name, parameter)
            x, y_N = (
                _array(archive, members[name], f"`{name}` in {path.name}", parameter)
                for name in (input_name, target_name)
            )
    except _BROKEN as error:
        message = f"{path.name} is no NPZ archive of plain numbers"
        raise DataError(message, hint=_HINT, parameter=parameter) from error
    x = as_inputs(x, inputs, f"`{input_name}` in {path.name}", parameter)
    return x, as_target(y_N, len(x), f"`{target_name}` in {path.name}", "data.target")


def _names(names: list[str], target: str | None, file: str, parameter: str) -> tuple[str, str]:
    """The arrays of inputs and target."""
    target_name = target or "y"
    if target_name not in names:
        raise no_such_column(target_name, names, file, kind="array")
    others = [name for name in names if name != target_name]
    input_name = "x" if "x" in others else others[0] if len(others) == 1 else None
    if input_name is None:
        message = f"{file} has {len(others)} arrays beside `{target_name}`"
        raise DataError(message, hint="name the inputs `x`", parameter=parameter)
    return input_name, target_name


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, parameter: str) -> NDArray[Any]:
    """One array, after everything that its header claims is checked."""
    with archive.open(member) as file:
        header, n_header_bytes = _header(file)
    if header.dtype.hasobject:
        message = (
            f"{Path(archive.filename or '').name} is no NPZ archive of plain numbers: {name} holds objects"
        )
        raise DataError(message, hint="save numbers or text", parameter=parameter)
    n_bytes = header.n_values * header.dtype.itemsize
    held_bytes = member.file_size - n_header_bytes
    if n_bytes > held_bytes:
        message = f"{name} claims {n_bytes} bytes, and the file holds {max(0, held_bytes)} of them"
        raise DataError(message, hint="the file is damaged: write it again", parameter=parameter)
    packed_bytes = min(member.compress_size, Path(archive.filename or "").stat().st_size)
    if n_bytes > _MIN_UNPACKED_BYTES and n_bytes > _MAX_UNPACKED * packed_bytes:
        message = f"{name} unpacks to {n_bytes} bytes from {packed_bytes}"
        hint = "where that is meant, save it without compression: np.savez"
        raise DataError(message, hint=hint, parameter=parameter)
    require_memory(n_bytes + header.n_values * np.dtype(np.float64).itemsize, name, parameter)
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _header(file: IO[bytes]) -> tuple[_Header, int]:
    """The shape and type that an array's header claims, and its own length in bytes.

    Raises:
        ValueError: it is not one, too long, or of a version for types that are neither numbers nor text.
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
