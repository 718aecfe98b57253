"""Writes TensorBoard's event files for tests, independently of the reader: bit by bit, from the published formats."""

from __future__ import annotations

import struct
from pathlib import Path


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit (RFC 3720, section B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            feedback = (crc ^ (byte >> bit)) & 1
            crc = (crc >> 1) ^ (0x82F63B78 * feedback)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    rotated = (crc >> 15) | ((crc & 0x7FFF) << 17)
    return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)


def record(data: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(number: int) -> bytes:
    number %= 2**64
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes | int) -> bytes:
    """A field with a length, or a varint."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(kind: int, content: bytes, shape: tuple[int, ...] = ()) -> bytes:
    """A ``TensorProto`` of a data type: ``content`` are its fields with the elements."""
    sizes = b"".join(field(2, field(1, size)) for size in shape)
    return field(1, kind) + field(2, sizes) + content


def value(tag: str, scalar: float | bytes) -> bytes:
    """A ``Summary.Value``: a simple value, or a tensor."""
    body = field(8, scalar) if isinstance(scalar, bytes) else varint(2 << 3 | 5) + struct.pack("<f", scalar)
    return field(1, field(1, tag.encode()) + body)


def event(step: int, *values: bytes) -> bytes:
    """An ``Event`` with a time, a step and a summary."""
    time = varint(1 << 3 | 1) + struct.pack("<d", 1.7e9)
    return time + (field(2, step) if step else b"") + (field(5, b"".join(values)) if values else b"")


def version() -> bytes:
    """The first record of every file."""
    return record(varint(1 << 3 | 1) + struct.pack("<d", 1.7e9) + field(3, b"brain.Event:2"))


def scalars(step: int, **values: float) -> bytes:
    """A record for each scalar, as ``SummaryWriter.add_scalar`` writes them."""
    return b"".join(record(event(step, value(tag, scalar))) for tag, scalar in values.items())


def write_events(folder: Path, *records: bytes, name: str = "events.out.tfevents.1.host.7.0") -> Path:
    """A new event file with these records."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(version() + b"".join(records))
    return path
