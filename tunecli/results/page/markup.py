"""HTML and SVG as text, safe by construction: every text that is not `Markup` is escaped when it enters an element.

Owns the one escaping function of the page. Names of studies, parameters and options, causes of failures and paths come
from users, and may contain anything.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

from tunecli.text import sanitize, shorten

LONGEST = 160
"""The most characters of one text from the study, such as a name; longer ones end with ``…``."""
_LONGEST_LINE = 2000
_EMPTY = frozenset({"br", "meta", "link", "line", "circle", "path", "rect", "input", "polygon"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text: str, longest: int = LONGEST) -> Markup:
    """Text from outside as HTML: one line, no invisible characters, at most ``longest`` characters.

    Control characters, marks of writing direction and NUL are removed, and lone surrogates are replaced, so that the
    page can be encoded as UTF-8 and reads in one direction.
    """
    return Markup(html.escape(shorten(sanitize(text[: 4 * longest]), longest)))


def escape_lines(text: str, most: int) -> Markup:
    """Text of several lines, each with its indentation, as HTML; at most ``most`` lines."""
    lines = text.expandtabs(4).split("\n")
    kept = [_escape_line(line) for line in lines[:most]]
    if len(lines) > most:
        kept.append(escape(f"… {len(lines) - most} more lines"))
    return Markup("\n".join(kept))


def _escape_line(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return " " * min(indent, 200) + escape(line, _LONGEST_LINE)


def tag(element: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        element: its name.
        children: its content; text that is not `Markup` is escaped.
        attributes: by name, with ``-`` written as ``_`` and one ``_`` removed from the end (``class_``); numbers get
            at most two decimals, and None leaves an attribute out.
    """
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _EMPTY and not children:
        return Markup(f"<{element}{written}/>")
    return Markup(f"<{element}{written}>{join(children)}</{element}>")


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Texts and markup one after the other; text that is not `Markup` is escaped, also the separator."""
    return Markup(
        html.escape(separator).join(part if isinstance(part, Markup) else _text(part) for part in parts)
    )


def _text(text: str) -> str:
    """A text within a sentence, which keeps a blank at its ends."""
    before, after = " " * text.startswith(" "), " " * text.endswith(" ")
    return f"{before}{escaped}{after}" if (escaped := escape(text, 4 * LONGEST)) else before


def decimals(value: float) -> str:
    """A coordinate with at most two decimals, as short as possible.

    Raises:
        ValueError: it is not finite; a figure with such a coordinate is not drawn.
    """
    if not math.isfinite(value):
        raise ValueError(f"coordinate {value}")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _attribute(value: str | float) -> str:
    if isinstance(value, str):
        return value if isinstance(value, Markup) else escape(value, 4 * LONGEST)
    return decimals(value)


def table(
    caption: str, columns: Iterable[str], rows: Iterable[Iterable[str]], *, n_text_columns: int = 1
) -> Markup:
    """A table; the first ``n_text_columns`` columns hold text, the others numbers. The first cell of a row heads it."""
    head = [
        tag("th", column, scope="col", class_=_kind(i, n_text_columns)) for i, column in enumerate(columns)
    ]
    body = [_row(list(row), n_text_columns) for row in rows]
    return tag(
        "div",
        tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body)),
        class_="scroll",
        tabindex="0",
        role="group",
        aria_label=caption,
    )


def _row(cells: list[str], n_text_columns: int) -> Markup:
    head, *others = cells
    data = [tag("td", cell, class_=_kind(i, n_text_columns)) for i, cell in enumerate(others, start=1)]
    return tag("tr", tag("th", head, scope="row", class_="text"), *data)


def _kind(place: int, n_text_columns: int) -> str | None:
    return "text" if place < n_text_columns else None


def details(summary: str, *content: str) -> Markup:
    """Content that a click opens, without a script."""
    return tag("details", tag("summary", summary), *content)
