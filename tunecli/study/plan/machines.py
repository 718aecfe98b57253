"""The machines that run a study's trials: this one, or those of an engine that has machines of its own.

An engine whose registry entry has a ``capacity`` names its machines. With any other engine, the accelerators and cores
of this machine count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunecli.config.run import Run
from tunecli.engine import n_cores
from tunecli.engine.device_assignment import n_slots, workers_per_accelerator
from tunecli.engine.protocol import Capacity, Host
from tunecli.errors import ClusterGone, UsageError
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.registry.implementations import implementation, require_package
from tunecli.text import counted
from tunecli.train.machine import Accelerator, accelerators, grouped


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines that run a study's trials.

    Attributes:
        here: this machine's accelerators for ``run.device``, in groups of ``run.devices_per_trial``; empty: trials run
            on the CPU, or elsewhere.
        capacity: the room that the engine has; None: it uses this machine.
        problem: why the engine could not be asked; empty: it answered, or uses this machine.
    """

    here: tuple[Accelerator, ...] = ()
    capacity: Capacity | None = None
    problem: str = ""

    @property
    def hosts(self) -> Sequence[Host]:
        """The engine's own machines; empty: this machine."""
        return () if self.capacity is None else self.capacity.hosts


def machines_of(run: Run) -> Machines:
    """Return the machines of the engine that the file names; ask it if it has machines of its own.

    Raises:
        UsageError: the engine's package is not installed, or its machines do not answer or do not fit.
    """
    name = run.engine_name
    info = engine_info(name)
    if not info.capacity:
        return this_machine(run)
    require_package(f"the engine `{name}`", info.package, info.extra, f"the engine {LOCAL}")
    try:
        capacity: Capacity = implementation(info.capacity)(run)
    except ClusterGone as error:
        raise UsageError(error.message, hint=error.hint) from error
    return Machines(devices_of(run, run.device) if not capacity.hosts else (), capacity)


def known_machines(run: Run) -> Machines:
    """Return the machines as `machines_of` does; if they cannot be asked, `Machines.problem` says why."""
    try:
        return machines_of(run)
    except UsageError as error:
        return Machines(problem=f"{error.message} (try: {error.hint})" if error.hint else error.message)


def require_engine_files(
    run: Run, base_path: Path, files: Callable[[], Mapping[str, str]] | None = None
) -> None:
    """Require that the machines of the engine can have the files of a study.

    Args:
        run: the file's ``run`` settings.
        base_path: the folder with the file.
        files: makes the SHA-256 of each file of code and data, by name; None: only the settings are checked.

    Raises:
        UsageError: the settings of the engine name files that are not there, or no machine can have the files.
    """
    if require := engine_info(run.engine_name).require_files:
        implementation(require)(run, base_path, None if files is None else files())


def this_machine(run: Run) -> Machines:
    """Return this machine, for a single trial that runs here with any engine of its study."""
    return Machines(devices_of(run, run.device))


def worker_count(run: Run, machines: Machines, lookahead: int | None = None) -> int:
    """Number of jobs that run at a time; no result depends on it (speed-independence).

    Args:
        run: the file's ``run`` settings.
        machines: the machines that run the jobs.
        lookahead: the study's lookahead; None: it follows from the number of workers.

    Raises:
        UsageError: the engine has no room for a job, and neither the file nor the lookahead says how many to wait for.
    """
    info, capacity = engine_info(run.engine_name), machines.capacity
    if info.max_workers == 1:
        return 1
    if run.workers != "auto" and info.runs_elsewhere:
        return run.workers  # those without room wait until there are more machines
    if machines.problem:
        return 1 if run.workers == "auto" else run.workers
    if capacity is not None:
        if run.workers == "auto" and capacity.can_grow and lookahead is not None:
            return lookahead
        if capacity.n_slots < 1:
            raise UsageError(
                f"the engine `{run.engine_name}` has no room for a trial now",
                hint="start its machines; or `--workers N` waits for room for N trials",
            )
        return capacity.n_slots if run.workers == "auto" else min(run.workers, capacity.n_slots)
    most = n_slots(machines.here, run.per_device) or max(1, n_cores() // run.threads)
    if run.workers == "auto":
        return most
    return min(run.workers, most) if machines.here else run.workers


def jobs_by_device(device: str, machines: Machines, n_jobs: int) -> Mapping[str, int]:
    """Number of jobs that run on each device at a time, by the device's name.

    Args:
        device: ``run.device``, for a study without accelerators of this machine.
        machines: the machines that run the jobs.
        n_jobs: number of jobs that run at a time.
    """
    if not machines.here:
        return {"cpu" if device == "auto" else device: n_jobs}
    return {name: n for name, n in workers_per_accelerator(machines.here, n_jobs).items() if n}


def devices_of(run: Run, device: str) -> tuple[Accelerator, ...]:
    """The accelerators here that trials run on, in groups of ``run.devices_per_trial``; empty: they run on the CPU."""
    return grouped(accelerators(device), run.devices_per_trial)


def too_few_devices(device: str, n_devices: int, machines: Machines | None = None) -> str:
    """Why no machine has a group of ``n_devices`` devices; empty: one has it, or this machine needs no group.

    Args:
        device: the device, as a value of ``run.device``.
        n_devices: number of devices of a trial.
        machines: the machines that run the trial; None: this one.
    """
    if machines is not None and (machines.problem or machines.hosts):
        return "" if machines.problem else _too_few_there(device, n_devices, machines)
    here = accelerators(device) if n_devices > 1 else ()
    if n_devices == 1 or grouped(here, n_devices):
        return ""
    if any(one.needs_binding for one in here):
        return "a trial cannot use several instances of a partitioned GPU (MIG)"
    has = counted(len(here), "such device") if here else "no accelerator"
    return f"a trial uses {n_devices} devices of `{device}`, and this machine has {has}"


def _too_few_there(device: str, n_devices: int, machines: Machines) -> str:
    kind = device.partition(":")[0]
    may_be_on_cpu = kind == "cpu" or (kind == "auto" and n_devices == 1)
    if may_be_on_cpu or (machines.capacity is not None and machines.capacity.can_grow):
        return ""
    most = max(sum(kind in ("auto", one) for one in host.devices) for host in machines.hosts)
    if most >= n_devices:
        return ""
    if n_devices == 1:
        return f"none of the {counted(len(machines.hosts), 'machine')} of the engine has a device `{device}`"
    has = f"at most {counted(most, 'such device')}" if most else "no such device"
    return f"a trial uses {n_devices} devices of `{device}`, and a machine of the engine has {has}"


def require_device(name: str, n_devices: int = 1, machines: Machines | None = None) -> None:
    """Make sure that there is a device, or a group of devices; loads torch for an accelerator of this machine.

    Args:
        name: the device, as a value of ``run.device``.
        n_devices: number of devices of a trial.
        machines: the machines that run the trial; None: this one.

    Raises:
        UsageError: there is no such device, or there are too few.
    """
    if message := too_few_devices(name, n_devices, machines):
        raise UsageError(message, hint="see `run.device` and `run.devices_per_trial`")
    is_here = machines is None or not (machines.problem or machines.hosts)
    if is_here and name not in ("auto", "cpu") and not accelerators(name):
        from tunecli.train import devices

        devices.resolve(name)
