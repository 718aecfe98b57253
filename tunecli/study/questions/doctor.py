"""What is here to compute with: versions, cores, devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.engine import n_cores
from tunecli.study.record.versions import versions
from tunecli.train import accelerators


@dataclass(frozen=True, slots=True)
class Examination:
    """What `doctor` found; ``devices`` maps a device's name to what it is.

    ``auto`` is the device that a file means which names none, and ``slots`` are those that its jobs then share, each
    by ``run.per_device`` of them; empty: the CPU.
    """

    versions: Mapping[str, str]
    n_cores: int
    devices: Mapping[str, str]
    auto: str
    slots: tuple[str, ...] = ()


def examine() -> Examination:
    """Look around. Loads torch."""
    from tunecli.train import devices

    here = accelerators.places("auto")
    found = {facts.name: facts.description for facts in devices.describe()}
    # of a GPU in parts torch sees the first one alone
    found |= {place.name: place.description for place in here if place.description}
    slots = tuple(place.name for place in here)
    return Examination(versions(), n_cores(), found, str(devices.resolve("auto")), slots)
