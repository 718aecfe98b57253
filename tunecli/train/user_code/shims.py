"""Serves a trial's shim (`trial.shim`): the parameters reach it, and its reports reach the trial.

For a command, the shim's folder is put in front of the program's ``PYTHONPATH``, and its reports come through a named
pipe, so that nothing else that the program prints can be mistaken for a report. For a function, the shim's package is
loaded in the trial's process. Loads no torch.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tunecli.config.schema import CommandTrial, FunctionTrial
from tunecli.messages import EpochEnded
from tunecli.shims import SHIMS
from tunecli.train.user_code.output import JsonLines, MetricsReader
from tunecli.train.user_code.program import Stream
from tunecli.train.user_code.reports import Reports
from tunecli.train.user_code.trial_files import temporary_folder

_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")


@dataclass(frozen=True, slots=True)
class ServedShim:
    """The shim of a command.

    Attributes:
        pipe: descriptor of the pipe that its reports come through; None: the trial has no shim.
        variables: environment variables of the program.
        modules: the folder for Python's path; empty: the trial has no shim.
    """

    pipe: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    modules: str = ""

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of the program, in which Python finds the shim's package first."""
        if not self.modules:
            return dict(inherited)
        path = os.pathsep.join(filter(None, [self.modules, inherited.get("PYTHONPATH")]))
        return {**inherited, **self.variables, "PYTHONPATH": path}


@contextmanager
def shim_of_command(trial: CommandTrial, objective: str) -> Iterator[ServedShim]:
    """The shim of a command's trial, with its pipe, which is removed at the end.

    Args:
        trial: the concrete trial.
        objective: the metric whose log ends an epoch.

    Raises:
        DiskFull, StoreFailed, OSError: the folder of the pipe or the pipe cannot be made.
    """
    if trial.shim is None:
        yield ServedShim()
        return
    with temporary_folder() as folder:
        path = folder / "reports"
        os.mkfifo(path, 0o600)
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        kept_open = os.open(path, os.O_WRONLY)  # else the pipe ends whenever the program closes it
        try:
            # The ranks tell a process of a distributed training from a program that is one of several itself.
            ranks = {name: os.environ[name] for name in _RANKS if name in os.environ}
            facts = {"reports": str(path), "objective": objective, "ranks": ranks}
            yield ServedShim(pipe, {"TUNECLI_SHIM": json.dumps(facts)}, str(SHIMS[trial.shim].folder))
        finally:
            os.close(kept_open)
            os.close(pipe)


@dataclass(slots=True)
class ShimReader:
    """Reads the reports of a shim, and the patterns of the trial on its output, if it has any."""

    shim: JsonLines
    output: MetricsReader | None

    def read(self, line: str, stream: Stream = Stream.STDOUT) -> Iterator[EpochEnded]:
        """Read a line; see `MetricsReader.read`."""
        yield from self.shim.read(line, stream)
        if self.output is not None and stream is not Stream.SHIM:
            yield from self.output.read(line, stream)

    def poll(self) -> Iterator[EpochEnded]:
        """Read the files of metrics; see `MetricsReader.poll`."""
        if self.output is not None:
            yield from self.output.poll()

    def close(self) -> Iterator[EpochEnded]:
        """Read the rest of a line; see `MetricsReader.close`."""
        yield from self.shim.close()
        if self.output is not None:
            yield from self.output.close()

    def explanation(self, clean: Callable[[str], str]) -> str:
        """Say why a metric may be missing; see `MetricsReader.explanation`."""
        missing = self.shim.reports.missing
        own = f"`wandb.log` was never called with `{missing}`"
        return own if self.output is None else f"{own}; {self.output.explanation(clean)}".rstrip("; ")


def with_shim(trial: CommandTrial, reports: Reports, reader: MetricsReader) -> MetricsReader:
    """The reader of a trial with a shim: that of its output is used only for patterns and files."""
    if trial.shim is None:
        return reader
    is_read = trial.metrics or not isinstance(trial.metrics_from, str)
    return ShimReader(JsonLines(reports, (Stream.SHIM,)), reader if is_read else None)


@dataclass(slots=True)
class FunctionShim:
    """The shim of a function's trial.

    Attributes:
        metrics: metrics that belong to no epoch, such as the summary.
    """

    metrics: dict[str, float]
    _module: ModuleType | None = None

    def finish(self) -> None:
        """End the shim's run, as the end of a script does."""
        if self._module is not None:
            self._module.finish()


@contextmanager
def shim_of_function(
    trial: FunctionTrial, number: int, objective: str, folder: Path, report: Callable[..., None]
) -> Iterator[FunctionShim]:
    """Load the shim of a function's trial in this process for the duration of a block.

    Args:
        trial: the concrete trial.
        number: its number.
        objective: the metric whose log ends an epoch.
        folder: its folder for files.
        report: `UserTrial.report`.
    """
    if trial.shim is None:
        yield FunctionShim({})
        return
    name, metrics = trial.shim, dict[str, float]()

    def send(epoch: int | None, values: dict[str, float]) -> None:
        metrics.update(values)
        if epoch is not None:
            report(epoch, **{key: value for key, value in values.items() if key != "self"})

    folder_of_shim = str(SHIMS[name].folder)
    hidden = {key: sys.modules.pop(key) for key in [*sys.modules] if _is_of(name, key)}
    sys.path.insert(0, folder_of_shim)
    try:
        module = importlib.import_module(name)
        module._use(trial.params, objective, number, str(folder), send)
        yield FunctionShim(metrics, module)
    finally:
        if folder_of_shim in sys.path:
            sys.path.remove(folder_of_shim)
        for key in [key for key in sys.modules if _is_of(name, key)]:
            del sys.modules[key]
        sys.modules.update(hidden)


def call_with_shim(function: Callable[..., Any], params: Mapping[str, Any], trial: object) -> Any:
    """Call a training function with as many of ``(params, trial)`` as it requires.

    A function for `wandb.agent` takes none: its parameters are `wandb.config`.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return function(params, trial)
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [one for one in parameters if one.kind in by_place and one.default is inspect.Parameter.empty]
    return function(*(params, trial)[: len(required)])


def _is_of(package: str, module_name: str) -> bool:
    return module_name == package or module_name.startswith(f"{package}.")
