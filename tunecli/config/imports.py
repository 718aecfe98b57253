"""What source files of the user's import, followed as far as it lies beside their file. Read and never run.

What is imported by a computed name is not seen. Loads next to nothing: the workers' server is chosen by it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tunecli.config.paths import is_file, is_folder
from tunecli.config.signature import parsed

Source = tuple[Path, Path]
"""A file, and the folder in which what it imports is looked for."""


def module_files(folder: Path, steps: Iterable[str]) -> Iterator[Path]:
    """The files that importing ``steps`` reads from ``folder``: the packages on the way and the module, as far as any
    lies there."""
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
    """The file of one module, None where it does not lie in ``folder``."""
    *above, last = steps
    for name in (Path(*above, last, "__init__.py"), Path(*above, f"{last}.py")):
        if is_file(folder / name):
            return folder / name
    return None


def followed(sources: Iterable[Source], base_path: Path) -> set[Source]:
    """The sources and all that they import, as far as it lies below ``base_path``."""
    waiting, seen = list(sources), set[Source]()
    while waiting:
        source = waiting.pop()
        if source not in seen and source[0].is_relative_to(base_path):
            seen.add(source)
            _, root = source
            for folder, steps in _imports(*source):
                waiting.extend((found, root) for found in module_files(folder, steps))
    return seen


def may_bring(modules: Iterable[Sequence[str]], folder: Path, wanted: str) -> bool:
    """Whether a package may be imported with the modules: by them or what they import, be it through what is installed.

    Args:
        modules: the steps of their names. What a module imports that does not lie in ``folder`` is not known.
        folder: an absolute path.
        wanted: the package, by the name that it is installed and imported by.
    """
    files = [[*module_files(folder, steps)] for steps in modules]
    if not all(files):
        return True
    names = _from_elsewhere([(file, folder) for each in files for file in each], folder)
    return any(name == wanted or _asks_for(name, wanted) for name in names - sys.stdlib_module_names)


def _from_elsewhere(sources: Iterable[Source], folder: Path) -> set[str]:
    """The packages that the sources import, or what those follow to does, and that do not lie beside them."""
    return {
        steps[0]
        for file, root in followed(sources, folder)
        for place, steps in _imports(file, root)
        if steps and place == root and not any(module_files(place, steps))
    }


def _asks_for(package: str, wanted: str) -> bool:
    """Whether an installed package asks for another, of all its extras none; by the name that it is imported by."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        asked = requires(package) or []
    except (PackageNotFoundError, ValueError):
        return False
    return any(re.match(rf"{wanted}(?![\w.-])", each) and "extra ==" not in each for each in asked)


def _imports(file: Path, root: Path) -> Iterator[tuple[Path, list[str]]]:
    """What a file imports: the folder where it is looked for first, and its name step by step."""
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
