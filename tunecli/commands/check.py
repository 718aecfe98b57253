"""`tunecli check` and `--dry-run`: the search space, the search and its estimated cost, before a trial runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunecli.commands.check_cost import CostEstimate, cost_data, cost_lines, estimate_cost
from tunecli.commands.check_machines import machine_data, machine_lines, machine_sections
from tunecli.commands.check_notes import check_notes
from tunecli.commands.check_parameters import ParameterRow, parameter_rows, parameter_section
from tunecli.commands.check_search import (
    fusing_text,
    lookahead_text,
    parallel_text,
    pruner_text,
    require_fitting_sampler,
)
from tunecli.commands.constraint_notes import constraint_lines
from tunecli.commands.data import data_json, data_lines, data_notes, data_of
from tunecli.config import objectives
from tunecli.config.command import TRIAL_NAMES, words_of
from tunecli.config.concrete_trial import concrete, points_to_check
from tunecli.config.enumeration import space_size
from tunecli.config.feasibility import Share, feasible_share, n_feasible_grid
from tunecli.config.labels import option_labels
from tunecli.config.load import bytes_of, load
from tunecli.config.paths import is_file
from tunecli.config.schema import CommandTrial
from tunecli.config.study import SamplerChoice, StartFrom, StudySpec
from tunecli.errors import ConfigError, UsageError
from tunecli.objective import Objective
from tunecli.registry.exporters import require_exporter
from tunecli.registry.pruners import is_pausing
from tunecli.results.columns import short_names
from tunecli.results.search_setup import earlier_data, earlier_lines
from tunecli.results.table import ABSENT, display_cell
from tunecli.results.view import Fit, Section, View
from tunecli.seeding import seed_of_32_bits
from tunecli.store.destination import as_argument
from tunecli.study.plan.automatic import decided
from tunecli.study.plan.fusing import Fusing, fusing
from tunecli.study.plan.machines import (
    Machines,
    devices_of,
    jobs_by_device,
    known_machines,
    require_engine_files,
)
from tunecli.study.plan.plan import Plan, plan_for
from tunecli.study.record.earlier_points import with_earlier_points
from tunecli.study.record.earlier_studies import with_earlier_studies
from tunecli.study.record.publish import with_derived
from tunecli.study.record.suggestions import first_suggestions
from tunecli.study.runner.jobs import trial_seed
from tunecli.study.runner.pause_schedule import pause_epochs_of
from tunecli.text import counted
from tunecli.train.data.summary import DataSummary
from tunecli.train.machine import device_index
from tunecli.train.validation import trial_problems
from tunecli.trial import EarlierStudy, Trial

_MAX_SUGGESTIONS = 10


@dataclass(frozen=True)
class Check:
    """A valid study before it runs: its space, plan, cost and notes.

    Attributes:
        study: the study's name.
        objective: the goals and constraints.
        sampler, pruner: their names.
        pauses: the epochs after which the pruner pauses the longest trials; empty: it pauses none.
        plan: the study's plan on this machine.
        parameters: a row for each parameter.
        size, grid: the number of points of the space, and of feasible points of its grid; None: infinite.
        fusing: which trials are trained as one model.
        jobs_by_device: by device, how many jobs run there at a time.
        notes: settings that may not be intended.
        cost: the estimated cost.
        labels: by parameter, a label for each option that is unclear or ambiguous by itself, by the option's ``repr``.
        data: each data set that trials may have.
        feasible: how much of the space meets the constraints; None: there are no constraints.
        n_start: the number of start points.
        command: the words of an example trial's command, secrets unresolved; empty: the trials are no commands.
        start_from: the earlier studies that the start points come from.
        derived: the path and the text of each formula.
        machines: the machines that run the trials.
        earlier: the earlier studies that inform the sampler.
        choice: the choice for `search.sampler: auto`; None: the file names a sampler.
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
    feasible: Share | None = None
    n_start: int = 0
    command: tuple[str, ...] = ()
    start_from: tuple[str, ...] = ()
    derived: tuple[tuple[str, str], ...] = ()
    machines: Machines = field(default_factory=Machines)
    earlier: tuple[EarlierStudy, ...] = ()
    choice: SamplerChoice | None = None


def load_checked(path: Path, overrides: tuple[str, ...]) -> StudySpec:
    """Load a file and check it against its data.

    Raises:
        ConfigError: with every problem of the file.
        UsageError: an override has no ``path=value`` form, or the file is a sweep of another tool.
    """
    try:
        spec = load(path, overrides, trial_problems)
    except ConfigError as error:
        from tunecli.importers.kinds import foreign_kind  # a study without problems does not wait for it

        kind = foreign_kind(bytes_of(path), str(path)) if is_file(path) else None
        if kind is None:
            raise
        hint = f"tunecli import {as_argument(path)} -o study.yaml"
        raise UsageError(f"{path} is {kind.title}, not a study", hint=hint) from error
    return completed(spec, str(path))


def completed(spec: StudySpec, place: str) -> StudySpec:
    """The study with the points and trials of earlier studies that its file names, and with its sampler chosen.

    Args:
        spec: a study that was read from a file, a dict or a text.
        place: the name of the file or of what has its place, for problems.

    Raises:
        ConfigError: an earlier study is missing, damaged, or does not fit this one.
    """
    return decided(with_earlier_studies(with_earlier_points(spec, place), place))


def check(spec: StudySpec, machines: Machines | None = None) -> Check:
    """Check a loaded study. Trains nothing.

    Args:
        spec: the study.
        machines: the machines that run its trials; None: ask its engine, and make a note if it does not answer.

    Raises:
        UsageError: the grid is too large to run whole and the file sets no number of trials; a package that the
            sampler or `run.events` needs is not installed; the sampler has settings that nothing reads; or the settings
            of the engine name files that are not there.
        DataError: the data cannot be read or split.
    """
    spec = decided(spec)
    search = spec.settings.search
    require_fitting_sampler(search)
    for name in spec.settings.run.event_names:
        require_exporter(name)
    require_engine_files(spec.settings.run, spec.base_path)
    machines = machines or known_machines(spec.settings.run)
    plan, space, pruner = plan_for(spec, machines), spec.space, search.pruner
    pauses = pause_epochs_of(spec, pruner) if is_pausing(pruner) else ()
    cost = estimate_cost(spec, plan)
    study_fusing = fusing(spec, plan.n_workers, plan.n_trials)
    return Check(
        spec.settings.study,
        spec.objective,
        search.sampler_name,
        "none" if pruner == "none" else pruner.name,
        pauses,
        plan,
        tuple(parameter_rows(space)),
        space_size(space),
        n_feasible_grid(space),
        study_fusing,
        jobs_by_device(plan.device, machines, plan.n_workers),
        check_notes(spec, plan, pauses, study_fusing, cost.largest, machines),
        cost,
        option_labels(space),
        data_of(spec),
        feasible_share(space) if space.constraints else None,
        len(space.start),
        _example_command(spec, plan),
        search.start.folders if isinstance(search.start, StartFrom) else (),
        tuple((path, derived.formula.text) for path, derived in space.formulas),
        machines,
        space.earlier,
        spec.choice,
    )


def _example_command(spec: StudySpec, plan: Plan) -> tuple[str, ...]:
    """The command of trial 0 at the defaults or middles of all ranges; what only a run decides stays in braces."""
    point = next(points_to_check(spec.space))
    plain = concrete(spec.space, point)
    if "command" not in plain:
        return ()
    device = next((one.local for one in devices_of(spec.settings.run, plan.device)), "cpu")
    facts = {
        **{name: f"{{{name}}}" for name in TRIAL_NAMES},
        "number": 0,
        "seed": seed_of_32_bits(trial_seed(spec, 0, point)),
        "device": device,
        "threads": plan.threads,
        "device_index": device_index(device, spec.settings.run.devices_per_trial),
        "n_devices": spec.settings.run.devices_per_trial,
    }
    return tuple(word.text for word in words_of(CommandTrial.model_validate(plain), facts))


def check_view(checked: Check, suggestions: Sequence[Trial] = (), *, is_verbose: bool = False) -> View:
    """The check as labelled lines and tables.

    Args:
        checked: the check.
        suggestions: adds a table of the first trials.
        is_verbose: adds lines on how trials wait for one another and are trained together. The JSON always has them.
    """
    derived = tuple(ParameterRow(name, f"= {text}", "", "") for name, text in checked.derived)
    shown_rows = (*checked.parameters, *derived)
    names = tuple(dict.fromkeys(row.name for row in shown_rows))
    sections = [parameter_section(shown_rows)] if shown_rows else []
    if suggestions:
        points = tuple(
            (str(trial.number), *(_value(trial, name, checked.labels.get(name, {})) for name in names))
            for trial in suggestions
        )
        headings = ("trial", *short_names(names, ("trial",)).values())
        fit = Fit(headings, (0,), tuple(range(1, len(headings))), "pipe the output, or use --json")
        sections.append(Section("the first trials", ("trial", *names), points, fit))
    sections += machine_sections(checked.machines)
    plan, notes = checked.plan, (*data_notes(checked.data), *checked.notes)
    lines = (
        ("study", checked.study),
        ("objective", objectives.described(checked.objective)),
        *([("also recorded", ", ".join(checked.objective.also))] if checked.objective.also else []),
        *data_lines(checked.data),
        *([("example trial", shlex.join(checked.command))] if checked.command else []),
        ("search space", _space(checked)),
        *([("grid", counted(checked.grid, "point"))] if checked.grid is not None else []),
        *constraint_lines(checked.feasible, checked.n_start, checked.start_from),
        *earlier_lines(checked.earlier),
        ("search", f"{checked.sampler}, {counted(plan.n_trials, 'trial')}"),
        *([("sampler: auto", str(checked.choice))] if checked.choice is not None else []),
        *([("lookahead", lookahead_text(plan.lookahead))] if is_verbose else []),
        ("pruner", pruner_text(checked.pruner, checked.pauses)),
        ("parallel trials", parallel_text(plan.threads, checked.jobs_by_device)),
        *machine_lines(checked.plan.engine, checked.machines),
        *([("batched training", fusing_text(checked.fusing))] if is_verbose else []),
        *cost_lines(checked.cost),
    )
    data: dict[str, Any] = {
        "study": checked.study,
        "objective": {
            "metric": checked.objective.metric,
            "direction": "maximize" if checked.objective.maximize else "minimize",
            **{
                key: value
                for key, value in objectives.spelled(checked.objective).items()
                if key in ("pareto", "subject_to", "also", "threshold")
            },
        },
        "sampler": checked.sampler,
        "sampler_choice": None if checked.choice is None else asdict(checked.choice),
        "pruner": checked.pruner,
        "pauses_after_epochs": list(checked.pauses),
        "trials": plan.n_trials,
        "workers": plan.n_workers,
        "lookahead": plan.lookahead,
        "parameters": [row.data for row in checked.parameters],
        **({"derived": [{"name": name, "expr": text} for name, text in checked.derived]} if derived else {}),
        "space_size": checked.size,
        "grid_size": checked.grid,
        "feasible": None
        if checked.feasible is None
        else {**asdict(checked.feasible), "fraction": checked.feasible.fraction},
        "start_points": checked.n_start,
        "start_from": list(checked.start_from),
        **earlier_data(checked.earlier),
        "jobs_by_device": dict(checked.jobs_by_device),
        **machine_data(checked.plan.engine, checked.machines),
        "fusing": {
            "width": checked.fusing.width,
            "share": checked.fusing.share,
            "why_not": [asdict(blocker) for blocker in checked.fusing.blockers],
        },
        **cost_data(checked.cost),
        "data": data_json(checked.data),
        **({"command": list(checked.command)} if checked.command else {}),
        "notes": list(notes),
        "suggestions": [dict(trial.parameters) for trial in suggestions],
    }
    return View("check", data, lines, tuple(sections), notes)


def dry_run_view(spec: StudySpec) -> View:
    """The view of `check`, with a table of the first points that the sampler proposes."""
    checked = check(spec)
    suggestions = first_suggestions(spec, min(_MAX_SUGGESTIONS, checked.plan.n_trials), checked.plan.n_trials)
    return check_view(checked, with_derived(spec.space, suggestions))


def _value(trial: Trial, name: str, labels: Mapping[str, str]) -> str:
    if name not in trial.parameters:
        return ABSENT
    value = trial.parameters[name]
    return labels.get(repr(value)) or display_cell("null" if value is None else value)


def _space(checked: Check) -> str:
    if checked.size is None:
        return "continuous (no finite number of points)"
    return counted(checked.size, "point")
