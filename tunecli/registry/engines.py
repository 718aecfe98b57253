"""The registry of engines. `tunecli.engine` contains the implementations.

This module imports almost nothing, because it is used before the other modules are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunecli.knob import NamedKnob

LOCAL = "local"
"""The engine that gives a trial a process of its own on this machine."""
INLINE = "inline"
"""The engine that runs a trial in this process."""


@dataclass(frozen=True)
class EngineInfo:
    """The registry entry of an engine: its implementation and its capabilities.

    Attributes:
        name: the value of ``run.engine``.
        implementation: ``module:attribute`` of a class or function that takes an `EngineOptions` and returns an
            `Engine`, both of `tunecli.engine.protocol`.
        settings: the model of the engine's settings in the file; None: it has no settings.
        package: the top-level package that only this engine needs; may be empty.
        extra: the extra of tunecli that installs ``package``; may be empty.
        max_workers: the largest number of jobs at a time; None: no limit.
        runs_in_this_process: whether jobs run in the process that submits them.
        worker_slots: ``module:attribute`` of a function of the file's ``run`` settings that returns how many jobs can
            run at a time; empty: the number that this machine's accelerators or cores allow.
        summary: a sentence for editors and the reference.
    """

    name: str
    implementation: str
    settings: type[NamedKnob] | None = None
    package: str = ""
    extra: str = ""
    max_workers: int | None = None
    runs_in_this_process: bool = False
    worker_slots: str = ""
    summary: str = ""


ENGINES: Mapping[str, EngineInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            EngineInfo(
                LOCAL,
                "tunecli.engine.local:LocalEngine",
                summary="Trials run in worker processes on this machine.",
            ),
            EngineInfo(
                INLINE,
                "tunecli.engine.inline:InlineEngine",
                max_workers=1,
                runs_in_this_process=True,
                summary="Trials run in this process, one at a time.",
            ),
        )
    }
)
"""The built-in engines by name; the first is the default."""


def engine_info(name: str) -> EngineInfo:
    """Return the registry entry of an engine.

    Raises:
        UsageError: there is no such engine, or it belongs to a plug-in that cannot be used.
    """
    if name in ENGINES:
        return ENGINES[name]
    from tunecli.registry import plugins

    info: EngineInfo = plugins.require("engines", name, EngineInfo, ENGINES)
    return info
