"""Assignment of workers to accelerators, and the translation of device names between the study and a worker.

At most ``per_device`` jobs share a place (an accelerator or a part of one), and workers are spread evenly over places.
Jobs on the CPU have no place. All functions are pure, and the study's plan uses them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tunecli.messages import Ended, Event, Job, Paused, Started
from tunecli.train.machine import Accelerator


def n_slots(places: Sequence[Accelerator], per_device: int) -> int:
    """The number of jobs that may run at a time; 0 without places."""
    return len(places) * per_device


def workers_per_place(places: Sequence[Accelerator], n_workers: int) -> Mapping[str, int]:
    """The number of workers on each place, by the place's name; empty without places."""
    counts = Counter({place.name: 0 for place in places})
    for _ in range(n_workers if places else 0):
        counts[least_used_place(places, counts).name] += 1
    return counts


def least_used_place(places: Sequence[Accelerator], n_used: Mapping[str, int]) -> Accelerator:
    """The place with the fewest workers, the first in a tie.

    Args:
        places: at least one.
        n_used: the number of workers by the place's name; 0 for a missing name.
    """
    return min(places, key=lambda place: n_used.get(place.name, 0))


def with_slot(job: Job, slot: int, set_aside: Collection[str]) -> Job:
    """The job as a worker without a place gets it: with its slot, and without the devices in ``set_aside``."""
    avoid_devices = (*job.execution.avoid_devices, *set_aside)
    return replace(job, execution=replace(job.execution, slot=slot, avoid_devices=avoid_devices))


def bind_job(job: Job, place: Accelerator, set_aside: Collection[str]) -> Job:
    """The job as a worker bound to ``place`` gets it: with the device name that is valid in the worker.

    If the place itself is in ``set_aside``, as when all places are, the job avoids its device, so that the trial fails
    with that cause.
    """
    avoid_devices = (place.local,) if place.name in set_aside else ()
    execution = replace(job.execution, device=place.local, slot=0, avoid_devices=avoid_devices)
    return replace(job, execution=execution)


def with_recorded_device(event: Event, place: Accelerator) -> Event:
    """The event of a worker bound to ``place``, with the device name that the study records."""
    if isinstance(event, Started):
        return replace(event, device=place.name)
    if isinstance(event, Ended | Paused):
        return replace(event, outcome=replace(event.outcome, device=place.name))
    return event
