"""The notes of `tunecli check` on settings that may not be intended. Each note says what to write instead."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice

from tunecli.commands.check_parameters import prior_notes
from tunecli.commands.constraint_notes import constraint_notes
from tunecli.commands.trial_notes import notes_of_trials
from tunecli.config.concrete_trial import concrete, points_to_check, resolve_trial
from tunecli.config.domains import Integer, Real, is_plain_over_magnitudes, last_value, n_values
from tunecli.config.enumeration import grid_position_of_point
from tunecli.config.families import Pruner
from tunecli.config.feasibility import n_feasible, n_feasible_grid
from tunecli.config.labels import described, shown
from tunecli.config.mentions import shared_variables
from tunecli.config.metrics import LATENCY, N_PARAMETERS, is_clock
from tunecli.config.range_lines import near_ranges
from tunecli.config.run import Run
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space, default_point
from tunecli.config.study import StudySpec
from tunecli.config.user_code import uses
from tunecli.errors import UsageError
from tunecli.registry.engines import engine_info
from tunecli.registry.implementations import implementation
from tunecli.registry.pruners import is_pausing
from tunecli.registry.samplers import sampler_info
from tunecli.study.plan.fusing import Fusing
from tunecli.study.plan.machines import Machines, require_device
from tunecli.study.plan.plan import Plan
from tunecli.study.record.suggestions import first_suggestions
from tunecli.text import counted
from tunecli.train.data.sources import facts_of
from tunecli.train.validation.notes import has_scaled_target
from tunecli.train.workload import Cost, sizes_of_parts
from tunecli.trial import Parameters

_FEW_EXAMPLES = 20
_TRAINING_BYTES_A_WEIGHT = 16  # itself, its gradient and the two moments of Adam, in float32
_SCORED_ON = ("data.source", "data.target", "data.task", "data.validation", "data.test")
_TRAINED_ON = ("data.train_fraction",)
_MAX_POINTS = 300


def check_notes(
    spec: StudySpec,
    plan: Plan,
    pauses: tuple[int, ...],
    together: Fusing,
    largest: Cost | None,
    machines: Machines,
) -> tuple[str, ...]:
    """All notes on a study.

    Args:
        spec: a loaded study.
        plan: its plan on this machine.
        pauses: the epochs after which the pruner pauses the longest trials.
        together: which trials are trained as one model.
        largest: the cost of the largest trial; None: unknown.
        machines: the machines that run its trials.

    Raises:
        DataError: the data cannot be read or split.
    """
    return (
        *_search_notes(spec, plan, machines),
        *_pruner_notes(spec.settings.search.pruner, pauses),
        *_fusing_notes(spec, together),
        *(() if engine_info(plan.engine).runs_elsewhere else _memory_notes(largest)),
    )


def _first_point(spec: StudySpec) -> Parameters | None:
    """The point of trial 0; None: the sampler needs a package that takes a second to import."""
    search = spec.settings.search
    if not spec.space.parameters or sampler_info(search.sampler_name).package:
        return None
    suggestions = first_suggestions(spec, 1)
    return suggestions[0].parameters if suggestions else None


def _memory_notes(largest: Cost | None) -> Iterator[str]:
    here_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed_bytes = 0 if largest is None else (largest.n_parameters or 0) * _TRAINING_BYTES_A_WEIGHT
    if needed_bytes > here_bytes:
        yield (
            f"the largest model needs {needed_bytes / 2**30:,.0f} GiB of memory to train, "
            f"and this machine has {here_bytes / 2**30:,.0f} GiB"
        )


def _search_notes(spec: StudySpec, plan: Plan, machines: Machines) -> Iterator[str]:
    space, search = spec.space, spec.settings.search
    size, grid = n_feasible(space), n_feasible_grid(space)
    is_grid = sampler_info(search.sampler_name).needs_grid
    if not space.parameters:
        yield "no key holds a range: there is one trial, which `tunecli train` runs"
    if is_grid and grid is not None and plan.n_trials < grid:
        yield f"the grid has {grid:,} points, and the sweep runs {plan.n_trials:,} of them"
    if size is not None and plan.n_trials > size:
        only = (
            "only 1 distinct point: the sweep ends after 1"
            if size == 1
            else (f"only {size:,} distinct points: the sweep ends after {size:,}")
        )
        yield f"{only} of {plan.n_trials:,} trials"
    for parameter in space.parameters:
        if n_values(parameter.domain) == 1 and not parameter.name.endswith(".length"):
            yield f"{parameter.name}: the range holds one value only"
        if any(not condition.values for condition in parameter.conditions):
            yield f"{parameter.name} is never used: no value of another parameter makes it active"
        if is_plain_over_magnitudes(parameter.domain):
            log = "logint" if isinstance(parameter.domain, Integer) else "loguniform"
            yield (
                f"{parameter.name}: {described(parameter.domain)} rarely draws a small value; "
                f"{log} draws each order of magnitude equally often"
            )
    yield from _configuration_notes(spec)
    yield from constraint_notes(space)
    if len(space.start) > plan.n_trials:
        n_left = len(space.start) - plan.n_trials
        yield f"search.trials {plan.n_trials} leaves out the last {n_left} of {len(space.start)} start points"
    default = default_point(space)
    if is_grid and default is not None and grid_position_of_point(space, default) is None:
        yield "the defaults are not on the grid, so no trial uses them"
    yield from _device_notes(spec, plan, machines)
    if plan.lookahead < plan.n_workers:
        n_idle = plan.n_workers - plan.lookahead
        yield f"search.lookahead {plan.lookahead} leaves {n_idle} of {plan.n_workers} workers idle"
    yield from _process_notes(spec)
    yield from _goal_notes(spec, plan)
    stop = spec.settings.search.stop
    if stop is not None and stop.stagnation is not None and stop.stagnation >= plan.n_trials:
        yield f"search.stop.stagnation {stop.stagnation} has no effect in a sweep of {plan.n_trials} trials"
    for name in _differing_data(space, _SCORED_ON):
        yield f"{name} differs between trials, so their scores come from different data and cannot be compared"
    yield from _scale_notes(spec)
    yield from notes_of_trials(spec, _first_point(spec))
    first = resolve_trial(space, next(points_to_check(space)))
    facts = facts_of(first.data, spec.base_path) if isinstance(first, TrialConfig) else None
    if facts is not None and isinstance(first, TrialConfig):
        n_valid = min(n for _, n in sizes_of_parts(first.data, facts, spec.base_path, spec.settings.seed))
        if n_valid < _FEW_EXAMPLES:
            yield f"the score is measured on {n_valid} examples only, so it is noisy"


def _goal_notes(spec: StudySpec, plan: Plan) -> Iterator[str]:
    has_losses = any(name == "loss" or name.startswith("loss.") for name in spec.space.names)
    for aim in spec.settings.objective.aims:
        if aim.direction is not None and aim.natural is not None and aim.goal != aim.natural:
            better = "higher" if aim.natural.maximize else "lower"
            yield f"direction is {aim.direction}, but {better} {aim.name} is better; is that intended?"
        if aim.name.endswith("_loss") and has_losses:
            yield f"{aim.name} is not comparable between trials whose loss differs"
    if any(map(is_clock, spec.objective.metrics)) and plan.n_workers > 1:
        yield f"{LATENCY} is measured while other trials run; `--workers 1` gives undisturbed figures"
    for bound in spec.objective.constraints:
        if bound.metric in (LATENCY, N_PARAMETERS) and not bound.is_least and bound.bound <= 0:
            yield f"no trial can satisfy {bound}"


def _device_notes(spec: StudySpec, plan: Plan, machines: Machines) -> Iterator[str]:
    """Notes on devices: the file may be checked on one machine and run on another, so an absent one is no error."""
    run = spec.settings.run
    asked, info = run.workers, engine_info(run.engine_name)
    is_on_cpu = plan.device.partition(":")[0] in ("auto", "cpu") and not machines.here
    if machines.problem:
        yield f"{machines.problem}; the numbers that follow from the machines are set when the study begins"
    if run.per_device > 1 and is_on_cpu:
        yield f"run.per_device {run.per_device} has no effect on the CPU: it counts jobs on an accelerator"
    if info.runs_elsewhere:
        yield from _notes_on_room(run, plan, machines)
    elif isinstance(asked, int) and plan.n_workers < asked and info.max_workers != 1:
        yield f"run.workers {asked}: run.per_device {run.per_device} allows {plan.n_workers} at a time on this machine"
    try:
        require_device(plan.device, machines=machines)
    except UsageError as error:
        where = "they" if machines.hosts else "this machine"
        yield f"run.device: {error.message}, so {where} cannot run the study ({error.hint})"


def _notes_on_room(run: Run, plan: Plan, machines: Machines) -> Iterator[str]:
    """Notes on the room of an engine that runs trials on other machines."""
    capacity = machines.capacity
    if capacity is not None and plan.n_workers > capacity.n_slots and not capacity.can_grow:
        room = counted(capacity.n_slots, "trial")
        yield f"run.workers {plan.n_workers}: there is room for {room} now, and the others wait for more machines"
    settings = run.engine_settings
    cpus = getattr(settings, "cpus", None)
    if isinstance(cpus, int | float) and cpus < run.threads:
        yield (
            f"run.{run.engine_name}.cpus {cpus:g} is below run.threads {run.threads}: the trials of a machine compete "
            "for its CPUs"
        )


def _process_notes(spec: StudySpec) -> Iterator[str]:
    """Notes on the processes of trials: which state the user's code shares, and whether memory can be watched."""
    run = spec.settings.run
    runs_here = engine_info(run.engine_name).runs_in_this_process
    if run.trial_limit.memory is not None and (runs_here or sys.platform != "linux"):
        where = f"`engine: {run.engine_name}`" if runs_here else "this system"
        yield f"run.trial_limit.memory has no effect: {where} cannot watch the memory of a trial"
    if run.isolate == "on":
        return
    trials = (concrete(spec.space, point) for point in islice(points_to_check(spec.space), _MAX_POINTS))
    if not any(True for trial in trials for _ in uses(trial, spec.objective)):
        yield "run.isolate off has no effect: no trial runs Python code of yours"
    elif not runs_here:
        yield (
            "run.isolate off: the trials of a worker share one process, so the state of modules, threads, open "
            "files and child processes of one trial can change the scores of later trials, and the table can depend on "
            "the number of workers"
        )


def _differing_data(space: Space, keys: tuple[str, ...]) -> list[str]:
    """The keys of the data that differ between trials by a range, a branch or a reference."""
    names = [name for name in space.names if name.startswith(keys)]
    trials = [resolve_trial(space, point) for point in islice(points_to_check(space), _MAX_POINTS)]
    data = [trial.data for trial in trials if isinstance(trial, TrialConfig)]
    for key in keys:
        field = key.removeprefix("data.")
        is_named = any(name.startswith(key) for name in names)
        if not is_named and any(getattr(one, field) != getattr(data[0], field) for one in data):
            names.append(key)
    return names


def _scale_notes(spec: StudySpec) -> Iterator[str]:
    """Notes on a regression's loss: each trial standardises its targets by its own training part."""
    losses = sorted({"val_loss", "train_loss"} & {*spec.objective.metrics})
    if not losses or not _differing_data(spec.space, _TRAINED_ON):
        return
    trials = (resolve_trial(spec.space, point) for point in islice(points_to_check(spec.space), _MAX_POINTS))
    if any(isinstance(trial, TrialConfig) and has_scaled_target(trial, spec.base_path) for trial in trials):
        for loss in losses:
            yield (
                f"{loss} of a regression is not comparable between trials whose data.train_fraction differs: each "
                "divides its targets by the standard deviation of its own training part; val_rmse and val_mae are "
                "comparable"
            )


def _pruner_notes(pruner: Pruner, pauses: tuple[int, ...]) -> Iterator[str]:
    if is_pausing(pruner) and not pauses:
        yield f"the pruner `{pruner.name}` changes nothing: its first rung is the end of a trial"


def _fusing_notes(spec: StudySpec, together: Fusing) -> Iterator[str]:
    """A note if the file requests fused training and no trials can be fused; one trial alone needs no note."""
    asked = spec.settings.run.fuse
    if isinstance(asked, int) and asked > 1 and together.share == "none" and spec.space.parameters:
        reasons = "; ".join(map(str, together.blockers))
        yield f"run.fuse {asked} has no effect: no trials can be trained together ({reasons})"


def _configuration_notes(spec: StudySpec) -> Iterator[str]:
    """Notes on ranges and parameters, in the order of the file."""
    for aim in spec.settings.objective.aims:
        if aim.inferred is not None:
            direction = "maximize" if aim.inferred.maximize else "minimize"
            yield (
                f"the direction of {aim.name} is taken from its name: {direction}; "
                "set `direction:` to choose it yourself"
            )
    for near in near_ranges(spec.space.tree):
        yield f"trial.{near.name}: {near.written} is not a range, so your code receives it unchanged ({near.hint})"
    yield from _short_ranges(spec.space)
    yield from prior_notes(spec)
    for variable, paths in shared_variables(spec.space).items():
        yield (
            f"{' and '.join(paths)} would share the environment variable {variable}, so a trial with both sets "
            "neither; TUNECLI_PARAMS holds all parameters"
        )
    notes = sampler_info(spec.settings.search.sampler_name).notes
    if notes:
        yield from implementation(notes)(spec.space)


def _short_ranges(space: Space) -> Iterator[str]:
    """Notes on ranges whose steps do not reach the upper bound."""
    for parameter in space.parameters:
        domain = parameter.domain
        if (
            isinstance(domain, Integer | Real)
            and domain.step is not None
            and last_value(domain) != domain.high
        ):
            yield (
                f"{parameter.name}: {described(domain)} ends at {shown(last_value(domain))}, "
                f"because its steps do not reach {shown(domain.high)}"
            )
