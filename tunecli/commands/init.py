"""`tunecli init`: write a YAML file to start from, and beside it the JSON Schema for editors."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from tunecli.commands.schema import schema_text
from tunecli.config.json_schema import SCHEMA_FILE
from tunecli.config.reference import STARTER
from tunecli.errors import UsageError
from tunecli.results.view import View
from tunecli.store.destination import as_argument, require_destination
from tunecli.store.files import kind_of, write_atomically


def init_view(path: Path | None) -> View:
    """Write the starter file to ``path``; None: the view holds its text.

    Raises:
        UsageError: ``path`` exists, or its folder does not.
    """
    if path is None:
        return View("init", {"config": STARTER}, raw=STARTER)
    return View("init", {"out": str(path)}, messages=write_starter(path))


def write_starter(path: Path) -> tuple[str, ...]:
    """Write the starter file to ``path`` and, beside it, the schema that its first line names.

    A schema that exists already is left unchanged.

    Returns:
        A sentence for each file.

    Raises:
        UsageError: ``path`` exists, or its folder does not.
    """
    if kind_of(path):
        raise UsageError(f"{path} exists already", hint="name another file")
    require_destination(path)
    write_atomically(path, STARTER)
    shown = as_argument(path)
    return (
        f"wrote {path}: `tunecli check {shown}`, then `tunecli search {shown}`",
        _write_schema(path.parent),
    )


def _write_schema(folder: Path) -> str:
    path, text = folder / SCHEMA_FILE, schema_text()
    try:
        existing = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        write_atomically(path, text)
        return f"wrote {path}: editors use it to complete and check the keys"
    except (OSError, UnicodeDecodeError):
        existing = ""
    if existing == text:
        return f"{path} is up to date: editors use it to complete and check the keys"
    return f"{path} differs and is left unchanged: `tunecli schema > {quote(str(path))}` replaces it"
