"""What two studies' files ask for differently, by the paths of the file; and what of it may change under way.

Settings are compared with their defaults filled in, the trial as the file spells it. Of a study that has begun only
that may change which leaves all its record true: how many trials, when they are enough, where they run, and how long
they may.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.config.objectives import spelled
from tunecli.config.overrides import TOP_LEVEL, override
from tunecli.config.reader import MapNode, Node, ScalarNode, SequenceNode, read
from tunecli.config.study import StudySpec

_NUMERIC_RANGES = frozenset(("uniform", "loguniform", "int", "logint", "normal"))
_MAY_CHANGE = ("search.trials", "search.stop", "run")
_MAY_NOT = ("run.threads", "run.fuse")  # settled when it began: bits depend on them
_CHOICE = re.compile(r"\.choice(\.[0-9]+)?(?=\.|$)")  # an override crosses it without a step
_LONGEST = 200


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()
"""What stands at a path of which the file says nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What stood at ``path`` of the one file, and what stands there in the other; plain data or `NOTHING`."""

    path: str
    old: Any
    new: Any

    @property
    def may_change(self) -> bool:
        """Whether a study that has begun may go on so."""
        return _is_under(self.path, _MAY_CHANGE) and not _is_under(self.path, _MAY_NOT)

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.old)} → {_shown(self.new)}"


def differences(old: StudySpec, new: StudySpec) -> list[Difference]:
    """What ``new`` asks for otherwise than ``old``, in the order of the file; its name only where it says one."""
    old_tree, new_tree = (_effective(spec.text, spec.overrides) for spec in (old, new))
    old_settings, new_settings = _settings(old), _settings(new)
    if "study" not in new_tree:
        new_settings["study"] = old_settings["study"]
    in_trial = list(_between(old_tree["trial"], new_tree["trial"], "trial"))
    found = [*_between(old_settings, new_settings, ""), *in_trial]
    if not in_trial:
        shapes = [tuple(parameter.key for parameter in spec.space.parameters) for spec in (old, new)]
        if shapes[0] != shapes[1]:  # samplers go by their order
            found.append(
                Difference("trial", *("ranges in the order " + ", ".join(shape) for shape in shapes))
            )
    return sorted(found, key=lambda each: TOP_LEVEL.index(each.path.partition(".")[0]))


def kept_overrides(overrides: Sequence[str], old_text: str, new_text: str) -> tuple[str, ...]:
    """Those of the ``overrides`` of an ``old_text`` that hold for the ``new_text``: where the file itself was changed
    since, that is the later wish.

    Raises:
        ConfigError: ``new_text`` is no YAML.
    """
    if old_text == new_text:
        return tuple(overrides)
    old, new = _effective(old_text, ()), _effective(new_text, ())
    changed = [_CHOICE.sub("", each.path) for each in _between(old, new, "")]

    def is_kept(assignment: str) -> bool:
        path = full_path(assignment.partition("=")[0])
        return not any(_is_under(path, (each,)) or _is_under(each, (path,)) for each in changed)

    return tuple(filter(is_kept, overrides))


def says(text: str, overrides: Sequence[str], key: str) -> bool:
    """Whether a file, or an override of it, has the top-level ``key``."""
    return key in _effective(text, overrides)


def full_path(path: str) -> str:
    """The path of an override from the top of the file."""
    path = path.strip()
    return path if path.partition(".")[0] in TOP_LEVEL else f"trial.{path}"


def _effective(text: str, overrides: Sequence[str]) -> dict[str, Any]:
    root = read(text.encode(), "")
    for assignment in overrides:
        root = override(root, assignment)
    plain: dict[str, Any] = _plain(root)
    return plain


def _plain(node: Node) -> Any:
    match node:
        case ScalarNode(value=value):
            return value
        case SequenceNode(items=items):
            return [_plain(item) for item in items]
        case MapNode(items=named):
            return {key: _plain(item) for key, item in named.items()}


def _settings(spec: StudySpec) -> dict[str, Any]:
    """The settings as plain data, what is optimised in its own words."""
    plain = spec.settings.model_dump()
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
    return any(_NUMERIC_RANGES & set(each) for each in maps)


def _are_same(old: Any, new: Any) -> bool:
    """1, 1.0 and true are three values."""
    if old is NOTHING or new is NOTHING:
        return old is new
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _is_under(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(f"{top}.") for top in tops)


def _shown(value: Any) -> str:
    text = _flow(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]} …"


def _flow(value: Any) -> str:
    """Plain data in one line, as a file might spell it."""
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
