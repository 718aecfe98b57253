"""An NPZ archive is read only after its headers are checked: a false header costs no memory and no time."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.arrays import read_npz
from tunecli.train.data.files import read_table


def header(shape: Any, dtype: str = "<f8", version: tuple[int, int] = (1, 0)) -> bytes:
    """An array's header with the given shape and type."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    width = 2 if version == (1, 0) else 4
    text += b" " * (-(len(text) + 1 + 8 + width) % 64) + b"\n"
    return npy.magic(*version) + len(text).to_bytes(width, "little") + text


def written(array: Any) -> bytes:
    buffer = io.BytesIO()
    npy.write_array(buffer, np.asarray(array))
    return buffer.getvalue()


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refusal(path: Path) -> tuple[DataError, int]:
    """The error for an archive, and the peak memory until it was raised."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            read_npz(path, None, "data.source")
        return caught.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


Y = written(np.arange(3))
CLAIMS: dict[str, bytes] = {
    "72 TiB": header((3_300_000_000_000, 3)),
    "beyond any integer": header((2**70, 2**70)),
    "a width beyond memory": header((3, 2**45)),
    "text of a great width": header((3,), f"<U{2**28}"),
    "one value more than there is": header((3, 3)) + b"\0" * 64,
    "nothing at all": header((3, 3)),
    "a negative length": header((-3, 3)),
    "a length that is no number": header(("a", 3)),
    "no shape": header("None"),
    "objects": header((3, 3), "|O"),
    "a record of objects": header((3,), "[('a', '|O')]"),
    "no type": header((3, 3), "nonsense"),
    "a later version": b"\x93NUMPY\x09\x00" + b"\0" * 60,
    "a deep header": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 8999 + b"\n",
    "a header that is cut off": header((3, 3))[:40],
    "a pickle": b"\x80\x04N.",
    "nothing": b"",
}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("place", ["x", "y"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_header_that_claims_missing_data_is_refused_before_reading(
    tmp_path: Path, claim: str, place: str, compression: int
) -> None:
    members = {"x.npy": written(np.ones((3, 2))), "y.npy": Y, f"{place}.npy": CLAIMS[claim]}
    error, n_bytes = refusal(archive(tmp_path / "d.npz", members, compression))
    assert "d.npz" in error.message
    assert error.hint
    assert n_bytes < 20_000_000


@pytest.mark.parametrize(
    ("begun", "message"),
    [
        (header((2**26, 4)), "`x` in d.npz unpacks from"),
        (npy.magic(2, 0) + (2**31 - 1).to_bytes(4, "little"), "not an NPZ archive of plain numbers"),
    ],
)
def test_extreme_compression_ratio_is_refused_before_reading(
    tmp_path: Path, begun: bytes, message: str
) -> None:
    n_values, block = 2**28, b"\0" * 2**24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(begun) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    packed += zeros * (n_values * 8 // len(block)) + packer.flush()
    # Stored as it is, and then called packed: so two gigabytes need not be packed here.
    path = archive(tmp_path / "d.npz", {"x.npy": packed, "y.npy": Y}, zipfile.ZIP_STORED)
    body, size = bytearray(path.read_bytes()), len(packed).to_bytes(4, "little")
    for start, method, sizes in ((0, 8, 18), (body.find(b"PK\x01\x02"), 10, 20)):
        assert body[start + sizes : start + sizes + 8] == size + size
        body[start + method] = zipfile.ZIP_DEFLATED
        body[start + sizes + 4 : start + sizes + 8] = (n_values * 8 + 128).to_bytes(4, "little")
    path.write_bytes(body)
    error, n_bytes = refusal(tmp_path / "d.npz")
    assert message in error.message
    assert n_bytes < 2_000_000


def test_false_sizes_in_the_archive_directory_are_not_trusted(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "d.npz", {"x.npy": header((2**40, 1)) + b"\0" * 64, "y.npy": Y}, zipfile.ZIP_STORED
    )
    with zipfile.ZipFile(path) as file:
        n_bytes = file.getinfo("x.npy").file_size
    body = path.read_bytes()
    for claimed in (2**31, 2**32 - 2):  # in every place where the directory tells the member's size
        path.write_bytes(body.replace(n_bytes.to_bytes(4, "little"), claimed.to_bytes(4, "little")))
        error, taken = refusal(path)
        assert "d.npz" in error.message
        assert taken < 20_000_000


def test_arrays_larger_than_memory_are_refused_before_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((100_000, 2), dtype=np.uint8), y=np.zeros(100_000))
    (tmp_path / "meminfo").write_text("MemAvailable: 1000 kB\n")
    monkeypatch.setattr("tunecli.train.main_memory._MEMINFO", tmp_path / "meminfo")
    error, n_bytes = refusal(tmp_path / "d.npz")
    assert "`x` in d.npz takes 1.7 MiB of memory, and 1000.0 KiB are free" in error.message
    assert n_bytes < 1_000_000


def test_damaged_archive_is_read_or_raises_data_error(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(30, 3)), y=np.arange(30) % 2)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for number in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged if number % 3 else whole[: int(rng.integers(0, len(whole)))])
        try:
            assert read_npz(path, None, "data.source")[0].shape == (30, 3)
        except DataError as error:
            assert error.message


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(written(np.ones(3))),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 and nothing more"),
        lambda path: path.write_text("a,y\n1,2\n"),
    ],
)
def test_file_that_is_no_archive_is_refused(tmp_path: Path, write: Callable[[Path], Any]) -> None:
    write(tmp_path / "d.npz")
    assert "not an NPZ archive of plain numbers" in refusal(tmp_path / "d.npz")[0].message


def test_other_members_and_unused_arrays_are_ignored(tmp_path: Path) -> None:
    members = {
        "README.txt": b"hello",
        "x.npy": written(np.ones((3, 2))),
        "y.npy": Y,
        "z.npy": CLAIMS["72 TiB"],
    }
    x, y = read_npz(archive(tmp_path / "d.npz", members), None, "data.source")
    assert (x.shape, y.tolist()) == ((3, 2), [0.0, 1.0, 2.0])


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "|u1", "<i2", "|b1"])
def test_arrays_of_every_plain_type_are_read(tmp_path: Path, version: tuple[int, int], dtype: str) -> None:
    values = np.arange(6).reshape(3, 2).astype(np.dtype(dtype))
    members = {"x.npy": header((3, 2), dtype, version) + values.tobytes(), "y.npy": Y}
    x, _ = read_npz(archive(tmp_path / "d.npz", members), None, "data.source")
    np.testing.assert_array_equal(x, values.astype(np.float64))


def test_fortran_order_is_respected(tmp_path: Path) -> None:
    values = np.asfortranarray(np.arange(6.0).reshape(3, 2))
    np.savez(tmp_path / "d.npz", x=values, y=np.arange(3))
    np.testing.assert_array_equal(read_npz(tmp_path / "d.npz", None, "data.source")[0], values)


@pytest.mark.parametrize(
    ("trained", "validated"), [([True, False], [0.0, 1.0]), ([0, 1], [False, True]), (["0", "1"], [0, 1])]
)
def test_truth_values_and_the_numbers_0_and_1_are_the_same_classes(
    tmp_path: Path, trained: list[Any], validated: list[Any]
) -> None:
    for name, y in (("t", trained), ("v", validated)):
        np.savez(tmp_path / f"{name}.npz", x=np.ones((2, 1)), y=np.array(y))
    data = Data.model_validate({"source": "t.npz"})
    known = read_table(tmp_path / "t.npz", data)
    table = read_table(tmp_path / "v.npz", data, "data.validation", known.schema)
    assert table.y.tolist() == [0, 1]
