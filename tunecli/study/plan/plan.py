"""What a study settles when it begins: the total, the workers, how far ahead is suggested, how many are fused.

Recorded with the study, since results may depend on some of it. Reads the file and the machine, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunecli.config.enumeration import grid_size, space_size
from tunecli.config.run import Run
from tunecli.config.study import DEFAULT_TRIALS, StudySpec
from tunecli.engine import n_cores
from tunecli.engine.device_assignment import n_slots, workers_per_accelerator
from tunecli.errors import UsageError
from tunecli.registry.engines import engine_info
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import sampler_info
from tunecli.study.plan.fusing import fused_width, reads_nothing
from tunecli.train.machine import Accelerator, accelerators

MAX_WHOLE_GRID = 1000
AHEAD = 8
"""So many trials a worker are made ready before it needs them, where none depends on what came of another."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study settled when it began.

    Attributes:
        n_trials: the total; `resume --trials` raises it.
        lookahead: suggestion n is made from the results of trials up to n - lookahead (law 5).
        n_workers: how many jobs run at a time; results do not depend on it.
        threads: intra-op threads of each worker; fixed, since bits may depend on it.
        device: as asked.
        engine: as asked.
        fuse: how many trials are trained as one model at most; 0: each by a loop of its own. Their bits differ, so it
            is settled once; how many are in a group changes none.
    """

    n_trials: int
    lookahead: int
    n_workers: int
    threads: int
    device: str
    engine: str
    fuse: int = 0


def plan_for(spec: StudySpec) -> Plan:
    """Settle what the file leaves to the machine or to the size of the space.

    Raises:
        UsageError: a grid of more points than one would run without saying so, and no ``search.trials``.
    """
    search, run = spec.settings.search, spec.settings.run
    n_workers = worker_count(run, accelerators(run.device))
    fuse = fused_width(spec, n_workers)
    lookahead = _lookahead(spec, n_workers, fuse) if search.lookahead == "auto" else search.lookahead
    return Plan(_n_trials(spec), lookahead, n_workers, run.threads, run.device, run.engine_name, fuse)


def _lookahead(spec: StudySpec, n_workers: int, fuse: int) -> int:
    """So much that no worker waits for a suggestion where several run; a single one sees all that came before."""
    if fuse:
        return n_workers * fuse
    limit = spec.settings.run.limit
    is_counted = limit.epochs is not None or bool(limit.failures) or spec.settings.search.stop is not None
    if reads_nothing(spec) and not is_counted:  # what ends a sweep should see results soon
        return n_workers * AHEAD
    return n_workers if n_workers == 1 else n_workers + 1


def _n_trials(spec: StudySpec) -> int:
    asked = spec.settings.search.trials
    is_grid = sampler_info(spec.settings.search.sampler_name).needs_grid
    n_points = grid_size(spec.space) if is_grid else space_size(spec.space)
    if asked is not None:
        return asked
    if is_grid and n_points is not None:
        if n_points > MAX_WHOLE_GRID:
            raise UsageError(
                f"the grid has {n_points:,} points and `search.trials` is not said",
                hint="say how many of them: --set search.trials=1000",
            )
        return n_points
    return DEFAULT_TRIALS if n_points is None else min(DEFAULT_TRIALS, n_points)


def worker_count(run: Run, here: Sequence[Accelerator]) -> int:
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
