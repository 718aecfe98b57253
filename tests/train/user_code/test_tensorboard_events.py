"""Event files are read as TensorBoard defines them, and a damaged one is never read as something else."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import tensorboard_writer as writer
from tunecli.tfrecords import crc32c, masked_crc32c
from tunecli.train.user_code.tensorboard_events import (
    DamagedRecordError,
    Scalars,
    read_scalars,
    scalars_of,
)


def read(content: bytes, most_bytes: int = 2**30) -> list[Scalars]:
    found = read_scalars(io.BytesIO(content), 0, most_bytes)
    return [scalars for _, scalars in found if scalars is not None]


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_the_checksum_gives_the_published_values(data: bytes, crc: int) -> None:
    assert crc32c(data) == writer.crc32c(data) == crc


@given(st.binary(max_size=64))
def test_the_masked_checksum_equals_that_of_the_independent_writer(data: bytes) -> None:
    assert struct.pack("<I", masked_crc32c(data)) == writer.masked(data)


def test_simple_values_are_read_with_their_step_and_tag() -> None:
    content = writer.version() + writer.scalars(3, **{"charts/return": 0.5, "Loss/train ü": -2.0})
    assert read(content) == [Scalars(3, {"charts/return": 0.5}), Scalars(3, {"Loss/train ü": -2.0})]


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (writer.tensor(1, writer.field(4, struct.pack("<f", 0.5))), 0.5),
        (writer.tensor(2, writer.field(4, struct.pack("<d", 0.1))), 0.1),
        (writer.tensor(9, writer.field(4, struct.pack("<q", -7))), -7.0),
        (writer.tensor(3, writer.field(4, struct.pack("<i", 12))), 12.0),
        (writer.tensor(1, writer.field(5, struct.pack("<f", 0.25))), 0.25),
        (writer.tensor(2, writer.field(6, struct.pack("<d", 0.3))), 0.3),
        (writer.tensor(3, writer.field(7, -3)), -3.0),
        (writer.tensor(3, writer.field(7, writer.varint(5))), 5.0),
        (writer.tensor(9, writer.field(10, 2**40)), 2.0**40),
        (writer.tensor(19, writer.field(13, 0x3800)), 0.5),
        (writer.tensor(1, writer.field(4, struct.pack("<f", 0.5)), (1,)), 0.5),
    ],
)
def test_a_tensor_with_one_number_is_a_scalar(tensor: bytes, expected: float) -> None:
    assert scalars_of(writer.event(4, writer.value("a", tensor))) == Scalars(4, {"a": expected})


@pytest.mark.parametrize(
    "tensor",
    [
        writer.tensor(7, writer.field(8, b"text")),
        writer.tensor(1, writer.field(4, struct.pack("<ff", 1.0, 2.0)), (2,)),
        writer.tensor(1, writer.field(4, b"\x00\x00")),
        writer.tensor(1, b""),
        writer.tensor(999, writer.field(4, b"\x00" * 4)),
    ],
)
def test_other_tensors_are_no_scalars(tensor: bytes) -> None:
    assert scalars_of(writer.event(4, writer.value("a", tensor))) is None


def test_large_records_are_skipped_without_being_read() -> None:
    image = writer.record(bytes(2**20 + 1))
    content = writer.version() + image + writer.scalars(1, a=1.0)
    assert read(content) == [Scalars(1, {"a": 1.0})]


def test_negative_steps_and_fields_of_other_types_are_read() -> None:
    other = writer.varint(9 << 3 | 5) + b"abcd" + writer.varint(10 << 3 | 1) + b"abcdefgh"
    assert scalars_of(other + writer.event(-2, writer.value("a", 1.0))) == Scalars(-2, {"a": 1.0})


def test_a_record_that_is_not_complete_is_read_once_it_is() -> None:
    content = writer.version() + writer.scalars(1, a=1.0) + writer.scalars(2, a=2.0)
    start = len(content) - len(writer.scalars(2, a=2.0))
    for cut in range(start, len(content)):
        found = [*read_scalars(io.BytesIO(content[:cut]), 0, 2**30)]
        assert [scalars for _, scalars in found if scalars] == [Scalars(1, {"a": 1.0})]
        again = [*read_scalars(io.BytesIO(content), found[-1][0], 2**30)]
        assert [scalars for _, scalars in again] == [Scalars(2, {"a": 2.0})]


def test_a_reading_ends_after_some_bytes() -> None:
    content = b"".join(writer.scalars(step, a=1.0) for step in range(1, 50))
    assert 1 <= len(read(content, 100)) < 10


@given(st.integers(0, 2**20), st.integers(1, 255))
def test_a_flipped_byte_is_never_read_as_another_value(place: int, flip: int) -> None:
    content = bytearray(writer.version() + writer.scalars(1, a=1.0) + writer.scalars(2, a=2.0))
    content[place % len(content)] ^= flip
    expected, found = [Scalars(1, {"a": 1.0}), Scalars(2, {"a": 2.0})], []
    try:
        for _, scalars in read_scalars(io.BytesIO(bytes(content)), 0, 2**30):
            found += [scalars] if scalars else []
    except DamagedRecordError:
        pass
    assert found == expected[: len(found)]


@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_damage(data: bytes) -> None:
    try:
        found = scalars_of(data)
    except DamagedRecordError:
        return
    assert found is None or all(isinstance(value, float) for value in found.values.values())
