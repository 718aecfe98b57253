"""`tunecli doctor`: the cores, the devices and the package versions of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.engine import n_cores
from tunecli.registry import plugins
from tunecli.registry.plugins import PlugIn
from tunecli.results.view import Section, View
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
        slots: the accelerators that ``run.device: auto`` shares among ``run.per_device`` jobs each; empty: the CPU.
    """

    versions: Mapping[str, str]
    n_cores: int
    devices: Mapping[str, str]
    auto: str
    slots: tuple[str, ...] = ()
    plug_ins: tuple[tuple[PlugIn, str], ...] = ()


def doctor() -> Machine:
    """Describe this machine. Loads torch."""
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
    )


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
    )
    sections: tuple[Section, ...] = (
        Section("devices", ("name", "description"), tuple(machine.devices.items())),
        Section("versions", ("package", "version"), versions),
    )
    if machine.plug_ins:
        columns = ("kind", "name", "distribution", "version", "problem")
        rows = tuple((*_described(plug_in), problem) for plug_in, problem in machine.plug_ins)
        sections = (*sections, Section("plug-ins", columns, rows))
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
    }
    return View("doctor", data, lines, sections)


def _described(plug_in: PlugIn) -> tuple[str, str, str, str]:
    return plug_in.group, plug_in.name, plug_in.distribution, plug_in.version
