"""The options that set keys of the file, as the texts ``path=value`` that `--set` takes.

A flag such as `--address` is checked here, because an error of the file would name `--set`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tunecli.errors import UsageError
from tunecli.registry.engines import RAY


def overrides_of(sets: Sequence[str] | None, flags: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Texts of the form ``path=value``: those of ``--set``, then one for each other option that sets a key."""
    given = (f"{path}={value}" for path, value in (flags or {}).items() if value is not None)
    return (*(sets or ()), *given)


def engine_flags(engine: str | None, address: str | None) -> Mapping[str, object]:
    """The keys that ``--engine`` and ``--address`` set; the address of a cluster alone also chooses its engine.

    Raises:
        UsageError: the engine has no such address, or it is no address of a cluster's head.
    """
    if address is None:
        return {"run.engine": engine}
    if engine not in (None, RAY):
        raise UsageError(
            f"--address is the address of a Ray cluster, and `--engine {engine}` uses none",
            hint=f"leave out --engine, or write --engine {RAY}",
        )
    require_address(address)
    return {"run.engine": RAY, "run.ray.address": json.dumps(address)}


def require_address(address: str) -> None:
    """Make sure that ``--address`` may be the address of a cluster's head.

    Raises:
        UsageError: it is none.
    """
    from tunecli.config.ray import checked_address  # it loads pydantic

    try:
        checked_address(address)
    except ValueError as error:
        raise UsageError(
            f"--address {address}: {error}", hint="host:port, for example 10.0.0.5:6379"
        ) from error
