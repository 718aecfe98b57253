"""Hostile files are refused with a reason, in little time and within 1 GiB of memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MAX_BYTES = 2**30
MAX_TIMES = 25
"""The time of a refusal is at most this multiple of the time that the same process takes to add a million squares (some
80 ms): a busy or slow machine makes both longer."""

READ = """
import json, re, sys, time
from pathlib import Path
from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.sources import read_source
import pyarrow.parquet, PIL.Image
data, folder = Data.model_validate_json(sys.argv[1]), Path(sys.argv[2])
def squares():
    began = time.process_time()
    sum(number * number for number in range(10**6))
    return time.process_time() - began
before_s = squares()
began = time.process_time()
try:
    read_source(data, folder)
    message = ""
except DataError as error:
    message = error.message
used_s = time.process_time() - began
yardstick_s = max(before_s, squares())
peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps([message, used_s / yardstick_s, peak_kb * 1024]))
"""
"""Reads data in a process of its own: the error's message, its time as a multiple of the squares', the peak memory."""


def npy_header(shape: tuple[int, ...]) -> bytes:
    text = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(folder: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / "t.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def array(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def repeated(folder: Path, ending: str, pack: Callable[[bytes], bytes], block: bytes, n: int) -> None:
    """A file that unpacks to ``n`` times 16 MiB; the formats allow several streams one after the other."""
    packed = pack(block * (2**24 // len(block)))
    (folder / f"t{ending}").write_bytes(pack(b"a,y\n") + packed * n)


def npz_bomb(folder: Path) -> None:
    npz(folder, {"y": array(np.zeros(2))})
    with (
        zipfile.ZipFile(folder / "t.npz", "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        file.write(npy_header((2**23 + 1, 17)))
        for _ in range(17 * 8 + 1):
            file.write(bytes(2**23))


def zip_bomb(folder: Path) -> None:
    with (
        zipfile.ZipFile(folder / "t.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("t.csv", "w") as file,
    ):
        for _ in range(20):
            file.write(b"1,2\n" * 2**22)


def long_line(folder: Path, begin: bytes, n_blocks: int = 32) -> None:
    with (folder / "t.csv").open("wb") as file:
        file.write(begin)
        for _ in range(n_blocks):
            file.write(b"1" * 2**26)


def constant_parquet(folder: Path) -> None:
    schema = pa.schema([("a", pa.int64()), ("y", pa.int64())])
    block = pa.table({"a": pa.array(np.zeros(2**24, np.int64)), "y": pa.array(np.zeros(2**24, np.int64))})
    with pq.ParquetWriter(folder / "t.parquet", schema) as writer:
        for _ in range(8):
            writer.write_table(block)


def nested_parquet(folder: Path) -> None:
    kind, value = pa.int64(), 1
    for _ in range(20):
        kind, value = pa.list_(kind), [value]
    pq.write_table(pa.table({"a": pa.array([value], kind), "y": [1]}), folder / "t.parquet")


def truncated_parquet(folder: Path) -> None:
    pq.write_table(pa.table({"a": np.arange(10**6), "y": np.arange(10**6)}), folder / "t.parquet")
    content = (folder / "t.parquet").read_bytes()
    (folder / "t.parquet").write_bytes(content[: len(content) // 2] + content[-10_000:])


def png(side: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    pixels = zlib.compress(bytes(10**6))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def large_png(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        (folder / "photos" / name / "1.png").write_bytes(png(40_000))


def link_loop(folder: Path) -> None:
    (folder / "photos" / "a").mkdir(parents=True)
    (folder / "photos" / "b").symlink_to(folder / "photos" / "b")
    (folder / "photos" / "a" / "up").symlink_to(folder / "photos")


def table_loop(folder: Path) -> None:
    (folder / "t.csv").symlink_to(folder / "u.csv")
    (folder / "u.csv").symlink_to(folder / "t.csv")


CASES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "npz that claims 10^15 numbers": (
        "t.npz",
        lambda folder: npz(folder, {"x": npy_header((10**9, 10**6)), "y": array(np.zeros(3))}),
        "claims 8000000000000000 bytes",
    ),
    "npz bomb": ("t.npz", npz_bomb, "looks malicious"),
    "gzip bomb of rows": (
        "t.csv.gz",
        lambda folder: repeated(folder, ".csv.gz", gzip.compress, b"1,2\n", 64),
        "looks malicious",
    ),
    "gzip bomb of empty lines": (
        "t.csv.gz",
        lambda folder: repeated(folder, ".csv.gz", gzip.compress, b"\n", 64),
        "looks malicious",
    ),
    "gzip bomb of one line": (
        "t.csv.gz",
        lambda folder: repeated(folder, ".csv.gz", gzip.compress, b"1", 64),
        "",
    ),
    "bzip2 bomb": (
        "t.csv.bz2",
        lambda folder: repeated(folder, ".csv.bz2", bz2.compress, b"1,2\n", 64),
        "looks malicious",
    ),
    "xz bomb": (
        "t.csv.xz",
        lambda folder: repeated(folder, ".csv.xz", lzma.compress, b"1,2\n", 64),
        "looks malicious",
    ),
    "ZIP bomb": ("t.csv.zip", zip_bomb, "looks malicious"),
    "Zstandard bomb": (
        "t.csv.zst",
        lambda folder: (folder / "t.csv.zst").write_bytes(
            pa.compress(b"1,2\n" * 2**26, codec="zstd", asbytes=True)
        ),
        "looks malicious",
    ),
    "line of 2 GB": ("t.csv", lambda folder: long_line(folder, b"a,y\n"), "line 2 of t.csv is longer than"),
    "header of 2 GB": ("t.csv", lambda folder: long_line(folder, b""), "line 1 of t.csv is longer than"),
    "open quote before 60 MB": ("t.csv", lambda folder: long_line(folder, b'a,y\n"', 1), ""),
    "NUL characters": (
        "t.csv",
        lambda folder: (folder / "t.csv").write_bytes(b"a,y\n" + bytes(2**27)),
        "NUL character in line 2",
    ),
    "Parquet of 10^8 equal rows": ("t.parquet", constant_parquet, "looks malicious"),
    "nested Parquet": ("t.parquet", nested_parquet, "is of type list"),
    "truncated Parquet": ("t.parquet", truncated_parquet, "not a readable Parquet file"),
    "PNG of 40,000 x 40,000 pixels": ("photos/", large_png, "too many pixels"),
    "links in a circle": ("photos/", link_loop, ""),
    "table that is a link in a circle": ("t.csv", table_loop, ""),
    "pattern in a circle": ("t*.csv", table_loop, "no file matches"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_hostile_file_is_refused_in_little_time_and_memory(tmp_path: Path, name: str) -> None:
    source, write, expected = CASES[name]
    write(tmp_path)
    knobs: dict[str, object] = {"source": source}
    if not source.endswith(("/", ".npz")):
        knobs["target"] = "y"
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(knobs), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    message, times, peak_bytes = json.loads(done.stdout)
    assert message and expected in message
    assert times < MAX_TIMES, message
    assert peak_bytes < MAX_BYTES, message
