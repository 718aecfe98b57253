"""Tables and sentences as lines of text, of any width or fitted to one. Pure: texts in, lines out.

`tunecli.console.streams.spoken` has made the texts printable, so every character has a known width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

from tunecli.results.view import Block, Fit, Section

_COMMAND = re.compile(r"(?<!`)\btunecli \w.*$")  # an unquoted command, up to the end of the text
_GAP = 2
_WIDEST_CELL = 24  # of a fitted table, before spare width is shared out
_WIDEST_HEADING = 28
_NARROWEST_CELL = 8  # of a table whose texts are broken
_MOST_LINES_OF_BLOCK = 20
_LEAST_OF_VALUE = 8
_RANGE = ("…", "...")


def table_lines(section: Section, width: int | None, cut: str = "…") -> list[str]:
    """The heading and the rows of a table, without its title.

    Args:
        section: the table.
        width: the largest width of a line, at least 40; None: any. A table without a `Fit` breaks texts that are too
            wide.
        cut: the mark that replaces the rest of a text.
    """
    columns = list(zip(section.columns, *section.rows, strict=True))
    if width is None:
        return _joined(columns, [_widest(column) for column in columns])
    if section.fit is None:
        if section.narrow and _least_width(columns) > width:
            columns = list(zip(section.columns, *section.narrow, strict=True))
        return _broken(columns, width)
    shown, widths = _fitted(section, section.fit, width)
    headings = section.fit.headings
    kept = [
        [clip(headings[place], n, cut, in_middle=True), *(clip(text, n, cut) for text in columns[place][1:])]
        for place, n in zip(shown, widths, strict=True)
    ]
    return _joined(kept, widths)


def n_left_out(section: Section, width: int | None) -> int:
    """The number of columns that a terminal leaves out because they do not fit."""
    if width is None or section.fit is None:
        return 0
    return len(section.fit.first) + len(section.fit.then) - len(_fitted(section, section.fit, width)[0])


def block_lines(block: Block, width: int | None, cut: str = "…") -> list[str]:
    """A block's heading and its pairs, one below the other, or side by side if there are many."""
    if width is None:
        n = max((len(label) for label, _ in block.pairs), default=0)
        return [block.heading, *(f"  {label:<{n}}  {text}".rstrip() for label, text in block.pairs)]
    lines = wrapped(block.heading, width, "  ")
    if not block.how:
        return [*lines, *(f"  {line}" for line in labelled_lines(block.pairs, width - 2))]
    labels = [label for label, _ in block.pairs]
    n_pairs = len(labels)
    if (block.short and n_pairs > _MOST_LINES_OF_BLOCK) or _widest(labels) > width * 2 // 3:
        labels = list(block.short or labels)
    n_across, label_width = 1, min(_widest(labels), width * 2 // 3)
    while n_pairs > n_across * _MOST_LINES_OF_BLOCK and (
        (width - 2) // (n_across + 1) >= label_width + _LEAST_OF_VALUE + 2 * _GAP
    ):
        n_across += 1
    n_shown = min(n_pairs, n_across * _MOST_LINES_OF_BLOCK)
    shown = sorted([*(block.order or range(n_pairs))][:n_shown])
    n_down = -(-n_shown // n_across)
    cell_width = (width - 2 - _GAP * (n_across - 1)) // n_across
    cells = []
    for place in shown:
        label = padded(clip(labels[place], label_width, cut, in_middle=True), label_width)
        cells.append(f"{label}  {clip(block.pairs[place][1], cell_width - label_width - _GAP, cut)}")
    for row in range(n_down):
        texts = [padded(cell, cell_width) for cell in cells[row::n_down]]
        lines.append(f"  {(' ' * _GAP).join(texts)}".rstrip())
    if n_shown < n_pairs:
        lines.append(f"  +{n_pairs - n_shown} more: {block.how}")
    return lines


def labelled_lines(pairs: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """``label  text`` lines. A sentence that is too long is broken at blanks; a line with a command is never broken."""
    n = max((cell_len(label) for label, _ in pairs), default=0)
    lines: list[str] = []
    for label, text in pairs:
        first = f"{padded(label, n)}  "
        if width is None or "tunecli " in text or n > width // 2:
            lines += f"{first}{text}".rstrip().split("\n")
            continue
        parts = wrapped(text, width - n - 2)
        lines += [
            f"{first if place == 0 else ' ' * (n + 2)}{part}".rstrip() for place, part in enumerate(parts)
        ]
    return lines


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The text in lines of at most ``width`` columns, broken at blanks, or within a word longer than a line."""
    lines, line = [], ""
    for word in _words(text):
        joined = f"{line} {word}" if line.strip() else f"{line}{word}"
        if cell_len(joined) <= width:
            line = joined
            continue
        if line.strip():
            lines.append(line)
            line = indent
        line += word
        while cell_len(line) > width:
            part = _first(line, width)
            lines.append(part)
            line = indent + line[len(part) :]
    return [*lines, line] if line.strip() or not lines else lines


def message_lines(text: str, width: int, indent: str = "") -> list[str]:
    """A message in lines of at most ``width`` columns, broken at blanks.

    A command, text in backticks and a long word are never broken, so that they can be copied. A line with one of them
    may be wider than ``width``.

    Args:
        text: one line of a message; the blanks in front of it are kept.
        width: the largest width of a line.
        indent: blanks in front of every line but the first.
    """
    command = _COMMAND.search(text)
    sentence = text if command is None else text[: command.start()]
    words = re.findall(r"(?:`[^`]*`|[^ ])+|(?<= )(?= )", sentence.strip(" "))
    if command is not None:
        words.append(command[0])
    lines, line = [], text[: len(text) - len(text.lstrip(" "))]
    is_empty = True
    for word in words:
        if not is_empty and cell_len(f"{line} {word}") > width:
            lines.append(line)
            line, is_empty = indent, True
        line += word if is_empty else f" {word}"
        is_empty = False
    return [*lines, line]


def clip(text: str, width: int, cut: str = "…", *, in_middle: bool = False) -> str:
    """``text`` in at most ``width`` columns; ``cut`` replaces the rest."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(cut)
    if room <= 0:
        return _first(text, width)
    if in_middle:
        return _prefix(text, (room + 1) // 2) + cut + _prefix(text[::-1], room // 2)[::-1]
    return _prefix(text, room).rstrip() + cut


def padded(text: str, width: int, *, is_right: bool = False) -> str:
    """``text`` with blanks up to ``width`` columns."""
    blanks = " " * max(0, width - cell_len(text))
    return blanks + text if is_right else text + blanks


def _first(text: str, width: int) -> str:
    """The characters that fit in ``width`` columns, at least one, so that every line takes some of the text."""
    return _prefix(text, width) or text[:1]


def _prefix(text: str, width: int) -> str:
    """The characters that fit in ``width`` columns."""
    n_columns = 0
    for place, character in enumerate(text):
        n_columns += cell_len(character)
        if n_columns > width:
            return text[:place]
    return text


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _joined(columns: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Rows of cells side by side; ``columns`` begin with their headings."""
    cells = [
        [padded(text, n, is_right=is_right) for text in column]
        for column, n in zip(columns, widths, strict=True)
        for is_right in [_is_numeric(column[1:])]
    ]
    return [(" " * _GAP).join(row).rstrip() for row in zip(*cells, strict=True)]


def _is_numeric(texts: Sequence[str]) -> bool:
    return all(text[:1] in "-0123456789—" for text in texts)


def _fitted(section: Section, fit: Fit, width: int) -> tuple[list[int], list[int]]:
    """The positions of the columns that are shown, in order, and their widths."""
    wanted: dict[int, int] = {}  # of the columns that are looked at: there may be thousands
    widths: dict[int, int] = {}
    left = width + _GAP
    for place in (*fit.first, *fit.then):
        heading = cell_len(fit.headings[place])
        wanted[place] = max(heading, _widest([row[place] for row in section.rows]))
        n = min(wanted[place], max(_WIDEST_CELL, min(heading, _WIDEST_HEADING)))
        if n + _GAP <= left or not widths:
            widths[place] = min(n, width)
            left -= n + _GAP
        elif place in fit.first:
            break  # a less important column must not take its place
    for place in widths:  # spare width goes to the columns whose texts were cut
        more = min(max(0, left), wanted[place] - widths[place])
        widths[place] += more
        left -= more
    shown = sorted(widths)
    return shown, [widths[place] for place in shown]


def _least_width(columns: Sequence[Sequence[str]]) -> int:
    return sum(_longest_words(columns)) + _GAP * (len(columns) - 1)


def _longest_words(columns: Sequence[Sequence[str]]) -> list[int]:
    return [max(cell_len(word) for text in column for word in _words(text)) for column in columns]


def _words(text: str) -> list[str]:
    """The parts of a text that are never broken: words, and a range with both its bounds."""
    words: list[str] = []
    for word in text.split(" "):
        if words and (word in _RANGE or words[-1].split(" ")[-1] in _RANGE):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _broken(columns: Sequence[Sequence[str]], width: int) -> list[str]:
    """The whole table: the widest columns become narrower, and their texts take several lines."""
    widths = [_widest(column) for column in columns]
    room = width - _GAP * (len(columns) - 1)
    for least in (_longest_words(columns), [_NARROWEST_CELL] * len(columns), [1] * len(columns)):
        while sum(widths) > room and any(n > low for n, low in zip(widths, least, strict=True)):
            place = max(
                range(len(widths)), key=lambda column: (widths[column] > least[column], widths[column])
            )
            widths[place] -= 1
    sides = [_is_numeric(column[1:]) for column in columns]
    lines = []
    for row in zip(*columns, strict=True):
        parts = [wrapped(text, n) for text, n in zip(row, widths, strict=True)]
        for at in range(max(map(len, parts))):
            cells = [
                padded(part[at] if at < len(part) else "", n, is_right=is_right)
                for part, n, is_right in zip(parts, widths, sides, strict=True)
            ]
            lines.append((" " * _GAP).join(cells).rstrip())
    return lines
