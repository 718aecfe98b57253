"""Compare two studies: settings that differ, and trials of one that are points of the other.

Settings are compared with their defaults filled in, and the trial as the file writes it. Once a study has begun, only
settings that keep its record true may change: the number of trials, the stopping rule, where trials run and how long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tunecli.config.concrete_trial import concrete
from tunecli.config.domains import Integer, Powers, contains
from tunecli.config.expressions import (
    Choice,
    Expression,
    Fixed,
    FixedList,
    Group,
    Numeric,
    VariableList,
    is_among,
    join,
)
from tunecli.config.objectives import spelled
from tunecli.config.overrides import TOP_LEVEL, override
from tunecli.config.range_words import NUMERIC_WORDS
from tunecli.config.reader import plain_of, read
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import trial_of
from tunecli.config.space import Space, is_active
from tunecli.config.study import StudySpec
from tunecli.trial import Parameters, Scalar

_NUMERIC_RANGES = frozenset(NUMERIC_WORDS)
_MAY_CHANGE = ("search.trials", "search.stop", "search.refit", "run", "trial.unused", "objective.also")
_MAY_NOT = (  # settled when it began: scores may depend on them
    "run.threads",
    "run.fuse",
    "run.isolate",
    "run.cwd",
    "run.link",
    "run.trial_limit.epochs",
    "run.env",
    "run.python",
    "run.devices_per_trial",
)
_CHOICE = re.compile(r"\.choice(\.[0-9]+)?(?=\.|$)")  # an override crosses it without a step
_LONGEST = 200


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()
"""Value at a path that the file does not have."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The two values at ``path`` in two files: plain data, or `NOTHING`."""

    path: str
    old: Any
    new: Any

    @property
    def may_change(self) -> bool:
        """Whether a study that has begun may continue with the new value."""
        return _is_under(self.path, _MAY_CHANGE) and not _is_under(self.path, _MAY_NOT)

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.old)} → {_shown(self.new)}"


def differences(old: StudySpec, new: StudySpec) -> list[Difference]:
    """The values in ``new`` that differ from ``old``, in the order of the file.

    The study's name counts only if ``new`` contains it.
    """
    old_tree, new_tree = (_effective(spec.text, spec.overrides) for spec in (old, new))
    old_settings, new_settings = _settings(old), _settings(new)
    if "study" not in new_tree:
        new_settings["study"] = old_settings["study"]
    in_trial = list(_between(old_tree["trial"], new_tree["trial"], "trial"))
    changes = [*_between(old_settings, new_settings, ""), *in_trial]
    if not in_trial:
        shapes = [tuple(parameter.key for parameter in spec.space.parameters) for spec in (old, new)]
        if shapes[0] != shapes[1]:  # samplers depend on the order
            changes.append(
                Difference("trial", *("ranges in the order " + ", ".join(shape) for shape in shapes))
            )
    return sorted(changes, key=lambda change: TOP_LEVEL.index(change.path.partition(".")[0]))


def kept_overrides(overrides: Sequence[str], old_text: str, new_text: str) -> tuple[str, ...]:
    """The ``overrides`` of an ``old_text`` that still apply to the ``new_text``: an edit of the file wins over them.

    Raises:
        ConfigError: ``new_text`` is not YAML.
    """
    if old_text == new_text:
        return tuple(overrides)
    old, new = _effective(old_text, ()), _effective(new_text, ())
    changed = [_CHOICE.sub("", difference.path) for difference in _between(old, new, "")]

    def is_kept(assignment: str) -> bool:
        path = full_path(assignment.partition("=")[0])
        return not any(_is_under(path, (other,)) or _is_under(other, (path,)) for other in changed)

    return tuple(filter(is_kept, overrides))


def says(text: str, overrides: Sequence[str], key: str) -> bool:
    """Whether a file, or an override of it, has the top-level ``key``."""
    return key in _effective(text, overrides)


def full_path(path: str) -> str:
    """The path of an override from the top level of the file."""
    path = path.strip()
    return path if path.partition(".")[0] in TOP_LEVEL else f"trial.{path}"


def _effective(text: str, overrides: Sequence[str]) -> dict[str, Any]:
    root = read(text.encode(), "")
    for assignment in overrides:
        root = override(root, assignment)
    plain: dict[str, Any] = plain_of(root)
    return plain


def _settings(spec: StudySpec) -> dict[str, Any]:
    """The settings as plain data, with the objective in one form."""
    plain = spec.settings.model_dump(by_alias=True)
    plain["objective"] = spelled(spec.objective)
    return plain


def _between(old: Any, new: Any, path: str) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not _are_ranges(old, new):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{path}.{key}" if path else str(key)
            yield from _between(old.get(key, NOTHING), new.get(key, NOTHING), inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _between(before, after, f"{path}.{number}")
    elif not _are_same(old, new):
        yield Difference(path, old, new)


def _are_ranges(*maps: Mapping[str, Any]) -> bool:
    return any(_NUMERIC_RANGES & set(one) for one in maps)


def _are_same(old: Any, new: Any) -> bool:
    """Whether two values are equal; 1, 1.0 and true are three different values."""
    if old is NOTHING or new is NOTHING:
        return old is new
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _is_under(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(f"{top}.") for top in tops)


def _shown(value: Any) -> str:
    text = _flow(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]} …"


def _flow(value: Any) -> str:
    """Plain data in one line of YAML."""
    match value:
        case None:
            return "nothing"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def is_point(space: Space, point: Parameters) -> bool:
    """Whether ``point`` belongs to ``space``: one value in range for each active parameter, and no other values."""
    values: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            if parameter.name not in point or not contains(parameter.domain, point[parameter.name]):
                return False
            values[parameter.key] = point[parameter.name]
    return {parameter.name for parameter in space.parameters if parameter.key in values} == set(point)


def fitting_point(space: Space, point: Parameters, config: Any) -> Parameters | None:
    """The point of ``space`` whose concrete trial is ``config``.

    Args:
        space: the space to search.
        point: the point of ``config`` in another space; it is returned unchanged if it fits.
        config: a concrete trial, as plain data.

    Returns:
        None if the space contains no such trial, or its point is ambiguous.
    """
    matched: dict[str, Scalar] = {}
    if is_point(space, point) and _is_at(space, point, config):
        matched = dict(point)
    elif not (
        _match(space.tree, "", config, matched)
        and is_point(space, matched)
        and _is_at(space, matched, config)
    ):
        return None
    return {name: matched[name] for name in space.names if name in matched}


def _is_at(space: Space, point: Parameters, config: Any) -> bool:
    try:
        return _canonical(concrete(space, point)) == _canonical(config)
    except (DanglingReferenceError, ValidationError):
        return False


def _canonical(config: Any) -> str:
    """A trial in one spelling, with its defaults filled in."""
    return json.dumps(trial_of(config).model_dump(), sort_keys=True)


def _match(expression: Expression, name: str, plain: Any, point: dict[str, Scalar]) -> bool:
    """Write into ``point`` the values at which ``expression`` can be ``plain``; False if there are none."""
    match expression:
        case Fixed(value=value):
            return bool(value == plain or {"name": value} == plain)
        case Numeric(domain=domain):
            is_whole = isinstance(plain, int) and not isinstance(plain, bool)
            has_whole_values = isinstance(domain, Integer) or (isinstance(domain, Powers) and domain.is_whole)
            value = float(plain) if is_whole and not has_whole_values else plain
            point[name] = value
            return contains(domain, value)
        case Choice(labels=labels, options=options):
            branches = sorted(
                zip(labels, options, strict=True), key=lambda branch: not _is_exactly(branch[1], plain)
            )
            for label, option in branches:
                inner: dict[str, Scalar] = {expression.name_at(name): label}
                if _match(option, name, plain, inner):
                    point |= inner
                    return True
            return False
        case VariableList(items=items, lengths=lengths):
            if not isinstance(plain, list) or not contains(lengths, len(plain)):
                return False
            point[join(name, "length")] = len(plain)
            return _match_all(enumerate(items[: len(plain)]), name, plain, point)
        case FixedList(items=items):
            is_as_long = isinstance(plain, list) and len(plain) == len(items)
            return is_as_long and _match_all(enumerate(items), name, plain, point)
        case Group(items=named):
            parts = {"name": plain} if isinstance(plain, str) else plain
            if not isinstance(parts, Mapping):
                return False
            # A key that only one of the two contains may have its default value; `_is_at` compares that.
            is_told = all(isinstance(item, Fixed) for key, item in named.items() if key not in parts)
            shared = [(key, item) for key, item in named.items() if key in parts]
            return is_told and _match_all(shared, name, parts, point)
        case _:  # a reference or a formula has a value that follows from others
            return True


def _is_exactly(option: Expression, plain: Any) -> bool:
    """Whether an option is exactly this value: 1, 1.0 and true may be three options."""
    return isinstance(option, Fixed) and is_among(plain, (option.value,))


def _match_all(
    items: Iterable[tuple[str | int, Expression]], name: str, plain: Any, point: dict[str, Scalar]
) -> bool:
    return all(_match(item, join(name, step), plain[step], point) for step, item in items)
