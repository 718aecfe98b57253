"""Edits of a study's file by position: values change, and comments and layout stay.

The nodes of the reader know where they begin; `tunecli.config.reader.spans` knows where they end. An edit is a piece of
the text and what replaces it, with comments that go above its line. Does not know ranges.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.config.reader import MapNode, Mark, Node, ScalarNode, SequenceNode, Spans, read, spans

_WIDTH = 110  # of a comment's line


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces ``text[start:end]`` by ``new``.

    Attributes:
        start, end: offsets; equal: it inserts.
        new: the new text.
        comments: lines without their `#`, for above the line of ``start``.
    """

    start: int
    end: int
    new: str
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file's text with its nodes.

    Attributes:
        text: without a byte order mark.
        root: its nodes.
        spans: where they end.
        newline: how its lines end.
    """

    text: str
    root: Node
    spans: Spans
    newline: str

    @classmethod
    def of(cls, text: str, file: str) -> Source:
        """Read a text.

        Raises:
            ConfigError: it is not YAML that tunecli accepts.
        """
        text = text.removeprefix("\ufeff")
        return cls(text, read(text.encode(), file), spans(text), "\r\n" if "\r\n" in text else "\n")

    def span(self, node: Node) -> tuple[int, int]:
        """Offsets of a node's first character and behind its last.

        Raises:
            KeyError: the node is not in this text.
        """
        place = (node.mark.line, node.mark.column)
        if isinstance(node, ScalarNode):
            return self.spans.scalars[place]
        if place in self.spans.flows:
            return self.spans.flows[place]
        items = list(node.items.values()) if isinstance(node, MapNode) else list(node.items)
        return self.spans.blocks[place], self.span(items[-1])[1]

    def is_flow(self, node: Node) -> bool:
        """Whether a map or a list is written in braces or brackets."""
        return (node.mark.line, node.mark.column) in self.spans.flows

    def slice(self, node: Node) -> str:
        """The node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]

    def key_offset(self, mark: Mark) -> int:
        """Where a key begins."""
        return self.spans.scalars[mark.line, mark.column][0]

    def at(self, path: Sequence[str]) -> Node | None:
        """The node at a path of keys; None: there is none."""
        node: Node | None = self.root
        for step in path:
            node = node.items.get(step) if isinstance(node, MapNode) else None
        return node

    def line_start(self, offset: int) -> int:
        """Offset of the first character of a line."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Offset behind the end of a line."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    def entry(self, owner: MapNode, key: str, value: str, *, after: str = "") -> Edit:
        """An edit that adds ``key: value`` to a map.

        Args:
            owner: a map with at least one key.
            key: a key that it does not have.
            value: as it is written, on one line.
            after: the key behind which it goes; in a block, it goes before that key. Empty: the first one of a block,
                the last one of a flow.
        """
        if self.is_flow(owner):
            node = owner.items[after] if after else list(owner.items.values())[-1]
            end = self.span(node)[1]
            return Edit(end, end, f", {key}: {value}")
        mark = owner.marks[after] if after else next(iter(owner.marks.values()))
        start = self.key_offset(mark)
        indent = " " * (mark.column - 1)
        return Edit(start, start, f"{key}: {value}{self.newline}{indent}")

    def without(self, items: SequenceNode, kept: Sequence[int]) -> list[Edit]:
        """Edits that remove all items of a list but those with the indices ``kept``, which is not empty."""
        gone = [n for n in range(len(items.items)) if n not in kept]
        edits = []
        for n in gone:
            start, end = self.span(items.items[n])
            if not self.is_flow(items):
                start = self.line_start(start)
                later = items.items[n + 1 : n + 2]
                end = self.line_start(self.span(later[0])[0]) if later else self.line_end(end)
            elif n < max(kept):
                end = self.span(items.items[n + 1])[0]
            else:
                start = self.span(items.items[n - 1])[1]
            edits.append(Edit(start, end, ""))
        return edits

    def edited(self, edits: Iterable[Edit]) -> str:
        """The text after all edits. One inside of a piece that another replaces is left out."""
        kept: list[Edit] = []
        for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
            if kept and edit.start < kept[-1].end and edit.end <= kept[-1].end:
                continue
            kept.append(edit)
        text = self.text
        comments: dict[int, list[str]] = {}
        for edit in kept:
            if edit.comments:
                comments.setdefault(self.line_start(edit.start), []).extend(edit.comments)
        pieces = [(edit.start, edit.end, edit.new) for edit in kept]
        pieces += [(start, start, self._commented(start, lines)) for start, lines in comments.items()]
        # Of two pieces at one offset, the comment comes first: it is before the line.
        for start, end, new in sorted(
            pieces, key=lambda piece: (piece[0], not piece[2].lstrip().startswith("#"))
        )[::-1]:
            text = text[:start] + new + text[end:]
        return text

    def _commented(self, start: int, lines: Sequence[str]) -> str:
        line = self.text[start : self.line_end(start)]
        indent = line[: len(line) - len(line.lstrip(" "))]
        wrapped = [
            part
            for text in lines
            for part in textwrap.wrap(text, max(_WIDTH - len(indent), 40), break_long_words=False)
        ]
        return "".join(f"{indent}# {part}{self.newline}" for part in wrapped)
