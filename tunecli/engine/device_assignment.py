"""Which accelerator the next worker is bound to, and how jobs and events are told where theirs is.

No more jobs than ``per_device`` share a place, and workers are spread evenly. Places whose device was lost again and
again are left. What runs on the CPU has no place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tunecli.messages import Ended, Event, Job, Paused, Started
from tunecli.train.machine import Place


def n_slots(here: Sequence[Place], per_device: int) -> int:
    """How many jobs may run at a time; 0 where there are no places."""
    return len(here) * per_device


def spread(here: Sequence[Place], n_workers: int) -> Mapping[str, int]:
    """How many workers each place has, by its name."""
    counts = Counter({place.name: 0 for place in here})
    for _ in range(n_workers if here else 0):
        counts[next_place(here, counts).name] += 1
    return counts


def next_place(here: Sequence[Place], taken: Mapping[str, int]) -> Place:
    """The place with the fewest workers, the first of several; there is at least one place."""
    return min(here, key=lambda place: taken.get(place.name, 0))


def on_slot(job: Job, slot: int, set_aside: Collection[str]) -> Job:
    """The job for the worker of a slot, without the devices that are set aside."""
    execution = job.execution
    avoid_devices = (*execution.avoid_devices, *set_aside)
    return replace(job, execution=replace(execution, slot=slot, avoid_devices=avoid_devices))


def bound(job: Job, place: Place, set_aside: Collection[str]) -> Job:
    """The job as a worker at a place is to see it: its device under its name there.

    Where the place itself is set aside, as it is when all are, the trial is to say so.
    """
    is_left = place.name in set_aside
    avoid_devices = (place.local,) if is_left else ()
    execution = replace(job.execution, device=place.local, slot=0, avoid_devices=avoid_devices)
    return replace(job, execution=execution)


def as_recorded(event: Event, place: Place) -> Event:
    """The event of a worker at a place, with the device under the name that it has here."""
    if isinstance(event, Started):
        return replace(event, device=place.name)
    if isinstance(event, Ended | Paused):
        return replace(event, outcome=replace(event.outcome, device=place.name))
    return event
