"""Text files, plain or compressed: checked once from end to end, and then read line by line.

Owns the compressions, the encodings, and the limits that hostile files meet: a small file that unpacks to a large
one, a line without an end, NUL characters. Does not know CSV. Loads no torch.
"""

from __future__ import annotations

import codecs
import io
import lzma
import zipfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tunecli.errors import DataError, os_reason
from tunecli.registry.packages import install_command
from tunecli.train.data.unpacking import PACKED, packing_of_content, unpacked
from tunecli.train.main_memory import require_memory

MAX_LINE = 2**26
"""Characters of a line. A million columns of 60 characters fit."""

_CHUNK_BYTES = 2**20
_MAX_UNPACKED = 200
_MIN_UNPACKED_BYTES = 2**26
"""A larger text with a compression ratio above 200 is refused: tables of text reach 5 to 50."""

_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member
    NotImplementedError,  # a compression that Python does not know
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)
"""The errors of damaged compressed files."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file that was checked.

    Attributes:
        path: the file.
        encoding: Python's name of the encoding.
        first_other: the place of the first line that is not UTF-8, in words, and that line; empty if all are.
    """

    path: Path
    encoding: str
    first_other: str = ""

    def lines(self) -> Generator[str, None, None]:
        """The lines with their ends, which are a line feed, a carriage return, or both."""
        with unpacked(self.path) as (file, _), io.TextIOWrapper(file, self.encoding, newline="") as text:
            yield from text

    def blocks(self, n_characters: int) -> Generator[str, None, None]:
        """The text in blocks, without regard to lines; each has as many characters, but the last may have fewer."""
        with unpacked(self.path) as (file, _), io.TextIOWrapper(file, self.encoding, newline="") as text:
            while block := text.read(n_characters):
                yield block


def checked_text(path: Path, parameter: str) -> TextFile:
    """Check a file and find its encoding.

    A byte order mark decides the encoding. Without one a text is UTF-8; or Windows-1252, if its first character beyond
    ASCII is not valid in UTF-8.

    Args:
        path: the file. Its ending names the compression: gz, bz2, xz, zst or zip.
        parameter: the configuration key that errors name.

    Raises:
        DataError: the file cannot be opened or unpacked, is no text, has a line that is too long, unpacks to far more
            than it holds, or does not fit into memory.
    """
    try:
        with unpacked(path) as (file, packed):
            return _checked(file, packed, path, parameter)
    except _BROKEN as error:
        packing = PACKED.get(path.suffix.lower())
        reason = os_reason(error) if isinstance(error, OSError) and error.errno else f"{error}"
        how = f"unpacked as {packing}" if packing else "read"
        message = f"{path.name} cannot be {how}: {' '.join(reason.split())[:200]}"
        raise DataError(message, parameter=parameter) from error
    except ImportError as error:
        message = f"reading {path.name} needs pyarrow"
        raise DataError(message, hint=install_command("pyarrow", "parquet"), parameter=parameter) from error


def _checked(file: IO[bytes], packed: IO[bytes], path: Path, parameter: str) -> TextFile:
    chunk = file.read(_CHUNK_BYTES)
    if packing := packing_of_content(chunk):
        message = f"{path.name} is not a text file but {packing}"
        raise DataError(message, hint="save it as CSV in UTF-8", parameter=parameter)
    encoding = next((name for mark, name in _BOMS if chunk.startswith(mark)), "utf-8")
    scan = _Scan(path.name, parameter, encoding)
    n_bytes = 0
    while chunk:
        n_bytes += len(chunk)
        if n_bytes > _MIN_UNPACKED_BYTES and n_bytes > _MAX_UNPACKED * packed.tell():
            message = (
                f"{path.name} unpacks from {packed.tell()} to {n_bytes} bytes and more, which looks malicious"
            )
            raise DataError(message, hint="if the file is right, unpack it first", parameter=parameter)
        scan.take(chunk)
        chunk = file.read(_CHUNK_BYTES)
    scan.take(b"", is_end=True)
    # Two lists point to each field; its text needs its bytes at least.
    require_memory(n_bytes + 16 * scan.n_fields, f"the text of {path.name}", parameter)
    return TextFile(path, scan.encoding, scan.first_other)


class _Scan:
    """Reads a text chunk by chunk, finds its encoding, and refuses content that is no text."""

    def __init__(self, name: str, parameter: str, encoding: str) -> None:
        self.name = name
        self.parameter = parameter
        self.encoding = encoding
        self.first_other = ""
        self.n_fields = 0
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._is_ascii = True
        self._n_lines = 0
        self._line_length = 0

    def take(self, chunk: bytes, *, is_end: bool = False) -> None:
        """Check the next bytes.

        Raises:
            DataError: they are no text.
        """
        try:
            text = self._decoder.decode(chunk, is_end)
        except UnicodeDecodeError as error:
            text = self._with_another_encoding(error, is_end=is_end)
        self._check(text)

    def _with_another_encoding(self, error: UnicodeDecodeError, *, is_end: bool) -> str:
        """The text of bytes that the encoding does not allow, in one that allows them.

        Raises:
            DataError: a byte order mark or earlier characters show that the encoding is right, and the bytes wrong.
        """
        good = error.object[: error.start].decode(self.encoding, "replace")
        line = self._n_lines + good.count("\n") + 1
        if self.encoding == "utf-8" and self._is_ascii and good.isascii():
            self.encoding = "cp1252"
        elif self.encoding == "cp1252":
            self.encoding = "latin-1"  # allows all bytes
        else:
            name = self.encoding.removesuffix("-sig").upper()
            message = f"{self.name} is not {name} text: line {line} has bytes that are no {name}"
            raise DataError(message, hint="save it as UTF-8", parameter=self.parameter) from error
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        try:
            text = self._decoder.decode(error.object, is_end)
        except UnicodeDecodeError as another:
            return self._with_another_encoding(another, is_end=is_end)
        if not self.first_other:
            before, after = text[: error.start].rpartition("\n")[2], text[error.start :].partition("\n")[0]
            self.first_other = f"`{before[-20:].strip()}{after[:20].strip()}` in line {line}"
        return text

    def _check(self, text: str) -> None:
        if "\0" in text:
            line = self._n_lines + text[: text.index("\0")].count("\n") + 1
            message = f"{self.name} is not a text file: it contains a NUL character in line {line}"
            raise DataError(message, hint="save it as UTF-8", parameter=self.parameter)
        self._is_ascii = self._is_ascii and text.isascii()
        last = max(text.rfind("\n"), text.rfind("\r"))
        first = len(text) if last < 0 else min(at for at in (text.find("\n"), text.find("\r")) if at >= 0)
        if self._line_length + first > MAX_LINE:
            message = f"line {self._n_lines + 1} of {self.name} is longer than {MAX_LINE:,} characters"
            hint = "write a line for each row, and close quoted values"
            raise DataError(message, hint=hint, parameter=self.parameter)
        self._line_length = self._line_length + len(text) if last < 0 else len(text) - last - 1
        self._n_lines += text.count("\n")
        self.n_fields += max(map(text.count, ",;\t|"))
