"""How `check` and `doctor` show the machines of an engine that has machines of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.engine.protocol import Capacity, Host
from tunecli.results.view import Section
from tunecli.study.plan.machines import Machines
from tunecli.study.record.versions import versions
from tunecli.text import counted


def machine_lines(engine: str, machines: Machines) -> list[tuple[str, str]]:
    """The line with the room of the engine; empty if trials run on this machine."""
    if machines.problem:
        return [(engine, "does not answer")]
    return [] if machines.capacity is None else [(engine, _room(machines.capacity))]


def _room(capacity: Capacity) -> str:
    hosts = f" on {counted(len(capacity.hosts), 'machine')}" if capacity.hosts else ""
    grows = "; more machines start when they are needed" if capacity.can_grow else ""
    return f"room for {counted(capacity.n_slots, 'trial')}{hosts}{grows}"


def machine_sections(machines: Machines) -> list[Section]:
    """The table of the engine's machines; empty if trials run on this one."""
    if not machines.hosts:
        return []
    rows = tuple(
        (host.name, str(host.n_slots), _devices(host.devices), _versions(host.versions))
        for host in machines.hosts
    )
    return [Section("machines", ("machine", "trials", "devices", "versions"), rows)]


def _devices(kinds: Sequence[str]) -> str:
    """For example ``4 cuda``; ``cpu`` without accelerators."""
    return ", ".join(f"{n} {kind}" for kind, n in Counter(kinds).items()) or "cpu"


def _versions(there: Mapping[str, str]) -> str:
    """The versions that differ from those of this machine."""
    if not there:
        return "unknown"
    differing = version_differences(there)
    return ", ".join(f"{name} {version}" for name, version in differing.items()) or "as here"


def version_differences(there: Mapping[str, str]) -> dict[str, str]:
    """The versions of another machine that differ from those here, by package."""
    here = versions()
    return {name: version for name, version in there.items() if here.get(name, version) != version}


def machine_data(engine: str, machines: Machines) -> dict[str, Any]:
    """The engine's machines for a JSON document; empty if trials run on this one."""
    if not machines.problem and machines.capacity is None:
        return {}
    capacity = machines.capacity
    return {
        "cluster": {
            "engine": engine,
            "answers": capacity is not None,
            "problem": machines.problem,
            "slots": None if capacity is None else capacity.n_slots,
            "can_grow": None if capacity is None else capacity.can_grow,
            "machines": [_host_data(host) for host in machines.hosts],
        }
    }


def _host_data(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "slots": host.n_slots,
        "devices": list(host.devices),
        "versions": dict(host.versions),
    }
