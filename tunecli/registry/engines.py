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
RAY = "ray"
"""The engine that runs trials on the nodes of a Ray cluster."""


@dataclass(frozen=True)
class EngineInfo:
    """The registry entry of an engine: its implementation and its capabilities.

    Attributes:
        name: the value of ``run.engine``.
        implementation: ``module:attribute`` of a class or function that takes an `EngineOptions` and returns an
            `Engine`, both of `tunecli.engine.protocol`.
        settings: the model of the engine's settings in the file, or its ``module:attribute``; None: it has no settings.
            The file has them under ``run``, in a section with the engine's name, and keeps them while it names another
            engine.
        package: the top-level package that only this engine needs; may be empty.
        extra: the extra of tunecli that installs ``package``; may be empty.
        max_workers: the largest number of jobs at a time; None: no limit.
        runs_in_this_process: whether jobs run in the process that submits them.
        runs_elsewhere: whether jobs run on other machines, so that this one needs no devices and loads no trial.
        capacity: ``module:attribute`` of a function of the file's ``run`` settings that returns a `Capacity` of
            `tunecli.engine.protocol`: how many jobs can run at a time, and where. It may raise `UsageError`, for
            example if a cluster does not answer. Empty: this machine's accelerators or cores say it.
        conflicts: ``module:attribute`` of a function of the file's ``run`` settings that yields a sentence for each
            reason why the engine cannot run trials with them; empty: it can run any. It asks no other machine.
        require_files: ``module:attribute`` of a function of the file's ``run`` settings, of the folder with the file,
            and of the SHA-256 of the study's files of code and data by name. It raises `UsageError` if the settings
            name files that are not there, or if no machine can have the files. It is called twice before the run folder
            is made: first with None in place of the hashes, which are not known yet. Empty: the engine needs no such
            check.
        summary: a sentence for editors and the reference.
    """

    name: str
    implementation: str
    settings: type[NamedKnob] | str | None = None
    package: str = ""
    extra: str = ""
    max_workers: int | None = None
    runs_in_this_process: bool = False
    runs_elsewhere: bool = False
    capacity: str = ""
    conflicts: str = ""
    require_files: str = ""
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
            EngineInfo(
                RAY,
                "tunecli.engine.ray.engine:ray_engine",
                settings="tunecli.config.ray:Ray",
                package="ray",
                extra="ray",
                runs_elsewhere=True,
                capacity="tunecli.engine.ray.engine:capacity",
                conflicts="tunecli.config.ray:conflicts",
                require_files="tunecli.engine.ray.engine:require_files",
                summary="Trials run on the nodes of a Ray cluster.",
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
