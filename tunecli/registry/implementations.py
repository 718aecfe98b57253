"""Import the implementations that registry entries and knobs name as ``module:attribute``, at their first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Any

from tunecli.errors import UsageError
from tunecli.knob import Knob, NamedKnob
from tunecli.registry.packages import install_command


@cache
def implementation(code_name: str) -> Any:
    """Return the object with the name ``module:attribute``; the attribute may have dots.

    Args:
        code_name: for example ``torch.optim:AdamW``.

    Raises:
        UsageError: the module cannot be imported, or has no such attribute.
    """
    module, _, path = code_name.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except Exception as error:  # a plug-in's module may raise any error
        if module.partition(".")[0] == "tunecli":
            raise
        owners = packages_distributions().get(module.partition(".")[0], [])
        hint = f"it belongs to {' and '.join(dict.fromkeys(owners))}" if owners else ""
        message = f"`{code_name}` cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(message, hint=hint) from error
    return found


def require_package(what: str, package: str, extra: str, instead: str) -> None:
    """Make sure that a package is installed, without importing it.

    Args:
        what: the part that needs it, for example ``the sampler `tpe```.
        package: the top-level package; empty: the part needs no package.
        extra: the extra of tunecli that names its version and what belongs to it; empty: the package alone.
        instead: an alternative for the hint, for example ``the sampler bayes``; may be empty.

    Raises:
        UsageError: the package is not installed.
    """
    if package and find_spec(package) is None:
        raise UsageError(
            f"{what} needs the package `{package}`, which is not installed",
            hint=install_command(package, extra) + (f", or take {instead}" if instead else ""),
        )


def code_names(knob: type[Knob]) -> tuple[str, ...]:
    """Return the names of all implementations of a knob's class."""
    named = knob.implementation
    if isinstance(named, str):
        return (named,) if named else ()
    return tuple(named.values())


def implementation_of(knob: NamedKnob) -> Any:
    """Return the implementation of a knob.

    Raises:
        UsageError: it cannot be imported.
    """
    named = knob.implementation
    return implementation(named if isinstance(named, str) else named[knob.name])
