"""Reads scalars from TensorBoard's event files, also while they are written.

An event file is a sequence of TFRecords, each with one ``Event`` message of Protocol Buffers. Only the few fields that
scalars need are read, so neither TensorFlow nor TensorBoard is needed. Sources: event.proto, summary.proto and
tensor.proto of TensorFlow; the wire format of Protocol Buffers (protobuf.dev, "Encoding"). Loads no torch.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from tunecli.tfrecords import FOOTER_BYTES, HEADER_BYTES, masked_crc32c

_LARGEST_RECORD = 2**20  # a record with more bytes holds an image, a sound, a histogram or a graph
_NUMERIC = {
    1: "<f",
    2: "<d",
    3: "<i",
    4: "<B",
    5: "<h",
    6: "<b",
    9: "<q",
    17: "<H",
    19: "<e",
    22: "<I",
    23: "<Q",
}
"""The format of one element of ``tensor_content``, by the number of its numeric ``DataType``."""
_FLOAT_VAL, _DOUBLE_VAL, _WHOLE_VALS = 5, 6, (7, 10, 16, 17)  # fields of a ``TensorProto``
_HALF_VAL = 13


class Scalars(NamedTuple):
    """The scalars of one event: the step, and the value of each tag."""

    step: int
    values: Mapping[str, float]


class DamagedRecordError(ValueError):
    """A record that is complete and does not match its checksum, or is no ``Event``."""


def read_scalars(file: BinaryIO, offset: int, most_bytes: int) -> Iterator[tuple[int, Scalars | None]]:
    """The records of an event file from ``offset`` on, up to its end or to a record that is not complete yet.

    Args:
        file: the file; it is read and not closed.
        offset: where a record begins.
        most_bytes: the largest number of bytes to read, apart from the first record.

    Yields:
        For each record the offset after it, and its scalars; None: it has none, or it is too large to have any.

    Raises:
        DamagedRecordError: a record is damaged; all records before it have been yielded.
        OSError: the file cannot be read.
    """
    end, n_read = file.seek(0, 2), 0
    while n_read < most_bytes and offset + HEADER_BYTES + FOOTER_BYTES <= end:
        file.seek(offset)
        header = file.read(HEADER_BYTES)
        n_bytes, crc = struct.unpack("<QI", header)
        if crc != masked_crc32c(header[:8]):
            raise DamagedRecordError("the length of a record does not match its checksum")
        after = offset + HEADER_BYTES + n_bytes + FOOTER_BYTES
        if after > end:
            return
        scalars = None
        if n_bytes <= _LARGEST_RECORD:
            data = file.read(n_bytes)
            footer = file.read(FOOTER_BYTES)
            if len(footer) < FOOTER_BYTES:
                return  # the file was truncated meanwhile
            if struct.unpack("<I", footer)[0] != masked_crc32c(data):
                raise DamagedRecordError("a record does not match its checksum")
            scalars = scalars_of(data)
            n_read += n_bytes
        n_read += HEADER_BYTES + FOOTER_BYTES
        offset = after
        yield offset, scalars


def scalars_of(event: bytes) -> Scalars | None:
    """The scalars of an ``Event`` message; None if it has none.

    Raises:
        DamagedRecordError: the bytes are no such message.
    """
    step, values = 0, dict[str, float]()
    try:
        for number, value in _fields(event):
            if number == 2 and isinstance(value, int):
                step = _signed(value)
            elif number == 5 and isinstance(value, bytes):
                values.update(_values_of(value))
    except (IndexError, UnicodeDecodeError, struct.error) as error:
        raise DamagedRecordError("a record is no event") from error
    return Scalars(step, values) if values else None


def _values_of(summary: bytes) -> Iterator[tuple[str, float]]:
    for number, value in _fields(summary):
        if number == 1 and isinstance(value, bytes):
            tag, scalar = "", None
            for field, content in _fields(value):
                if field == 1 and isinstance(content, bytes):
                    tag = content.decode()
                elif field == 2 and isinstance(content, bytes):
                    (scalar,) = struct.unpack("<f", content)
                elif field == 8 and isinstance(content, bytes):
                    scalar = _element(content)
            if tag and scalar is not None:
                yield tag, scalar


def _element(tensor: bytes) -> float | None:
    """The element of a numeric tensor with one element; None for any other tensor."""
    kind, elements = 0, list[float]()
    for number, value in _fields(tensor):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 4 and isinstance(value, bytes) and kind in _NUMERIC:
            elements += [one for (one,) in _unpacked(_NUMERIC[kind], value)]
        elif number == _FLOAT_VAL and isinstance(value, bytes):
            elements += [one for (one,) in _unpacked("<f", value)]
        elif number == _DOUBLE_VAL and isinstance(value, bytes):
            elements += [one for (one,) in _unpacked("<d", value)]
        elif number in (*_WHOLE_VALS, _HALF_VAL):
            wholes = [value] if isinstance(value, int) else list(_varints(value))
            elements += [_half(one) if number == _HALF_VAL else _signed(one) for one in wholes]
    return float(elements[0]) if len(elements) == 1 and kind in _NUMERIC else None


def _unpacked(form: str, content: bytes) -> Iterator[tuple[float]]:
    """The numbers in ``content``; nothing if it holds more than one, or a part of one."""
    return struct.iter_unpack(form, content) if len(content) == struct.calcsize(form) else iter(())


def _half(bits: int) -> float:
    (value,) = struct.unpack("<e", struct.pack("<H", bits & 0xFFFF))
    return float(value)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: a number for a varint, and bytes for all other types.

    Raises:
        IndexError: the message ends within a field, or a field has a type that is no longer in use.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == 2:
            n_bytes, place = _varint(message, place)
        elif kind in (1, 5):
            n_bytes = 8 if kind == 1 else 4
        else:
            raise IndexError(kind)
        if place + n_bytes > len(message):
            raise IndexError(place)
        yield number, message[place : place + n_bytes]
        place += n_bytes


def _varints(content: bytes) -> Iterator[int]:
    place = 0
    while place < len(content):
        value, place = _varint(content, place)
        yield value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
    raise IndexError(place)


def _signed(value: int) -> int:
    """The 64 bits of a varint as a signed number."""
    return value - 2**64 if value >= 2**63 else value
