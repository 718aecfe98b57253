"""Importing what a registry entry or a knob names as ``module:attribute``, when it is used for the first time."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Any

from tunecli.errors import UsageError
from tunecli.knob import Knob, NamedKnob


@cache
def implementation(code_name: str) -> Any:
    """The object that ``module:attribute`` names; the attribute may be dotted.

    Args:
        code_name: for example ``torch.optim:AdamW``.

    Raises:
        UsageError: it cannot be imported, or has no such attribute.
    """
    module, _, path = code_name.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        if module.partition(".")[0] == "tunecli":
            raise
        owners = packages_distributions().get(module.partition(".")[0], [])
        hint = f"it is of {' and '.join(dict.fromkeys(owners))}" if owners else ""
        raise UsageError(f"`{code_name}` cannot be imported: {error}", hint=hint) from error
    return found


def require_package(what: str, package: str, extra: str, instead: str) -> None:
    """Make sure that a package is installed, without importing it.

    Args:
        what: what needs it, for example ``the sampler `tpe```.
        package: the top-level package; empty: none is needed.
        extra: the extra of tunecli that installs it; empty: the package is installed by its own name.
        instead: what a person can take in its place, for example ``the sampler bayes``; empty: nothing.

    Raises:
        UsageError: it is not installed.
    """
    if package and find_spec(package) is None:
        target = f"'tunecli[{extra}]'" if extra else package
        raise UsageError(
            f"{what} needs the package `{package}`, which is not installed",
            hint=f"pip install {target}" + (f", or take {instead}" if instead else ""),
        )


def code_names(knob: type[Knob]) -> tuple[str, ...]:
    """Every ``module:attribute`` that a knob's class names; none where the code that reads it implements it."""
    named = knob.implementation
    if isinstance(named, str):
        return (named,) if named else ()
    return tuple(named.values())


def implementation_of(knob: NamedKnob) -> Any:
    """The object that a knob configures, imported where it was not yet.

    Raises:
        UsageError: it cannot be imported.
    """
    named = knob.implementation
    return implementation(named if isinstance(named, str) else named[knob.name])
