"""The parts of a command's arguments that depend on the trial: placeholders and conditions.

``{optimizer.lr}`` becomes a value under ``params``. ``{optimizer.momentum?}`` leaves its argument out if the trial has
no such value. A condition, ``tied`` or ``optimizer.name == sgd``, chooses between arguments. Starts nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tunecli.config.paths import is_index
from tunecli.config.reader import scalar
from tunecli.config.suggestions import nearest
from tunecli.trial import Scalar

ALL = "args"
"""The placeholder that becomes all parameters: an argument ``{args}`` of its own."""
PARAMETER_FILES = ("params_json", "params_yaml")
"""Placeholders for the name of a file that holds all parameters."""

_PIECE = re.compile(r"(\$\{env:[^{}]*\})|\{\{|\}\}|\{([^{}]*)\}|[{}]")
_COMPARISON = re.compile(r"(.+?)\s*(==|!=)\s*(.+)", re.DOTALL)
_QUOTES = "'\""


class PlaceholderError(LookupError):
    """An argument contains an unknown placeholder, or an unmatched brace."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class _Absent:
    """The value at a path that the trial does not have."""


ABSENT = _Absent()


class _LeftOutError(Exception):
    """An optional placeholder has no value."""


def rendered(
    argument: str | int | float,
    params: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    is_python: bool = False,
) -> str | None:
    """Replace the placeholders of one argument.

    Args:
        argument: the argument in the file. ``{path}`` is a value under ``params``, or else one of ``facts``; ``{{`` and
            ``}}`` are literal braces. An unresolved ``${env:NAME}`` is kept.
        params: the trial's parameters, nested as in the file.
        facts: the trial's seed, device and so on, by `TRIAL_NAMES`.
        is_python: whether values are written as Python writes them, instead of as JSON does.

    Returns:
        None if an optional placeholder, ``{path?}``, has no value: the argument is left out.

    Raises:
        PlaceholderError: a placeholder is unknown, or a brace is unmatched.
    """
    if not isinstance(argument, str):
        return json.dumps(argument)

    def value_of(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[2] is None:
            raise PlaceholderError(f"unmatched `{match[0]}`", f"write `{match[0] * 2}` for a literal brace")
        return text_of(_value(match[2], params, facts), is_python=is_python)

    try:
        return _PIECE.sub(value_of, argument)
    except _LeftOutError:
        return None


def placeholders(argument: str) -> Iterator[str]:
    """The paths in the placeholders of an argument, an optional one with its ``?``."""
    for match in _PIECE.finditer(argument):
        if match[2] is not None:
            yield match[2].strip()


def is_all_parameters(argument: object, params: Mapping[str, Any]) -> bool:
    """Whether an argument is ``{args}``, which becomes all parameters, and not a parameter of that name."""
    return argument == f"{{{ALL}}}" and ALL not in params


def text_of(value: Any, *, is_python: bool = False) -> str:
    """A value as one text; a number reads back to the same bits in any language.

    Args:
        value: plain data.
        is_python: write ``True``, ``None`` and ``['a']``, as Python does, instead of ``true``, ``null`` and ``["a"]``.
    """
    if isinstance(value, str):
        return value
    return repr(value) if is_python else json.dumps(value)


def value_at(path: str, params: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    """The value at a path under ``params``, or else the one of ``facts``; `ABSENT` if there is none."""
    value: Any = params
    for step in path.split("."):
        match value:
            case Mapping() if step in value:
                value = value[step]
            case list() if is_index(step, len(value)):
                value = value[int(step)]
            case _:
                return facts.get(path, ABSENT)
    return value


def leaves(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The path and value of each parameter, in the order of the file; a list is one value."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def is_on_one_line(path: str, other: str) -> bool:
    """Whether one of two paths is a prefix of the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of an argument: a parameter is true, or has a value, or has another one.

    Attributes:
        path: the parameter, or one of the trial's facts.
        comparison: how it is compared; None: it must be true.
        value: the value it is compared with.
    """

    path: str
    comparison: Literal["==", "!="] | None = None
    value: Scalar = None

    def is_met(self, params: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
        """Whether the condition is met.

        A parameter is true if it is active and neither false, null, 0, an empty text nor an empty list. A parameter
        that is not active equals no value.
        """
        value = value_at(self.path, params, facts)
        if self.comparison is None:
            return value is not ABSENT and bool(value)
        return _is_equal(value, self.value) == (self.comparison == "==")


def parse_condition(text: str) -> Condition:
    """The condition that a text describes, such as ``tied`` or ``optimizer.name == sgd``.

    The value is read as YAML reads it; one in quotes is a text.

    Raises:
        ValueError: the text names no parameter, or a number is too long.
    """
    compared = _COMPARISON.fullmatch(text.strip())
    if compared is None:
        path = text.strip()
        if not path or path.startswith(("=", "!")) or path.endswith("="):
            raise ValueError("must be the name of a parameter, or `name == value`, or `name != value`")
        return Condition(path)
    path, word, written = compared.groups()
    is_quoted = len(written) > 1 and written[0] in _QUOTES and written[-1] == written[0]
    value = written[1:-1] if is_quoted else scalar(written)
    return Condition(path, "==" if word == "==" else "!=", value)


def _is_equal(value: Any, other: Scalar) -> bool:
    """Whether two values are equal; a whole number equals the same real number, but true does not equal 1."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _value(path: str, params: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    value = value_at(path, params, facts)
    if value is not ABSENT:
        return value
    if path.endswith("?"):
        value = value_at(path[:-1], params, facts)
        if value is ABSENT or value is None:
            raise _LeftOutError
        return value
    if path == ALL:
        raise PlaceholderError(
            f"`{{{ALL}}}` must be an argument of its own, because it becomes several arguments",
            'for a shell, write [sh, -c, \'exec python train.py "$@"\', sh, "{args}"]',
        )
    known = [*_paths(params), *facts]
    hint = nearest(path, known) or (
        f"known names: {', '.join((*known, ALL))}; write `{{{{` for a literal brace"
    )
    if path in known:
        nested = path.replace(".", ": {") + ": …" + "}" * path.count(".")
        hint = f"a dot separates levels: nest the key, `{nested}`"
    raise PlaceholderError(f"`{{{path}}}` is no key under `params`", hint)


def _paths(params: Mapping[str, Any]) -> Iterator[str]:
    for key, value in params.items():
        inner = list(_paths(value)) if isinstance(value, Mapping) else []
        yield from (f"{key}.{path}" for path in inner) if inner else (key,)
