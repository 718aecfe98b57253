"""`tunecli init`: write a YAML file to start from, and beside it the JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote

from tunecli.commands.schema import schema_text
from tunecli.commands.starters import Starter, starter
from tunecli.config.json_schema import SCHEMA_FILE
from tunecli.errors import UsageError, from_os_error
from tunecli.results.view import View
from tunecli.store.destination import as_argument, require_destination
from tunecli.store.files import FILE, kind_of, write_atomically


def init_view(path: Path | None, template: str | None = None) -> View:
    """Write a template's files; with the path None, the view holds the study's file alone.

    Raises:
        UsageError: there is no such template, or as `write_starter`.
    """
    files = starter(template)
    if path is None:
        return View("init", {"config": files.text}, raw=files.text)
    return View("init", {"out": str(path), "template": template}, messages=write_starter(path, files))


def init_data_view(path: Path | None, source: Path, target: str | None) -> View:
    """Write a study's file for a person's own data, or the view of its columns if no target is named.

    Raises:
        UsageError: as `write_starter`; or the data has columns and no target is named.
        DataError: the data cannot be read.
    """
    from tunecli.commands.data_plan import plan_of
    from tunecli.commands.data_study import study_text

    if path is not None:
        _require_new(path)
    plan = plan_of(source, target, path.parent if path is not None else Path())
    text, notes = study_text(plan), plan.notes
    if path is None:
        return View("init", {"config": text, "notes": list(notes)}, raw=text, notes=notes)
    messages = (*write_starter(path, Starter(text)), *(f"note: {note}" for note in notes))
    return View("init", {"out": str(path), "config": text, "notes": list(notes)}, messages=messages)


def write_starter(path: Path, files: Starter) -> tuple[str, ...]:
    """Write a study's file to ``path``, and beside it its example files and the schema that its first line names.

    An existing file is never replaced. A schema, or an example file with the same content, is left as it is.

    Returns:
        A sentence for each file.

    Raises:
        UsageError: ``path`` or an example file exists, or its folder does not.
    """
    _require_new(path)
    missing = _missing(path.parent, files.beside)
    write_atomically(path, files.text)
    for name in missing:
        write_atomically(path.parent / name, files.beside[name])
    shown = as_argument(path)
    return (
        f"wrote {path}: `tunecli check {shown}`, then `tunecli search {shown}`",
        *(f"wrote {path.parent / name}, which the file names" for name in missing),
        _write_schema(path.parent),
    )


def _require_new(path: Path) -> None:
    if kind_of(path):
        raise UsageError(f"{path} exists already", hint="name another file")
    require_destination(path)


def _missing(folder: Path, beside: Mapping[str, bytes]) -> Sequence[str]:
    """The names of the example files that are still to be written.

    Raises:
        UsageError: a file has such a name and other content.
    """
    missing = []
    for name, content in beside.items():
        path = folder / name
        kind = kind_of(path)
        if not kind:
            missing.append(name)
            continue
        try:
            is_same = kind == FILE and path.read_bytes() == content
        except OSError as error:
            raise from_os_error(error, path, "read") from error
        if not is_same:
            hint = "name a file in another folder: the template needs this name for its example"
            raise UsageError(f"{path} exists already and differs from the example", hint=hint)
    return missing


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
