"""The package `wandb` of a tunecli trial: config from the trial's parameters, logs as the trial's reports.

A script that is written for W&B sweeps runs unchanged: `wandb.init`, `wandb.config`, `wandb.log`, `wandb.summary`,
`wandb.define_metric` and `wandb.finish` work, without an account and without a network. Media, tables, artifacts and
code are accepted and kept nowhere. Everything else raises an error that names this shim. Only the standard library is
used, because the script may run in an environment without tunecli.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Any, NoReturn

from ._config import Config as Config
from ._config import Unstarted
from ._errors import CommError as CommError
from ._errors import Error as Error
from ._errors import UsageError as UsageError
from ._errors import absent
from ._media import (
    Artifact,
    Audio,
    Graph,
    Histogram,
    Html,
    Image,
    Molecule,
    Object3D,
    Plotly,
    Plots,
    Table,
    Video,
)
from ._reports import use as _use  # noqa: F401  # tunecli calls it, where it serves a function in this process
from ._run import Run, Settings, start

__version__ = "0.99.0+tunecli"
__all__ = [
    "Artifact",
    "Audio",
    "Graph",
    "Histogram",
    "Html",
    "Image",
    "Molecule",
    "Object3D",
    "Plotly",
    "Run",
    "Settings",
    "Table",
    "Video",
]

run: Run | None = None
config: Any = Unstarted("config")
summary: Any = Unstarted("summary")
plot = Plots()


def init(config: Any = None, **options: Any) -> Run:
    """Start the run: its config is ``config``, with the trial's parameters in place of the values of the same name.

    Args:
        config: a dict, an argparse namespace or another object with attributes.
        options: ``project``, ``name``, ``mode``, ``config_exclude_keys`` and the other options of W&B.
    """
    started = start(config, options, _on_end)
    _publish(started)
    return started


def _on_end() -> None:
    _publish(None)


def _publish(started: Run | None) -> None:
    global run, config, summary
    run = started
    if started is not None:  # the config of a finished run stays readable
        config, summary = started.config, started.summary


def _current() -> Run:
    if run is None:
        raise Error("call wandb.init() first")
    return run


def log(
    data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
) -> None:
    """Report metrics. The log that holds the objective ends an epoch of the trial."""
    _current().log(data, step=step, commit=commit)


def define_metric(name: str, **options: Any) -> Any:
    """Say how a metric is summarised: ``summary="max"`` adds the metric ``<name>.max``."""
    return _current().define_metric(name, **options)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the run."""
    if run is not None:
        run.finish(exit_code)


join = finish


def login(*args: Any, **options: Any) -> bool:
    """Do nothing: a trial needs no account."""
    return True


def setup(*args: Any, **options: Any) -> None:
    """Do nothing."""


def teardown(*args: Any, **options: Any) -> None:
    """Do nothing."""


def ensure_configured() -> None:
    """Do nothing."""


def watch(*args: Any, **options: Any) -> tuple[()]:
    """Do nothing: gradients are kept nowhere."""
    return ()


def unwatch(*args: Any, **options: Any) -> None:
    """Do nothing."""


def alert(*args: Any, **options: Any) -> None:
    """Do nothing."""


def mark_preempting() -> None:
    """Do nothing: tunecli continues an interrupted sweep itself."""


def save(*args: Any, **options: Any) -> list[str]:
    """Copy nothing: files that the script writes into `wandb.run.dir` stay there."""
    return []


def log_artifact(artifact: Any, *args: Any, **options: Any) -> Any:
    """Keep nothing."""
    return artifact


def log_model(*args: Any, **options: Any) -> None:
    """Copy nothing: write the weights into `wandb.run.dir`, where they stay."""


link_model = log_model


def log_code(*args: Any, **options: Any) -> None:
    """Keep nothing: tunecli records the hashes of the code itself."""


def termlog(string: str = "", **options: Any) -> None:
    """Print a line to stderr."""
    print(f"wandb: {string}", file=sys.stderr)  # noqa: T201  # the script asked for it


termwarn = termerror = termlog


def sweep(*args: Any, **options: Any) -> NoReturn:
    """Refuse: tunecli runs the sweep."""
    raise UsageError("wandb.sweep does not work in a tunecli trial: the study's file is the sweep")


def agent(*args: Any, **options: Any) -> NoReturn:
    """Refuse: tunecli starts the trials."""
    raise UsageError("wandb.agent does not work in a tunecli trial: call your training function once instead")


def __getattr__(name: str) -> NoReturn:
    raise absent(f"wandb.{name}")


class _Modules(MetaPathFinder):
    """Explains why a module of `wandb` is missing."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.startswith(f"{__name__}."):
            raise ModuleNotFoundError(str(absent(fullname)), name=fullname)


if not any(type(finder).__name__ == _Modules.__name__ for finder in sys.meta_path):
    sys.meta_path.append(_Modules())
