"""Which parameters the arguments of a study's commands mention, over all branches of its space.

A parameter that no argument mentions changes nothing, so the sweep would search it without effect. A program may also
read its parameters from the environment, which cannot be seen here. Starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from tunecli.config.command import TRIAL_NAMES
from tunecli.config.concrete_trial import locate, points_of
from tunecli.config.expressions import (
    Choice,
    Derived,
    Expression,
    Fixed,
    FixedList,
    Group,
    Reference,
    VariableList,
    join,
    walk,
)
from tunecli.config.paths import is_index
from tunecli.config.placeholders import (
    ALL,
    PARAMETER_FILES,
    is_all_parameters,
    is_on_one_line,
    parse_condition,
    placeholders,
)
from tunecli.config.resolution import MAX_VALUES
from tunecli.config.space import Parameter, Space
from tunecli.config.suggestions import nearest
from tunecli.errors import Problem

VARIABLE = "TUNECLI_PARAM_"
"""Start of the names of the environment variables that hold one parameter each."""
VARIABLES = "TUNECLI_PARAMS"
"""The environment variable that holds all parameters."""

_PREFIX = "params."
_NO_WORD = re.compile(r"[^A-Za-z0-9]")
_IN_TEXT = re.compile(rf"{VARIABLE}([A-Z0-9_]+)")
_UNSEARCHED = ("args", "unused")


def variable_name(path: str) -> str:
    """The environment variable of the parameter at a path: in capitals, any other character as an underscore."""
    return VARIABLE + _NO_WORD.sub("_", path).upper()


def argument_problems(space: Space, *, is_begun: bool, others: Collection[str] = ()) -> Iterator[Problem]:
    """Problems of commands that only their whole space shows.

    Args:
        space: the tree of a trial with its ranges.
        is_begun: whether the study has begun already: a parameter without effect cannot be mended then.
        others: paths of the parameters that the variables of `run.env` mention.
    """
    for group in _commands(space.tree):
        unknown = list(_unknown_names(group))
        yield from unknown
        yield from _searched_settings(group)
        if not is_begun and not unknown:
            yield from _unused_problems(group, others)


def unused_parameters(group: Group, others: Collection[str] = ()) -> Iterator[Parameter]:
    """The parameters under ``params`` of a command trial that no argument of its command mentions.

    Args:
        group: the command trial.
        others: paths of parameters that are mentioned elsewhere.
    """
    if "shim" in group.items:  # it passes all parameters
        return
    texts = list(_texts(group.items["command"]))
    in_params = group.items.get("params")
    known = in_params.items if isinstance(in_params, Group) else {}
    if any(is_all_parameters(text.value, known) or VARIABLES in str(text.value) for text in texts):
        return
    mentioned = {*others, *(name.path for name in _names(group))}
    if any(name in mentioned and name not in known for name in PARAMETER_FILES):
        return
    mentioned |= {part.path.removeprefix(_PREFIX) for part in walk(group) if isinstance(part, Reference)}
    formulas = (part.formula for part in walk(group) if isinstance(part, Derived))
    mentioned |= {name.removeprefix(_PREFIX) for formula in formulas for name in formula.names}
    variables = {VARIABLE + match for text in texts for match in _IN_TEXT.findall(str(text.value))}
    for parameter in Space(group).parameters:
        path = _owner(parameter)
        if parameter.name.startswith(_PREFIX) and not (
            variable_name(path) in variables or any(is_on_one_line(path, other) for other in mentioned)
        ):
            yield parameter


def shared_variables(space: Space) -> dict[str, tuple[str, ...]]:
    """The environment variables that several parameters of a command trial would have, with these parameters' paths."""
    shared: dict[str, tuple[str, ...]] = {}
    for group in _commands(space.tree):
        in_params = group.items.get("params")
        paths = sorted(set(_leaf_paths(in_params, ""))) if isinstance(in_params, Group) else []
        for name, alike in groupby(sorted(paths, key=variable_name), key=variable_name):
            if len(several := tuple(alike)) > 1:
                shared[name] = several
    return shared


@dataclass(frozen=True, slots=True)
class _Name:
    """A name in an argument, and the text that contains it; ``is_optional`` if a trial may lack it."""

    path: str
    text: Fixed
    is_optional: bool


def _commands(tree: Expression) -> Iterator[Group]:
    """Each command trial of a tree."""
    match tree:
        case Choice(options=options):
            for option in options:
                yield from _commands(option)
        case Group(items=named) if "command" in named:
            yield tree


def _unused_problems(group: Group, others: Collection[str]) -> Iterator[Problem]:
    match group.items.get("unused"):
        case Fixed(value="allow"):
            return
    for _, alike in groupby(unused_parameters(group, others), key=_owner):
        parameter = next(alike)
        path, space = _owner(parameter), Space(group)
        steps = [int(step) if is_index(step, MAX_VALUES) else step for step in f"{_PREFIX}{path}".split(".")]
        _, expression = locate(space, next(points_of(space, parameter)), steps)
        mark = expression.mark
        yield Problem(
            "this parameter has a range, but no argument of `command` mentions it",
            mark.file,
            mark.line,
            mark.column,
            f"trial.{_PREFIX}{path}",
            f'add the argument "{{{ALL}}}" for all parameters, or "--{path}={{{path}}}"; '
            f"or write under `trial` `unused: allow` if the program reads {VARIABLES}, or `shim: wandb` if it reads "
            "wandb.config",
        )


def _owner(parameter: Parameter) -> str:
    """The path of a parameter under ``params``, without the ending of a choice or a length."""
    return parameter.name.removeprefix(_PREFIX).removesuffix(".choice").removesuffix(".length")


def _unknown_names(group: Group) -> Iterator[Problem]:
    """Names in optional placeholders and conditions that no branch of ``params`` has."""
    in_params = group.items.get("params")
    known = {path for path in _paths(in_params, "") if path} if in_params is not None else set()
    open_paths = _open_paths(in_params, "") if in_params is not None else []
    for name in _names(group):
        is_known = name.path in known or name.path in (*TRIAL_NAMES, ALL)
        if (
            name.is_optional
            and not is_known
            and not any(is_on_one_line(name.path, path) for path in open_paths)
        ):
            mark = name.text.mark
            names = sorted(known | set(TRIAL_NAMES))
            yield Problem(
                f"`{name.path}` is no key under `params` in any trial",
                mark.file,
                mark.line,
                mark.column,
                "trial.command",
                nearest(name.path, names) or f"known names: {', '.join(names)}",
            )


def _searched_settings(group: Group) -> Iterator[Problem]:
    """Ranges in settings that describe the program, which is the same in all trials."""
    for key in _UNSEARCHED:
        for part in walk(group.items[key]) if key in group.items else ():
            if not isinstance(part, Fixed | Group):
                message = f"`{key}` must not contain a range: it describes the program"
                mark = part.mark
                yield Problem(
                    message, mark.file, mark.line, mark.column, f"trial.{key}", "write one value here"
                )


def _texts(command: Expression) -> Iterator[Fixed]:
    """The texts of all arguments of a command, those of both branches of a condition included."""
    for item in _items(command):
        match item:
            case Group(items=named):
                for key in ("then", "else"):
                    if key in named:
                        yield from _fixed_texts(named[key])
            case _:
                yield from _fixed_texts(item)


def _names(group: Group) -> Iterator[_Name]:
    """The names in the placeholders and conditions of a command."""
    for item in _items(group.items["command"]):
        is_conditional = isinstance(item, Group)
        for text in _texts(item):
            for path in placeholders(str(text.value)):
                yield _Name(path.removesuffix("?"), text, is_conditional or path.endswith("?"))
        if isinstance(item, Group) and "if" in item.items:
            for text in _fixed_texts(item.items["if"]):
                with suppress(ValueError):  # its problem is reported where the trial is validated
                    yield _Name(parse_condition(str(text.value)).path, text, is_optional=True)


def _items(command: Expression) -> Iterator[Expression]:
    """The items of a command, those of every option if the command or an item is a choice."""
    match command:
        case Choice(options=options) | FixedList(items=options) | VariableList(items=options):
            for option in options:
                yield from _items(option)
        case _:
            yield command


def _fixed_texts(expression: Expression) -> Iterator[Fixed]:
    for part in walk(expression):
        if isinstance(part, Fixed) and isinstance(part.value, str):
            yield part


def _children(expression: Expression) -> Sequence[tuple[str | int, Expression]]:
    match expression:
        case Group(items=named):
            return list(named.items())
        case FixedList(items=items) | VariableList(items=items):
            return list(enumerate(items))
        case _:
            return ()


def _paths(expression: Expression, path: str) -> Iterator[str]:
    """Each path of a tree, over all branches."""
    if isinstance(expression, Choice):
        for option in expression.options:
            yield from _paths(option, path)
        return
    yield path
    for step, item in _children(expression):
        yield from _paths(item, join(path, step))


def _leaf_paths(expression: Expression, path: str) -> Iterator[str]:
    """The path of each parameter of a tree, over all branches; a list is one parameter."""
    match expression:
        case Choice(options=options):
            for option in options:
                yield from _leaf_paths(option, path)
        case Group(items=named):
            for step, item in named.items():
                yield from _leaf_paths(item, join(path, step))
        case _:
            yield path


def _open_paths(expression: Expression, path: str) -> list[str]:
    """The paths that repeat another key, below which any key may follow."""
    if isinstance(expression, Reference):
        return [path]
    if isinstance(expression, Choice):
        return [inner for option in expression.options for inner in _open_paths(option, path)]
    return [inner for step, item in _children(expression) for inner in _open_paths(item, join(path, step))]
