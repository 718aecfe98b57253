"""The user's Python sources, read and never run: signatures, imports and hashes.

Uses Python's ``ast`` and the rules of ``inspect`` for how arguments bind. If the source alone cannot tell (an imported
or assigned name, a decorator, an inherited ``__init__``), the answer is None. Imports little, because the process that
chooses the workers' server loads it.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tunecli.config.paths import is_file, is_folder

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
    """The module does not define the name; ``known`` are the names that it defines."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name, self.known = name, tuple(known)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a source file.

    Raises:
        OSError: the file cannot be read.
        SyntaxError: the file is not Python; ``lineno`` and ``msg`` have the place and the reason.
    """
    facts = path.stat()
    return _parsed(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _parsed(path: Path, modified_ns: int, n_bytes: int) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings appear where the code runs
        try:
            return ast.parse(path.read_bytes(), filename=str(path))
        except ValueError as error:  # a NUL byte, an encoding that is not there
            raise SyntaxError(str(error)) from None
        except (RecursionError, MemoryError):  # raised by the parser for hostile sources
            raise SyntaxError("nested too deeply") from None


def signature_of(module: ast.Module, name: str) -> Signature | None:
    """The signature of the module's ``name``; None if the source alone does not show it.

    Args:
        module: the parsed module.
        name: a function or a class; dots lead into a class.

    Raises:
        NoSuchNameError: the module defines no such name.
    """
    definition = _definition_of(module, name)
    if isinstance(definition, ast.ClassDef):
        return _signature_of_class(definition)
    return None if definition is None else _signature_of_function(definition, skip_first=False)


def is_class(module: ast.Module, name: str) -> bool:
    """Whether the module's ``name`` is a class; False if the source alone does not show it.

    Raises:
        NoSuchNameError: the module defines no such name.
    """
    return isinstance(_definition_of(module, name), ast.ClassDef)


def _definition_of(module: ast.Module, name: str) -> _Definition | None:
    first, *steps = name.split(".")
    body, definition = module.body, _defined(module.body, first, name)
    for step in steps:
        if not isinstance(definition, ast.ClassDef):
            return None
        body, outer = definition.body, definition
        try:
            definition = _defined(body, step, name)
        except NoSuchNameError:
            if outer.bases or outer.decorator_list or outer.keywords:
                return None
            raise
    return definition


def _defined(body: Iterable[ast.stmt], name: str, whole_name: str) -> _Definition | None:
    """The last definition of ``name``; None if it is bound in another way."""
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
    """Every name that statements bind, with its definition if it has one."""
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


def _signature_of_class(definition: ast.ClassDef) -> Signature | None:
    if definition.decorator_list or definition.keywords:
        return None
    try:
        maker = _defined(definition.body, "__init__", "__init__")
    except NoSuchNameError:
        is_plain = not definition.bases and not any(
            name == "__new__" for name, _ in _bindings(definition.body)
        )
        return Signature((), frozenset(), frozenset(), False, False) if is_plain else None
    return _signature_of_function(maker, skip_first=True) if isinstance(maker, _Function) else None


def _signature_of_function(definition: _Function, *, skip_first: bool) -> Signature | None:
    decorators = [
        decorator.id if isinstance(decorator, ast.Name) else "" for decorator in definition.decorator_list
    ]
    if decorators == ["classmethod"]:
        skip_first = True
    elif decorators not in ([], ["staticmethod"]):
        return None
    arguments = definition.args
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


Source = tuple[Path, Path]
"""A file, and the folder in which its imports are looked for."""


def module_files(folder: Path, steps: Iterable[str]) -> Iterator[Path]:
    """The files that ``import`` reads from ``folder`` for a module: its packages and itself, as far as they exist."""
    for step in steps:
        if is_file(folder / step / "__init__.py"):
            yield folder / step / "__init__.py"
        elif is_file(folder / f"{step}.py"):
            yield folder / f"{step}.py"
            return
        elif not is_folder(folder / step):
            return
        folder = folder / step


def module_file(folder: Path, steps: tuple[str, ...]) -> Path | None:
    """The file of one module; None if it is not in ``folder``."""
    *above, last = steps
    for name in (Path(*above, last, "__init__.py"), Path(*above, f"{last}.py")):
        if is_file(folder / name):
            return folder / name
    return None


def follow_imports(sources: Iterable[Source], base_path: Path) -> set[Source]:
    """The sources and all their imports below ``base_path``."""
    waiting, seen = list(sources), set[Source]()
    while waiting:
        source = waiting.pop()
        if source not in seen and source[0].is_relative_to(base_path):
            seen.add(source)
            _, root = source
            for folder, steps in _imports(*source):
                waiting.extend((file, root) for file in module_files(folder, steps))
    return seen


def may_import_package(modules: Iterable[Sequence[str]], folder: Path, wanted: str) -> bool:
    """Whether the modules may import a package, directly or through other modules, installed ones included.

    Args:
        modules: the parts of their names. Imports of a module outside ``folder`` are unknown.
        folder: an absolute path.
        wanted: the package, by its name in imports.
    """
    files = [[*module_files(folder, steps)] for steps in modules]
    if not all(files):
        return True
    names = _from_elsewhere([(file, folder) for each in files for file in each], folder)
    return any(name == wanted or _asks_for(name, wanted) for name in names - sys.stdlib_module_names)


def _from_elsewhere(sources: Iterable[Source], folder: Path) -> set[str]:
    """The packages that the sources and their imports import from outside their folder."""
    return {
        steps[0]
        for file, root in follow_imports(sources, folder)
        for place, steps in _imports(file, root)
        if steps and place == root and not any(module_files(place, steps))
    }


def _asks_for(package: str, wanted: str) -> bool:
    """Whether an installed package depends on another without extras; both by their names in imports."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        asked = requires(package) or []
    except (PackageNotFoundError, ValueError):
        return False
    return any(
        re.match(rf"{wanted}(?![\w.-])", requirement) and "extra ==" not in requirement
        for requirement in asked
    )


def _imports(file: Path, root: Path) -> Iterator[tuple[Path, list[str]]]:
    """The imports of a file: the folder that is searched first, and the parts of the name."""
    if file.suffix != ".py":
        return
    try:
        nodes = list(ast.walk(parsed(file)))
    except (OSError, SyntaxError):
        return
    for node in nodes:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield root, alias.name.split(".")
            case ast.ImportFrom(module=module, names=names, level=level) if level < len(file.parents):
                folder = file.parents[level - 1] if level else root
                for alias in names:
                    yield folder, [*(module.split(".") if module else ()), alias.name]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; empty if it cannot be read, as a program may be that can be run."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def changed_files(recorded: Mapping[str, str], base_path: Path) -> list[str]:
    """The recorded files that have changed and that this process could still read.

    A loaded module keeps running as it was loaded, even if its file changes.

    Args:
        recorded: SHA-256 of each file when the study began, by name.
        base_path: the folder that the names are relative to.
    """
    changed = [name for name, sha256 in recorded.items() if sha256_of(base_path / name) != sha256]
    if not changed:  # as good as always, and every trial asks
        return []
    folder = base_path.resolve()
    loaded = {vars(module).get("__file__") for module in list(sys.modules.values()) if module is not None}
    return [name for name in changed if str(folder / name) not in loaded]
