"""Plug-ins: entry points of other distributions. They are looked up only for names that are not built in.

Entry points of the groups `tunecli.samplers`, `tunecli.pruners` and `tunecli.engines` give a registry entry. Those of
the groups `tunecli.optimizers`, `tunecli.losses`, `tunecli.models` and `tunecli.data` give the class of a knob. A
built-in name takes precedence over a plug-in's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from types import MappingProxyType
from typing import Any, Literal, get_args

from tunecli.errors import UsageError
from tunecli.knob import Knob

Group = Literal["samplers", "pruners", "engines", "optimizers", "losses", "models", "data"]
GROUPS: tuple[Group, ...] = get_args(Group)
_WHAT: Mapping[Group, str] = MappingProxyType(
    {
        "samplers": "sampler",
        "pruners": "pruner",
        "engines": "engine",
        "optimizers": "optimizer",
        "losses": "loss",
        "models": "model",
        "data": "data source",
    }
)


@dataclass(frozen=True, slots=True)
class PlugIn:
    """One entry point.

    Attributes:
        group: the group, without ``tunecli.``.
        name: its name in a file.
        distribution: the name of the distribution, as `pip` shows it.
        version: of the distribution.
        code_name: ``module:attribute`` of the object that the entry point gives.
    """

    group: Group
    name: str
    distribution: str
    version: str
    code_name: str

    def __str__(self) -> str:
        return f"the {_WHAT[self.group]} `{self.name}` of {self.distribution} {self.version}"


@cache
def plug_ins() -> tuple[PlugIn, ...]:
    """Return all installed plug-ins, sorted by group and name. This reads metadata and imports no plug-in."""
    found = []
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or "a distribution without a name"
        for entry in distribution.entry_points:
            prefix, _, group = entry.group.partition(".")
            if prefix == "tunecli" and group in GROUPS:
                found.append(PlugIn(group, entry.name, name, distribution.version, entry.value))
    # a distribution in two folders of the path counts once, with the version that Python imports
    first = {(each.group, each.name, each.distribution.lower()): each for each in reversed(found)}
    return tuple(
        sorted(first.values(), key=lambda each: (GROUPS.index(each.group), each.name, each.distribution))
    )


def names(group: Group) -> tuple[str, ...]:
    """Return the names of the plug-ins of a group, including those that cannot be used."""
    return tuple(dict.fromkeys(each.name for each in plug_ins() if each.group == group))


def plug_in(group: Group, name: str) -> PlugIn | None:
    """Return the plug-in with a name, or None.

    Raises:
        UsageError: two distributions have a plug-in of this name, or the name is not an identifier.
    """
    found = [each for each in plug_ins() if (each.group, each.name) == (group, name)]
    if len(found) > 1:
        owners = " and ".join(f"{each.distribution} {each.version}" for each in found)
        raise UsageError(
            f"{len(found)} plug-ins have a {_WHAT[group]} `{name}`: {owners}",
            hint="uninstall all but one of them",
        )
    if found and not name.isidentifier():
        raise UsageError(
            f"{found[0]} cannot be used: a plug-in's name has letters, digits and `_` only, a letter first",
            hint=f"tell the author of {found[0].distribution}",
        )
    return found[0] if found else None


def require(group: Group, name: str, kind: type, built_in: Iterable[str]) -> Any:
    """Return the registry entry of a plug-in that a file names.

    Args:
        group, name, kind: as for :func:`load`.
        built_in: the names that need no plug-in, for the hint.

    Raises:
        UsageError: no plug-in has the name, or it cannot be used.
    """
    info = load(group, name, kind)
    if info is None:
        known = ", ".join([*built_in, *names(group)])
        raise UsageError(f"there is no {_WHAT[group]} `{name}`", hint=f"one of {known}")
    return info


@cache
def load(group: Group, name: str, kind: type) -> Any:
    """Import a plug-in and return its registry entry or the class of its knob; None if no plug-in has the name.

    Args:
        group: the group of the plug-in.
        name: its name in the file.
        kind: the class of the registry entry, or the base class of the knob.

    Raises:
        UsageError: the plug-in cannot be used. The message names its distribution.
    """
    found = plug_in(group, name)
    if found is None:
        return None
    try:
        given = _entry_point(found).load()
    except Exception as error:  # a plug-in's module may raise any error
        raise _unusable(
            found, f"`{found.code_name}` cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if issubclass(kind, Knob):
        if not (isinstance(given, type) and issubclass(given, kind)):
            raise _unusable(found, f"`{found.code_name}` is not a subclass of tunecli.{kind.__name__}")
        if not given.implementation:
            raise _unusable(found, f"`{found.code_name}` has no `implementation`")
        _require_name(found, given)
        return given
    if not isinstance(given, kind):
        raise _unusable(found, f"`{found.code_name}` is not a tunecli.{kind.__name__}")
    if getattr(given, "name", "") != name:
        raise _unusable(found, f"its info has another name, `{getattr(given, 'name', '')}`")
    settings: type[Knob] | None = getattr(given, "settings", None)
    if settings is not None:
        _require_name(found, settings)
    return given


def loaded_settings(name: str) -> tuple[type[Knob], ...]:
    """Return the settings models of all usable plug-ins with a name, of any group."""
    found = []
    for each in plug_ins():
        if each.name == name:
            try:
                given = _entry_point(each).load()
            except Exception:
                continue
            model = given if isinstance(given, type) else getattr(given, "settings", None)
            if isinstance(model, type) and issubclass(model, Knob):
                found.append(model)
    return tuple(found)


def usable(group: Group, kind: type) -> Iterator[Any]:
    """Yield the registry entries or knob classes of all usable plug-ins of a group, sorted by name."""
    for name in names(group):
        try:
            yield load(group, name, kind)
        except UsageError:
            continue


def problem(found: PlugIn, kind: type) -> str:
    """Return the reason why a plug-in cannot be used, or an empty text."""
    try:
        load(found.group, found.name, kind)
    except UsageError as error:
        return error.message
    return ""


def _entry_point(found: PlugIn) -> metadata.EntryPoint:
    return metadata.EntryPoint(found.name, found.code_name, f"tunecli.{found.group}")


def _require_name(found: PlugIn, settings: type[Knob]) -> None:
    """Make sure that the field ``name`` of a settings model has the plug-in's name."""
    field = settings.model_fields.get("name")
    if field is None or get_args(field.annotation) != (found.name,) or field.default != found.name:
        line = f'name: Literal["{found.name}"] = "{found.name}"'
        raise _unusable(found, f"{settings.__name__} has no field `{line}`")


def _unusable(found: PlugIn, why: str) -> UsageError:
    return UsageError(f"{found} cannot be used: {why}", hint=f"uninstall or update {found.distribution}")
