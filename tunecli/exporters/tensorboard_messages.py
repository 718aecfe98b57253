"""The messages of TensorBoard's event files that a study needs: scalars, and the parameters for its HParams tab.

Written in the wire format of Protocol Buffers (protobuf.dev, "Encoding"), so no package is needed. Sources of the field
numbers: event.proto and summary.proto of TensorFlow, ``plugins/hparams/plugin_data.proto`` of TensorBoard, and
google/protobuf/struct.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum

from tunecli.trial import Parameters, Scalar

_PLUGIN = b"hparams"
_START_TAG, _END_TAG = b"_hparams_/session_start_info", b"_hparams_/session_end_info"
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types
_DT_FLOAT = 1


class Status(IntEnum):
    """How a trial ended, as the HParams tab shows it."""

    UNKNOWN = 0
    SUCCESS = 1
    FAILURE = 2
    RUNNING = 3


def version_event(wall_time_s: float) -> bytes:
    """The event that every file begins with."""
    return _double(1, wall_time_s) + _field(3, b"brain.Event:2")


def scalars_event(wall_time_s: float, step: int, values: Mapping[str, float]) -> bytes:
    """One event with a scalar for each tag, in float32, as TensorBoard stores scalars.

    Args:
        wall_time_s: seconds since 1970.
        step: at least 0.
        values: by tag.
    """
    summary = b"".join(
        _field(1, _field(1, tag.encode(errors="replace")) + _float(2, value)) for tag, value in values.items()
    )
    return _double(1, wall_time_s) + _whole(2, step) + _field(5, summary)


def parameters_event(wall_time_s: float, group: str, parameters: Parameters) -> bytes:
    """The event that gives the parameters of a trial to the HParams tab.

    Args:
        wall_time_s: seconds since 1970.
        group: the trial's name on the tab.
        parameters: null is shown as text.
    """
    entries = b"".join(
        _field(1, _field(1, name.encode(errors="replace")) + _field(2, _value(value)))
        for name, value in parameters.items()
    )
    info = entries + _field(4, group.encode()) + _double(5, wall_time_s)
    return _plugin_event(wall_time_s, _START_TAG, _field(3, info))


def end_event(wall_time_s: float, status: Status) -> bytes:
    """The event that says how a trial ended."""
    return _plugin_event(wall_time_s, _END_TAG, _field(4, _whole(1, status) + _double(2, wall_time_s)))


def _plugin_event(wall_time_s: float, tag: bytes, content: bytes) -> bytes:
    metadata = _field(1, _field(1, _PLUGIN) + _field(2, content))
    nothing = _whole(1, _DT_FLOAT) + _field(2, _field(2, b""))  # a tensor of one dimension of size 0
    value = _field(1, tag) + _field(8, nothing) + _field(9, metadata)
    return _double(1, wall_time_s) + _field(5, _field(1, value))


def _value(value: Scalar) -> bytes:
    """A ``google.protobuf.Value``."""
    if isinstance(value, bool):
        return _whole(4, int(value))
    if isinstance(value, int | float):
        return _double(2, float(value))
    return _field(3, ("null" if value is None else value).encode(errors="replace"))


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _DOUBLE) + struct.pack("<d", value)


def _float(number: int, value: float) -> bytes:
    try:
        packed = struct.pack("<f", value)
    except OverflowError:  # beyond float32
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return _varint(number << 3 | _FLOAT) + packed


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says whether more follow."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
