"""Writes the generated pages of docs/reference/: `python -m dev.reference`, or `make reference`.

- `verbs.md`: every verb with its arguments and options, from the command line's own definitions;
- `exit-codes.md`: every exit code with its errors, from `tunecli.errors`;
- `api.md`: the public names of `tunecli`, which the site fills in from their docstrings;
- `keys.md`: its tables of all keys, from the models of the settings.
`python -m dev.reference --json` also writes `json.md`, the fields of the JSON documents, from real runs of the verbs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import typer

import tunecli
from tunecli import errors
from tunecli.cli import app
from tunecli.config.reference import markdown_table

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- `make reference` writes this page -->"
KEYS_BEGIN, KEYS_END = "<!-- keys -->\n", "<!-- /keys -->"
SIGNALS = "SIGHUP: 129, SIGINT (Ctrl-C): 130, SIGTERM: 143"


def verbs_page() -> str:
    """Every verb with its arguments and options."""
    parts = [
        "# Verbs and options",
        NOTE,
        "Every verb with all its options, as `tunecli VERB --help` shows them. [Commands](commands.md) is the short list.",
    ]
    for name, verb in sorted(_group().commands.items()):
        parts += [f"## `{name}`", _usage(name, verb), _paragraphs(verb.help or "")]
        arguments = [parameter for parameter in verb.params if not parameter.opts[0].startswith("-")]
        options = [parameter for parameter in verb.params if parameter.opts[0].startswith("-")]
        for title, rows in (("argument", arguments), ("option", options)):
            if rows:
                lines = [
                    f"| {title} | meaning |",
                    "|---|---|",
                    *(_row(title, parameter) for parameter in rows),
                ]
                parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def exit_codes_page() -> str:
    """Every exit code with the errors that have it."""
    by_code: dict[int, list[str]] = {}
    for kind in _subclasses(errors.TunecliError):
        if kind.__module__ == errors.__name__ and kind is not errors.Interrupted:
            by_code.setdefault(kind.exit_code, []).append(
                f"| {kind.exit_code} | `{kind.__name__}` | {_first_sentence(kind)} |"
            )
    rows = [
        "| 0 | | Done. |",
        "| 1 | any other exception | A bug in tunecli; stderr shows a traceback. |",
    ]
    rows += [row for code in sorted(by_code) for row in sorted(by_code[code])]
    rows.append(
        f"| 128 + signal | `Interrupted` | {_first_sentence(errors.Interrupted)} {SIGNALS}. stderr shows the command that resumes. |"
    )
    intro = (
        "Every verb ends with one of these codes. The errors are classes of `tunecli`, which the "
        "[Python functions](api.md) raise. stderr shows the error, with `--json` as a document."
    )
    return (
        "\n\n".join(
            ["# Exit codes", NOTE, intro, "\n".join(["| code | error | meaning |", "|---|---|---|", *rows])]
        )
        + "\n"
    )


def python_page() -> str:
    """The public names, grouped, each a directive that the site fills in."""
    names = [name for name in tunecli.__all__ if not name.startswith("__")]
    is_error = {
        name: isinstance(value := getattr(tunecli, name), type) and issubclass(value, Exception)
        for name in names
    }
    functions = [name for name in names if _is_function(getattr(tunecli, name))]
    classes = [name for name in names if name not in functions and not is_error[name]]
    parts = [
        "# The Python API",
        NOTE,
        "The public names of `tunecli`, from their docstrings. [Use tunecli from Python](../guide/python.md) shows how they work together.",
    ]
    for title, members in (
        ("Functions", functions),
        ("Classes and types", classes),
        ("Errors", [name for name in names if is_error[name]]),
    ):
        parts.append(f"## {title}")
        parts += [f"::: tunecli.{name}" for name in members]
    return "\n\n".join(parts) + "\n"


def keys_page() -> str:
    """The page of all keys: its own text, with the tables written anew."""
    page = (FOLDER / "keys.md").read_text(encoding="utf-8")
    before, _, rest = page.partition(KEYS_BEGIN)
    return f"{before}{KEYS_BEGIN}{markdown_table()}{KEYS_END}{rest.partition(KEYS_END)[2]}"


def written() -> dict[str, str]:
    """The text of each generated page, by its file name."""
    return {
        "verbs.md": verbs_page(),
        "exit-codes.md": exit_codes_page(),
        "api.md": python_page(),
        "keys.md": keys_page(),
    }


def _group() -> Any:
    return typer.main.get_command(app)


def _usage(name: str, verb: Any) -> str:
    arguments = [
        parameter.metavar if parameter.required else f"[{parameter.metavar}]"
        for parameter in verb.params
        if not parameter.opts[0].startswith("-")
    ]
    return f"```text\n{' '.join(['tunecli', name, *arguments, '[OPTIONS]'])}\n```"


def _row(title: str, parameter: Any) -> str:
    names = parameter.metavar if title == "argument" else ", ".join(parameter.opts)
    value = f" {parameter.metavar}" if title == "option" and parameter.metavar else ""
    return f"| `{names}{value}` | {_cell(parameter.help or '')} |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("``", "`")


def _paragraphs(text: str) -> str:
    return "\n\n".join(_cell(part) for part in text.split("\n\n"))


def _first_sentence(kind: type) -> str:
    return _cell((kind.__doc__ or "").strip().split("\n\n")[0])


def _subclasses(kind: type) -> set[Any]:
    return {kind for child in kind.__subclasses__() for kind in (child, *_subclasses(child))}


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type) and hasattr(value, "__code__")


def main(words: list[str]) -> None:
    """Write the pages."""
    pages = written()
    if words == ["--json"]:
        from dev.json_documents import documents, json_page

        pages["json.md"] = json_page(documents())
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
