"""`tunecli doctor`: the cores, the devices and the package versions of this machine, and the nodes of a cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from tunecli.commands.check_machines import machine_data, machine_lines, machine_sections
from tunecli.config.run import Run
from tunecli.engine import n_cores
from tunecli.errors import UsageError
from tunecli.registry import plugins
from tunecli.registry.engines import RAY
from tunecli.registry.plugins import PlugIn
from tunecli.results.view import Section, View
from tunecli.study.plan.machines import Machines, known_machines, machines_of
from tunecli.study.record.plug_ins import plug_in_problem
from tunecli.study.record.versions import versions
from tunecli.train.machine import accelerators


@dataclass(frozen=True, slots=True)
class Machine:
    """The devices and package versions of this machine.

    Attributes:
        versions: by package.
        n_cores: the number of cores that this process may use.
        devices: a description of each device, by name.
        auto: the device that ``run.device: auto`` uses here.
        plug_ins: every plug-in that is installed, each with the reason why it cannot be used; empty: it can.
        cluster: the nodes of a Ray cluster; None: no cluster was named.
        slots: the accelerators that ``run.device: auto`` shares among ``run.per_device`` jobs each; empty: the CPU.
    """

    versions: Mapping[str, str]
    n_cores: int
    devices: Mapping[str, str]
    auto: str
    slots: tuple[str, ...] = ()
    plug_ins: tuple[tuple[PlugIn, str], ...] = ()
    cluster: Machines | None = None


def doctor(address: str | None = None) -> Machine:
    """Describe this machine, and the cluster if one is named. Loads torch.

    Args:
        address: of the head of a Ray cluster; None: the one in the environment variable `RAY_ADDRESS`, if it is set.

    Raises:
        UsageError: this is no address of a cluster's head, or no cluster answers there.
    """
    from tunecli.train import devices

    slots = accelerators("auto")
    descriptions = {facts.name: facts.description for facts in devices.describe()}
    # torch sees only the first part of a partitioned GPU
    descriptions |= {slot.name: slot.description for slot in slots if slot.description}
    return Machine(
        versions(),
        n_cores(),
        descriptions,
        str(devices.resolve("auto")),
        tuple(slot.name for slot in slots),
        tuple((plug_in, plug_in_problem(plug_in)) for plug_in in plugins.plug_ins()),
        _cluster(address),
    )


def _cluster(address: str | None) -> Machines | None:
    if address is None and not os.environ.get("RAY_ADDRESS"):
        return None
    try:
        run = Run.model_validate({"engine": RAY, "ray": {"address": address or "auto"}})
    except ValidationError as error:
        raise UsageError(f"--address {address}: {_cause(error)}") from error
    return known_machines(run) if address is None else machines_of(run)


def _cause(error: ValidationError) -> str:
    return error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")


def doctor_view(machine: Machine) -> View:
    """The machine as labelled lines and two tables."""
    versions = tuple(sorted(machine.versions.items()))
    slots = ", ".join(machine.slots)
    lines = (
        ("cores", str(machine.n_cores)),
        ("device: auto", machine.auto),
        (
            "parallel jobs",
            f"run.per_device on each of {slots}" if slots else "one for every run.threads cores",
        ),
        *([] if machine.cluster is None else machine_lines(RAY, machine.cluster)),
    )
    sections: tuple[Section, ...] = (
        Section("devices", ("name", "description"), tuple(machine.devices.items())),
        Section("versions", ("package", "version"), versions),
    )
    if machine.plug_ins:
        columns = ("kind", "name", "distribution", "version", "problem")
        rows = tuple((*_described(plug_in), problem) for plug_in, problem in machine.plug_ins)
        sections = (*sections, Section("plug-ins", columns, rows))
    messages = []
    if machine.cluster is not None:
        sections = (*sections, *machine_sections(machine.cluster))
        messages = [f"note: {machine.cluster.problem}"] if machine.cluster.problem else []
    data = {
        "cores": machine.n_cores,
        "auto": machine.auto,
        "slots": list(machine.slots),
        "devices": dict(machine.devices),
        "versions": dict(versions),
        "plug_ins": [
            dict(zip(("kind", "name", "distribution", "version"), _described(plug_in), strict=True))
            | {"problem": problem}
            for plug_in, problem in machine.plug_ins
        ],
        **({} if machine.cluster is None else machine_data(RAY, machine.cluster)),
    }
    return View("doctor", data, lines, sections, messages=tuple(messages))


def _described(plug_in: PlugIn) -> tuple[str, str, str, str]:
    return plug_in.group, plug_in.name, plug_in.distribution, plug_in.version
