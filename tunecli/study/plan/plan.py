"""The plan of a study: its total, lookahead, workers, device and fusing, decided once when it begins.

The plan is recorded, since results may depend on it. It follows from the file and the machine alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunecli.config.enumeration import grid_position_of_point, grid_size
from tunecli.config.feasibility import n_feasible, n_of_small_grid
from tunecli.config.load import problem_at
from tunecli.config.run import Run
from tunecli.config.study import DEFAULT_TRIALS, StudySpec
from tunecli.engine import n_cores
from tunecli.engine.device_assignment import n_slots, workers_per_accelerator
from tunecli.errors import ConfigError, UsageError
from tunecli.registry.engines import engine_info
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import sampler_info
from tunecli.study.plan.fusing import fused_width, reads_nothing
from tunecli.text import counted
from tunecli.train.machine import Accelerator, accelerators, grouped

MAX_WHOLE_GRID = 1000
AHEAD = 8
"""Number of trials per worker that are suggested ahead if no trial depends on the result of another."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions made when a study begins.

    Attributes:
        n_trials: the total; `resume --trials` raises it.
        lookahead: suggestion n is made from the results of trials up to n - lookahead (speed-independence).
        n_workers: number of jobs that run at a time; results do not depend on it.
        threads: intra-op threads of each worker; fixed, since bits may depend on it.
        device: ``run.device``.
        engine: ``run.engine``.
        fuse: the largest number of trials in one model; 0: each trial is trained alone. It is fixed, since a fused
            trial has other bits than a trial trained alone. The actual number of trials in a group changes no bits.
    """

    n_trials: int
    lookahead: int
    n_workers: int
    threads: int
    device: str
    engine: str
    fuse: int = 0


def plan_for(spec: StudySpec) -> Plan:
    """The plan of a study: ``auto`` settings follow from the machine and the size of the space.

    Raises:
        ConfigError: this machine has fewer devices than ``run.devices_per_trial``.
        UsageError: the grid has more than `MAX_WHOLE_GRID` points, and ``search.trials`` is not set.
    """
    search, run = spec.settings.search, spec.settings.run
    here = devices_of(run, run.device)
    if message := too_few_devices(run.device, run.devices_per_trial):
        hint = f"--set run.devices_per_trial={max(1, len(accelerators(run.device)))} runs the trials here"
        raise ConfigError([problem_at(spec, ("run", "devices_per_trial"), message, hint)])
    n_workers = worker_count(run, here)
    fuse = fused_width(spec, n_workers)
    lookahead = _lookahead(spec, n_workers, fuse) if search.lookahead == "auto" else search.lookahead
    return Plan(_n_trials(spec), lookahead, n_workers, run.threads, run.device, run.engine_name, fuse)


def _lookahead(spec: StudySpec, n_workers: int, fuse: int) -> int:
    """Large enough that no worker waits for a suggestion. With a single worker 1, so that it uses all results."""
    if fuse:
        return n_workers * fuse
    limit = spec.settings.run.limit
    has_limit = limit.epochs is not None or bool(limit.failures) or spec.settings.search.stop is not None
    if reads_nothing(spec) and not has_limit:  # a limit or `search.stop` needs results soon
        return n_workers * AHEAD
    return n_workers if n_workers == 1 else n_workers + 1


def _n_trials(spec: StudySpec) -> int:
    n_trials = spec.settings.search.trials
    is_grid = sampler_info(spec.settings.search.sampler_name).needs_grid
    if n_trials is not None:
        return n_trials
    if is_grid and grid_size(spec.space) is not None:
        n_points = n_of_small_grid(spec.space, MAX_WHOLE_GRID)
        if n_points is None:
            raise UsageError(
                f"the grid has {_shown_grid(spec)} points and `search.trials` is not set",
                hint="set the number of trials: --set search.trials=1000",
            )
        return n_points + sum(grid_position_of_point(spec.space, point) is None for point in spec.space.start)
    n_points = n_feasible(spec.space)
    return DEFAULT_TRIALS if n_points is None else min(DEFAULT_TRIALS, n_points)


def _shown_grid(spec: StudySpec) -> str:
    if spec.space.constraints:
        return f"more than {MAX_WHOLE_GRID:,} feasible"
    return f"{grid_size(spec.space):,}"


def worker_count(run: Run, here: Sequence[Accelerator]) -> int:
    """Number of jobs that run at a time; no result depends on it (speed-independence).

    Args:
        run: the file's ``run`` settings.
        here: this machine's accelerators for ``run.device``, in groups of ``run.devices_per_trial``; empty: the jobs
            run on the CPU.
    """
    info = engine_info(run.engine_name)
    if info.max_workers == 1:
        return 1
    if info.capacity:
        most = int(implementation(info.capacity)(run).n_slots)
        return most if run.workers == "auto" else min(run.workers, most)
    most = n_slots(here, run.per_device) or max(1, n_cores() // run.threads)
    if run.workers == "auto":
        return most
    return min(run.workers, most) if here else run.workers


def jobs_by_device(device: str, here: Sequence[Accelerator], n_jobs: int) -> Mapping[str, int]:
    """Number of jobs that run on each device at a time, by the device's name.

    Args:
        device: ``run.device``, for a study without accelerators.
        here: this machine's accelerators for ``device``.
        n_jobs: number of jobs that run at a time.
    """
    if not here:
        return {"cpu" if device == "auto" else device: n_jobs}
    return {name: n for name, n in workers_per_accelerator(here, n_jobs).items() if n}


def devices_of(run: Run, device: str) -> tuple[Accelerator, ...]:
    """The accelerators that trials run on, in groups of ``run.devices_per_trial``; empty: they run on the CPU."""
    return grouped(accelerators(device), run.devices_per_trial)


def too_few_devices(device: str, n_devices: int) -> str:
    """Why this machine has no group of ``n_devices`` devices; empty if it has one, or if trials use one device."""
    here = accelerators(device) if n_devices > 1 else ()
    if n_devices == 1 or grouped(here, n_devices):
        return ""
    if any(one.needs_binding for one in here):
        return "a trial cannot use several instances of a partitioned GPU (MIG)"
    has = counted(len(here), "such device") if here else "no accelerator"
    return f"a trial uses {n_devices} devices of `{device}`, and this machine has {has}"


def require_device(name: str, n_devices: int = 1) -> None:
    """Make sure that this machine has a device, or a group of devices; loads torch for an accelerator.

    Raises:
        UsageError: there is no such device, or there are too few.
    """
    if message := too_few_devices(name, n_devices):
        raise UsageError(message, hint="see `run.devices_per_trial`")
    if name not in ("auto", "cpu") and not accelerators(name):
        from tunecli.train import devices

        devices.resolve(name)
