"""Formulas as text → frozen nodes: a small language of numbers, names and comparisons, with a parser of its own.

A formula computes with parameters: ``1 - gamma``, ``optimizer.lr * 10``, ``hidden.0 >= hidden.1``. The operators and
their precedence are those of Python. Nothing of Python is run: the only calls are those of a fixed list of functions.
Does not know spaces, and does not compute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from tunecli.config.suggestions import nearest
from tunecli.trial import Scalar

MAX_CHARACTERS = 1000
"""The longest formula."""
MAX_DEPTH = 30
"""The deepest nesting: parentheses, calls, signs and powers."""
LARGEST_WHOLE = 2**256
"""Whole numbers of this size and above are refused."""

FUNCTIONS: dict[str, tuple[int, int]] = {
    "abs": (1, 1),
    "ceil": (1, 1),
    "exp": (1, 1),
    "float": (1, 1),
    "floor": (1, 1),
    "int": (1, 1),
    "log": (1, 2),
    "log10": (1, 1),
    "log2": (1, 1),
    "max": (2, 64),
    "min": (2, 64),
    "round": (1, 2),
    "sqrt": (1, 1),
}
"""The functions, each with its least and greatest number of arguments."""

_WORDS: dict[str, Scalar] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
}
_RESERVED = {*_WORDS, "and", "or", "not"}
_COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
_SUMS = ("+", "-")
_PRODUCTS = ("*", "//", "/", "%")
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.]))
    |(?P<name>[^\W\d]\w*(?:\.\w+)*)
    |`(?P<quoted>[^`]+)`
    |"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |(?P<mark>\*\*|//|<=|>=|==|!=|[-+*/%()<>,])
    )""",
    re.VERBOSE,
)


class FormulaError(ValueError):
    """A formula that cannot be read or computed.

    Attributes:
        message: the mistake.
        offset: index of the character at fault; None if the whole formula is meant.
        hint: how to correct it; may be empty.
    """

    def __init__(self, message: str, offset: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.offset, self.hint = message, offset, hint


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, true, false or null."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Name:
    """The value of a parameter, by its path; ``offset`` is its place in the text."""

    path: str
    offset: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of equal precedence from left to right: ``a + b - c``. Comparisons apply pairwise, as in Python."""

    first: Term
    rest: tuple[tuple[str, Term], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Power:
    """``base ** exponent``."""

    base: Term
    exponent: Term
    offset: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """A sign, or ``not``, before a term."""

    operator: str
    operand: Term
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS` with its arguments."""

    function: str
    arguments: tuple[Term, ...]
    offset: int


Term = Constant | Name | Chain | Power | Prefix | Call


def parsed(text: str) -> Term:
    """The formula in ``text``.

    Raises:
        FormulaError: the text is not a formula, or is longer or deeper than allowed.
    """
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(f"a formula must have at most {MAX_CHARACTERS:,} characters, not {len(text):,}")
    return _Parser(text).whole()


def names_in(term: Term) -> Iterator[Name]:
    """Every name in the formula, from left to right."""
    match term:
        case Name():
            yield term
        case Chain(first=first, rest=rest):
            yield from names_in(first)
            for _, operand in rest:
                yield from names_in(operand)
        case Power(base=base, exponent=exponent):
            yield from names_in(base)
            yield from names_in(exponent)
        case Prefix(operand=operand):
            yield from names_in(operand)
        case Call(arguments=arguments):
            for argument in arguments:
                yield from names_in(argument)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, name, quoted, text, mark, end
    text: str
    offset: int


def _tokens(text: str) -> Iterator[_Token]:
    end, place = len(text.rstrip()), 0
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            _refuse_character(text, start)
        kind = str(match.lastgroup)
        start = match.start(kind) - (kind in ("quoted", "double", "single"))
        yield _Token("text" if kind in ("double", "single") else kind, match[kind], start)
        place = match.end()
    yield _Token("end", "", end)


def _refuse_character(text: str, start: int) -> NoReturn:
    shown = text[start]
    if shown in "`'\"":
        raise FormulaError(f"the quote {shown} is not closed", start)
    if shown.isdecimal() or (shown == "." and text[start + 1 : start + 2].isdecimal()):
        number = re.match(r"[\w.]+", text[start:])
        raise FormulaError(f"`{number[0] if number else shown}` is not a number", start)
    hints = {
        "=": "write `==` to compare",
        "&": "write `and`",
        "|": "write `or`",
        "!": "write `not` or `!=`",
        "^": "write `**` for a power",
    }
    raise FormulaError(f"the character `{shown}` is not part of a formula", start, hints.get(shown, ""))


class _Parser:
    """Precedence climbing over the tokens of one formula."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._depth = 0

    def whole(self) -> Term:
        if self._here.kind == "end":
            raise FormulaError("the formula is empty")
        term = self._either()
        if self._here.kind != "end":
            raise self._unexpected("an operator or the end")
        return term

    @property
    def _here(self) -> _Token:
        return self._tokens[self._place]

    def _next(self) -> _Token:
        token = self._here
        self._place += token.kind != "end"
        return token

    def _is_next(self, *texts: str) -> bool:
        return self._here.kind in ("mark", "name") and self._here.text in texts

    def _unexpected(self, expected: str) -> FormulaError:
        token = self._here
        shown = f"not `{token.text}`" if token.kind != "end" else "but the formula ends"
        return FormulaError(f"expected {expected}, {shown}", token.offset)

    def _nested(self, parse: Callable[[], Term]) -> Term:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"the formula is nested more than {MAX_DEPTH} levels deep"
            raise FormulaError(message, self._here.offset)
        term = parse()
        self._depth -= 1
        return term

    def _chain(self, operand: Callable[[], Term], operators: tuple[str, ...]) -> Term:
        offset, first = self._here.offset, operand()
        rest = []
        while self._is_next(*operators):
            rest.append((self._next().text, operand()))
        return Chain(first, tuple(rest), offset) if rest else first

    def _either(self) -> Term:
        return self._chain(self._both, ("or",))

    def _both(self) -> Term:
        return self._chain(self._negation, ("and",))

    def _negation(self) -> Term:
        if self._is_next("not"):
            offset = self._next().offset
            return Prefix("not", self._nested(self._negation), offset)
        return self._chain(self._sum, _COMPARISONS)

    def _sum(self) -> Term:
        return self._chain(self._product, _SUMS)

    def _product(self) -> Term:
        return self._chain(self._signed, _PRODUCTS)

    def _signed(self) -> Term:
        if self._is_next(*_SUMS):
            token = self._next()
            return Prefix(token.text, self._nested(self._signed), token.offset)
        base = self._atom()
        if self._is_next("**"):
            offset = self._next().offset
            return Power(base, self._nested(self._signed), offset)  # right to left, as in Python
        return base

    def _atom(self) -> Term:
        token = self._here
        match token.kind:
            case "number":
                return Constant(_number(self._next()))
            case "text":
                return Constant(self._next().text)
            case "quoted":
                return Name(self._next().text, token.offset)
            case "name" if token.text in _WORDS:
                return Constant(_WORDS[self._next().text])
            case "name" if token.text not in _RESERVED:
                self._next()
                return self._call(token) if self._is_next("(") else Name(token.text, token.offset)
            case "mark" if token.text == "(":
                self._next()
                inner = self._nested(self._either)
                self._close()
                return inner
            case _:
                raise self._unexpected("a number, a name or `(`")

    def _call(self, called: _Token) -> Call:
        if called.text not in FUNCTIONS:
            hint = nearest(called.text, tuple(FUNCTIONS)) or f"the functions are {', '.join(FUNCTIONS)}"
            raise FormulaError(f"unknown function `{called.text}`", called.offset, hint)
        self._next()
        arguments: list[Term] = []
        while not self._is_next(")"):
            arguments.append(self._nested(self._either))
            if not self._is_next(","):
                break
            self._next()
        self._close()
        least, most = FUNCTIONS[called.text]
        if not least <= len(arguments) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            message = f"`{called.text}` takes {count} arguments, not {len(arguments)}"
            raise FormulaError(message.replace("takes 1 arguments", "takes 1 argument"), called.offset)
        return Call(called.text, tuple(arguments), called.offset)

    def _close(self) -> None:
        if not self._is_next(")"):
            raise self._unexpected("an operator or `)`")
        self._next()


def _number(token: _Token) -> int | float:
    value = int(token.text) if token.text.isdecimal() else float(token.text)
    if abs(value) >= LARGEST_WHOLE:
        raise FormulaError(f"the number {token.text[:20]}… is too large", token.offset)
    return value
