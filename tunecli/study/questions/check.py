"""Everything that can be known before spending: errors, the space and its size, what will never matter, the cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tunecli.config.concrete_trial import points_to_check, resolve_trial
from tunecli.config.domains import Categorical, Domain, Integer, is_plain_over_magnitudes, n_values
from tunecli.config.enumeration import grid_position_of_point, grid_size, space_size
from tunecli.config.labels import described, option_labels, shown
from tunecli.config.load import load
from tunecli.config.metrics import LATENCY, N_PARAMETERS, is_clock
from tunecli.config.pruners import Curves, Pausing, Pruner
from tunecli.config.samplers import Bayes
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space, default_point
from tunecli.config.study import StudySpec
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.search.pruners.promotion import full_trainings
from tunecli.search.samplers.bayes import n_initial
from tunecli.search.samplers.registry import suggest
from tunecli.search.samplers.third_party import require
from tunecli.study.plan.cost_bounds import extremes, seconds_of
from tunecli.study.plan.fusing import Fusing, fusing
from tunecli.study.plan.plan import Plan, plan_for
from tunecli.study.plan.worker_count import jobs_by_device, require_device
from tunecli.study.questions.configuration_notes import configuration_notes
from tunecli.study.questions.data import data_of
from tunecli.study.questions.trial_notes import notes_of_trials
from tunecli.study.record.history import History
from tunecli.study.runner.pause_schedule import lengths_of, levels_of, pauses_of
from tunecli.train.accelerators import places
from tunecli.train.cost import Cost, sizes_of_parts
from tunecli.train.data.sources import facts_of
from tunecli.train.data.summary import DataSummary
from tunecli.train.validation import complaints
from tunecli.train.validation.notes import has_scaled_target
from tunecli.trial import Parameters, Scalar, Trial

_TRAINING_BYTES_A_WEIGHT = 16  # itself, its gradient and the two moments of Adam, in float32
_FEW_EXAMPLES = 20
_PACKAGED = ("tpe", "cmaes")  # samplers whose package takes a second to import
_SCORED_ON = ("data.source", "data.target", "data.task", "data.validation", "data.test")
_TRAINED_ON = ("data.train_fraction",)
_MAX_POINTS = 300


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter as `check` shows it."""

    name: str
    range: str
    default: str
    only_where: str


@dataclass(frozen=True)
class Check:
    """What `check` found; a file with errors never gets this far.

    ``size`` and ``grid`` are numbers of points, None where infinite. ``seconds`` is a rough estimate of the
    whole sweep's wall time on this machine's cores, from the smallest to the largest trial. ``pauses`` are the epochs
    after which the pruner has the longest trials wait; with such a pruner ``epochs`` are how many all trials train
    together, at least and at most, else None. What is the user's own, the trial or its data or model, costs
    what nobody knows: None. ``labels`` name an option whose own label says too little, by its ``repr``. ``data``
    describes each data set that trials may have.
    """

    study: str
    objective: Objective
    sampler: str
    pruner: str
    pauses: tuple[int, ...]
    plan: Plan
    parameters: tuple[ParameterRow, ...]
    size: int | None
    grid: int | None
    fusing: Fusing
    jobs_by_device: Mapping[str, int]
    notes: tuple[str, ...]
    smallest: Cost | None
    largest: Cost | None
    seconds: tuple[float, float] | None
    epochs: tuple[int, int] | None
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data: tuple[DataSummary, ...] = ()


def load_checked(path: Path, overrides: tuple[str, ...]) -> StudySpec:
    """Load a file with everything checked that its data can tell.

    Raises:
        ConfigError: with every problem found.
        UsageError: an override is no ``path=value``.
    """
    return load(path, overrides, complaints)


def check(spec: StudySpec) -> Check:
    """What is known of a loaded study before it runs.

    Raises:
        UsageError: a grid that is too large to be run whole, without saying so; a sampler that is not installed, or
            that has settings which nothing would look at.
    """
    search = spec.settings.search
    require(search.sampler_name)
    if isinstance(search.pruner, Curves) and search.sampler not in ("bayes", Bayes()):
        raise UsageError(
            "the pruner `curves` proposes points by a model and an acquisition of its own",
            hint="drop `surrogate` and `acquisition` of `search.sampler`",
        )
    plan = plan_for(spec)
    space, sampler, pruner = spec.space, search.sampler_name, search.pruner
    pauses = pauses_of(spec, pruner) if isinstance(pruner, Pausing) else ()
    smallest, largest = extremes(spec)
    n_trials = min(plan.n_trials, space_size(space) or plan.n_trials)
    workers = min(plan.n_workers, plan.lookahead, n_trials)
    together = fusing(spec, plan.n_workers, plan.n_trials)
    seconds = None
    least, most = _full_trainings(spec, n_trials)
    if smallest is not None and largest is not None and smallest.n_multiply_adds is not None:
        seconds = (seconds_of(smallest) * least / workers, seconds_of(largest) * most / workers)
    return Check(
        spec.settings.study,
        spec.objective,
        sampler,
        "none" if pruner == "none" else pruner.name,
        pauses,
        plan,
        tuple(_rows(space)),
        space_size(space),
        grid_size(space),
        together,
        jobs_by_device(plan.device, places(plan.device), plan.n_workers),
        (
            *_notes(spec, plan),
            *_pruner_notes(pruner, pauses),
            *_fusing_notes(spec, together),
            *_memory_notes(largest),
        ),
        smallest,
        largest,
        seconds,
        _epochs(spec, least, most),
        option_labels(space),
        data_of(spec),
    )


def _full_trainings(spec: StudySpec, n_trials: int) -> tuple[float, float]:
    """How many trials' worth of training the sweep is, at least and at most."""
    pruner = spec.settings.search.pruner
    if not isinstance(pruner, Pausing):
        return n_trials, n_trials
    return full_trainings(pruner, levels_of(spec, pruner), spec.space, n_trials)


def _epochs(spec: StudySpec, least: float, most: float) -> tuple[int, int] | None:
    """How many epochs so many full trainings are, where trials pause and the pruner says how long they are."""
    pruner = spec.settings.search.pruner
    if not isinstance(pruner, Pausing):
        return None
    shortest, longest = lengths_of(spec, pruner)
    return round(least * shortest), round(most * longest)


def first_suggestions(spec: StudySpec, n: int) -> list[Trial]:
    """The first ``n`` points the sampler would try, as far as no result is needed for them."""
    trials: dict[int, Trial] = {}
    name = spec.settings.search.sampler_name
    needs_none = {"bayes": n_initial(spec.space), "tpe": 1, "cmaes": 1}
    for number in range(min(n, needs_none.get(name, n))):
        history = History(trials.values(), spec.objective).up_to(-1)
        point = suggest(
            name, spec.space, history, number, spec.settings.seed, spec.settings.search.sampler_settings
        )
        if point is None:
            break
        trials[number] = Trial(number, point, 0)
    return list(trials.values())


def _pruner_notes(pruner: Pruner, pauses: tuple[int, ...]) -> Iterator[str]:
    if isinstance(pruner, Pausing) and not pauses:
        yield f"the pruner `{pruner.name}` changes nothing: its first level is the end of a trial"


def _fusing_notes(spec: StudySpec, together: Fusing) -> Iterator[str]:
    """That trials cannot be trained together though the file asks for it; of one trial nothing is asked."""
    asked = spec.settings.run.fuse
    if isinstance(asked, int) and asked > 1 and together.share == "none" and spec.space.parameters:
        reasons = "; ".join(map(str, together.obstacles))
        yield f"run.fuse {asked}: no trials are trained together, since of all of them {reasons}"


def _memory_notes(largest: Cost | None) -> Iterator[str]:
    here_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed_bytes = 0 if largest is None else (largest.n_parameters or 0) * _TRAINING_BYTES_A_WEIGHT
    if needed_bytes > here_bytes:
        yield (
            f"the largest model takes {needed_bytes / 2**30:,.0f} GiB while it trains, "
            f"and this machine has {here_bytes / 2**30:,.0f}"
        )


def _rows(space: Space) -> Iterator[ParameterRow]:
    labels = option_labels(space)
    names = {parameter.key: parameter.name for parameter in space.parameters}
    for parameter in space.parameters:
        conditions = [
            f"{names[condition.key]} is {_any_of(condition.values, labels.get(names[condition.key], {}))}"
            for condition in parameter.conditions
        ]
        told = labels.get(parameter.name, {})
        default = "" if parameter.default is None else _option(parameter.default, told)
        yield ParameterRow(parameter.name, _range(parameter.domain, told), default, " and ".join(conditions))


def _range(domain: Domain, labels: Mapping[str, str]) -> str:
    if isinstance(domain, Categorical):
        return f"choice {', '.join(_option(option, labels) for option in domain.options)}"
    return described(domain)


def _option(option: Scalar, labels: Mapping[str, str]) -> str:
    return labels.get(repr(option)) or shown(option)


def _any_of(values: Sequence[Scalar], labels: Mapping[str, str]) -> str:
    """``1 to 3`` for whole numbers in a row, else ``a or b``."""
    numbers = [value for value in values if type(value) is int]
    if len(numbers) == len(values) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return " or ".join(_option(value, labels) for value in values)


def _notes(spec: StudySpec, plan: Plan) -> Iterator[str]:
    space, search = spec.space, spec.settings.search
    size, grid = space_size(space), grid_size(space)
    if not space.parameters:
        yield "no key holds a range: this is one trial, which `tunecli train` runs"
    if search.sampler_name == "grid" and grid is not None and plan.n_trials < grid:
        yield f"the grid has {grid:,} points; {plan.n_trials:,} of them are run"
    if size is not None and plan.n_trials > size:
        only = (
            "only 1 distinct point: the sweep ends after 1"
            if size == 1
            else (f"only {size:,} distinct points: the sweep ends after {size:,}")
        )
        yield f"{only} of {plan.n_trials:,} trials"
    for parameter in space.parameters:
        if n_values(parameter.domain) == 1 and not parameter.name.endswith(".length"):
            yield f"{parameter.name} has one value: its range never matters"
        if any(not condition.values for condition in parameter.conditions):
            yield f"{parameter.name} is never active"
        if is_plain_over_magnitudes(parameter.domain):
            log = "logint" if isinstance(parameter.domain, Integer) else "loguniform"
            yield (
                f"{parameter.name}: {described(parameter.domain)} seldom draws a small value; "
                f"{log} draws every magnitude alike"
            )
    yield from configuration_notes(spec)
    default = default_point(space)
    if (
        search.sampler_name == "grid"
        and default is not None
        and grid_position_of_point(space, default) is None
    ):
        yield "the defaults do not lie on the grid, so no trial begins with them"
    yield from _device_notes(spec, plan)
    if plan.lookahead < plan.n_workers:
        yield f"search.lookahead {plan.lookahead} keeps {plan.n_workers - plan.lookahead} of the workers waiting"
    yield from _goal_notes(spec, plan)
    stop = spec.settings.search.stop
    if stop is not None and stop.stagnation is not None and stop.stagnation >= plan.n_trials:
        yield f"search.stop.stagnation {stop.stagnation} never ends a sweep of {plan.n_trials} trials"
    for name in _differing_data(space, _SCORED_ON):
        yield f"{name} differs between trials, so their scores are not of the same data"
    yield from _scale_notes(spec)
    yield from notes_of_trials(spec, _first_point(spec))
    first = resolve_trial(space, next(points_to_check(space)))
    facts = facts_of(first.data, spec.base_path) if isinstance(first, TrialConfig) else None
    if facts is not None and isinstance(first, TrialConfig):
        n_valid = min(n for _, n in sizes_of_parts(first.data, facts, spec.base_path))
        if n_valid < _FEW_EXAMPLES:
            yield f"the score is of {n_valid} examples: chance moves it by a lot"


def _first_point(spec: StudySpec) -> Parameters | None:
    """Where trial 0 is, unless a package would be imported to know."""
    search = spec.settings.search
    if not spec.space.parameters or search.sampler_name in _PACKAGED:
        return None
    found = first_suggestions(spec, 1)
    return found[0].parameters if found else None


def _goal_notes(spec: StudySpec, plan: Plan) -> Iterator[str]:
    has_losses = any(name == "loss" or name.startswith("loss.") for name in spec.space.names)
    for aim in spec.settings.objective.aims:
        if aim.direction is not None and aim.natural is not None and aim.goal != aim.natural:
            better = "higher" if aim.natural.maximize else "lower"
            yield f"direction is {aim.direction}, but {better} {aim.name} is better; is that intended?"
        if aim.name.endswith("_loss") and has_losses:
            yield f"{aim.name} is not comparable between trials whose loss differs"
    if any(map(is_clock, spec.objective.metrics)) and plan.n_workers > 1:
        yield f"{LATENCY} is measured while other trials run: `--workers 1` leaves the machine to it"
    for bound in spec.objective.constraints:
        if bound.metric in (LATENCY, N_PARAMETERS) and not bound.is_least and bound.bound <= 0:
            yield f"no trial holds {bound}"


def _device_notes(spec: StudySpec, plan: Plan) -> Iterator[str]:
    """That the device is not here, as the file may be checked on one machine and run on another, or has no room."""
    run = spec.settings.run
    asked = run.workers
    is_on_cpu = plan.device.partition(":")[0] in ("auto", "cpu") and not places(plan.device)
    if run.per_device > 1 and is_on_cpu:
        yield f"run.per_device {run.per_device} counts jobs on an accelerator: on the CPU it changes nothing"
    if isinstance(asked, int) and plan.n_workers < asked and run.engine != "inline":
        yield f"run.workers {asked}: run.per_device {run.per_device} lets {plan.n_workers} run at a time here"
    try:
        require_device(plan.device)
    except UsageError as error:
        yield f"run.device: {error.message}, so it cannot be run on this machine ({error.hint})"


def _differing_data(space: Space, keys: tuple[str, ...]) -> list[str]:
    """The keys of the data that differ between trials: ranges, and what branches and references differ in."""
    found = [name for name in space.names if name.startswith(keys)]
    trials = [resolve_trial(space, point) for point in islice(points_to_check(space), _MAX_POINTS)]
    every = [trial.data for trial in trials if isinstance(trial, TrialConfig)]
    for key in keys:
        name = key.removeprefix("data.")
        is_told = any(each.startswith(key) for each in found)
        if not is_told and any(getattr(one, name) != getattr(every[0], name) for one in every):
            found.append(key)
    return found


def _scale_notes(spec: StudySpec) -> Iterator[str]:
    """That a regression's loss has another unit in each trial, as each standardises by what it trains on."""
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
