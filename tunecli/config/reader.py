"""YAML text → nodes that know their line and column. The only place where tunecli reads YAML.

Follows the core schema of YAML 1.2 (`1e-3` is a float; `no`, `on` and dates are strings; `010` is ten). Refuses
features that a configuration does not need and that attackers use: tags, merge keys, duplicate keys, keys that are not
strings, cycles, aliases that multiply, deep nesting, and more than a megabyte. PyYAML's event stream does the lexing;
PyYAML's constructors never run. Does not know ranges or knobs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import yaml

from tunecli.config.yaml_errors import syntax_message
from tunecli.errors import ConfigError, Problem
from tunecli.trial import Scalar

MAX_BYTES = 1_000_000
MAX_NODES = 10_000
MAX_PROBLEMS = 100
MAX_DEPTH = 40
MAX_NUMBER_LENGTH = 64
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = {".nan", ".NaN", ".NAN"}


class Mark(NamedTuple):
    """A position: file, 1-based line, 1-based column."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A leaf and its value."""

    value: Scalar
    mark: Mark


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class MapNode:
    """A map; ``marks`` has the position of each key."""

    items: dict[str, Node]
    marks: dict[str, Mark]
    mark: Mark


Node = ScalarNode | SequenceNode | MapNode


@dataclass(frozen=True, slots=True)
class Dialect:
    """How another tool's YAML is read. Limits, tags and cycles are checked as in a study's file.

    Attributes:
        resolve: the value of a plain scalar at a position; raises ValueError with a message.
        has_merge_keys: whether ``<<`` merges maps; else it is a problem.
        has_plain_keys: whether a key may be a number or a boolean, which is read as the text that the file has.
    """

    resolve: Callable[[str, Mark], Scalar]
    has_merge_keys: bool = False
    has_plain_keys: bool = False


_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OF_A_NODE = (yaml.ScalarEvent, yaml.CollectionStartEvent)


def read(data: bytes, file: str, *, line: int = 1, column: int = 1, dialect: Dialect | None = None) -> Node:
    """Read one YAML document.

    Args:
        data: the file's bytes; UTF-8, with or without a byte order mark.
        file: the file's name in positions.
        line, column: position of the first character, for a text that is part of another one.
        dialect: how another tool's file is read; None: as a study's file.

    Raises:
        ConfigError: the text has problems, each with its position.
    """
    if len(data) > MAX_BYTES:
        _refuse(Mark(file, 1, 1), f"the file is too large: the limit is {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad_line = data.count(b"\n", 0, error.start) + 1
        _refuse(
            Mark(file, bad_line, error.start - data.rfind(b"\n", 0, error.start)),
            "the file is not UTF-8",
            "save it as UTF-8",
        )
    return _Reader(text, file, line - 1, column - 1, dialect or _CORE).document()


class Spans(NamedTuple):
    """Where the nodes of a text begin and end, as offsets, by the line and column of their mark.

    Of block maps and block lists only the first offset is known: their end is that of their last node.
    """

    scalars: dict[tuple[int, int], tuple[int, int]]
    flows: dict[tuple[int, int], tuple[int, int]]
    blocks: dict[tuple[int, int], int]


def spans(text: str) -> Spans:
    """The spans of a text that :func:`read` accepts.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    found, open_flows = Spans({}, {}, {}), []
    loader = _Loader(text)
    while (event := loader.get_event()) is not None:
        first, last = event.start_mark, event.end_mark
        if first is None or last is None:
            continue
        place = (first.line + 1, first.column + 1)
        begin, end = starts[first.line] + first.column, starts[last.line] + last.column
        if isinstance(event, yaml.ScalarEvent):
            found.scalars[place] = (begin, end)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_flows.append((place, begin) if event.flow_style else None)
            if not event.flow_style:
                found.blocks[place] = begin
        elif isinstance(event, yaml.CollectionEndEvent) and (opened := open_flows.pop()):
            found.flows[opened[0]] = (opened[1], end)
    return found


_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML 1.1 counts lines, and PyYAML with it


def scalar(text: str) -> Scalar:
    """The value of a plain scalar in the core schema of YAML 1.2 (section 10.3.2).

    Raises:
        ValueError: a number has more than 64 characters.
    """
    if not text or text[0] not in "+-.0123456789":
        return None if text in _NULL else _BOOL.get(text, text)
    is_int = _INT.fullmatch(text)
    is_based = not is_int and _BASED.fullmatch(text)
    if is_int or is_based or _FLOAT.fullmatch(text):
        if len(text) > MAX_NUMBER_LENGTH:
            raise ValueError(f"a number must have at most {MAX_NUMBER_LENGTH} characters, not {len(text)}")
        if is_int:
            return int(text)
        return int(text, 0) if is_based else float(text)
    if match := _INF.fullmatch(text):
        return float(match[1] + "inf")
    return float("nan") if text in _NAN else text


_CORE = Dialect(lambda text, _: scalar(text))


def _refuse(mark: Mark, message: str, hint: str = "") -> NoReturn:
    raise ConfigError([Problem(message, mark.file, mark.line, mark.column, hint=hint)])


class _Reader:
    """One document during reading: the event stream, the anchors so far, and the number of nodes."""

    def __init__(self, text: str, file: str, first_line: int, first_column: int, dialect: Dialect) -> None:
        self._dialect = dialect
        self._file, self._first_line, self._first_column = file, first_line, first_column
        self._events = self._guarded(text)
        self._anchors: dict[str, Node | None] = {}
        self._n_nodes = 0
        self._sizes: dict[str, int] = {}
        self._problems: list[Problem] = []

    def document(self) -> Node:
        next(self._events)  # the stream's start
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            _refuse(self._mark(first), "the file is empty", "`tunecli init` writes one to start from")
        node = self._node(next(self._events), depth=0)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._problem(self._mark(after), "a second document starts here", "write one study per file")
        if self._problems:
            raise ConfigError(self._problems)
        return node

    def _guarded(self, text: str) -> Iterator[yaml.Event]:
        try:
            loader = _Loader(text)
            while True:
                event = loader.get_event()
                if event is None:
                    return
                yield event
        except yaml.MarkedYAMLError as error:
            mark, begun = error.problem_mark or error.context_mark, error.context_mark
            at = self._place(mark.line, mark.column) if mark is not None else Mark(self._file, 1, 1)
            syntax = syntax_message(
                error.problem or error.context or "it cannot be read",
                error.context or "",
                text,
                None if mark is None else (mark.line, mark.column),
                None if begun is None else (begun.line, begun.column),
                None if begun is None else self._place(begun.line, begun.column)[1:],
            )
            problem = Problem(
                f"invalid YAML: {syntax.message}",
                at.file,
                at.line,
                at.column,
                hint=syntax.hint,
            )
            raise ConfigError([*self._problems, problem]) from None
        except yaml.reader.ReaderError as error:
            before = text[: error.position] if isinstance(error.position, int) else ""
            at = self._place(before.count("\n"), len(before) - before.rfind("\n") - 1)
            raise ConfigError(
                [Problem("YAML does not allow this character", at.file, at.line, at.column)]
            ) from None

    def _place(self, line: int, column: int) -> Mark:
        shift = self._first_column if line == 0 else 0
        return Mark(self._file, line + self._first_line + 1, column + shift + 1)

    def _mark(self, event: yaml.Event) -> Mark:
        mark = event.start_mark
        return Mark(self._file, 1, 1) if mark is None else self._place(mark.line, mark.column)

    def _problem(self, mark: Mark, message: str, hint: str = "") -> None:
        self._problems.append(Problem(message, mark.file, mark.line, mark.column, hint=hint))
        if len(self._problems) == MAX_PROBLEMS:  # more are not readable at a time
            raise ConfigError(self._problems)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), mark)
        if not isinstance(event, _OF_A_NODE):
            _refuse(mark, "missing value")
        self._count(1, mark)
        if depth > MAX_DEPTH:
            _refuse(mark, f"nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None:
            self._problem(
                mark, f"the tag `{event.tag}` is not allowed", "remove it; quote the value if it is a text"
            )
        before, anchor = self._n_nodes, event.anchor
        if anchor is not None:
            self._anchors[anchor] = None  # open: an alias to it from within is a cycle
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, mark)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(mark, depth)
        else:
            node = self._map(mark, depth)
        if anchor is not None:
            self._anchors[anchor] = node
            self._sizes[anchor] = self._n_nodes - before + 1
        return node

    def _count(self, n: int, mark: Mark) -> None:
        self._n_nodes += n
        if self._n_nodes > MAX_NODES:
            _refuse(mark, f"more than {MAX_NODES:,} values, counting every use of an alias")

    def _alias(self, anchor: str, mark: Mark) -> Node:
        node = self._anchors.get(anchor)
        if node is None:
            known = anchor in self._anchors
            _refuse(
                mark,
                f"`*{anchor}` {'refers to itself' if known else 'refers to an anchor that is not defined above'}",
            )
        self._count(self._sizes[anchor], mark)
        return node

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> ScalarNode:
        if "\0" in event.value:
            self._problem(mark, "a NUL character is not allowed")
        if event.style:
            return ScalarNode(event.value, mark)
        try:
            return ScalarNode(self._dialect.resolve(event.value, mark), mark)
        except ValueError as error:
            self._problem(mark, str(error))
            return ScalarNode(None, mark)

    def _sequence(self, mark: Mark, depth: int) -> SequenceNode:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return SequenceNode(tuple(items), mark)

    def _map(self, mark: Mark, depth: int) -> MapNode:
        items: dict[str, Node] = {}
        marks: dict[str, Mark] = {}
        merged: list[MapNode] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, ScalarNode) or not isinstance(key.value, str):
                shown = f" `{json.dumps(key.value)}`" if isinstance(key, ScalarNode) else ""
                is_rest = isinstance(value, ScalarNode) and value.value is None and shown
                hint = (
                    "a `,` starts another key: write a list in brackets, [8, 16]" if is_rest else "quote it"
                )
                self._problem(key.mark, f"the key{shown} must be a text", hint)
            elif key.value == "<<" and self._dialect.has_merge_keys:
                merged += self._merged(value)
            elif key.value == "<<":
                self._problem(key.mark, "merge keys (`<<`) are not allowed", "write the keys out")
            elif key.value in items:
                first = marks[key.value]
                self._problem(key.mark, f"duplicate key `{key.value}`", f"first on line {first.line}")
            else:
                items[key.value], marks[key.value] = value, key.mark
        for source in merged:  # keys of the map itself win, then those of the first map that is merged
            items = {**source.items, **items}
            marks = {**source.marks, **marks}
        return MapNode(items, marks, mark)

    def _key(self, event: yaml.Event, depth: int) -> Node:
        is_bare = isinstance(event, yaml.ScalarEvent) and event.tag is None and event.anchor is None
        if self._dialect.has_plain_keys and isinstance(event, yaml.ScalarEvent) and is_bare:
            self._count(1, self._mark(event))
            return ScalarNode(event.value, self._mark(event))
        return self._node(event, depth + 1)

    def _merged(self, value: Node) -> list[MapNode]:
        """The maps that ``<<`` merges."""
        sources = value.items if isinstance(value, SequenceNode) else (value,)
        maps = [source for source in sources if isinstance(source, MapNode)]
        if len(maps) < len(sources):
            self._problem(value.mark, "`<<` must merge maps", "write the keys out")
        return maps


def plain_of(node: Node) -> Any:
    """The plain value of a node, ranges included."""
    match node:
        case ScalarNode(value=value):
            return value
        case MapNode(items=named):
            return {key: plain_of(item) for key, item in named.items()}
        case other:
            return [plain_of(item) for item in other.items]
