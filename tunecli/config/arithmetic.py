"""Compute formulas over parameters: ``1 - gamma``, ``minibatch <= batch / 2``. Bounded, and without Python's ``eval``.

Numbers follow Python: ``/`` gives a float, ``//`` and ``%`` round down, ``round`` rounds halves to the even number.
Results are finite numbers, texts, booleans or null. ``and`` and ``or`` stop at the first part that decides, so
``optimizer.name != "sgd" or optimizer.momentum > 0.5`` needs no momentum for another optimizer.

A name is a parameter's path under ``trial``. Names with other characters than letters, digits, ``_`` and ``.`` need
backticks. For a function or a command, the leading ``params.`` may be left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunecli.config.formula_syntax import (
    LARGEST_WHOLE,
    Call,
    Chain,
    Constant,
    FormulaError,
    Name,
    Power,
    Prefix,
    Term,
    names_in,
    parsed,
)
from tunecli.config.paths import is_index
from tunecli.trial import Parameters, Scalar

__all__ = ["Formula", "FormulaError", "MissingNameError", "evaluate", "formula_of", "value_in"]

ValueOf = Callable[[str], Scalar]
_MAX_DIGITS = 100  # the most digits that `round` takes
_MAX_POWER_BITS = 4096  # a power with more is refused before it is computed
_PARAMS = "params"


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read.

    Attributes:
        text: as the user wrote it.
        root: the parsed formula.
        names: the paths in it, each once, from left to right.
    """

    text: str
    root: Term
    names: tuple[str, ...]

    def offset_of(self, name: str) -> int:
        """Index of the first character of ``name`` in the text."""
        return next(entry.offset for entry in names_in(self.root) if entry.path == name)


class MissingNameError(FormulaError):
    """A name in a formula has no value: it does not exist, or it is not active at this point.

    Attributes:
        name: the name.
    """

    def __init__(self, name: str, offset: int | None = None) -> None:
        super().__init__(f"`{name}` has no value", offset)
        self.name = name


def formula_of(text: str) -> Formula:
    """The formula in ``text``.

    Raises:
        FormulaError: the text is not a formula; the error has the place and a hint.
    """
    root = parsed(text)
    return Formula(text, root, tuple(dict.fromkeys(name.path for name in names_in(root))))


def evaluate(formula: Formula, value_of: ValueOf) -> Scalar:
    """The value of ``formula``: a finite number, a text, a boolean or None.

    Args:
        formula: the formula.
        value_of: the value of a name, for example ``values.__getitem__``. It is called only for names that the result
            depends on.

    Raises:
        MissingNameError: ``value_of`` raised a KeyError.
        FormulaError: the formula has no value there: it divides by zero, or computes with a text.
    """
    return _value(formula.root, value_of)


def value_in(point: Parameters, tree: Any, name: str) -> Scalar:
    """The value of ``name`` in a trial: of a parameter, or of another plain value.

    A choice among sub-trees has the label of the chosen one. The length of a list has the name ``<list>.length``.

    Args:
        point: the trial's point.
        tree: the concrete trial, see :func:`tunecli.config.concrete_trial.concrete`.
        name: a path under ``trial``; for a function or a command also a path under ``params``.

    Raises:
        KeyError: neither the point nor the tree has a plain value of this name.
    """
    for path in (name, f"{_PARAMS}.{name}"):
        if path in point:
            return point[path]
        value = _at(tree, path)
        if not isinstance(value, dict | list):
            return value  # type: ignore[no-any-return]  # a leaf of a tree that YAML can hold
    raise KeyError(name)


_NOTHING: dict[str, Any] = {}


def _at(tree: Any, path: str) -> Any:
    """The value at ``path`` in a plain tree; an empty map if there is none. Keys may contain dots."""
    match tree:
        case Mapping():
            if path in tree:
                return tree[path]
            for place, character in enumerate(path):
                if character == "." and path[:place] in tree:
                    return _at(tree[path[:place]], path[place + 1 :])
        case list():
            step, _, rest = path.partition(".")
            if is_index(step, len(tree)):
                return _at(tree[int(step)], rest) if rest else tree[int(step)]
    return _NOTHING


def _value(term: Term, value_of: ValueOf) -> Scalar:
    match term:
        case Constant(value=value):
            return value
        case Name(path=path, offset=offset):
            try:
                return value_of(path)
            except KeyError:
                raise MissingNameError(path, offset) from None
        case Prefix(operator="not", operand=operand, offset=offset):
            return not _truth(_value(operand, value_of), offset)
        case Prefix(operator=operator, operand=operand, offset=offset):
            number = _number(_value(operand, value_of), offset)
            return -number if operator == "-" else number
        case Power(base=base, exponent=exponent, offset=offset):
            left, right = _value(base, value_of), _value(exponent, value_of)
            return _computed(_power, [left, right], offset)
        case Call(function=function, arguments=arguments, offset=offset):
            return _called(function, [_value(argument, value_of) for argument in arguments], offset)
        case Chain(rest=((("and" | "or") as operator, _), *_)):
            return _decided(term, operator, value_of)
        case Chain(rest=((("+" | "-" | "*" | "/" | "//" | "%"), _), *_)):
            result = _value(term.first, value_of)
            for operator, operand in term.rest:
                result = _computed(_BINARY[operator], [result, _value(operand, value_of)], term.offset)
            return result
        case Chain():
            return _compared(term, value_of)
    raise AssertionError(term)


def _decided(term: Chain, operator: str, value_of: ValueOf) -> bool:
    """The value of a chain of ``and`` or ``or``; parts after the deciding one are not computed."""
    parts = (term.first, *(operand for _, operand in term.rest))
    truths = (_truth(_value(part, value_of), term.offset) for part in parts)
    return any(truths) if operator == "or" else all(truths)


def _compared(term: Chain, value_of: ValueOf) -> bool:
    left = _value(term.first, value_of)
    for operator, operand in term.rest:
        right = _value(operand, value_of)
        if operator in ("==", "!="):
            is_true = _is_equal(left, right) is (operator == "==")
        else:
            low, high = _number(left, term.offset), _number(right, term.offset)
            is_true = {"<": low < high, "<=": low <= high, ">": low > high, ">=": low >= high}[operator]
        if not is_true:
            return False
        left = right
    return True


def _is_equal(left: Scalar, right: Scalar) -> bool:
    """Whether two values are equal: 1 equals 1.0, and no number equals a text or a boolean."""
    return left == right and isinstance(left, bool) is isinstance(right, bool)


def _truth(value: Scalar, offset: int) -> bool:
    if isinstance(value, bool):
        return value
    raise FormulaError(f"expected a condition, such as `a < b`, but the value is {_shown(value)}", offset)


def _number(value: Scalar, offset: int) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise FormulaError(f"expected a number, but the value is {_shown(value)}", offset)


def _shown(value: Scalar) -> str:
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    return "empty" if value is None else str(value).lower()


Numbers = int | float


def _power(base: Numbers, exponent: Numbers) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > _MAX_POWER_BITS:
        if abs(base) > 1:
            raise OverflowError
        return base ** (exponent % 2 + 2)
    return base**exponent


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "exp": math.exp,
    "float": float,
    "floor": math.floor,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}


def _called(function: str, arguments: list[Scalar], offset: int) -> Scalar:
    if function in ("int", "float") and isinstance(arguments[0], bool):
        arguments = [int(arguments[0])]
    if function != "round":
        return _computed(_FUNCTIONS[function], arguments, offset)
    digits = arguments[1] if len(arguments) == 2 else 0
    if not isinstance(digits, int) or isinstance(digits, bool) or abs(digits) > _MAX_DIGITS:
        message = f"the digits of `round` must be a whole number from -{_MAX_DIGITS} to {_MAX_DIGITS}"
        raise FormulaError(message, offset)
    if len(arguments) == 1:
        return _computed(round, arguments, offset)
    return _computed(lambda value: round(value, digits), arguments[:1], offset)


def _computed(compute: Callable[..., Any], operands: list[Scalar], offset: int) -> int | float:
    """The finite number that ``compute`` gives for numbers.

    Raises:
        FormulaError: the result is no finite real number.
    """
    numbers = [_number(operand, offset) for operand in operands]
    try:
        result = compute(*numbers)
    except ZeroDivisionError:
        raise FormulaError("division by zero", offset) from None
    except OverflowError:
        raise FormulaError("the result is too large", offset) from None
    except ValueError:
        raise FormulaError("the result is not a real number", offset) from None
    if isinstance(result, complex) or (isinstance(result, float) and math.isnan(result)):
        raise FormulaError("the result is not a real number", offset)
    if math.isinf(result) or (isinstance(result, int) and abs(result) >= LARGEST_WHOLE):
        raise FormulaError("the result is too large", offset)
    return result  # type: ignore[no-any-return]  # a number
