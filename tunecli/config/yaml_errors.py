"""PyYAML's syntax errors as messages for people, with both places: where a construct began, and where it broke."""

from __future__ import annotations

import re
from typing import NamedTuple

_LONGEST = 60
_KEY = re.compile(r"\{?\s*(if|then|else):\s+")
_ENDS = {"sequence": ("list", "[", "]"), "mapping": ("map", "{", "}")}


class SyntaxMessage(NamedTuple):
    """A message, and a hint."""

    message: str
    hint: str = ""


def syntax_message(
    problem: str,
    context: str,
    text: str,
    at: tuple[int, int] | None,
    begun: tuple[int, int] | None,
    begun_at: tuple[int, int] | None,
) -> SyntaxMessage:
    """The message for a syntax error.

    Args:
        problem, context: in PyYAML's words.
        text: the whole text.
        at, begun: 0-based line and column of the error, and of the start of the construct that contains it.
        begun_at: the latter as 1-based line and column of the file.
    """
    line = _line(text, at)
    character = line[at[1] : at[1] + 1] if at is not None else ""
    where = f"{begun_at[0]}:{begun_at[1]}" if begun_at is not None and begun != at else ""
    if character == "\t":
        return SyntaxMessage("a tab is not allowed here", "indent with spaces")
    for kind, (name, opening, closing) in _ENDS.items():
        if context.endswith(f"flow {kind}") and where:
            message = f"the {name} opened by `{opening}` at {where} needs `,` or `{closing}` here"
            return SyntaxMessage(
                message,
                _brace_hint(line, at) or f"close it with `{closing}`, or put a `,` between two values",
            )
    if "quoted scalar" in context and "end of stream" in problem and where:
        quote = _line(text, begun)[begun[1] : begun[1] + 1] if begun is not None else ""
        return SyntaxMessage(
            f"the quote {quote or ''} opened at {where} is never closed", "close it on the same line"
        )
    if "escape" in problem:
        return SyntaxMessage(
            "unknown escape after `\\` in double quotes",
            "use single quotes, or write `\\\\`",
        )
    if problem.startswith("mapping values are not allowed"):
        return SyntaxMessage(
            "unexpected `:`: a line can have only one key",
            "quote a text that contains `: `, and write a space after the `:` of the line above",
        )
    if problem.startswith("found character that cannot start"):
        return SyntaxMessage(f"a value cannot start with `{character}`", "quote the value")
    if "expected key" in problem or "expected '-' indicator" in problem:
        return _misplaced(problem, line, at, where)
    if "<document start>" in problem:
        return SyntaxMessage(
            "unexpected text after the first value", "write the whole file as one map of keys"
        )
    if "node content" in problem:
        return SyntaxMessage(f"missing value before `{character}`" if character.strip() else "missing value")
    return SyntaxMessage(f"{problem} (it starts at {where})" if where else problem)


def _misplaced(problem: str, line: str, at: tuple[int, int] | None, where: str) -> SyntaxMessage:
    """The message for a line that does not continue the map or list above it, or for text after a complete value."""
    before = line[: at[1]].strip() if at is not None else ""
    if not before:
        kind = "list of `-` items" if "indicator" in problem else "map"
        start = f" that starts at {where}" if where else ""
        return SyntaxMessage(
            f"this line is not indented like the {kind}{start}",
            "indent all keys of a map by the same number of spaces",
        )
    if before.endswith("'"):
        return SyntaxMessage(
            "unexpected text after a closing quote", "inside single quotes, write a quote twice: 'it''s'"
        )
    if before.endswith("}") and (hint := _brace_hint(line, at)):
        return SyntaxMessage("unexpected text after a closing brace", hint)
    return SyntaxMessage("unexpected text after a value", "quote the whole value")


def _brace_hint(line: str, at: tuple[int, int] | None) -> str:
    """The hint for an unquoted placeholder in a list, such as ``--lr={lr}``."""
    if at is None:
        return ""
    column = at[1]
    if line[column : column + 1] != "{" and "}" not in line[max(0, column - 1) : column + 1]:
        return ""
    start = max(line.rfind(mark, 0, column) for mark in ",[")
    if line[:column].rstrip().endswith("}"):
        opened = line.rfind("{", 0, column)
        start = max(line.rfind(mark, 0, opened) for mark in ",[:")
    end = re.search(r"[,\]\n]", line[column:])
    word = _KEY.sub("", line[start + 1 : column + end.start() if end else len(line)].strip())
    if word.count("}") > word.count("{"):
        word = word.removesuffix("}")
    if not re.search(r"\{[\w.?-]*\}", word):
        return ""
    shown = word if len(word) < _LONGEST and '"' not in word else "--lr={lr}"
    return f'quote an argument that contains a brace: "{shown}"'


def _line(text: str, at: tuple[int, int] | None) -> str:
    """Line ``at[0]`` of a text, counted from 0; empty if the text has no such line."""
    lines = [] if at is None else text.split("\n", at[0] + 1)
    return lines[at[0]] if at is not None and at[0] < len(lines) else ""
