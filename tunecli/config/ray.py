"""The settings under ``run.ray``: how trials run on the nodes of a Ray cluster. Imports nothing of Ray."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tunecli.config.quantities import Seconds, Size
from tunecli.config.surroundings import FileName, VariableName
from tunecli.knob import Auto, Count, Knob, Positive, Values
from tunecli.object_storage.location import location_of

if TYPE_CHECKING:
    from tunecli.config.run import Run

_HOST_AND_PORT = r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?):[0-9]{1,5}"
_MOST_PORT = 65535
_RESOURCE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,199}")
_OWN_KEYS = {"cpu": "cpus", "gpu": "gpus", "memory": "memory"}
_ACCELERATORS = ("cuda", "xpu")


def checked_address(value: Any) -> Any:
    """Return an address of a cluster.

    Raises:
        ValueError: it is a text that can be none.
    """
    if not isinstance(value, str) or value == "auto":
        return value
    if value.startswith("ray://"):
        raise ValueError(
            "`ray://` is Ray Client, which this engine does not use: write the address of the head, such as "
            "`10.0.0.5:6379`, or start tunecli on the cluster with `ray job submit`"
        )
    if not re.fullmatch(_HOST_AND_PORT, value) or not 0 < int(value.rpartition(":")[2]) <= _MOST_PORT:
        raise ValueError("must be `auto` or the address of the head, such as `10.0.0.5:6379`")
    return value


def _storage(value: Any) -> Any:
    if not isinstance(value, str) or value in ("auto", "bytes"):
        return value
    try:
        location_of(value)
    except ValueError as error:
        others = "" if "://" in value else ", `auto` or `bytes`"
        raise ValueError(f"{error}{others}") from error
    return value


def _pattern(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or name.startswith("~") or ".." in path.parts:
        raise ValueError("must be inside the folder of the file: a relative name or pattern without `..`")
    return name


def _resource(name: str) -> str:
    if (key := _OWN_KEYS.get(name.lower())) is not None:
        raise ValueError(f"`{name}` has a key of its own: write `{key}` under `run.ray`")
    if not _RESOURCE.fullmatch(name):
        raise ValueError("the name of a resource has letters, digits and `_.:-`")
    return name


def _gpus(value: float | str) -> float | str:
    if isinstance(value, float) and value > 1 and not value.is_integer():
        raise ValueError("must be a whole number, or below 1 for a share of one GPU")
    return value


def _variable(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('must be text; write "1" or "true" in quotes')
    return value


class Ray(Knob):
    """How the engine `ray` runs trials on the nodes of a Ray cluster. Other engines do not read it.

    Attributes:
        address: address of the cluster's head: `host:port`, or `auto`, which is the address in the environment
            variable `RAY_ADDRESS`, else the cluster on this machine, else a cluster that tunecli starts here.
        cpus: CPUs of a node that a trial takes; `auto` is `run.threads`.
        gpus: GPUs of a node that a trial takes; a number below 1 is a share of one GPU. `auto` follows from
            `run.device`, `run.devices_per_trial` and `run.per_device`, and is 0 with `device: auto`.
        memory: main memory of a node that a trial takes, for example 2GB. Ray reserves it and does not enforce it.
        agent: how many trials one process of tunecli on a node looks after: all of the node (`node`), one (`slot`), or
            at most n. A process for a node needs the least memory and traffic.
        resources: further resources of the cluster that a trial takes, by name, for example `{a100: 1}`.
        files: further files that travel to the nodes: names and patterns such as `data/**`, relative to the folder of
            the file. Code and data that the study records travel without it.
        storage: the way of checkpoints and weights from the nodes to the run folder. `auto` writes them directly if a
            node sees the run folder, and sends them through the cluster if not; `bytes` always sends them. A folder
            that all nodes see, or a URL such as `s3://bucket/folder`, carries large ones.
        wait: how long a sweep waits for nodes with room for a trial: seconds, or a text such as 10m.
        env: environment variables of the workers on the nodes. `${env:NAME}` in a text is the value of a variable here,
            which no file records.
    """

    address: Annotated[
        str,
        BeforeValidator(checked_address),
        WithJsonSchema(
            {
                "anyOf": [
                    {
                        "enum": ["auto"],
                        "enumDescriptions": ["The cluster of `RAY_ADDRESS`, or of this machine."],
                    },
                    {"type": "string", "pattern": f"^{_HOST_AND_PORT}$"},
                ]
            }
        ),
    ] = "auto"
    cpus: Positive | Auto = "auto"
    gpus: Annotated[Annotated[float, Field(ge=0)] | Auto, AfterValidator(_gpus)] = "auto"
    memory: Size | None = None
    agent: (
        Count
        | Annotated[
            Literal["node", "slot"],
            Values(
                {
                    "node": "One process looks after all trials of a node.",
                    "slot": "Each trial has its own process.",
                }
            ),
        ]
    ) = "node"
    resources: dict[Annotated[str, AfterValidator(_resource)], Positive] = {}  # noqa: RUF012  (pydantic copies it)
    files: list[Annotated[FileName, AfterValidator(_pattern)]] = []  # noqa: RUF012  (pydantic copies it)
    storage: Annotated[
        str,
        BeforeValidator(_storage),
        WithJsonSchema(
            {
                "anyOf": [
                    {
                        "enum": ["auto", "bytes"],
                        "enumDescriptions": [
                            "The run folder if a node sees it, else through the cluster.",
                            "Always through the cluster.",
                        ],
                    },
                    {"type": "string", "pattern": "^(/|(s3|gs|file)://.)"},
                ]
            }
        ),
    ] = "auto"
    wait: Seconds = 600.0
    env: dict[VariableName, Annotated[str, BeforeValidator(_variable)]] = {}  # noqa: RUF012  (pydantic copies it)

    def cpus_per_trial(self, threads: int) -> float:
        """Number of CPUs that a trial with ``threads`` threads takes."""
        return float(threads) if self.cpus == "auto" else self.cpus

    def gpus_per_trial(self, device: str, n_devices: int, per_device: int) -> float:
        """Number of GPUs that a trial takes; below 1 it is a share of one.

        Args:
            device: ``run.device``.
            n_devices: ``run.devices_per_trial``.
            per_device: ``run.per_device``.
        """
        if self.gpus != "auto":
            return self.gpus
        return n_devices / per_device if device in _ACCELERATORS else 0.0


def conflicts(run: Run) -> Iterator[str]:
    """Yield the reasons why the engine `ray` cannot run trials with these settings; none: it can."""
    gpus, per_device, n_devices = run.ray.gpus, run.per_device, run.devices_per_trial
    kind, _, index = run.device.partition(":")
    if index:
        yield f"`device: {run.device}` names one device of one machine: write `device: {kind}` for a cluster"
    if kind == "mps":
        yield "`device: mps` does not work with `engine: ray`, which gives out CPUs and GPUs only"
    if gpus != "auto" and per_device > 1:
        yield (
            f"`ray.gpus` and `per_device` both say how many trials share a GPU: remove one of them; "
            f"`per_device: {per_device}` is `gpus: {1 / per_device:.3g}`"
        )
    if n_devices > 1 and per_device > 1:
        yield "`devices_per_trial` and `per_device` above 1 do not work together with `engine: ray`"
    if kind in _ACCELERATORS and gpus == 0:
        yield f"`device: {run.device}` needs a GPU, and `ray.gpus` is 0"
    if gpus != "auto" and n_devices > 1 and gpus != n_devices:
        yield f"`devices_per_trial: {n_devices}` needs `ray.gpus: {n_devices}`, or `gpus: auto`"
    if kind == "cpu" and gpus != "auto" and gpus > 0:
        yield "`device: cpu` uses no GPU: remove `ray.gpus`"
