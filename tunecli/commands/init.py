"""`tunecli init`: write a file to start from, and beside it the JSON Schema for editors."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from tunecli.commands.schema import schema_text
from tunecli.config.reference import SCHEMA_FILE, STARTER
from tunecli.errors import UsageError
from tunecli.store.destination import as_argument, require_destination
from tunecli.store.files import kind_of, write_atomically


def write_starter(path: Path) -> tuple[str, ...]:
    """Write the starter file to ``path`` and, beside it, the schema that its first line names.

    A file that is there already stays as it is.

    Returns:
        What was done, a sentence each.

    Raises:
        UsageError: there is such a file already, or no such folder.
    """
    if kind_of(path):
        raise UsageError(f"{path} exists already", hint="name another file")
    require_destination(path)
    write_atomically(path, STARTER)
    shown = as_argument(path)
    return (
        f"wrote {path}: `tunecli check {shown}`, then `tunecli search {shown}`",
        _with_schema(path.parent),
    )


def starter_text() -> str:
    """The starter file, for stdout."""
    return STARTER


def _with_schema(folder: Path) -> str:
    path, text = folder / SCHEMA_FILE, schema_text()
    try:
        there = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        write_atomically(path, text)
        return f"wrote {path}: editors complete and check the keys by it"
    except (OSError, UnicodeDecodeError):
        there = ""
    if there == text:
        return f"{path} is there already: editors complete and check the keys by it"
    return f"{path} is another file and stays as it is: `tunecli schema > {quote(str(path))}` replaces it"
