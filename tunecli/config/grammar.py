"""Nodes → expressions: find the ranges in a tree, each with its place in the file.

A map with one reserved key is a range:

    {choice: [...]}                     one of several values or sub-trees
    {uniform: [a, b]}  {loguniform: …}  a real number
    {int: [a, b]}      {logint: …}      a whole number
    {normal: [mean, deviation]}         a normally distributed number
    {lognormal: [mean, deviation]}      a number whose natural logarithm is normally distributed
    {power: {of: 2, int: [3, 8]}}       a power of a number with a searched exponent
    {list: {of: …, length: …}}          a list of variable length
    {ref: optimizer.lr}                 the value of another key
    {expr: "1 - gamma"}                 a value that a formula computes from others

A range may have the keys `default`, `step`, `grid` and `as`, and a choice `default`, `weights`, `ordered` and `as`.
Problems are collected, not raised. Does not know the meaning of keys outside ranges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from tunecli.config.arithmetic import FormulaError, formula_of
from tunecli.config.domains import (
    Categorical,
    Domain,
    Integer,
    Normal,
    Powers,
    Real,
    contains,
    n_values,
    power_at,
    value_at,
)
from tunecli.config.expressions import (
    MODIFIERS,
    Broken,
    Choice,
    Derived,
    Expression,
    Fixed,
    FixedList,
    Group,
    Numeric,
    Reference,
    VariableList,
    domain_of,
    join,
    walk,
)
from tunecli.config.labels import flow_label, labels_of
from tunecli.config.modifiers import knob_beside, number_beside, order_beside, weights_beside
from tunecli.config.numeric_ranges import UnusableRangeError, numeric_domain, powers_domain, shown
from tunecli.config.range_lines import hint_of, lines_for
from tunecli.config.range_words import exponent_word, range_word
from tunecli.config.reader import MapNode, Mark, Node, ScalarNode, SequenceNode, plain_of
from tunecli.config.suggestions import nearest
from tunecli.errors import Problem
from tunecli.trial import Scalar

MAX_LIST_LENGTH = 64
_BESIDE_NUMBERS = ("default", "step", "grid")
_POWER_SHAPE = "`power` is `{of: 2, int: [3, 8]}`, with any range of numbers for the exponent"
_TWO_NUMBERS = {"normal": "[mean, deviation]", "lognormal": "[mean, deviation] of the natural logarithm"}
Report = Callable[[Problem], None]


def parse(node: Node, report: Report, path: str = "") -> Expression:
    """Parse ``node``. Each problem is passed to ``report``, and the part of the tree that has it becomes `Broken`."""
    match node:
        case ScalarNode(value=value, mark=mark):
            return Fixed(value, mark)
        case SequenceNode(items=items, mark=mark):
            return FixedList(tuple(parse(item, report, join(path, i)) for i, item in enumerate(items)), mark)
        case MapNode(items=named, mark=mark):
            word = range_word(node, path)
            if not word:
                parts = {key: parse(item, report, join(path, key)) for key, item in named.items()}
                for key in (key for key in named if "." in key):
                    if any(isinstance(part, Numeric | Choice | VariableList) for part in walk(parts[key])):
                        report(_ambiguous(key, path, node.marks[key]))
                        parts[key] = Broken(node.marks[key])
                return Group(parts, dict(node.marks), mark)
            return _Range(node, word, path, report).parse()


def _ambiguous(key: str, path: str, mark: Mark) -> Problem:
    """The problem of a key with a dot and a range: parameter names are paths, so `a.b` is already `b` in `a`."""
    outer, _, inner = key.rpartition(".")
    message = (
        f"a key that holds a range must not contain `.`: the name would be that of `{inner}` in `{outer}`"
    )
    nested = key.replace(".", ": {") + ": …" + "}" * key.count(".")
    hint = f"nest it, `{nested}`, or write `{key.replace('.', '_')}`"
    return Problem(message, mark.file, mark.line, mark.column, f"trial.{join(path, key)}", hint)


class _Range:
    """One range during parsing: its node, its path and where problems are reported."""

    def __init__(self, node: MapNode, key: str, path: str, report: Report) -> None:
        self.node, self.key, self.path, self._report = node, key, path, report
        self.mark = node.marks[key]

    def parse(self) -> Expression:
        allowed = [name for name in MODIFIERS if self._is_allowed(name)]
        extra = [k for k in self.node.items if k != self.key and k not in allowed]
        for other in extra:
            beside = f"keys allowed beside it: {', '.join(f'`{name}`' for name in allowed)}"
            self.problem(
                f"unknown key `{other}` beside the range `{self.key}`",
                nearest(other, allowed) or (beside if allowed else "`ref` takes no other key"),
                self.node.marks[other],
            )
        expression = self._parsed(
            self.node.items[self.key]
        )  # always, so that its problems are reported as well
        return Broken(self.mark) if extra else expression

    def _parsed(self, body: Node) -> Expression:
        match self.key:
            case "choice":
                return self._choice(body)
            case "list":
                return self._list(body)
            case "ref":
                return self._reference(body)
            case "power":
                return self._power(body)
            case "expr":
                return self._formula(body)
            case _:
                return self._numeric(body)

    def _is_allowed(self, key: str) -> bool:
        match self.key:
            case "choice":
                return key in ("default", "weights", "ordered", "as")
            case "list":
                return key == "default"
            case "power":
                return key in ("default", "as")
            case "ref" | "expr":
                return False
            case "normal" | "lognormal":  # they say themselves where good values lie
                return key in _BESIDE_NUMBERS
            case _:
                return key in (*_BESIDE_NUMBERS, "as")

    def problem(self, message: str, hint: str = "", mark: Mark | None = None) -> Broken:
        at = mark or self.mark
        self._report(Problem(message, at.file, at.line, at.column, f"trial.{self.path}", hint))
        return Broken(at)

    def _choice(self, body: Node) -> Expression:
        if not isinstance(body, SequenceNode) or not body.items:
            return self.problem(
                "`choice` must be a list of at least one option", self._syntax_hint(body), body.mark
            )
        labels = labels_of(body.items)
        n_times = Counter((type(label), label) for label in labels)
        for label, node in zip(labels, body.items, strict=True):
            if isinstance(label, float) and math.isnan(label):
                message = "an option must not be NaN, because NaN does not equal itself"
                return self.problem(message, "write a number, a text or null", node.mark)
            if isinstance(node, ScalarNode) and n_times[type(label), label] > 1:
                return self.problem(f"the option {label!r} appears twice in this choice", mark=node.mark)
        options = tuple(parse(option, self._report, self.path) for option in body.items)
        for option, at in zip(options, body.items, strict=True):
            if isinstance(option, Choice):
                return self.problem(
                    "an option must not be a `choice` itself", "write all options in one list", at.mark
                )
        default = self._default(Categorical(labels))
        weights = weights_beside(self.node, len(labels), self.problem)
        is_ordered = order_beside(self.node, options, self.problem)
        known_as = knob_beside(self.node, options, self.problem)
        if weights is None or known_as is None or isinstance(is_ordered, Broken):
            return Broken(self.mark)
        has_default = "default" in self.node.items
        return Choice(labels, options, default, has_default, self.mark, weights, is_ordered, known_as)

    def _list(self, body: Node) -> Expression:
        shape = "`list` must be `{of: …, length: …}`"
        if not isinstance(body, MapNode):
            return self.problem(shape, self._syntax_hint(body), body.mark)
        for key in body.items:
            if key not in ("of", "length"):
                self.problem(f"unknown key `{key}` in `list`", shape, body.marks[key])
        if not {"of", "length"} <= body.items.keys():
            missing = "length" if "of" in body.items else "of"
            return self.problem(f"{shape}; missing `{missing}`")
        lengths = self._lengths(body.items["length"])
        if lengths is None:
            return Broken(self.mark)
        longest = max(_lengths_of(lengths))
        items = (parse(body.items["of"], self._report, join(self.path, 0)),) * longest
        default = self._list_default(items, lengths)
        length_node = body.items["length"]
        if default is None and isinstance(length_node, MapNode) and "default" in length_node.items:
            given = length_node.items["default"]
            length = given.value if isinstance(given, ScalarNode) else None
            return VariableList(items, lengths, length, None, self.mark)
        length = None if default is None else len(default)
        return VariableList(items, lengths, length, default, self.mark)

    def _list_default(self, items: tuple[Expression, ...], lengths: Domain) -> tuple[Scalar, ...] | None:
        node = self.node.items.get("default")
        if node is None:
            return None
        if not isinstance(node, SequenceNode) or not contains(lengths, len(node.items)):
            self.problem("the default of a list must be a list of an allowed length", mark=node.mark)
            return None
        values = tuple(
            item.value if isinstance(item, ScalarNode) else flow_label(item) for item in node.items
        )
        for value, item, at in zip(values, items, node.items, strict=False):
            domain = domain_of(item)
            if domain is None or not contains(domain, value):
                self.problem(f"the default {shown(value)} is not in the range", mark=at.mark)
                return None
        return values

    def _lengths(self, node: Node) -> Domain | None:
        lengths_expression = parse(node, self._report, join(self.path, "length"))
        domain: Domain | None = None
        match lengths_expression:
            case Fixed(value=int(length)) if not isinstance(length, bool):
                domain = Categorical((length,))
            case Numeric(domain=Integer() as domain) | Numeric(domain=Powers(is_whole=True) as domain):
                pass
            case Choice(labels=labels) if all(type(label) is int for label in labels):
                domain = Categorical(labels)
            case _:
                self.problem(
                    "the `length` of a list must be a whole number or a range of whole numbers",
                    mark=node.mark,
                )
                return None
        lengths = (domain.low, domain.high) if isinstance(domain, Integer) else _lengths_of(domain)
        if min(lengths) < 0 or max(lengths) > MAX_LIST_LENGTH:
            self.problem(f"the length of a list must be between 0 and {MAX_LIST_LENGTH}", mark=node.mark)
            return None
        return domain

    def _syntax_hint(self, body: Node) -> str:
        """The right way to write a range whose body has the syntax of another tool; empty if it has not."""
        plain = plain_of(body)
        if self.key == "choice" and isinstance(plain, str):
            return hint_of(lines_for(f"choice({plain})")) if plain else ""
        lines = lines_for({self.key: plain})
        return hint_of([line for line in lines if line != f"{{{self.key}: {plain}}}"])

    def _reference(self, body: Node) -> Expression:
        if not isinstance(body, ScalarNode) or not isinstance(body.value, str) or not body.value:
            return self.problem(
                "`ref` must be the path of another key, such as `optimizer.lr`", mark=body.mark
            )
        return Reference(body.value.removeprefix("trial."), self.mark)

    def _numeric(self, body: Node) -> Expression:
        domain, known_as = self._numbers(self.node, self.key), knob_beside(self.node, None, self.problem)
        if domain is None or known_as is None:
            return Broken(self.mark)
        return Numeric(domain, self._default(domain), self.mark, known_as)

    def _numbers(self, node: MapNode, word: str) -> Integer | Real | Normal | None:
        """The domain of the range ``word`` in ``node``; None after a problem."""
        body, is_whole = node.items[word], word in ("int", "logint")
        numbers = self._two_numbers(body, word, is_whole=is_whole)
        if numbers is None:
            return None
        grid = number_beside(node, "grid", self.problem, whole=True)
        step = number_beside(node, "step", self.problem, whole=is_whole)
        try:
            return numeric_domain(word, *numbers, step, None if grid is None else int(grid))
        except UnusableRangeError as problem:
            at = node.items[problem.key] if problem.key else body
            self.problem(problem.message, problem.hint, at.mark)
            return None

    def _power(self, body: Node) -> Expression:
        assert isinstance(body, MapNode)  # by `range_word`
        word = exponent_word(body)
        for key, mark in body.marks.items():
            if key not in ("of", word, *_BESIDE_NUMBERS):
                self.problem(f"unknown key `{key}` in `power`", _POWER_SHAPE, mark)
                return Broken(mark)
        exponents = self._numbers(body, word)
        of = body.items["of"]
        base: Any = of.value if isinstance(of, ScalarNode) else None
        if isinstance(base, bool) or not isinstance(base, int | float):
            return self.problem("`of` must be a number above 0, and not 1", "for example `of: 2`", of.mark)
        if exponents is None:
            return Broken(self.mark)
        try:
            domain = powers_domain(base, exponents)
        except UnusableRangeError as problem:
            return self.problem(problem.message, problem.hint, body.items[problem.key or word].mark)
        known_as = knob_beside(self.node, None, self.problem)
        if known_as is None:
            return Broken(self.mark)
        if "default" not in body.items:
            return Numeric(domain, self._default(domain), self.mark, known_as)
        if "default" in self.node.items:
            return self.problem("`power` has two defaults", "remove one", self.node.items["default"].mark)
        exponent = self._default(exponents, body)
        default = None if exponent is None else power_at(domain, exponent)
        return Numeric(domain, default, self.mark, known_as)

    def _formula(self, body: Node) -> Expression:
        assert isinstance(body, ScalarNode)  # by `range_word`
        text = str(body.value)
        try:
            return Derived(formula_of(text), self.mark)
        except FormulaError as error:
            where = "" if error.offset is None else f" at character {error.offset + 1} of `{text}`"
            return self.problem(f"{error.message}{where}", error.hint, body.mark)

    def _two_numbers(self, body: Node, word: str, *, is_whole: bool) -> tuple[float, float] | None:
        names = _TWO_NUMBERS.get(word, "[low, high]")
        kind = "whole numbers" if is_whole else "numbers"
        items = body.items if isinstance(body, SequenceNode) else ()
        values: list[Any] = [item.value for item in items if isinstance(item, ScalarNode)]
        is_pair = len(values) == len(items) == 2 and all(
            isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
            for value in values
        )
        if not is_pair or not all(math.isfinite(value) for value in values):
            self.problem(f"`{word}` must be two finite {kind}, {names}", self._syntax_hint(body), body.mark)
            return None
        return values[0], values[1]

    def _default(self, domain: Domain, owner: MapNode | None = None) -> Scalar:
        node = (owner or self.node).items.get("default")
        if node is None:
            return None
        value: Scalar = node.value if isinstance(node, ScalarNode) else flow_label(node)
        is_real = isinstance(domain, Real | Normal) or (isinstance(domain, Powers) and not domain.is_whole)
        if is_real and type(value) is int:
            value = float(value)
        if contains(domain, value):
            return value
        message, hint = f"the default {shown(value)} is not in the range", ""
        if isinstance(domain, Categorical):
            message = f"the default {shown(value)} is not one of the options"
            hint = f"options: {', '.join(map(str, domain.options))}"
        self.problem(message, hint, node.mark)
        return None


def _lengths_of(domain: Domain) -> tuple[int, ...]:
    match domain:
        case Integer(low=low, high=high, step=step):
            return tuple(range(low, high + 1, step))
        case _:
            values = (value_at(domain, position) for position in range(n_values(domain) or 0))
            return tuple(int(value) for value in values)  # type: ignore[arg-type]  # checked where it was read
