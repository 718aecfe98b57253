"""PyYAML's syntax errors as messages for people, with both places: where a construct began, and where it broke."""

from __future__ import annotations

import re
from typing import NamedTuple

_LONGEST = 60
_ENDS = {"sequence": ("list", "[", "]"), "mapping": ("map", "{", "}")}


class SyntaxMessage(NamedTuple):
    """What is wrong, and what to do about it."""

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
    """A plain message for an error of the lexer.

    Args:
        problem, context: as PyYAML words them.
        text: the whole text.
        at, begun: 0-based line and column where the error was noticed, and where what it is about began.
        begun_at: the latter as a file's 1-based line and column.
    """
    line = _line(text, at)
    character = line[at[1] : at[1] + 1] if at is not None else ""
    where = f"{begun_at[0]}:{begun_at[1]}" if begun_at is not None and begun != at else ""
    if character == "\t":
        return SyntaxMessage("a tab stands here", "indent with spaces, not tabs")
    for kind, (name, opening, closing) in _ENDS.items():
        if context.endswith(f"flow {kind}") and where:
            message = f"the {name} opened by `{opening}` at {where} goes on here without `,` or `{closing}`"
            return SyntaxMessage(
                message,
                _brace_hint(line, at) or f"close it with `{closing}`, or put a `,` between two values",
            )
    if "quoted scalar" in context and "end of stream" in problem and where:
        quote = _line(text, begun)[begun[1] : begun[1] + 1] if begun is not None else ""
        return SyntaxMessage(
            f"the quote {quote or 'that was'} opened at {where} is never closed", "close it on its own line"
        )
    if "escape" in problem:
        return SyntaxMessage(
            "a `\\` in double quotes begins an escape, and this one is unknown",
            "use single quotes, or write `\\\\`",
        )
    if problem.startswith("mapping values are not allowed"):
        return SyntaxMessage(
            "a `:` stands where none may: one line holds one key",
            "quote a text that holds `: `; and see that the line before has a blank after its `:`",
        )
    if problem.startswith("found character that cannot start"):
        return SyntaxMessage(f"`{character}` cannot begin a value", "quote the value")
    if "expected key" in problem or "expected '-' indicator" in problem:
        return _misplaced(problem, line, at, where)
    if "node content" in problem:
        return SyntaxMessage(
            f"a value is missing before `{character}`" if character.strip() else "a value is missing here"
        )
    return SyntaxMessage(f"{problem} (it began at {where})" if where else problem)


def _misplaced(problem: str, line: str, at: tuple[int, int] | None, where: str) -> SyntaxMessage:
    """A line that does not go on with the map or list above it, or more text after a value that has ended."""
    before = line[: at[1]].strip() if at is not None else ""
    if not before:
        what = "list of `-` items" if "indicator" in problem else "map"
        began = f" that began at {where}" if where else ""
        return SyntaxMessage(
            f"this line is indented otherwise than the {what}{began}",
            "give all keys of one map the same indentation",
        )
    if before.endswith("'"):
        return SyntaxMessage(
            "text follows a closed quote", "inside single quotes a quote is written twice: 'it''s'"
        )
    if before.endswith("}") and (hint := _brace_hint(line, at)):
        return SyntaxMessage("text follows a closed brace", hint)
    return SyntaxMessage("text follows a value that has ended", "quote the whole value")


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
    word = line[start + 1 : column + end.start() if end else len(line)].strip()
    if not re.search(r"\{[\w.]*\}", word):
        return ""
    shown = word if len(word) < _LONGEST and '"' not in word else "--lr={lr}"
    return f'quote an argument that holds a brace: "{shown}"'


def _line(text: str, at: tuple[int, int] | None) -> str:
    """The line of a text by its number from 0; empty for a number that the text lacks."""
    lines = [] if at is None else text.split("\n", at[0] + 1)
    return lines[at[0]] if at is not None and at[0] < len(lines) else ""
