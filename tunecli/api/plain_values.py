"""Python values of a configuration → plain data that YAML can hold; each mistake is named by its path.

A configuration in Python may hold numbers of NumPy, paths, tuples, and functions or classes as ``python:``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike, fspath
from typing import Any

from tunecli.errors import ConfigError, Problem, UsageError

CONFIG = "config"
"""The name of a configuration that is no file, in problems."""
Overrides = Mapping[str, Any] | Sequence[str]
"""Settings that replace those of a configuration: a map of paths, or texts of the form ``path=value``."""

_MAX_DEPTH = 100
_CODE_KEY = "python"


class UnnamedCodeError(Exception):
    """A function or class that no other process can import; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def plain_tree(tree: Any, name_code: Callable[[Any], str], file: str = CONFIG) -> Any:
    """A configuration as maps, lists and scalars of Python's own types.

    Args:
        tree: the configuration, or a part of it.
        name_code: gives the ``module:name`` of a function or class; raises `UnnamedCodeError`.
        file: the name of the configuration, for problems.

    Raises:
        ConfigError: with every value that a file cannot hold.
    """
    problems: list[Problem] = []
    plain = _plain(tree, (), name_code, lambda problem: problems.append(problem), file)
    if problems:
        raise ConfigError(problems)
    return plain


def override_texts(overrides: Overrides, flags: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Overrides as texts ``path=value``, as `--set` takes them; `flags` that are None are left out.

    Raises:
        ConfigError: a value is none that a file can hold.
        UsageError: ``overrides`` is neither a map nor a sequence of texts ``path=value``.
    """
    if isinstance(overrides, Mapping):
        texts = [f"{path}={_in_one_line(path, value)}" for path, value in overrides.items()]
    elif isinstance(overrides, Sequence) and not isinstance(overrides, str | bytes):
        texts = list(overrides)
    else:
        raise UsageError(
            f"overrides is {_type_of(overrides)}",
            hint='overrides={"optimizer.lr": 1e-3}, or overrides=["optimizer.lr=1e-3"]',
        )
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"overrides has {_type_of(text)}", hint='overrides=["optimizer.lr=1e-3"]')
        path, equals, _ = text.partition("=")
        if not equals or not all(path.strip().split(".")):
            raise UsageError(
                f"overrides: expected path=value, got `{text}`", hint='overrides=["optimizer.lr=1e-3"]'
            )
    given = {path: value for path, value in (flags or {}).items() if value is not None}
    return (*texts, *(f"{path}={_in_one_line(path, value)}" for path, value in given.items()))


@contextmanager
def override_places(flags: Collection[str] = ()) -> Iterator[None]:
    """Name overrides as Python writes them: the place ``--set PATH`` of a problem becomes ``overrides['PATH']``.

    Args:
        flags: the paths that are parameters of the function; their place is the parameter's name, the last step.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError([_in_python(problem, flags) for problem in error.problems]) from None


def _in_python(problem: Problem, flags: Collection[str]) -> Problem:
    sign, _, path = problem.file.partition(" ")
    if sign != "--set":
        return problem
    place = path.rpartition(".")[2] if path in flags else f"overrides[{path!r}]"
    return replace(problem, file=place, line=0, column=0)


def _in_one_line(path: str, value: Any) -> str:
    """A value as YAML in one line: JSON, in which YAML 1.2 reads the same value."""

    def refuse(code: Any) -> str:
        raise UnnamedCodeError("an override cannot hold a function", "put it into the configuration")

    return _json(plain_tree(value, refuse, f"overrides[{path!r}]"))


def _json(value: Any) -> str:
    match value:
        case float() if math.isnan(value):
            return ".nan"
        case float() if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {_json(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_json, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _plain(
    value: Any,
    path: tuple[str, ...],
    name_code: Callable[[Any], str],
    refuse: Callable[[Problem], None],
    file: str,
) -> Any:
    def problem(message: str, hint: str = "") -> None:
        refuse(Problem(message, file, parameter=".".join(path), hint=hint))

    if len(path) > _MAX_DEPTH:
        problem(f"more than {_MAX_DEPTH} levels, or a map that contains itself")
        return None
    match value:
        case None | bool():
            return value
        case int() | float() | str():
            return _exact(value)
        case Mapping():
            return dict(_items(value, path, name_code, refuse, file))
        case list() | tuple() | range():
            return [_plain(item, (*path, str(n)), name_code, refuse, file) for n, item in enumerate(value)]
        case PathLike():
            return fspath(value)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist(), path, name_code, refuse, file)
    if (callable(value) and _CODE_KEY in path) or path[-1:] == (_CODE_KEY,):
        try:
            return name_code(value)
        except UnnamedCodeError as error:
            problem(error.message, error.hint)
            return None
    hint = "write {'python': …} around a function or a class" if callable(value) else ""
    problem(f"{_type_of(value)} is no value of a configuration", hint)
    return None


def _items(
    value: Mapping[Any, Any],
    path: tuple[str, ...],
    name_code: Callable[[Any], str],
    refuse: Callable[[Problem], None],
    file: str,
) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(key, str):
            yield str(key), _plain(item, (*path, key), name_code, refuse, file)
        else:
            refuse(Problem(f"the key {key!r} is no text", file, parameter=".".join(path)))


def _exact(value: float | int | str) -> Any:
    """The value in Python's own type: a float of NumPy is a subclass, and so is an option of an enum."""
    return next(kind(value) for kind in (float, int, str) if isinstance(value, kind))


def _type_of(value: Any) -> str:
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
