"""The plan of a study: its total, lookahead, workers, device and fusing, decided once when it begins.

The plan is recorded, since results may depend on it. It follows from the file and the machines alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.config.enumeration import grid_position_of_point, grid_size
from tunecli.config.feasibility import n_feasible, n_of_small_grid
from tunecli.config.load import problem_at
from tunecli.config.study import DEFAULT_TRIALS, StudySpec
from tunecli.errors import ConfigError, Problem, UsageError
from tunecli.registry.samplers import sampler_info
from tunecli.study.plan.fusing import fused_width, reads_nothing
from tunecli.study.plan.machines import Machines, machines_of, too_few_devices, worker_count
from tunecli.train.machine import accelerators

MAX_WHOLE_GRID = 1000
_GROWING = (
    "the number of machines can grow, so the file must say how many trials run at the same time: set `run.workers`, or "
    "a number for `search.lookahead`"
)
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


def plan_for(spec: StudySpec, machines: Machines | None = None, lookahead: int | None = None) -> Plan:
    """The plan of a study: ``auto`` settings follow from the machines and the size of the space.

    Args:
        spec: the study.
        machines: the machines that run its trials; None: ask its engine.
        lookahead: the lookahead of a study that has begun; None: that of the file.

    Raises:
        ConfigError: no machine has as many devices as ``run.devices_per_trial``, or the number of machines can grow
            and the file says neither the number of workers nor the lookahead.
        UsageError: the grid has more than `MAX_WHOLE_GRID` points, and ``search.trials`` is not set; or the engine's
            machines do not answer.
    """
    search, run = spec.settings.search, spec.settings.run
    machines = machines or machines_of(run)
    if run.devices_per_trial > 1 and (
        message := too_few_devices(run.device, run.devices_per_trial, machines)
    ):
        raise ConfigError([_too_few(spec, message, machines)])
    known = search.lookahead if lookahead is None and search.lookahead != "auto" else lookahead
    if (
        known is None
        and run.workers == "auto"
        and machines.capacity is not None
        and machines.capacity.can_grow
    ):
        raise ConfigError([problem_at(spec, ("run", "workers"), _GROWING, "`run: {workers: 16}`")])
    n_workers = worker_count(run, machines, known)
    fuse = fused_width(spec, n_workers)
    ahead = _lookahead(spec, n_workers, fuse) if known is None else known
    return Plan(_n_trials(spec), ahead, n_workers, run.threads, run.device, run.engine_name, fuse)


def _too_few(spec: StudySpec, message: str, machines: Machines) -> Problem:
    hint = ""
    if not machines.hosts:
        n_here = max(1, len(accelerators(spec.settings.run.device)))
        hint = f"--set run.devices_per_trial={n_here} runs the trials here"
    return problem_at(spec, ("run", "devices_per_trial"), message, hint)


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
