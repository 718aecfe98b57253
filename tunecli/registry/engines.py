"""The engines: how each is made and what it can do. `tunecli.engine` holds the implementations.

Loads next to nothing, since it is asked before the program's other modules are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunecli.errors import UsageError

if TYPE_CHECKING:
    from tunecli.knob import NamedKnob

LOCAL = "local"
"""The engine that gives a trial a process of its own on this machine."""
INLINE = "inline"
"""The engine that runs a trial in this process."""


@dataclass(frozen=True)
class EngineInfo:
    """What the program knows about an engine without importing it.

    Attributes:
        name: the value of ``run.engine``.
        implementation: ``module:attribute`` of a class or function that takes an `EngineOptions` and returns an
            `Engine`, both of `tunecli.engine.protocol`.
        settings: the model of what the file may say beside the name; None: the name stands alone.
        package: the top-level package that the engine needs and tunecli does not; empty: none.
        extra: the extra of tunecli that installs ``package``; empty: none.
        max_workers: how many jobs it can run at a time; None: any number.
        runs_in_this_process: whether jobs run in the process that submits them.
        worker_slots: ``module:attribute`` of a function of the file's ``run`` settings that returns how many jobs can
            run at a time; empty: as many as this machine's accelerators or cores allow.
    """

    name: str
    implementation: str
    settings: type[NamedKnob] | None = None
    package: str = ""
    extra: str = ""
    max_workers: int | None = None
    runs_in_this_process: bool = False
    worker_slots: str = ""


ENGINES: Mapping[str, EngineInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            EngineInfo(LOCAL, "tunecli.engine.local:LocalEngine"),
            EngineInfo(
                INLINE, "tunecli.engine.inline:InlineEngine", max_workers=1, runs_in_this_process=True
            ),
        )
    }
)
"""The built-in engines by name; the first is the default."""


def engine_info(name: str) -> EngineInfo:
    """The registry entry of the engine ``name``.

    Raises:
        UsageError: there is no such engine, or it is of a plug-in that cannot be used.
    """
    if name in ENGINES:
        return ENGINES[name]
    from tunecli.registry import plugins

    info: EngineInfo | None = plugins.load("engines", name, EngineInfo)
    if info is None:
        known = ", ".join([*ENGINES, *plugins.names("engines")])
        raise UsageError(f"there is no engine `{name}`", hint=f"one of {known}")
    return info
