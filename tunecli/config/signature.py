"""What a module's source says of a name in it, read and never run.

Python's own ``ast`` and ``inspect``'s rules for how arguments bind. Where the source alone cannot tell (a name that is
imported or assigned, a decorator, an inherited ``__init__``), the answer is that it is not known.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function or a class can be called.

    Attributes:
        positional: names in their order, as far as they can be given by place; without ``self``.
        by_name: names that can be given by name.
        required: names without a default.
        any_positional, any_name: whether it takes ``*args`` and ``**kwargs``.
    """

    positional: tuple[str, ...]
    by_name: frozenset[str]
    required: frozenset[str]
    any_positional: bool
    any_name: bool


class NoSuchNameError(LookupError):
    """The module does not define the name; ``known`` are those it does."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name, self.known = name, tuple(known)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file of source.

    Raises:
        OSError: it cannot be read.
        SyntaxError: it is no Python; ``lineno`` and ``msg`` say where and why.
    """
    facts = path.stat()
    return _parsed(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _parsed(path: Path, modified_ns: int, n_bytes: int) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the compiler finds odd is told where the code runs
        try:
            return ast.parse(path.read_bytes(), filename=str(path))
        except ValueError as error:  # a NUL byte, an encoding that is not there
            raise SyntaxError(str(error)) from None
        except (RecursionError, MemoryError):  # what the parser raises of itself, on sources made to
            raise SyntaxError("nested too deeply") from None


def signature_of(module: ast.Module, name: str) -> Signature | None:
    """How the module's ``name`` can be called; None where its source does not tell.

    Args:
        module: the parsed module.
        name: a function or a class; dots lead into a class.

    Raises:
        NoSuchNameError: the module defines no such name.
    """
    found = _definition_of(module, name)
    if isinstance(found, ast.ClassDef):
        return _signature_of_class(found)
    return None if found is None else _signature_of_function(found, skip_first=False)


def is_class(module: ast.Module, name: str) -> bool:
    """Whether the module's ``name`` is a class by its source; not so where its source does not tell.

    Raises:
        NoSuchNameError: the module defines no such name.
    """
    return isinstance(_definition_of(module, name), ast.ClassDef)


def _definition_of(module: ast.Module, name: str) -> _Definition | None:
    first, *steps = name.split(".")
    body, found = module.body, _defined(module.body, first, name)
    for step in steps:
        if not isinstance(found, ast.ClassDef):
            return None
        body, outer = found.body, found
        try:
            found = _defined(body, step, name)
        except NoSuchNameError:
            if outer.bases or outer.decorator_list or outer.keywords:
                return None
            raise
    return found


def _defined(body: Iterable[ast.stmt], name: str, whole_name: str) -> _Definition | None:
    """The last definition of ``name``; None where it is bound in another way."""
    known: dict[str, _Definition | None] = {}
    is_open = False
    for bound, definition in _bindings(body):
        known[bound] = definition
        is_open = is_open or bound == "*"
    if name not in known:
        if is_open or "__getattr__" in known:
            return None
        raise NoSuchNameError(whole_name, known)
    return known[name]


def _bindings(body: Iterable[ast.stmt]) -> Iterator[tuple[str, _Definition | None]]:
    """Every name that statements bind, with its definition where it is one."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name, statement
            case ast.Import(names=names):
                yield from (((alias.asname or alias.name.partition(".")[0]), None) for alias in names)
            case ast.ImportFrom(names=names):
                yield from ((alias.asname or alias.name, None) for alias in names)
            case _:
                for node in ast.iter_child_nodes(statement):
                    if isinstance(node, ast.stmt):
                        yield from _bindings([node])
                    elif isinstance(node, ast.ExceptHandler):
                        yield from _bindings(node.body)
                    else:
                        yield from ((name, None) for name in _stored(node))


def _stored(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id


def _signature_of_class(found: ast.ClassDef) -> Signature | None:
    if found.decorator_list or found.keywords:
        return None
    try:
        maker = _defined(found.body, "__init__", "__init__")
    except NoSuchNameError:
        is_plain = not found.bases and not any(name == "__new__" for name, _ in _bindings(found.body))
        return Signature((), frozenset(), frozenset(), False, False) if is_plain else None
    return _signature_of_function(maker, skip_first=True) if isinstance(maker, _Function) else None


def _signature_of_function(found: _Function, *, skip_first: bool) -> Signature | None:
    decorators = [each.id if isinstance(each, ast.Name) else "" for each in found.decorator_list]
    if decorators == ["classmethod"]:
        skip_first = True
    elif decorators not in ([], ["staticmethod"]):
        return None
    arguments = found.args
    slots = [*arguments.posonlyargs, *arguments.args]
    n_required = len(slots) - len(arguments.defaults)
    required = {slot.arg for slot in slots[:n_required]}
    for only, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            required.add(only.arg)
    own = slots[0].arg if skip_first and slots else ""
    return Signature(
        positional=tuple(slot.arg for slot in slots if slot.arg != own),
        by_name=frozenset(slot.arg for slot in [*arguments.args, *arguments.kwonlyargs]) - {own},
        required=frozenset(required - {own}),
        any_positional=arguments.vararg is not None,
        any_name=arguments.kwarg is not None,
    )
