"""The ``module:name`` of a function or class, by which another process can import it, and the folder of its module."""

from __future__ import annotations

import functools
import inspect
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tunecli.api.plain_values import UnnamedCodeError

_MAIN = "__main__"
_IN_A_FILE = "write it into a module and import it; in a notebook, begin its cell with %%writefile train.py"


class CodeName(NamedTuple):
    """What a file writes for a function or class.

    Attributes:
        text: ``module:name``.
        folder: the folder that Python must search for the module; None: the module is installed.
    """

    text: str
    folder: Path | None


def code_name(code: Any) -> CodeName:
    """The name of a function or class.

    Args:
        code: a function or class at the top level of a module, or of the running script.

    Raises:
        UnnamedCodeError: it is another object, or no other process can import it.
    """
    if not (inspect.isfunction(code) or inspect.isclass(code) or inspect.isbuiltin(code)):
        raise UnnamedCodeError(
            f"`python` takes a function or a class, not an object of {type(code).__qualname__}",
            "name the class, and give its arguments as `args`",
        )
    module_name, name = str(code.__module__), code.__qualname__
    if "<lambda>" in name:
        raise UnnamedCodeError(
            "a lambda has no name that a worker can import", f"use `def`, and {_IN_A_FILE}"
        )
    if "<locals>" in name:
        raise UnnamedCodeError(
            f"`{code.__name__}` is defined inside a function, so no worker can import it",
            "define it at the top level of its module",
        )
    module = sys.modules.get(module_name)
    if module is None or _found(module, name) is not code:
        raise UnnamedCodeError(
            f"`{module_name}:{name}` is not this object, so no worker can import it",
            "define it at the top level of its module, under its own name",
        )
    if module_name == _MAIN:
        return _of_script(module, code)
    return CodeName(f"{module_name}:{name}", _folder(module_name, getattr(module, "__file__", None)))


def _found(module: ModuleType, name: str) -> Any:
    try:
        return functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        return None


def _of_script(module: ModuleType, code: Any) -> CodeName:
    """The name of an object of the running script: a worker imports the script as a module."""
    file, spec = getattr(module, "__file__", None), getattr(module, "__spec__", None)
    written_in = str(getattr(getattr(code, "__code__", None), "co_filename", file))
    if not file or not Path(file).is_file() or Path(written_in).resolve() != Path(file).resolve():
        raise UnnamedCodeError(f"`{code.__name__}` is in no file that a worker can import", _IN_A_FILE)
    module_name = spec.name if spec is not None else Path(file).stem
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise UnnamedCodeError(
            f"a worker cannot import {Path(file).name}, because its name is no name of a module",
            "rename it to letters, digits and `_`",
        )
    return CodeName(f"{module_name}:{code.__qualname__}", _folder(module_name, file))


def _folder(module_name: str, file: str | None) -> Path | None:
    """The folder that Python searches for a module; None if it belongs to Python or is installed."""
    if file is None:
        return None
    path = Path(file).resolve()
    depth = module_name.count(".") + (path.name == "__init__.py")
    folder = path.parents[depth]
    places = (Path(place).resolve() for name, place in sysconfig.get_paths().items() if "lib" in name)
    is_installed = folder in places or folder.name in ("site-packages", "dist-packages")
    return None if is_installed else folder
