"""`tunecli check` and `--dry-run`: errors, the search space, the search and its cost, before a trial runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunecli.commands.check_cost import CostEstimate, cost_data, cost_lines, estimate_cost
from tunecli.commands.check_notes import check_notes, first_suggestions
from tunecli.commands.data import data_json, data_lines, data_notes, data_of
from tunecli.config import objectives
from tunecli.config.domains import Categorical, Domain
from tunecli.config.enumeration import grid_size, space_size
from tunecli.config.labels import described, option_labels, shown
from tunecli.config.load import load
from tunecli.config.space import Space
from tunecli.config.study import Search, StudySpec
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.registry.pruners import is_pausing, pruner_info
from tunecli.registry.samplers import require_sampler
from tunecli.results.columns import short_names
from tunecli.results.table import ABSENT, display_cell
from tunecli.results.view import Fit, Section, View
from tunecli.study.plan.fusing import Fusing, fusing
from tunecli.study.plan.plan import Plan, plan_for
from tunecli.study.plan.worker_count import jobs_by_device
from tunecli.study.runner.pause_schedule import pauses_of
from tunecli.text import counted
from tunecli.train.data.summary import DataSummary
from tunecli.train.machine import places
from tunecli.train.validation import trial_problems
from tunecli.trial import Scalar, Trial

_MAX_SUGGESTIONS = 10


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter as `check` shows it."""

    name: str
    range: str
    default: str
    only_where: str


@dataclass(frozen=True)
class Check:
    """What is known of a valid study before it runs.

    Attributes:
        study: the study's name.
        objective: the goals and constraints.
        sampler, pruner: their names.
        pauses: the epochs after which the pruner pauses the longest trials; empty: it pauses none.
        plan: the study's plan on this machine.
        parameters: a row for each parameter.
        size, grid: the number of points of the space and of its grid; None: infinite.
        fusing: which trials are trained as one model.
        jobs_by_device: by device, how many jobs run there at a time.
        notes: what may not be meant as it is written.
        cost: the estimated cost.
        labels: by parameter, a label for each option whose own label says too little, by the option's ``repr``.
        data: each data set that trials may have.
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
    cost: CostEstimate
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data: tuple[DataSummary, ...] = ()


def load_checked(path: Path, overrides: tuple[str, ...]) -> StudySpec:
    """Load a file with everything checked that its data can tell.

    Raises:
        ConfigError: with every problem found.
        UsageError: an override is no ``path=value``.
    """
    return load(path, overrides, trial_problems)


def check(spec: StudySpec) -> Check:
    """What is known of a loaded study before it runs.

    Raises:
        UsageError: a grid that is too large to be run whole, without saying so; a sampler that is not installed, or
            that has settings which nothing would look at.
    """
    search = spec.settings.search
    require_sampler(search.sampler_name)
    _require_default_sampler(search)
    plan, space, pruner = plan_for(spec), spec.space, search.pruner
    pauses = pauses_of(spec, pruner) if is_pausing(pruner) else ()
    cost = estimate_cost(spec, plan)
    together = fusing(spec, plan.n_workers, plan.n_trials)
    return Check(
        spec.settings.study,
        spec.objective,
        search.sampler_name,
        "none" if pruner == "none" else pruner.name,
        pauses,
        plan,
        tuple(_rows(space)),
        space_size(space),
        grid_size(space),
        together,
        jobs_by_device(plan.device, places(plan.device), plan.n_workers),
        check_notes(spec, plan, pauses, together, cost.largest),
        cost,
        option_labels(space),
        data_of(spec),
    )


def _require_default_sampler(search: Search) -> None:
    """Refuse settings of the sampler beside a pruner that proposes points itself, for nothing would read them.

    Raises:
        UsageError: there are such settings.
    """
    if search.pruner == "none" or not pruner_info(search.pruner.name).required_sampler:
        return
    if isinstance(search.sampler, str):
        return
    model = type(search.sampler)
    if search.sampler != model.model_validate({"name": search.sampler.name}):
        names = " and ".join(f"`{key}`" for key in model.model_fields if key != "name")
        raise UsageError(
            f"the pruner `{search.pruner.name}` proposes points by a model and an acquisition of its own",
            hint=f"drop {names} of `search.sampler`",
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


def check_view(found: Check, suggestions: Sequence[Trial] = ()) -> View:
    """What is known before spending; with ``suggestions``, the first points that would be tried."""
    names = tuple(dict.fromkeys(row.name for row in found.parameters))
    rows = tuple((row.name, row.range, row.default, row.only_where) for row in found.parameters)
    short = short_names(names)
    narrow = tuple(
        (short[row.name], row.range, row.default, _with_short_names(row.only_where, short))
        for row in found.parameters
    )
    columns = ("name", "range", "default", "only where")
    sections = [Section("parameters", columns, rows, narrow=narrow)] if rows else []
    if suggestions:
        points = tuple(
            (str(trial.number), *(_value(trial, name, found.labels.get(name, {})) for name in names))
            for trial in suggestions
        )
        headings = ("trial", *short_names(names, ("trial",)).values())
        fit = Fit(headings, (0,), tuple(range(1, len(headings))), "pipe it, or --json")
        sections.append(Section("the first trials", ("trial", *names), points, fit))
    plan, notes = found.plan, (*data_notes(found.data), *found.notes)
    lines = (
        ("study", found.study),
        ("objective", objectives.described(found.objective)),
        *data_lines(found.data),
        ("search space", _space(found)),
        *([("grid", counted(found.grid, "point"))] if found.grid is not None else []),
        ("search", f"{found.sampler}, {counted(plan.n_trials, 'trial')}, lookahead {plan.lookahead}"),
        ("pruner", _pruner(found)),
        ("parallel trials", _parallel(found)),
        ("batched training", _batched(found.fusing)),
        *cost_lines(found.cost),
    )
    data: dict[str, Any] = {
        "study": found.study,
        "objective": {
            "metric": found.objective.metric,
            "direction": "maximize" if found.objective.maximize else "minimize",
            **{
                key: value
                for key, value in objectives.spelled(found.objective).items()
                if key in ("pareto", "subject_to")
            },
        },
        "sampler": found.sampler,
        "pruner": found.pruner,
        "pauses_after_epochs": list(found.pauses),
        "trials": plan.n_trials,
        "workers": plan.n_workers,
        "lookahead": plan.lookahead,
        "parameters": [
            {"name": row.name, "range": row.range, "default": row.default, "only_where": row.only_where}
            for row in found.parameters
        ],
        "space_size": found.size,
        "grid_size": found.grid,
        "jobs_by_device": dict(found.jobs_by_device),
        "fusing": {
            "width": found.fusing.width,
            "share": found.fusing.share,
            "why_not": [asdict(each) for each in found.fusing.obstacles],
        },
        **cost_data(found.cost),
        "data": data_json(found.data),
        "notes": list(notes),
        "suggestions": [dict(trial.parameters) for trial in suggestions],
    }
    return View("check", data, lines, tuple(sections), notes)


def dry_run_view(spec: StudySpec) -> View:
    """The view of `check`, with the first points that the sampler would try."""
    found = check(spec)
    return check_view(found, first_suggestions(spec, min(_MAX_SUGGESTIONS, found.plan.n_trials)))


def _value(trial: Trial, name: str, labels: Mapping[str, str]) -> str:
    if name not in trial.parameters:
        return ABSENT
    value = trial.parameters[name]
    return labels.get(repr(value)) or display_cell("null" if value is None else value)


def _with_short_names(conditions: str, short: Mapping[str, str]) -> str:
    return " ".join(short.get(word, word) for word in conditions.split(" "))


def _space(found: Check) -> str:
    if found.size is None:
        return "continuous (no finite number of points)"
    return counted(found.size, "point")


def _pruner(found: Check) -> str:
    """What ends or pauses trials, and when."""
    if not found.pauses:
        return found.pruner
    return f"{found.pruner}, which pauses at the end of epoch {', '.join(map(str, found.pauses))}"


def _parallel(found: Check) -> str:
    """How many jobs run at a time, and where."""
    threads = counted(found.plan.threads, "thread")
    if len(found.jobs_by_device) == 1:
        [(device, n)] = found.jobs_by_device.items()
        return f"{n} ({device}, {threads} each)"
    on = ", ".join(f"{n} on {device}" for device, n in found.jobs_by_device.items())
    return f"{on} ({threads} each)"


def _batched(found: Fusing) -> str:
    """How many trials share a model, and what keeps the rest from it."""
    reasons = "; ".join(map(str, found.obstacles))
    if found.share == "none":
        return f"off: {reasons}"
    return f"on: up to {found.width} trials as one model{f', but not with {reasons}' if reasons else ''}"
