"""The first bytes of a text file decide how it is unpacked and decoded; an error names the place of other content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import text_files
from tunecli.train.data.columns import Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.files import read_table
from tunecli.train.data.text_files import checked_text

TEXT = "a,b,y\n1,ä,u\n2,ö,v\n".encode()
SOURCE = Request("data.source")


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("t.csv",):
            archive.writestr(name, content)
    return packed.getvalue()


def zstandard(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "t.csv": lambda content: content,
    "t.tsv": lambda content: content.replace(b",", b"\t"),
    "t.txt": lambda content: content.replace(b",", b"|"),
    "t.csv.gz": gzip.compress,
    "t.CSV.bz2": bz2.compress,
    "t.csv.xz": lzma.compress,
    "t.csv.zip": zipped,
    "t.zip": lambda content: zipped(content, "t.csv", "__MACOSX/._t.csv"),
    "t.csv.zst": zstandard,
}


@pytest.mark.parametrize("name", PACKERS)
def test_packed_file_is_read_as_the_plain_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKERS[name](TEXT))
    table = read_table(tmp_path / name, Data.model_validate({"source": name, "target": "y"}))
    assert table.x.tolist() == [[1.0], [2.0]]
    assert table.text[0].values.tolist() == ["ä", "ö"]


@pytest.mark.parametrize("name", [name for name in PACKERS if name.count(".") > 1])
@pytest.mark.parametrize("content", ["cut", "plain"])
def test_damaged_packed_file_is_an_error_with_its_name(tmp_path: Path, name: str, content: str) -> None:
    packed = PACKERS[name](TEXT * 500)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2] if content == "cut" else TEXT)
    with pytest.raises(DataError, match=f"^{name} "):
        read_csv(tmp_path / name, SOURCE)


def test_archive_of_several_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.zip").write_bytes(zipped(TEXT, "a.csv", "b.csv"))
    with pytest.raises(DataError, match="must have exactly one member, and it has 2"):
        read_csv(tmp_path / "t.zip", SOURCE)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.CSV.bz2", "t.csv.xz", "t.csv.zip", "t.csv.zst"])
def test_extreme_compression_ratio_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_MIN_UNPACKED_BYTES", 2**19)
    (tmp_path / name).write_bytes(PACKERS[name](b"1,2\n" * 2**18))
    with pytest.raises(DataError, match="looks malicious") as caught:
        read_csv(tmp_path / name, SOURCE)
    assert caught.value.hint == "if the file is right, unpack it first"


def test_packed_content_under_a_plain_name_is_named(tmp_path: Path) -> None:
    for packing, name in (("gzip", "t.csv.gz"), ("xz", "t.csv.xz"), ("Zstandard", "t.csv.zst")):
        (tmp_path / "t.csv").write_bytes(PACKERS[name](TEXT))
        with pytest.raises(DataError, match=f"not a text file but compressed by {packing}"):
            read_csv(tmp_path / "t.csv", SOURCE)


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=30), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]),
)
def test_text_is_decoded_as_it_was_encoded(lines: list[str], encoding: str) -> None:
    text = "\n".join(["x", *lines, ""])
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        try:
            file = checked_text(path, "data.source")
        except DataError as error:  # by chance, the first other characters are valid UTF-8
            assert encoding in ("cp1252", "latin-1") and "bytes that are no UTF-8" in error.message
            return
        read = "".join(file.lines())
        if encoding == "latin-1" and file.encoding == "cp1252":
            assert read.encode("cp1252") == content
        elif file.encoding != "utf-8" or encoding == "utf-8":
            assert read == text.removeprefix("\ufeff" if encoding == "utf-8" else "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,y\nä,1\n".encode() + b"\xe4,2\n", "is not UTF-8 text: line 3 has bytes that are no UTF-8"),
        ("a,y\nä,1\n".encode("utf-16")[:-1], "is not UTF-16 text"),
        (b"a,y\n1,2\n3,\x004\n", "contains a NUL character in line 3"),
        (b"a,y\n" + b"1" * 300, "line 2 of t.csv is longer than 200 characters"),
        (b"PAR1", "a Parquet file"),
        (b"\xd0\xcf\x11\xe0", "a file of Microsoft Office"),
    ],
)
def test_what_is_no_text_is_an_error_with_its_line(
    tmp_path: Path, content: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_LINE", 200)
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "t.csv", SOURCE)


def test_long_line_over_many_chunks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "_CHUNK_BYTES", 16)
    monkeypatch.setattr(text_files, "MAX_LINE", 60)
    (tmp_path / "t.csv").write_bytes(b"a,b,y\n" + b"1,2,3\n" * 30)
    assert len(read_csv(tmp_path / "t.csv", SOURCE).row_numbers) == 30
    (tmp_path / "t.csv").write_bytes(b"a,b,y\n" + b"1,2,3\n" * 30 + b"1" * 61)
    with pytest.raises(DataError, match=r"line 32 of t\.csv is longer than 60"):
        read_csv(tmp_path / "t.csv", SOURCE)
