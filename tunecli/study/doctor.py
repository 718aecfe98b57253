"""What is here to compute with: versions, cores, devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.engine import n_cores
from tunecli.study.record import versions


@dataclass(frozen=True, slots=True)
class Examination:
    """What `doctor` found; ``devices`` maps a device's name to what it is."""

    versions: Mapping[str, str]
    n_cores: int
    devices: Mapping[str, str]
    auto: str


def examine() -> Examination:
    """Look around. Loads torch."""
    from tunecli.train import devices

    found = {facts.name: facts.description for facts in devices.describe()}
    return Examination(versions(), n_cores(), found, str(devices.resolve("auto")))
