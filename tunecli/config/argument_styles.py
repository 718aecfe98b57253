"""How ``{args}`` writes all parameters of a trial as arguments of a program. Starts nothing.

Programs read their arguments in different ways. `Arguments` names the way, and `arguments_of` writes each parameter so
that the program receives its exact value, or refuses a value that the way cannot carry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tunecli.config.placeholders import PlaceholderError, is_on_one_line, leaves, text_of
from tunecli.config.reader import scalar
from tunecli.knob import Knob, Values

_PLAIN_IN_HYDRA = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*")


class Arguments(Knob):
    """How the program of a command reads its arguments.

    Attributes:
        style: how `{args}` names a parameter: `gnu` as `--opt.lr=0.1`, `underscore` as `--opt_lr=0.1`, `space` as two
            arguments, `--opt.lr 0.1`, and `hydra` as `opt.lr=0.1`.
        booleans: how true and false are written. `flag` writes `--tied` or nothing, `no-flag` writes `--tied` or
            `--no-tied`. `True/False` also writes None, and lists in every argument, as Python does.
        lists: how `{args}` writes a list: `json` as `--x=[1, 2]`, `comma` as `--x=1,2`, `repeat` as `--x=1 --x=2`, and
            `space` as `--x 1 2`.
    """

    style: Annotated[
        Literal["gnu", "underscore", "space", "hydra"],
        Values(
            {
                "gnu": "--opt.lr=0.1",
                "underscore": "--opt_lr=0.1",
                "space": "--opt.lr 0.1, as two arguments",
                "hydra": "opt.lr=0.1",
            }
        ),
    ] = Field("gnu", json_schema_extra={"x-fixed": True})
    booleans: Annotated[
        Literal["true/false", "True/False", "flag", "no-flag"],
        Values(
            {
                "true/false": "--tied=true or --tied=false",
                "True/False": "--tied=True or --tied=False, and lists and None as Python writes them",
                "flag": "--tied or nothing",
                "no-flag": "--tied or --no-tied",
            }
        ),
    ] = Field("true/false", json_schema_extra={"x-fixed": True})
    lists: Annotated[
        Literal["json", "comma", "repeat", "space"],
        Values(
            {
                "json": "--x=[1, 2]",
                "comma": "--x=1,2",
                "repeat": "--x=1 --x=2",
                "space": "--x 1 2",
            }
        ),
    ] = Field("json", json_schema_extra={"x-fixed": True})

    @property
    def is_python(self) -> bool:
        """Whether values are written as Python writes them."""
        return self.booleans == "True/False"

    @model_validator(mode="after")
    def _fits_hydra(self) -> Self:
        if self.style == "hydra":
            if self.booleans in ("flag", "no-flag"):
                raise ValueError(
                    f"`booleans: {self.booleans}` does not work with `style: hydra`, which has no flags: remove it"
                )
            if self.lists != "json":
                raise ValueError(
                    f"`lists: {self.lists}` does not work with `style: hydra`, which writes `x=[1,2]`: remove it"
                )
        return self


def arguments_of(params: Mapping[str, Any], mentioned: frozenset[str], style: Arguments) -> list[str]:
    """All parameters as arguments, except those that other arguments mention.

    Args:
        params: the trial's parameters, nested as in the file. Maps are flattened, their keys joined by dots, or by
            underscores in that style. A parameter that is null is left out, except in the style `hydra`.
        mentioned: paths of parameters to leave out.
        style: how the program reads arguments.

    Raises:
        PlaceholderError: an item of a list contains the comma that separates the items.
    """
    return [
        word
        for path, value in leaves(params)
        if not any(is_on_one_line(path, other) for other in mentioned)
        for word in _words(path, value, style)
    ]


def _words(path: str, value: Any, style: Arguments) -> Iterator[str]:
    if style.style == "hydra":
        yield f"{path}={_in_hydra(value, style)}"
        return
    name = path.replace(".", "_") if style.style == "underscore" else path
    option = name if name.startswith("-") else f"--{name}"
    match value:
        case None:
            return
        case bool() if style.booleans == "flag":
            yield from [option] if value else []
        case bool() if style.booleans == "no-flag":
            yield option if value else _negated(option)
        case list() if style.lists == "repeat":
            for item in value:
                yield from _pair(option, text_of(item, is_python=style.is_python), style)
        case list() if style.lists == "space":
            yield option
            yield from (text_of(item, is_python=style.is_python) for item in value)
        case list() if style.lists == "comma":
            yield from _pair(option, ",".join(_items_without_comma(path, value, style)), style)
        case _:
            yield from _pair(option, text_of(value, is_python=style.is_python), style)


def _pair(option: str, text: str, style: Arguments) -> Iterator[str]:
    """An option and its value, joined if the value starts with ``-``: a parser could read it as an option."""
    if style.style == "space" and not text.startswith("-"):
        yield option
        yield text
    else:
        yield f"{option}={text}"


def _negated(option: str) -> str:
    """``--no-tied``; for a nested name ``--opt.no-tied``, as in tyro."""
    levels, dot, name = option.removeprefix("--").rpartition(".")
    return f"--{levels}{dot}no-{name}"


def _items_without_comma(path: str, items: list[Any], style: Arguments) -> Iterator[str]:
    for item in items:
        text = text_of(item, is_python=style.is_python)
        if "," in text:
            raise PlaceholderError(
                f"an item of the list `{path}` contains a comma, which separates the items",
                "write `lists: json`, `repeat` or `space`",
            )
        yield text


def _in_hydra(value: Any, style: Arguments) -> str:
    """A value in Hydra's grammar for overrides: a text that it would read as something else is quoted."""
    match value:
        case Mapping():
            return (
                "{" + ",".join(f"{_in_hydra(k, style)}:{_in_hydra(v, style)}" for k, v in value.items()) + "}"
            )
        case list():
            return "[" + ",".join(_in_hydra(item, style) for item in value) + "]"
        case str() if _PLAIN_IN_HYDRA.fullmatch(value) and _is_text_in_hydra(value):
            return value
        case str():
            return _quoted_in_hydra(value)
        case None:
            return "null"
        case _:
            return text_of(value, is_python=style.is_python)


def _is_text_in_hydra(text: str) -> bool:
    return text.lower() not in ("true", "false", "null", "inf", "nan") and isinstance(scalar(text), str)


def _quoted_in_hydra(text: str) -> str:
    """Put a text in single quotes. In Hydra a backslash escapes only a quote, and ``${`` starts an interpolation."""
    escaped = re.sub(r"(\\*)'", lambda match: f"{match[1] * 2}\\'", text.replace("${", "\\${"))
    n_trailing = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + escaped + "\\" * n_trailing + "'"
