"""`tunecli doctor`: versions of packages, cores and devices of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.engine import n_cores
from tunecli.results.view import Section, View
from tunecli.study.record.versions import versions
from tunecli.train.machine import places


@dataclass(frozen=True, slots=True)
class Machine:
    """The devices and versions of this machine; ``devices`` maps a device's name to what it is.

    ``auto`` is the device that a file means which names none, and ``slots`` are those that its jobs then share, each
    by ``run.per_device`` of them; empty: the CPU.
    """

    versions: Mapping[str, str]
    n_cores: int
    devices: Mapping[str, str]
    auto: str
    slots: tuple[str, ...] = ()


def doctor() -> Machine:
    """Look around. Loads torch."""
    from tunecli.train import devices

    here = places("auto")
    machine = {facts.name: facts.description for facts in devices.describe()}
    # of a GPU in parts torch sees the first one alone
    machine |= {place.name: place.description for place in here if place.description}
    slots = tuple(place.name for place in here)
    return Machine(versions(), n_cores(), machine, str(devices.resolve("auto")), slots)


def doctor_view(machine: Machine) -> View:
    """What is here to compute with."""
    versions = tuple(sorted(machine.versions.items()))
    slots = ", ".join(machine.slots)
    lines = (
        ("cores", str(machine.n_cores)),
        ("auto", machine.auto),
        (
            "slots",
            f"run.per_device jobs at a time on each of {slots}"
            if slots
            else "one job for every run.threads cores",
        ),
    )
    sections = (
        Section("devices", ("name", "what"), tuple(machine.devices.items())),
        Section("versions", ("package", "version"), versions),
    )
    data = {
        "cores": machine.n_cores,
        "auto": machine.auto,
        "slots": list(machine.slots),
        "devices": dict(machine.devices),
        "versions": dict(versions),
    }
    return View("doctor", data, lines, sections)
