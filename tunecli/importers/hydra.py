"""Hydra: a configuration with a sweeper, and the overrides of a multirun command line.

The Optuna sweeper minimises or maximises the return value of the task function. Its default sampler is Optuna's TPE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tunecli.config.command import is_script
from tunecli.config.reader import MapNode, Mark, ScalarNode
from tunecli.importers import ranges
from tunecli.importers.account import Account, Field, Fields
from tunecli.importers.calls import CallError
from tunecli.importers.draft import Draft, literal
from tunecli.importers.hydra_overrides import OVERRIDE, Sweep, range_of, sweep_of, words_of
from tunecli.importers.ranges import Imported, NoRangeError
from tunecli.importers.written import Line, written
from tunecli.registry.samplers import installation_note

_SAMPLERS = {
    "tpe": "tpe",
    "random": "random",
    "grid": "grid",
    "bruteforce": "grid",
    "cmaes": "cmaes",
    "qmc": "quasirandom",
    "gp": "bayes",
}
_LEFT_OUT = {
    "storage": "the study's record is in its run folder",
    "max_failure_rate": "see `run.limit.failures`",
    "custom_search_space": "a Python function has no counterpart: write its ranges under `trial.params`",
    "max_batch_size": "tunecli runs trials as workers become free",
}
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
_FLAGS = ("-m", "--multirun")
_PLAIN_KEYS = "the program reads this key with Hydra, as before"


@dataclass(slots=True)
class _Job:
    """One study while its settings are collected: from a file, or from the words of a command line."""

    draft: Draft
    sweeps: list[tuple[str, Field, Sweep]] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    is_optuna: bool = False
    sampler: str = ""
    direction: Field | None = None
    metric: str = ""


def recognises(keys: dict[str, Any]) -> bool:
    """Whether plain data is a Hydra configuration with a sweeper."""
    hydra, defaults = keys.get("hydra"), keys.get("defaults")
    has_sweeper = isinstance(hydra, dict) and "sweeper" in hydra
    overrides = (item for item in defaults if isinstance(item, dict)) if isinstance(defaults, list) else ()
    return has_sweeper or any("hydra/sweeper" in str(key) for item in overrides for key in item)


def convert(root: MapNode, account: Account) -> Draft:
    """The study that a configuration describes."""
    job, config = _Job(Draft(account)), Fields(root, "", account)
    _read_defaults(config, job)
    hydra = config.inner("hydra")
    sweeper = hydra.inner("sweeper")
    hydra.take("mode")
    if (target := sweeper.take("_target_")) is not None and "ptuna" in str(target.plain):
        job.is_optuna = True
    params, space = sweeper.take("params"), sweeper.take("search_space")
    if params is not None:
        for parameter in sweeper.of(params).all():
            _read_override(parameter.key, parameter, job)
    elif space is not None:
        job.is_optuna = True
        for parameter in sweeper.of(space).all():
            job.draft.parameter(parameter.key, parameter, partial(_of_map, sweeper.of(parameter)))
    _read_sweeper(sweeper, job)
    sweeper.rest(_LEFT_OUT, "tunecli has no such setting")
    hydra.rest(otherwise=_PLAIN_KEYS)
    if (metric := config.take("optimized_metric")) is not None and metric.text:
        job.metric = job.draft.metric(metric.text, metric)
    job.defaults = config.leaves()
    config.rest(otherwise="the program reads its own configuration")
    return _finished(job)


def convert_overrides(text: str, account: Account) -> Draft:
    """The study that the overrides of a multirun describe, with or without the command before them."""
    job = _Job(Draft(account))
    words: list[str] = []
    seen_override = False
    for word in words_of(text):
        mark = Mark(account.file, word.line, word.column)
        match = OVERRIDE.fullmatch(word.text)
        source = Field(word.text, mark, ScalarNode(None, mark))
        if match is None or word.text.startswith("-"):
            if word.text in _FLAGS and not (words and words[-1].startswith("python")):
                continue
            if not seen_override and word.text not in ("$", ";"):
                words.append(word.text)
            elif word.text not in _FLAGS:
                account.left_out(Field("word", mark, ScalarNode(word.text, mark)), "this is no override")
            continue
        sign, name, value = match.groups()
        if not words and name.isupper():
            if _SECRET.search(name):
                account.left_out(
                    _field(name, "…", mark), f"a secret is not copied: export {name} before the search"
                )
                continue
            job.draft.run.setdefault("env", {})[name] = value
            account.carried(_field(name, value, mark), f"run.env.{name}: {written(value)}")
            continue
        seen_override = True
        source = _field(f"{sign}{name}", value, mark)
        if name.startswith(("hydra/", "hydra.")):
            _read_setting(name, source, job)
        else:
            _read_override(f"{sign}{name}", source, job)
    job.draft.command = [literal(word) for word in words]
    return _finished(job)


def _field(name: str, value: str, mark: Mark) -> Field:
    return Field(name, mark, ScalarNode(value, mark), name)


def _read_defaults(config: Fields, job: _Job) -> None:
    defaults = config.take("defaults")
    for item in defaults.items if defaults is not None else ():
        one = config.of(item)
        for key in one.all():
            name = key.key.removeprefix("override ").strip().lstrip("/")
            if name.startswith("hydra/sweeper"):
                _read_setting(name, key, job)
            else:
                job.draft.account.left_out(key, _PLAIN_KEYS)


def _read_setting(name: str, source: Field, job: _Job) -> None:
    """A setting of Hydra itself, such as ``hydra/sweeper=optuna`` or ``hydra.sweeper.n_trials=20``."""
    if name == "hydra/sweeper":
        job.is_optuna = "optuna" in str(source.plain)
        note = "" if job.is_optuna or source.plain == "basic" else "read as Hydra's own sweeper"
        job.draft.account.carried(source, f"search.sampler: {'bayes' if job.is_optuna else 'grid'}", note)
    elif name in ("hydra/sweeper/sampler", "hydra.sweeper.sampler"):
        _read_sampler(source, str(source.plain), job)
    elif name.startswith("hydra.sweeper.params."):
        _read_override(name.removeprefix("hydra.sweeper.params."), source, job)
    elif name.startswith("hydra.sweeper."):
        key = name.removeprefix("hydra.sweeper.")
        inside = Fields(
            MapNode({key: source.node}, {key: source.mark}, source.mark), "hydra.sweeper", job.draft.account
        )
        _read_sweeper(inside, job)
        inside.rest(_LEFT_OUT, "tunecli has no such setting")
    else:
        job.draft.account.left_out(source, _PLAIN_KEYS)


def _read_sweeper(sweeper: Fields, job: _Job) -> None:
    draft, account = job.draft, job.draft.account
    if (name := sweeper.take("study_name")) is not None and name.plain is not None:
        draft.name(str(name.plain), name)
    for key, group, result in (("n_trials", draft.search, "trials"), ("n_jobs", draft.run, "workers")):
        if (given := sweeper.take(key)) is not None:
            if given.count is None:
                account.left_out(given, "the value must be a whole number above 0")
                continue
            group[result] = given.count
            job.is_optuna = True
            account.carried(given, f"{'search' if group is draft.search else 'run'}.{result}: {given.count}")
    if (direction := sweeper.take("direction")) is not None:
        job.direction, job.is_optuna = direction, True
    if (sampler := sweeper.take("sampler")) is not None:
        settings = sweeper.of(sampler)
        target, seed = settings.take("_target_"), settings.take("seed")
        if target is not None:
            _read_sampler(target, str(target.plain), job)
        if seed is not None and type(seed.number) is int and seed.number >= 0:
            draft.seed = int(seed.number)
            account.carried(seed, f"seed: {draft.seed}")
        settings.rest(otherwise="the sampler has no such setting")
    for dotted in [key for key in ("sampler.seed", "sampler._target_") if key in sweeper]:
        given = sweeper.take(dotted)
        if given is not None and dotted.endswith("seed") and given.count is not None:
            draft.seed = given.count
            account.carried(given, f"seed: {draft.seed}")
        elif given is not None:
            _read_sampler(given, str(given.plain), job)


def _read_sampler(source: Field, name: str, job: _Job) -> None:
    word = name.rpartition(".")[2].lower().replace("sampler", "").replace("_", "")
    job.is_optuna = True
    job.sampler = _SAMPLERS.get(word, "bayes")
    note = "" if word in _SAMPLERS else "tunecli has no such sampler"
    note = installation_note(job.sampler) or note
    job.draft.account.carried(source, f"search.sampler: {job.sampler}", note)


def _read_override(name: str, source: Field, job: _Job) -> None:
    """One override: a sweep, or a fixed value, which becomes an argument."""
    value = source.plain
    try:
        sweep = sweep_of(value) if isinstance(value, str) and value.strip() else None
    except CallError as error:
        job.draft.account.problem(source, str(error))
        return
    if isinstance(value, list):
        job.draft.parameter(name, source, lambda: ranges.choice(value))
    elif sweep is not None:
        job.sweeps.append((name, source, sweep))
        job.is_optuna = job.is_optuna or sweep.needs_optuna
    elif name.startswith("~"):
        job.fixed.append(literal(name))
        job.draft.account.carried(source, f"trial.command: {written(name)}")
    else:
        text = value if isinstance(value, str) else "null" if value is None else written(value)
        job.fixed.append(f"{literal(name)}={literal(text)}")
        job.draft.account.carried(source, f"trial.command: {written(job.fixed[-1])}")


def _of_map(space: Fields) -> Imported:
    """A parameter of the older `search_space`: ``{type: float, low: 0, high: 1}``."""
    kind = space.take("type")
    word = kind.text if kind is not None else None
    if word == "categorical":
        choices = space.take("choices")
        return ranges.choice(choices.plain if choices is not None and isinstance(choices.plain, list) else [])
    numbers = {key: given.number for key in ("low", "high", "step") if (given := space.take(key)) is not None}
    log = space.take("log")
    low, high = numbers.get("low"), numbers.get("high")
    if word not in ("int", "float") or low is None or high is None:
        raise NoRangeError(
            "a parameter needs `type: int, float or categorical`, with `low` and `high`, or `choices`"
        )
    scale = "log" if log is not None and log.plain is True else ""
    if word == "int":
        return ranges.whole(f"{scale}int", low, high, numbers.get("step"))
    by = {"step": numbers["step"]} if numbers.get("step") else {}
    return ranges.bounded(f"{scale}uniform", low, high, **by)


def _with_default(imported: Imported, default: Any) -> Imported:
    """The range with a default, if the value lies in it."""
    value = imported.value
    if default is None or not isinstance(value, Line):
        return imported
    word, body = next(iter(value.items()))
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    is_option = word == "choice" and any(
        type(option) is type(default) and option == default for option in body
    )
    is_inside = (
        word in ("uniform", "loguniform", "int", "logint") and is_number and body[0] <= default <= body[1]
    )
    is_inside = is_inside and "step" not in value and ("int" not in word or type(default) is int)
    return (
        Imported(Line({**value, "default": default}), imported.note) if is_option or is_inside else imported
    )


def _made(sweep: Sweep, default: Any, *, is_optuna: bool) -> Imported:
    return _with_default(range_of(sweep, is_optuna=is_optuna), default)


def _finished(job: _Job) -> Draft:
    draft, account = job.draft, job.draft.account
    for name, source, sweep in job.sweeps:
        default = job.defaults.get(name.lstrip("+"))
        draft.parameter(name, source, partial(_made, sweep, default, is_optuna=job.is_optuna))
    if not job.sweeps and not draft.arguments:
        account.fill_in("trial.params", "the file sweeps no parameter")
    _add_search(job)
    _add_objective(job)
    command = draft.command or ["python", "train.py"]
    if not draft.command:
        account.fill_in(
            "trial.command", "the file does not name the program; write yours in place of train.py"
        )
    if is_script(str(command[0])):
        command = ["python", *command]
    draft.command = [*command, *job.fixed, *draft.passed("hydra")]
    return draft


def _add_search(job: _Job) -> None:
    search, account = job.draft.search, job.draft.account
    sampler = job.sampler or ("bayes" if job.is_optuna else "grid")
    if not job.sampler and not job.is_optuna:
        account.note("search.sampler: grid", "Hydra's own sweeper tries every combination")
    elif not job.sampler:
        account.note("search.sampler: bayes", "the file names no sampler; Optuna's default is `tpe`")
    job.draft.search = {"sampler": sampler, **search}
    if sampler != "grid" and "trials" not in search:
        job.draft.search["trials"] = 20
        account.note("search.trials: 20", "the default of Hydra's Optuna sweeper")


def _add_objective(job: _Job) -> None:
    draft, account, source = job.draft, job.draft.account, job.direction
    words = source.plain if source is not None else "minimize"
    directions = words if isinstance(words, list) else _listed(str(words))
    if not all(word in ("minimize", "maximize") for word in directions) or not directions:
        if source is not None:
            account.problem(source, "a direction must be `minimize` or `maximize`")
        directions = ["minimize"]
    names = [job.metric] if job.metric else ["score"]
    if len(directions) > 1:
        names = [f"score_{place}" for place in range(1, len(directions) + 1)]
        aims = [Line(metric=name, direction=way) for name, way in zip(names, directions, strict=True)]
        draft.objective = {"pareto": aims}
    else:
        draft.objective = {"metric": names[0], "direction": directions[0]}
    if source is not None:
        account.carried(source, f"objective.direction: {', '.join(directions)}")
    if not job.metric:
        example = ", ".join(f'"{name}": …' for name in names)
        account.fill_in(
            "objective.metric",
            f"Hydra reads the return value of the task function; let the program print it as JSON, {{{example}}}, "
            "or name a pattern under `trial.metrics`",
        )
    else:
        account.fill_in("trial.metrics", f"how the program prints {job.metric}, unless it prints JSON lines")


def _listed(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,\[\]'\"]+", text) if word]
