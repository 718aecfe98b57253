"""Random CSV files as people have them, with the values that they mean or the fault that a reader must report."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Meant = list[float | None] | list[str | None]

WORDS = [
    "red",
    "green",
    "dark blue",
    "Köln",
    "São Paulo",
    "naïve",
    "a,b",
    "x;y",
    'say "hi"',
    "tab\there",
    "p|q",
    "l1\nl2",
    "O'Neil",
]
MARKS = ["", "NA", "n/a", "NaN", "null", "None", "?", "#N/A", "<NA>"]
MARKS_AMONG_NUMBERS = [*MARKS, "-", "--", ".", "missing", "unknown", "#DIV/0!", "k.A.", "(blank)"]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
FAULTS = ("none", "ragged", "nameless", "repeated", "open quote", "nul", "cut", "empty", "header only")


@dataclass(frozen=True)
class Column:
    """A column: its fields as the file has them, and the values that they mean.

    ``is_text`` tells whether the values are texts; None if any reading is right, as for dates.
    """

    name: str
    fields: list[str]
    meant: Meant
    is_text: bool | None


@dataclass(frozen=True)
class File:
    """The facts that a file's columns share: the generator, rows, decimal mark and the columns so far."""

    r: np.random.Generator
    n_rows: int
    decimal: str
    columns: list[Column]


@dataclass(frozen=True)
class MessyFile:
    """A file: the ending of its name, its bytes, its columns, and the fault that makes it unreadable, if any."""

    ending: str
    content: bytes
    columns: tuple[Column, ...]
    fault: str
    encoding: str


def messy_file(seed: int) -> MessyFile:
    """The file of a seed."""
    r = np.random.default_rng(seed)
    n_rows = int(r.choice([1, 2, 3, 7, 25, 60]))
    columns: list[Column] = []
    file = File(r, n_rows, str(r.choice([".", ","])), columns)
    for number in range(int(r.integers(1, 8))):
        make = MAKERS[int(r.integers(len(MAKERS)))]
        columns.append(make(file, _name(r, number)))
    classes = [str(value) for value in r.choice(["yes", "no", "maybe"], n_rows)]
    columns.insert(int(r.integers(len(columns) + 1)), Column("target", classes, list(classes), True))
    fault = FAULTS[int(r.integers(len(FAULTS)))] if r.random() < 0.25 else "none"
    separator = ",;\t|"[int(r.integers(4))]
    encoding = str(r.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"]))
    text = _written(r, columns, separator, fault)
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        encoding, content = "utf-8", text.encode()
    if fault == "nul":
        place = int(r.integers(len(content)))
        content = content[:place] + b"\0\0\0" + content[place:]
    elif fault == "cut":
        content = content[: int(r.integers(len(content)))]
    ending = str(r.choice([".csv", ".csv", ".csv", ".tsv", ".txt", ".csv.gz", ".csv.bz2", ".csv.xz"]))
    for packing, pack in PACKERS.items():
        if ending.endswith(packing):
            content = pack(content)
    return MessyFile(ending, content, tuple(columns), fault, encoding)


def _name(r: np.random.Generator, number: int) -> str:
    odd = [
        "weight (kg)",
        "Größe",
        "a b",
        "x/y",
        "price €",
        'the "name"',
        "2020",
        "id",
        "true",
        "$",
        "N/A",
        "a'b",
        "Ünï",
    ]
    return f"{odd[int(r.integers(len(odd)))]}_{number}" if r.random() < 0.5 else f"c{number}"


def _written(r: np.random.Generator, columns: list[Column], separator: str, fault: str) -> str:
    header = [column.name for column in columns]
    rows = [list(row) for row in zip(*(column.fields for column in columns), strict=True)]
    if fault == "nameless":
        header[int(r.integers(len(header)))] = "  "
    elif fault == "repeated":
        header[0] = header[-1]
    elif fault == "ragged":
        row = rows[int(r.integers(len(rows)))]
        row.extend(["x"] * int(r.integers(1, 3))) if r.random() < 0.5 else row.pop()
    elif fault == "header only":
        rows = []
    elif fault == "empty":
        return str(r.choice(["", "\n\n", "  \n"]))
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if r.random() < 0.3 else csv.QUOTE_MINIMAL
    newline = str(r.choice(["\n", "\r\n", "\n"]))
    if r.random() < 0.1:
        text.write(f"sep={separator}{newline}")
    elif r.random() < 0.1:
        text.write(newline * 2)
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=newline).writerows([header, *rows])
    written = text.getvalue()
    if fault == "open quote":
        written += f'"open{separator}1{newline}'
    return written if r.random() < 0.8 else written.rstrip("\r\n")


def _with_gaps(
    r: np.random.Generator, texts: list[str], meant: Meant, marks: list[str]
) -> tuple[list[str], Meant]:
    share = float(r.choice([0.0, 0.0, 0.2, 0.9]))
    mark = marks[int(r.integers(len(marks)))]
    is_gap = r.random(len(texts)) < share
    fields = [mark if gap else text for gap, text in zip(is_gap, texts, strict=True)]
    return fields, [None if gap else value for gap, value in zip(is_gap, meant, strict=True)]  # type: ignore[return-value]


def _plain(file: File, name: str) -> Column:
    r, n = file.r, file.n_rows
    digits = int(r.choice([0, 1, 2, 3, 6]))
    numbers = [round(float(x), digits) for x in r.normal(size=n) * 10.0 ** r.integers(0, 8)]
    style = int(r.integers(3))
    texts = [f"{x:.{digits}f}" if style == 0 else repr(x) if style == 1 else f"{x:+.9e}" for x in numbers]
    meant = [float(text) for text in texts]
    return _numbers(file, name, [text.replace(".", file.decimal) for text in texts], meant)


def _formatted(file: File, name: str) -> Column:
    """Numbers in one format: Python writes them, and the marks are exchanged."""
    r = file.r
    thousands = str(r.choice(["", {".": ",", ",": "."}[file.decimal], " ", "'", "\u00a0"]))
    digits = int(r.choice([0, 1, 2, 2, 3]))
    unit = str(r.choice(["", "", "€", "$", "USD", "kr", "%", "zł"]))
    is_before = unit in ("$", "USD") or (unit == "€" and r.random() < 0.5)
    negative = str(r.choice(["-", "\u2212", "("]))
    texts, meant = [], []
    for x in r.normal(size=file.n_rows) * 10.0 ** r.integers(0, 8):
        number = round(float(x), digits)
        text = f"{abs(number):,.{digits}f}" if thousands else f"{abs(number):.{digits}f}"
        text = text.translate({ord(","): thousands, ord("."): file.decimal})
        if unit:
            text = f"{unit} {text}" if is_before else f"{text} {unit}"
        if number < 0:
            text = f"({text})" if negative == "(" else f"{negative}{text}"
        texts.append(text)
        meant.append(number)
    return _numbers(file, name, texts, meant)


def _numbers(file: File, name: str, texts: list[str], meant: list[float]) -> Column:
    """Numbers with gaps; marks such as `-` are gaps only if a number is beside them."""
    fields, values = _with_gaps(file.r, texts, [*meant], MARKS_AMONG_NUMBERS)
    if all(value is None for value in values):
        fields, values = texts, [*meant]
    return Column(name, fields, values, False)


def _words(file: File, name: str) -> Column:
    texts = [WORDS[int(place)] for place in file.r.integers(0, len(WORDS), file.n_rows)]
    fields, meant = _with_gaps(file.r, texts, [*texts], MARKS)
    return Column(name, fields, meant, True)


def _mixed(file: File, name: str) -> Column:
    r, n = file.r, file.n_rows
    texts = [str(r.choice(["12", "1,5", "x1", "later", "3.25", "10-20", "1/2"])) for _ in range(n)]
    texts[int(r.integers(n))] = "later"
    return Column(name, texts, [*texts], True)


def _identifiers(file: File, name: str) -> Column:
    start = int(file.r.integers(0, 10**6))
    numbers = range(start, start + file.n_rows)
    return Column(name, [str(number) for number in numbers], [float(number) for number in numbers], False)


def _dates(file: File, name: str) -> Column:
    form = str(file.r.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M", "%d %b %Y"]))
    days = np.datetime64("2020-01-01") + file.r.integers(0, 900, file.n_rows)
    fields = [day.item().strftime(form) for day in days]
    return Column(name, fields, [*fields], None)


def _nothing(file: File, name: str) -> Column:
    mark = MARKS[int(file.r.integers(len(MARKS)))]
    return Column(name, [mark] * file.n_rows, [None] * file.n_rows, False)


def _copy(file: File, name: str) -> Column:
    if not file.columns:
        return _identifiers(file, name)
    other = file.columns[int(file.r.integers(len(file.columns)))]
    return Column(name, other.fields, other.meant, other.is_text)


def _truths(file: File, name: str) -> Column:
    texts = [str(value) for value in file.r.choice(["True", "False"], file.n_rows)]
    return Column(name, texts, [*texts], True)


MAKERS = [
    _plain,
    _plain,
    _formatted,
    _formatted,
    _formatted,
    _words,
    _mixed,
    _identifiers,
    _dates,
    _nothing,
    _copy,
    _truths,
]
