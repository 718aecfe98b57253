"""Assignment of workers to accelerators, and the translation of device names between the study and a worker.

At most ``per_device`` jobs share an accelerator, which can be an instance of a partitioned GPU. Workers are spread
evenly over the accelerators. Jobs on the CPU have none. All functions are pure, and the study's plan uses them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tunecli.messages import Ended, Event, Job, Paused, Started
from tunecli.train.machine import Accelerator


def n_slots(accelerators: Sequence[Accelerator], per_device: int) -> int:
    """The number of jobs that may run at a time; 0 without accelerators."""
    return len(accelerators) * per_device


def workers_per_accelerator(accelerators: Sequence[Accelerator], n_workers: int) -> Mapping[str, int]:
    """The number of workers on each accelerator, by its name; empty without accelerators."""
    counts = Counter({accelerator.name: 0 for accelerator in accelerators})
    for _ in range(n_workers if accelerators else 0):
        counts[least_used_accelerator(accelerators, counts).name] += 1
    return counts


def least_used_accelerator(accelerators: Sequence[Accelerator], n_used: Mapping[str, int]) -> Accelerator:
    """The accelerator with the fewest workers, the first in a tie.

    Args:
        accelerators: at least one.
        n_used: the number of workers by the name of their accelerator; 0 for a missing name.
    """
    return min(accelerators, key=lambda accelerator: n_used.get(accelerator.name, 0))


def with_slot(job: Job, slot: int, set_aside: Collection[str]) -> Job:
    """The job as a worker on the CPU gets it: with its slot, and without the devices in ``set_aside``."""
    avoid_devices = (*job.execution.avoid_devices, *set_aside)
    return replace(job, execution=replace(job.execution, slot=slot, avoid_devices=avoid_devices))


def bind_job(job: Job, accelerator: Accelerator, set_aside: Collection[str]) -> Job:
    """The job as a worker bound to ``accelerator`` gets it: with the device name that is valid in the worker.

    If the accelerator itself is in ``set_aside``, as when all accelerators are, the job avoids its device, so that the
    trial fails with that cause.
    """
    avoid_devices = (accelerator.local,) if accelerator.name in set_aside else ()
    execution = replace(job.execution, device=accelerator.local, slot=0, avoid_devices=avoid_devices)
    return replace(job, execution=execution)


def with_recorded_device(event: Event, accelerator: Accelerator) -> Event:
    """The event of a worker bound to ``accelerator``, with the device name that the study records."""
    if isinstance(event, Started):
        return replace(event, device=accelerator.name)
    if isinstance(event, Ended | Paused):
        return replace(event, outcome=replace(event.outcome, device=accelerator.name))
    return event
