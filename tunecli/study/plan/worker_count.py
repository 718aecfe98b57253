"""How many jobs of a study run at a time, and where: one for each slot of the accelerators, or of the CPU's cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.config.run import Run
from tunecli.engine import n_cores
from tunecli.engine.device_assignment import n_slots, workers_per_accelerator
from tunecli.registry.engines import engine_info
from tunecli.registry.implementations import implementation
from tunecli.train.machine import Accelerator, accelerators


def n_workers(run: Run, here: Sequence[Accelerator]) -> int:
    """How many jobs run at a time; no result depends on it (law 5).

    Args:
        run: what the file asks for.
        here: the places that its device means on this machine; none: its jobs are on the CPU.
    """
    info = engine_info(run.engine_name)
    if info.max_workers == 1:
        return 1
    if info.worker_slots:
        most = int(implementation(info.worker_slots)(run))
        return most if run.workers == "auto" else min(run.workers, most)
    most = n_slots(here, run.per_device) or max(1, n_cores() // run.threads)
    if run.workers == "auto":
        return most
    return min(run.workers, most) if here else run.workers


def jobs_by_device(device: str, here: Sequence[Accelerator], n_jobs: int) -> Mapping[str, int]:
    """How many of ``n_jobs`` run on each device at a time, by its name.

    Args:
        device: as asked, where there are no places: the CPU, or what is not here.
        here: the places that it means.
        n_jobs: at a time.
    """
    if not here:
        return {"cpu" if device == "auto" else device: n_jobs}
    return {name: n for name, n in workers_per_accelerator(here, n_jobs).items() if n}


def require_device(name: str) -> None:
    """Make sure that a device is here before trials are spent on it; loads torch where it is an accelerator.

    Raises:
        UsageError: there is no such device here.
    """
    if name not in ("auto", "cpu") and not accelerators(name):
        from tunecli.train import devices

        devices.resolve(name)
