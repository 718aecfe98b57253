"""Write the table that shell completion reads: every verb, option and key, as JSON.

``python -m tunecli.cli.describe`` writes it into the package. A test compares it with the program.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from pydantic import BaseModel

from tunecli.cli import app
from tunecli.commands.curve import FORMS as CURVE_FORMS
from tunecli.commands.export_graph import FORMATS as MODEL_FORMATS
from tunecli.commands.list_studies import SORT_KEYS
from tunecli.commands.results import FORMS as RESULTS_FORMS
from tunecli.commands.schema import FORMS as SCHEMA_FORMS
from tunecli.commands.starters import TEMPLATES
from tunecli.completion.command_line import TABLE_PATH
from tunecli.completion.shells import SHELLS
from tunecli.config.model_paths import fields_of, models_in, names_of
from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.study import StudySettings
from tunecli.importers.kinds import KINDS
from tunecli.registry.engines import ENGINES
from tunecli.results.table import FORMS as TABLE_FORMS

_OF_METAVAR = {
    "CONFIG": "configs",
    "RUN": "runs",
    "RUN_OR_MODEL": "runs_and_models",
    "PATH=VALUE": "keys",
    "COLUMN": "sort_column",
    "A,B,C": "columns",
    "A[,B]": "metrics",
    "[A,B]": "metrics",
    "FILE": "files",
    "DIR": "files",
    "DATA": "files",
    "TAG": "tags",
}
"""The source of the values of arguments and options with a metavar; the values of others are free text."""
_OF_OPTION = {"--trial": "trials", "--config": "configs"}
_VALUES: Mapping[tuple[str, str], Sequence[str]] = {
    ("results", "--format"): RESULTS_FORMS,
    ("compare", "--format"): TABLE_FORMS,
    ("list", "--format"): TABLE_FORMS,
    ("list", "--sort"): (*SORT_KEYS, *(f"-{key}" for key in SORT_KEYS)),
    ("init", "--template"): TEMPLATES,
    ("curve", "--format"): CURVE_FORMS,
    ("schema", "--format"): SCHEMA_FORMS,
    ("export", "--format"): MODEL_FORMATS,
    ("import", "--from"): tuple(KINDS),
    ("", "--install-completion"): SHELLS,
    ("", "--show-completion"): SHELLS,
}
_MODELS: Mapping[str, type[BaseModel]] = {
    "": StudySettings,
    "training": TrialConfig,
    "python": FunctionTrial,
    "command": CommandTrial,
}
"""The models of a file; those of a trial by its kind."""
_SHARED: Mapping[str, Sequence[str]] = {
    "--device": ("auto", "cpu", "cuda", "mps", "xpu"),
    "--engine": tuple(ENGINES),
}
"""The values of options that have the same ones with every verb."""
_DEEPEST = 6


def table() -> dict[str, Any]:
    """The verbs with their arguments and options, the program's own options, and the keys by their paths."""
    program: Any = typer.main.get_command(app)
    verbs = {name: _verb(name, command) for name, command in sorted(program.commands.items())}
    keys: dict[str, dict[str, Any]] = {}
    for kind, model in _MODELS.items():
        for path, entry in _keys(model, "", (kind,) if kind else (), 0):
            key = keys.setdefault(path, entry)
            key["values"] = [*dict.fromkeys([*key["values"], *entry["values"]])]
            shared = key["members"] and entry["members"]  # a member that all have
            key["members"] = shared and [*dict.fromkeys([*key["members"], *entry["members"]])]
            key["record"] = key["record"] and entry["record"]
    filled = {
        path: {name: value for name, value in key.items() if value} for path, key in sorted(keys.items())
    }
    return {"verbs": verbs, "options": _options("", program), "keys": filled}


def table_text() -> str:
    """The table as JSON, with a line for each option and key."""
    content = table()
    lines = ["{", '"verbs": {']
    for name, verb in content["verbs"].items():
        lines.append(f'{json.dumps(name)}: {{"about": {json.dumps(verb["about"])},')
        lines.append(f'"arguments": {_rows(verb["arguments"])},')
        lines.append(f'"options": {_rows(verb["options"])}}},')
    lines[-1] = lines[-1].removesuffix(",")
    keys = ",\n".join(f"{json.dumps(path)}: {json.dumps(key)}" for path, key in content["keys"].items())
    lines += ["},", f'"options": {_rows(content["options"])},', f'"keys": {{\n{keys}\n}}', "}"]
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]" if rows else "[]"


def _verb(name: str, command: Any) -> dict[str, Any]:
    arguments = [
        {"about": parameter.help or "", "source": _source(parameter)}
        | ({"many": True} if parameter.nargs == -1 else {})
        for parameter in command.params
        if parameter.param_type_name == "argument"
    ]
    return {"about": command.short_help, "arguments": arguments, "options": _options(name, command)}


def _options(verb: str, command: Any) -> list[dict[str, Any]]:
    rows = []
    for parameter in command.params:
        if parameter.param_type_name != "option":
            continue
        row: dict[str, Any] = {
            "names": sorted(parameter.opts, key=len, reverse=True),
            "about": parameter.help,
        }
        if not parameter.is_flag:
            shared = next((_SHARED[name] for name in parameter.opts if name in _SHARED), ())
            values = shared or _fixed(verb, parameter)
            row |= {"source": "values", "values": [*values]} if values else {"source": _source(parameter)}
        row |= {"many": True} if parameter.multiple else {}
        row |= {"optional": True} if str(parameter.metavar).startswith("[") else {}
        rows.append(row)
    return [*rows, {"names": ["--help", "-h"], "about": "Show this message and exit."}]


def _fixed(verb: str, parameter: Any) -> Sequence[str]:
    return next((_VALUES[verb, name] for name in parameter.opts if (verb, name) in _VALUES), ())


def _source(parameter: Any) -> str:
    named = next((_OF_OPTION[name] for name in parameter.opts if name in _OF_OPTION), None)
    return named or _OF_METAVAR.get(parameter.metavar, "text")


def _keys(
    model: type[BaseModel], prefix: str, members: Sequence[str], depth: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each key of a model below ``prefix``: its path, and its entry in the table. ``members`` are the model's names."""
    for name, field in fields_of(model).items():
        if name == "name" or depth > _DEEPEST:
            continue
        path, inner = f"{prefix}{name}", models_in(field.annotation)
        is_record = len(inner) == 1 and not names_of(inner[0])
        yield path, {"values": _values(field.annotation), "members": [*members], "record": is_record}
        if not _is_list(field.annotation):
            for member in inner:
                yield from _keys(member, f"{path}.", names_of(member), depth + 1)


def _values(annotation: Any) -> list[str]:
    """The fixed values in an annotation: literals, truth values, and the names of the members of a family."""
    if annotation is bool:
        return ["true", "false"]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [*names_of(annotation)]
    if typing.get_origin(annotation) is typing.Literal:
        return [
            str(value).lower() if isinstance(value, bool) else str(value)
            for value in typing.get_args(annotation)
        ]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return [value for part in typing.get_args(annotation) for value in _values(part)]
    return []


def _is_list(annotation: Any) -> bool:
    parts = [annotation]
    for part in parts:
        if part is list or typing.get_origin(part) is list:
            return True
        parts += typing.get_args(part)
    return False


if __name__ == "__main__":
    TABLE_PATH.write_text(table_text(), encoding="utf-8")
