"""A study's file while it is being imported: parameters, command, objective, search and run, and the YAML text of it.

Parameter names become paths: ``optimizer.lr`` is the key `lr` in `optimizer`. A name that cannot be a path is changed,
and the command then passes each parameter by the name that the program knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tunecli.config.expressions import RANGE_KEYS
from tunecli.config.range_words import FORMED_WORDS
from tunecli.config.study import STUDY_NAME
from tunecli.importers.account import Account, Fate, Field
from tunecli.importers.ranges import Imported, NoRangeError
from tunecli.importers.written import Line, document, written
from tunecli.text import sanitize

_NO_PATH = re.compile(r"[^A-Za-z0-9_./-]+")
_NO_METRIC = re.compile(r"[^A-Za-z0-9_./-]")
_LONGEST_NAME = 200
PLACEHOLDER_METRIC = "score"
PLACEHOLDER_COMMAND = ["python", "train.py"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter as the program knows it (``name``), and its path under `params`."""

    name: str
    path: str
    value: Any


@dataclass(slots=True)
class Draft:
    """The study so far.

    Attributes:
        account: the fate of each key of the other tool's file.
        study: the study's name; empty: that of the file.
        arguments: the parameters, in the order of the file.
        params: the same, nested as under `trial.params`.
    """

    account: Account
    study: str = ""
    seed: int | None = None
    objective: dict[str, Any] = field(default_factory=dict)
    command: list[Any] = field(default_factory=list)
    trial: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    arguments: list[Argument] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)

    def parameter(self, name: str, source: Field, made: Callable[[], Imported], *, note: str = "") -> None:
        """Add a parameter and account for it; a distribution that is no range is a problem of the file.

        Args:
            name: the name that the program knows.
            source: where the file has it.
            made: makes the range or the value; may raise `NoRangeError`.
            note: a further note on the parameter.
        """
        try:
            imported = made()
        except NoRangeError as error:
            self.account.problem(source, str(error), error.hint)
            return
        wanted = self._path_of(name, source)
        if not wanted:
            return
        path = self._put(wanted, imported.value)
        if not path:
            self.account.problem(source, f"`{wanted}` is the name of two parameters", "rename one of the two")
        else:
            self.arguments.append(Argument(name, path, imported.value))
            notes = [note, imported.note, f"named `{path}` here" if path != name else ""]
            self.account.carried(
                source, f"trial.params.{path}: {written(imported.value)}", "; ".join(filter(None, notes))
            )

    def metric(self, name: str, source: Field | None) -> str:
        """The name of a metric in tunecli's letters."""
        clean = _NO_METRIC.sub("_", name)
        clean = clean if clean[:1].isascii() and clean[:1].isalpha() else f"m{clean}"
        if source is not None:
            renamed = f"write the metric's name with letters, digits and `_./-`: `{clean}`"
            self.account.carried(source, f"objective.metric: {clean}", "" if clean == name else renamed)
        return clean

    def name(self, text: str, source: Field) -> None:
        """Take a text as the study's name, with the letters that the name of a folder may have."""
        clean = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.")[:64]
        if not STUDY_NAME.fullmatch(clean):
            self.account.left_out(source, "a study's name needs a letter or digit")
            return
        self.study = clean
        self.account.carried(source, f"study: {clean}", "" if clean == text else "letters of a folder's name")

    def tree(self) -> dict[str, Any]:
        """The study as the map that the file holds. A missing value has a placeholder and an entry in the account."""
        objective = dict(self.objective)
        if "metric" not in objective and "pareto" not in objective:
            objective = {"metric": PLACEHOLDER_METRIC, "direction": "maximize", **objective}
            self.account.fill_in(
                "objective",
                "the file names no metric; write the one that the program reports, and its direction",
            )
        command = self.command
        if not command:
            command = [*PLACEHOLDER_COMMAND, *self.passed()]
            self.account.fill_in(
                "trial.command", "the file names no program; write yours in place of train.py"
            )
        return {
            **({"study": self.study} if self.study else {}),
            **({} if self.seed is None else {"seed": self.seed}),
            "objective": Line(objective),
            "trial": {"command": command, **self.trial, "params": self.params},
            **({"search": self.search} if self.search else {}),
            **({"run": self.run} if self.run else {}),
        }

    def passed(self, style: str = "gnu", booleans: str = "true/false") -> list[str]:
        """Arguments that pass every parameter: ``{args}``, and those with another name in the program by themselves.

        Args:
            style, booleans: how the program reads its arguments, in the words of `trial.args`.
        """
        written_as = {} if style == "gnu" else {"style": style}
        if booleans != "true/false" and any(_needs_python(argument.value) for argument in self.arguments):
            written_as["booleans"] = booleans
        start = "" if style == "hydra" else "--"
        renamed = [one for one in self.arguments if one.name != one.path]
        if written_as and len(renamed) < len(self.arguments):
            self.trial["args"] = Line(written_as)
        own = [f"{start}{literal(one.name)}={{{one.path}}}" for one in renamed]
        return [*(["{args}"] if len(renamed) < len(self.arguments) else []), *own]

    def passed_plainly(self) -> list[str]:
        """Arguments that pass every parameter as ``name=value``, without the quotes of Hydra."""
        return [f"{literal(one.name)}={{{one.path}}}" for one in self.arguments]

    def text(self, title: str) -> str:
        """The whole file, with comments at the top: the values to fill in, and the keys without a counterpart."""
        tree = self.tree()
        lines = [title]
        for heading, fate in (("Fill in:", Fate.FILL_IN), ("No counterpart:", Fate.LEFT_OUT)):
            if entries := self.account.of(fate):
                lines += [heading, *(f"  {entry.short}" for entry in entries)]
        return "".join(f"# {_comment(line)}\n" for line in lines) + document(tree)

    def _path_of(self, name: str, source: Field) -> str:
        path = ".".join(filter(None, _NO_PATH.sub("_", name.lstrip("+")).strip("/").split(".")))
        first, *inner = path.split(".")
        steps = [f"{first}_" if first in RANGE_KEYS else first]
        steps += [f"{step}_" if step in (*RANGE_KEYS, *FORMED_WORDS) else step for step in inner]
        path = ".".join(steps)
        if not path or len(path) > _LONGEST_NAME:
            self.account.problem(source, f"a parameter's name must have 1 to {_LONGEST_NAME} characters")
            return ""
        return path

    def _put(self, path: str, value: Any) -> str:
        """Put a value under `params`; return its path, which is flat where another parameter is in the way."""
        for name in dict.fromkeys((path, path.replace(".", "_"), f"{path.replace('.', '_')}_")):
            *outer, last = name.split(".")
            target: Any = self.params
            for step in outer:
                target = target.get(step, {}) if _is_level(target) else None
            if _is_level(target) and last not in target:
                target = self.params
                for step in outer:
                    target = target.setdefault(step, {})
                target[last] = value
                return name
        return ""


def _is_level(value: Any) -> bool:
    return isinstance(value, dict) and not isinstance(value, Line)


def _needs_python(value: Any) -> bool:
    """Whether a program may receive a boolean or a list."""
    if isinstance(value, Line):
        return any(map(_needs_python, value["choice"])) if "choice" in value else False
    return isinstance(value, bool | list | dict) or value is None


def literal(text: str) -> str:
    """A text as an argument of a command, where ``{`` begins a placeholder."""
    return text.replace("{", "{{").replace("}", "}}")


def _comment(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))
    return " " * indent + sanitize(text)
