"""Hostile study files, made from valid ones: the same seed makes the same bytes.

Each mutant starts from a valid text and is damaged a few times: by characters, by lines or by whole pieces of YAML. So most
mutants still resemble a study and reach deep into the reader.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

TOKENS = (
    *(
        "&a ",
        "*a",
        "<<: *a",
        "!!python/object/apply:os.system [ls]",
        "!!float ",
        "!local ",
        "%YAML 1.1\n",
        "---\n",
    ),
    *(
        "...\n",
        "? ",
        ": ",
        "- ",
        "| ",
        ">-\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "'",
        '"',
        "\\",
        "\t",
        "\r",
        "\n",
        "@",
        "`",
    ),
    *(
        "null",
        "~",
        "true",
        "no",
        "010",
        "1e-3",
        "12:30",
        "2001-01-01",
        ".nan",
        ".inf",
        "-.inf",
        "-0.0",
        "1e400",
    ),
    *(
        "9" * 60,
        "9" * 70,
        "0x" + "f" * 60,
        "-1",
        "0",
        "1",
        "1e-320",
        "1e308",
        '""',
        '"\\0"',
        '"\\x1b[2J"',
        '"\\u202e"',
    ),
    *(
        "${env:HOME}",
        "../../etc/passwd",
        "/dev/zero",
        "a" * 300,
        "python: os:system",
        "mine:",
        ":x",
        "²",
        "٣",
    ),
)
RANGES = (
    *(
        "{choice: []}",
        "{choice: [1, 1]}",
        "{choice: [{choice: [1, 2]}]}",
        "{choice: [a, {b: {int: [1, 3]}}, [1, {x: 2}]]}",
    ),
    *(
        "{uniform: [1, 0]}",
        "{uniform: [-1e308, 1e308]}",
        "{uniform: [0, 1e308], step: 1e-308}",
        "{uniform: [.nan, 1]}",
    ),
    *(
        "{uniform: [0, 1], default: .nan, step: 1e-320}",
        "{loguniform: [0, 1]}",
        "{loguniform: [1e-320, 1e308]}",
    ),
    *(
        "{int: [1, 1e3]}",
        "{int: [0, " + "9" * 60 + "]}",
        "{int: [-5, 5], step: 7, default: 99}",
        "{logint: [1, " + "9" * 60 + "]}",
    ),
    *(
        "{logint: [1, 9], grid: 10000}",
        "{normal: [1e308, 1e308]}",
        "{normal: [0, 0]}",
        "{normal: [0, 1], step: 1}",
    ),
    *(
        "{list: {of: {int: [1, 3]}, length: 64}}",
        "{list: {of: 1, length: {int: [0, 9]}}}",
        "{list: {length: -1, of: x}}",
    ),
    *(
        "{list: {of: {list: {of: {list: {of: 1, length: 64}}, length: 64}}, length: 64}}",
        "{list: [], default: [1]}",
    ),
    *(
        "{ref: optimizer}",
        "{ref: trial}",
        "{ref: model.hidden.²}",
        "{ref: ''}",
        "{ref: optimizer.lr}",
        "{ref: a.b.c}",
    ),
)

Wound = Callable[[random.Random, str], str]


def mutants(texts: Sequence[str], seed: int) -> Iterator[bytes]:
    """An endless series of hostile files."""
    draw = random.Random(seed)
    while True:
        text = draw.choice(texts)
        for _ in range(draw.choice((1, 1, 1, 2, 3, 5, 8))):
            text = draw.choice(WOUNDS)(draw, text)
        data = text.encode("utf-8", "surrogatepass")
        yield _torn(draw, data) if draw.random() < 0.05 else data


def _torn(draw: random.Random, data: bytes) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + bytes(draw.randrange(256) for _ in range(draw.randrange(4))) + data[place + 1 :]


def _span(draw: random.Random, text: str) -> tuple[int, int]:
    start = draw.randrange(len(text) + 1)
    return start, min(len(text), start + draw.choice((1, 1, 2, 5, 20, 100)))


def _delete(draw: random.Random, text: str) -> str:
    start, end = _span(draw, text)
    return text[:start] + text[end:]


def _repeat(draw: random.Random, text: str) -> str:
    start, end = _span(draw, text)
    return text[:end] + text[start:end] * draw.choice((1, 1, 2, 10, 50)) + text[end:]


def _swap(draw: random.Random, text: str) -> str:
    a, b = sorted((_span(draw, text), _span(draw, text)))
    if a[1] > b[0]:
        return text
    return text[: a[0]] + text[b[0] : b[1]] + text[a[1] : b[0]] + text[a[0] : a[1]] + text[b[1] :]


def _insert(draw: random.Random, text: str) -> str:
    start, _ = _span(draw, text)
    return text[:start] + draw.choice(TOKENS) + text[start:]


def _character(draw: random.Random, text: str) -> str:
    start, _ = _span(draw, text)
    highest = draw.choice((0x20, 0x80, 0x100, 0x3000, 0x110000))
    return text[:start] + chr(draw.randrange(highest)) + text[start:]


def _value(draw: random.Random, text: str) -> str:
    """Replace the value of a random key."""
    places = [place + 2 for place in range(len(text)) if text.startswith(": ", place)]
    if not places:
        return text
    start = draw.choice(places)
    ends = [end for mark in (",", "}", "]", "\n") if (end := text.find(mark, start)) >= 0]
    return text[:start] + draw.choice((*TOKENS, *RANGES, *RANGES)) + text[min(ends, default=len(text)) :]


def _key(draw: random.Random, text: str) -> str:
    """Remove or double a letter of a random word."""
    places = [place for place in range(len(text)) if text[place].isalpha()]
    if not places:
        return text
    place = draw.choice(places)
    return text[:place] + text[place] * draw.choice((0, 2)) + text[place + 1 :]


def _line(draw: random.Random, text: str) -> str:
    """Remove, double, move or indent a random line."""
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    line = lines.pop(place)
    match draw.randrange(4):
        case 1:
            lines[place:place] = [line, line]
        case 2:
            lines.insert(draw.randrange(len(lines) + 1), line)
        case 3:
            lines.insert(place, " " * draw.randrange(6) + line.strip(" "))
    return "\n".join(lines)


def _nest(draw: random.Random, text: str) -> str:
    depth = draw.choice((1, 3, 38, 60, 2000))
    opening, closing = draw.choice((("[", "]"), ("{a: ", "}"), ("{choice: [", "]}"), ("- ", ""), ("? ", "")))
    start, end = _span(draw, text)
    return text[:start] + opening * depth + text[start:end] + closing * depth + text[end:]


WOUNDS: tuple[Wound, ...] = (
    *(_delete, _repeat, _swap, _insert, _character, _line, _nest),
    *(_value, _value, _value, _key, _key),
)
