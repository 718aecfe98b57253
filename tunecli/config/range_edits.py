"""Edits of the ranges of a study's file: their ends, their options, their defaults, and one value in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from tunecli.config.domains import Integer, Powers, Real
from tunecli.config.expressions import (
    Choice,
    Expression,
    Fixed,
    FixedList,
    Group,
    Numeric,
    VariableList,
    join,
)
from tunecli.config.range_lines import flow
from tunecli.config.range_words import range_word
from tunecli.config.reader import MapNode, Mark, Node, ScalarNode, SequenceNode
from tunecli.config.space import Space, values_by_key
from tunecli.config.text_edits import Edit, Source
from tunecli.text import sanitize, shorten
from tunecli.trial import Parameters, Scalar

_LONGEST_OLD = 120


@dataclass(frozen=True, slots=True)
class _Range:
    """A range in the file.

    Attributes:
        expression: as it was parsed.
        name: the path of its first parameter.
        in_list: whether it is the item of a list of variable length, or inside of one.
    """

    expression: Numeric | Choice | VariableList
    name: str
    in_list: bool


class UneditableError(ValueError):
    """A range that cannot be edited by position; the message is a clause."""


@dataclass(frozen=True)
class RangeEditor:
    """The ranges of a file and the edits of them.

    Attributes:
        source: the file.
        space: its space.
    """

    source: Source
    space: Space

    @cached_property
    def place_of(self) -> dict[str, Mark]:
        """Where the range of each parameter is, by the parameter's key. Parameters of one range have one place."""
        return {key: entry.expression.mark for key, entry in self._ranges}

    @cached_property
    def _ranges(self) -> tuple[tuple[str, _Range], ...]:
        return tuple(_ranges(self.space.tree, "", "", in_list=False))

    @cached_property
    def _node_at(self) -> dict[Mark, MapNode]:
        return dict(_range_nodes(self.source.root, ""))

    def ends(self, key: str, low: float, high: float) -> Edit:
        """New ends of a range of numbers.

        Raises:
            UneditableError: the range is not one of two ends, or it is not written in one place.
        """
        node, word = self._target(key)
        domain = self._numeric(key)
        body = node.items[word]
        if (
            not isinstance(domain, Integer | Real)
            or not isinstance(body, SequenceNode)
            or len(body.items) != 2
        ):
            raise UneditableError("its range has no two ends")
        if isinstance(domain, Integer) or domain.step is not None:
            low, high = _on_steps(domain, low, high)
        start, end = self._own_span(node, body)
        first, last = (self._own_span(body, item) for item in body.items)
        text = self.source.text
        ends = [
            self.source.text[span[0] : span[1]] if new == old else flow(new)
            for new, old, span in ((low, domain.low, first), (high, domain.high, last))
        ]
        new = text[start : first[0]] + ends[0] + text[first[1] : last[0]] + ends[1] + text[last[1] : end]
        return Edit(start, end, new)

    def value(self, key: str, value: Scalar) -> Edit:
        """One value in the place of a range.

        Raises:
            UneditableError: the option is written over several lines.
        """
        node, word = self._target(key)
        start, end = self.source.span(node)
        entry = dict(self._ranges)[key]
        if not isinstance(entry.expression, Choice):
            return Edit(start, end, flow(value))
        options = node.items[word]
        place = entry.expression.labels.index(value)
        option = options.items[place] if isinstance(options, SequenceNode) else options
        if not isinstance(option, ScalarNode) and not self.source.is_flow(option):
            raise UneditableError("its option is written over several lines")
        return Edit(start, end, self.source.slice(option))

    def options(self, key: str, kept: tuple[int, ...]) -> list[Edit]:
        """Only some options of a choice.

        Raises:
            UneditableError: the options have weights, or are not written in one place.
        """
        node, word = self._node(key)
        body = node.items[word]
        if not isinstance(body, SequenceNode) or "weights" in node.items:
            raise UneditableError("its options have weights")
        for item in body.items:
            self._own_span(body, item)
        return self.source.without(body, kept)

    def defaults(self, point: Parameters, fixed: Collection[Mark] = ()) -> Iterator[Edit]:
        """The values of a point as the defaults of the ranges that are active there.

        Args:
            point: of the space.
            fixed: places of ranges that other edits replace by one value; a list of such items has a default length
        """
        values = values_by_key(self.space, point)
        for key, entry in dict(self._ranges).items():
            name = entry.name
            if entry.in_list or (
                isinstance(entry.expression, VariableList) and f"{name}.length" not in point
            ):
                continue
            if isinstance(entry.expression, VariableList):
                yield from self._list_default(key, entry, point, fixed)
            elif key in values:
                yield from self._default(key, flow(values[key]))

    def old(self, key: str) -> str:
        """A range as it is written, on one line."""
        node, _ = self._target(key)
        return shorten(sanitize(" ".join(self.source.slice(node).split())), _LONGEST_OLD)

    def old_options(self, key: str, kept: tuple[int, ...]) -> str:
        """The options that are not ``kept``, as they are written, on one line."""
        node, word = self._node(key)
        items = [item for n, item in enumerate(_items(node.items[word])) if n not in kept]
        return shorten(
            sanitize(", ".join(" ".join(self.source.slice(item).split()) for item in items)), _LONGEST_OLD
        )

    def _list_default(
        self, key: str, entry: _Range, point: Parameters, fixed: Collection[Mark]
    ) -> Iterator[Edit]:
        assert isinstance(entry.expression, VariableList)
        length = int(point[f"{entry.name}.length"] or 0)
        node, word = self._node(key)
        items = [point.get(join(entry.name, place)) for place in range(length)]
        of = entry.expression.items[0] if entry.expression.items else None
        is_open = of is not None and of.mark not in fixed
        if is_open and ("default" in node.items or isinstance(of, Numeric) or _is_plain_choice(of)):
            if None not in items:
                yield from self._default(key, flow(items))
            return
        if "default" in node.items:  # its values no longer fit, which the check of the file finds
            return
        body = node.items[word]
        lengths = body.items.get("length") if isinstance(body, MapNode) else None
        if isinstance(lengths, MapNode) and range_word(lengths) in ("int", "logint", "choice"):
            yield from self._default_beside(lengths, range_word(lengths), flow(length))

    def _default(self, key: str, text: str) -> Iterator[Edit]:
        node, word = self._node(key)
        body = node.items[word]
        if word == "power" and isinstance(body, MapNode) and "default" in body.items:
            return
        yield from self._default_beside(node, word, text)

    def _default_beside(self, node: MapNode, word: str, text: str) -> Iterator[Edit]:
        given = node.items.get("default")
        if given is None:
            yield self.source.entry(node, "default", text, after=word)
            return
        start, end = self.source.span(given)
        old = self.source.text[start:end]
        if old != text:
            yield Edit(start, end, text, (f"default was {shorten(sanitize(old), _LONGEST_OLD)}",))

    def _numeric(self, key: str) -> Integer | Real | Powers | object:
        expression = dict(self._ranges)[key].expression
        if isinstance(expression, VariableList):
            return expression.lengths
        return expression.domain if isinstance(expression, Numeric) else None

    def _node(self, key: str) -> tuple[MapNode, str]:
        """The map of a parameter's range, and its word."""
        node = self._node_at.get(self.place_of[key])
        if node is None:
            raise UneditableError("it was set on the command line")
        return node, range_word(node) or "list"

    def _target(self, key: str) -> tuple[MapNode, str]:
        """The same; of a list, the map of the range of its length."""
        node, word = self._node(key)
        if not isinstance(dict(self._ranges)[key].expression, VariableList):
            return node, word
        body = node.items[word]
        lengths = body.items.get("length") if isinstance(body, MapNode) else None
        if not isinstance(lengths, MapNode):
            raise UneditableError("its length is no range")
        return lengths, range_word(lengths)

    def _own_span(self, owner: Node, node: Node) -> tuple[int, int]:
        """The span of a node that is written inside of its owner.

        Raises:
            UneditableError: it is an alias of a node elsewhere.
        """
        start, end = self.source.span(node)
        if not self.source.span(owner)[0] <= start <= end <= self.source.span(owner)[1]:
            raise UneditableError("it uses an anchor that is defined elsewhere")
        return start, end


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, SequenceNode) else ()


def _is_plain_choice(expression: Expression | None) -> bool:
    return isinstance(expression, Choice) and all(isinstance(option, Fixed) for option in expression.options)


def _on_steps(domain: Integer | Real, low: float, high: float) -> tuple[float, float]:
    """The ends moved outwards to values of the range's steps."""
    step = domain.step or 1
    below = abs(low - domain.low) // step  # rounded down: a wider range stays within its key's limits
    first = domain.low - below * step if low < domain.low else domain.low + below * step
    count = -(-(high - first) // step) if high <= domain.high else (high - first) // step
    last = first + count * step
    if isinstance(domain, Integer):
        return int(first), int(min(last, domain.high) if high <= domain.high else last)
    return float(f"{first:.12g}"), float(f"{min(last, max(high, domain.high)):.12g}")


def _ranges(expression: Expression, name: str, key: str, *, in_list: bool) -> Iterator[tuple[str, _Range]]:
    """The range of each parameter by its key, as `Space.parameters` makes the keys; of a list the key of its length."""
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _ranges(item, join(name, step), join(key, step), in_list=in_list)
        case FixedList(items=items):
            for place, item in enumerate(items):
                yield from _ranges(item, join(name, place), join(key, place), in_list=in_list)
        case Numeric():
            yield key, _Range(expression, name, in_list)
        case Choice(labels=labels, options=options):
            yield key, _Range(expression, expression.name_at(name), in_list)
            for label, option in zip(labels, options, strict=True):
                yield from _ranges(option, name, f"{key}{{{label}}}", in_list=in_list)
        case VariableList(items=items):
            yield join(key, "length"), _Range(expression, name, in_list)
            for place, item in enumerate(items):
                yield from _ranges(item, join(name, place), join(key, place), in_list=True)


def _range_nodes(node: Node, path: str) -> Iterator[tuple[Mark, MapNode]]:
    """Every map that is a range, by the mark of its word."""
    if isinstance(node, SequenceNode):
        for place, item in enumerate(node.items):
            yield from _range_nodes(item, join(path, place))
    elif isinstance(node, MapNode):
        word = range_word(node, path)
        if word:
            yield node.marks[word], node
        for key, item in node.items.items():
            inner = path if word else join(path, key).removeprefix("trial.")
            yield from _range_nodes(item, inner)


def commented(edit: Edit, *comments: str) -> Edit:
    """The edit with comments above its line, those that it has already after them."""
    return replace(edit, comments=(*comments, *edit.comments))
