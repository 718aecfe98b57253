"""The registry of exporters, which write a running study for other tools. `tunecli.exporters` contains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tunecli.registry.implementations import require_package

TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
EVENTS_FOLDER = "events"
"""The folder in the run folder that `tensorboard` writes, with a folder for each trial."""


@dataclass(frozen=True, slots=True)
class ExporterInfo:
    """The registry entry of an exporter.

    Attributes:
        name: the value of ``run.events``.
        implementation: ``module:attribute`` of a class that takes an `ExportedStudy`, and the settings as keywords;
            its objects are a `tunecli.messages.Display`.
        has_settings: whether the file may give settings.
        package: the top-level package that it needs; may be empty.
        extra: the extra of tunecli that installs ``package``; may be empty.
    """

    name: str
    implementation: str
    has_settings: bool = False
    package: str = ""
    extra: str = ""


EXPORTERS: Mapping[str, ExporterInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            ExporterInfo(TENSORBOARD, "tunecli.exporters.tensorboard:TensorBoardFiles"),
            ExporterInfo(
                MLFLOW,
                "tunecli.exporters.mlflow:MlflowRuns",
                has_settings=True,
                package="mlflow",
                extra="mlflow",
            ),
        )
    }
)
"""The exporters by name."""


def require_exporter(name: str) -> None:
    """Make sure that the package that an exporter needs is installed, without importing it.

    Raises:
        UsageError: the package is not installed.
    """
    info = EXPORTERS[name]
    require_package(f"`run.events: {name}`", info.package, info.extra, "tensorboard")
