"""The engine `ray`: a `ClusterEngine` whose agents are actors of a Ray cluster, and the capacity of that cluster."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunecli.config.ray import Ray
from tunecli.config.secrets import resolved
from tunecli.engine.cluster.engine import ClusterEngine, ClusterSettings
from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.cluster.storage import storage_of
from tunecli.engine.cluster.user_files import require_matches, user_files
from tunecli.engine.protocol import Capacity, EngineOptions, Host
from tunecli.engine.ray.placement import Node, amounts, n_slots_in
from tunecli.engine.ray.transport import Connection, RayTransport
from tunecli.engine.ray.visibility import require_visible
from tunecli.errors import ClusterGone, UsageError

if TYPE_CHECKING:
    from tunecli.config.run import Run

_BYTES = "bytes"
_NO_STORAGE = ("auto", _BYTES)
_DEVICE_OF_GPU = "cuda"
_OWN_CLUSTER = (
    "no Ray cluster was named or found: tunecli has started one on this machine, which ends with the sweep"
)
_HIDDEN_GPUS = {"CUDA_VISIBLE_DEVICES": ""}
_INTERNAL = re.compile(r"node:|bundle_group|object_store_memory|memory$|accelerator_type:")

_unused: dict[str, Connection] = {}
"""Connections that `capacity` made, by address, for the engine that follows."""


def ray_engine(options: EngineOptions) -> ClusterEngine:
    """Return an engine on a Ray cluster.

    Args:
        options: its settings; ``settings`` are ``run.ray``.

    Raises:
        UsageError: no cluster answers, it has other versions of Ray or Python, or a variable that ``run.ray.env`` names
            is not set here.
        ClusterGone: the cluster was lost meanwhile.
    """
    settings = options.settings if isinstance(options.settings, Ray) else Ray()
    slot = _slot(settings, options.threads, options.device, options.n_devices, options.per_device)
    if 0 < slot.gpus < 1:
        options = replace(options, per_device=int(1 / slot.gpus + 1e-9))
    environment = _environment(settings, slot)
    connection = _connection(settings.address)
    transport = RayTransport(connection, size=settings.agent, is_apart=settings.storage == _BYTES)
    try:
        return ClusterEngine(
            options,
            transport,
            slot,
            ClusterSettings(
                patterns=settings.files,
                storage="" if settings.storage in _NO_STORAGE else settings.storage,
                environment=environment,
                wait_s=settings.wait,
                notes=() if connection.resolved else (_OWN_CLUSTER,),
            ),
        )
    except BaseException:
        transport.close()
        raise


def _slot(settings: Ray, threads: int, device: str, n_devices: int, per_device: int) -> Resources:
    """The share of a node that a trial needs; the arguments are settings under ``run``."""
    return Resources(
        settings.cpus_per_trial(threads),
        settings.gpus_per_trial(device, n_devices, per_device),
        settings.memory or 0,
        settings.resources,
    )


def _environment(settings: Ray, slot: Resources) -> Mapping[str, str]:
    """The environment variables of the workers on the nodes."""
    # Ray hides no GPU from an actor that asked for none, and a trial must not use one that others have.
    return {**({} if slot.gpus else _HIDDEN_GPUS), **resolved(settings.env)}


def capacity(run: Run) -> Capacity:
    """Return how many trials the cluster has room for when it is idle.

    Args:
        run: the settings under ``run``.

    Raises:
        UsageError: no cluster answers, it has other versions of Ray or Python, no node is large enough, or the storage
            of ``run.ray.storage`` cannot be used from here.
    """
    settings = run.ray
    if settings.storage not in _NO_STORAGE:
        storage_of(settings.storage).probe(f"tunecli_probe_{secrets.token_hex(6)}")
    slot = _slot(settings, run.threads, run.device, run.devices_per_trial, run.per_device)
    connection = _connection(settings.address)
    transport = RayTransport(connection)
    try:
        nodes, can_grow = transport.overview()
    except ClusterGone as error:
        transport.close()
        raise UsageError(error.message, hint="run `ray status` on the cluster") from error
    _unused[settings.address] = connection
    hosts = [
        Host(node.host, n_slots, (_DEVICE_OF_GPU,) * int(node.total.get("GPU", 0)))
        for node in nodes
        if (n_slots := n_slots_in(node.total, slot))
    ]
    if not hosts and not can_grow:
        raise _no_room(nodes, slot, run)
    return Capacity(sum(host.n_slots for host in hosts), hosts, can_grow)


def require_files(run: Run, base_path: Path, files: Mapping[str, str] | None = None) -> None:
    """Require that trials on the cluster can have the study's files.

    Args:
        run: the settings under ``run``.
        base_path: the folder of the study's file.
        files: SHA-256 of each file of code and data, by name; None: only ``run.ray.files`` is checked.

    Raises:
        UsageError: a pattern in ``run.ray.files`` fits no file below the folder; or the files are too large to travel,
            and no node has them.
    """
    settings = run.ray
    require_matches(base_path, settings.files)
    if files is None:
        return
    found = user_files(EngineOptions(1, 1, base_path=base_path, files=files), settings.files)
    if not found.why_not_sent:
        return
    slot = _slot(settings, run.threads, run.device, run.devices_per_trial, run.per_device)
    transport = RayTransport(_connection(settings.address), is_apart=settings.storage == _BYTES)
    try:
        require_visible(found, transport, slot)
    except ClusterGone as error:
        raise UsageError(error.message, hint="run `ray status` on the cluster") from error
    finally:
        transport.close()


def _connection(address: str) -> Connection:
    """Return the connection that `capacity` made, or another one."""
    made = _unused.pop(address, None)
    if made is not None and made.bridge.is_alive:
        return made
    return Connection(address)


def _no_room(nodes: Sequence[Node], slot: Resources, run: Run) -> UsageError:
    """Return the error that names the resource of which no node has enough."""
    keys = {"CPU": "run.ray.cpus", "GPU": "run.ray.gpus", "memory": "run.ray.memory"}
    if run.ray.cpus == "auto":
        keys["CPU"] = "run.threads"
    for name, needed in amounts(slot).items():
        most = max((node.total.get(name, 0.0) for node in nodes), default=0.0)
        if most >= needed:
            continue
        if name == "GPU" and not most:
            return UsageError(
                f"run.device: no node of the cluster has a `{_DEVICE_OF_GPU}` device",
                hint=f"{_what_nodes_have(nodes)}; `device: cpu` uses no GPU",
            )
        unit = {"CPU": "CPUs", "GPU": "GPUs", "memory": "bytes of memory"}.get(name, f"of `{name}`")
        key = keys.get(name, "run.ray.resources")
        return UsageError(
            f"{key}: no node has {needed:g} {unit}, the largest has {most:g}",
            hint=f"ask for less, or add a larger node; {_what_nodes_have(nodes)}",
        )
    return UsageError(
        "run.ray: no node has all that a trial needs at once: "
        + ", ".join(f"{name} {amount:g}" for name, amount in amounts(slot).items()),
        hint=_what_nodes_have(nodes),
    )


def _what_nodes_have(nodes: Sequence[Node]) -> str:
    """Say the sum of each resource of the nodes, such as ``the nodes have CPU 64, GPU 8``."""
    total: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.total.items():
            if not _INTERNAL.match(name):
                total[name] = total.get(name, 0.0) + amount
    if not total:
        return "the nodes have no CPU for tasks"
    return "the nodes have " + ", ".join(f"{name} {amount:g}" for name, amount in sorted(total.items()))
