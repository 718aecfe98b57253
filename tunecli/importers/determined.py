"""Determined: an experiment's configuration.

The bounds of `log` are exponents of `base`. A `count` is the number of points that a grid takes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from tunecli.config.command import is_script
from tunecli.config.reader import MapNode, ScalarNode
from tunecli.importers import ranges
from tunecli.importers.account import Account, Field, Fields
from tunecli.importers.draft import Draft, literal
from tunecli.importers.pruning import Rungs, add_pausing_pruner
from tunecli.importers.ranges import Imported, NoRangeError
from tunecli.importers.written import Line, written

_SEARCHERS = {
    "single": ("random", ""),
    "random": ("random", ""),
    "grid": ("grid", ""),
    "adaptive_asha": ("random", "asha"),
    "adaptive_simple": ("random", "asha"),
    "adaptive": ("random", "asha"),
    "async_halving": ("random", "asha"),
    "sync_halving": ("random", "halving"),
    "asha": ("random", "asha"),
}
_LEFT_OUT = {
    "checkpoint_storage": "the run folder has the checkpoints of the best trial",
    "checkpoint_policy": "the run folder has the checkpoints of the best trial",
    "environment": "tunecli starts programs on this machine, not in containers",
    "bind_mounts": "tunecli starts programs on this machine, not in containers",
    "data": "the program reads its own data",
    "min_validation_period": "an epoch ends where the program prints the metric",
    "min_checkpoint_period": "the program keeps its own checkpoints, in {checkpoint_dir}",
    "scheduling_unit": "an epoch ends where the program prints the metric",
    "records_per_epoch": "an epoch ends where the program prints the metric",
    "max_restarts": "see `run.on_failure`",
    "profiling": "tunecli has no profiler",
    "workspace": "tunecli keeps a study in a run folder",
    "project": "a study is the folder runs/<study>; tags group studies: `tunecli tag STUDY TAG`",
    "description": "write it as a note once the study exists: `tunecli note STUDY TEXT`",
    "labels": "tags of a study: `tunecli tag STUDY TAG`",
    "optimizations": "the program sets its own options",
    "integrations": "tunecli reads the metrics that the program prints",
}


def recognises(keys: dict[str, Any]) -> bool:
    """Whether plain data is an experiment of Determined."""
    return "searcher" in keys and ("hyperparameters" in keys or "entrypoint" in keys)


def convert(root: MapNode, account: Account) -> Draft:
    """The study that an experiment describes."""
    draft, experiment = Draft(account), Fields(root, "", account)
    if (name := experiment.take("name")) is not None and name.plain is not None:
        draft.name(str(name.plain), name)
    if (parameters := experiment.take("hyperparameters")) is None:
        account.fill_in("trial.params", "the experiment has no hyperparameters")
    else:
        _add_parameters(experiment.of(parameters), draft, "")
    reproducibility = experiment.inner("reproducibility")
    if (
        (seed := reproducibility.take("experiment_seed")) is not None
        and type(seed.number) is int
        and seed.number >= 0
    ):
        draft.seed = int(seed.number)
        account.carried(seed, f"seed: {draft.seed}")
    _add_entrypoint(experiment, draft)
    _add_searcher(experiment, draft)
    resources = experiment.inner("resources")
    if (slots := resources.take("slots_per_trial")) is not None and slots.count is not None:
        if slots.count > 1:
            draft.run["devices_per_trial"] = slots.count
        account.carried(slots, f"run.devices_per_trial: {slots.count}")
    resources.rest(otherwise="tunecli runs on this machine")
    reproducibility.rest()
    experiment.rest(_LEFT_OUT, "tunecli has no such setting")
    return draft


def _add_parameters(parameters: Fields, draft: Draft, prefix: str) -> None:
    for one in parameters.all():
        name = f"{prefix}{one.key}"
        node = one.node
        if isinstance(node, MapNode) and not isinstance(node.items.get("type"), ScalarNode):
            _add_parameters(parameters.of(one), draft, f"{name}.")
        elif isinstance(node, MapNode):
            settings = parameters.of(one)
            draft.parameter(name, one, _maker(settings))
            settings.rest(otherwise="this type has no such key")
        else:
            draft.parameter(name, one, _constant(one))


def _constant(one: Field) -> Callable[[], Imported]:
    def made() -> Imported:
        if key := ranges.reserved_key(one.plain):
            raise NoRangeError(
                f"the value has the key `{key}`, which is a range in tunecli", "rename the key"
            )
        return Imported(one.plain)

    return made


def _maker(settings: Fields) -> Callable[[], Imported]:
    kind = settings.take("type")
    taken = {key: settings.take(key) for key in ("val", "vals", "base", "minval", "maxval", "count")}

    def number(key: str, default: float | None = None) -> float:
        given = taken[key]
        value = default if given is None else given.number
        if value is None:
            raise NoRangeError(f"the type `{kind.plain if kind else ''}` needs a number at `{key}`")
        return value

    def made() -> Imported:
        word = kind.plain if kind is not None else None
        count = taken["count"].count if taken["count"] is not None else None
        by = {} if count is None else {"grid": count}
        match word:
            case "const":
                given = taken["val"]
                return Imported(None if given is None else given.plain)
            case "categorical":
                given = taken["vals"]
                return ranges.choice(
                    given.plain if given is not None and isinstance(given.plain, list) else []
                )
            case "int":
                whole = ranges.whole("int", number("minval"), number("maxval"))
                return Imported(Line({**whole.value, **by}), whole.note)
            case "double" | "float":
                return ranges.bounded("uniform", number("minval"), number("maxval"), **by)
            case "log":
                ends = [ranges.power(number("base", 10), number(key)) for key in ("minval", "maxval")]
                return ranges.bounded("loguniform", ends[0], ends[1], **by)
        raise NoRangeError(f"unknown type {word!r}", "one of const, categorical, int, double, log")

    return made


def _add_entrypoint(experiment: Fields, draft: Draft) -> None:
    account, entrypoint = draft.account, experiment.take("entrypoint")
    plain = entrypoint.plain if entrypoint is not None else None
    words = _words(plain)
    if entrypoint is None or not words or (len(words) == 1 and ":" in words[0]):
        if entrypoint is not None:
            account.left_out(entrypoint, "a class for Determined's trainers is no program")
        account.fill_in("trial.command", "the experiment names no program; write yours in place of train.py")
        words = ["python", "train.py"]
    if is_script(words[0]):
        words = ["python", *words]
    draft.command = ["python" if word in ("python3", "python3.11") else literal(word) for word in words]
    draft.command += draft.passed()
    if entrypoint is not None and isinstance(plain, str | list):
        account.carried(entrypoint, "trial.command")
    account.fill_in(
        "trial.command",
        "parameters are passed as arguments; a program that reads `get_cluster_info().trial.hparams` can read them as "
        "JSON from the environment variable TUNECLI_PARAMS",
    )


def _words(entrypoint: Any) -> list[str]:
    if isinstance(entrypoint, list):
        return [item if isinstance(item, str) else written(item) for item in entrypoint]
    if not isinstance(entrypoint, str):
        return []
    try:
        return shlex.split(entrypoint)
    except ValueError:
        return entrypoint.split()


def _add_searcher(experiment: Fields, draft: Draft) -> None:
    account, searcher = draft.account, experiment.inner("searcher")
    name = searcher.take("name")
    word = str(name.plain) if name is not None else ""
    sampler, pruner = _SEARCHERS.get(word, ("random", ""))
    draft.search["sampler"] = sampler
    if name is not None:
        account.carried(
            name, f"search.sampler: {sampler}", "" if word in _SEARCHERS else "tunecli has no such searcher"
        )
    if (metric := searcher.take("metric")) is not None and metric.text:
        draft.objective["metric"] = draft.metric(metric.text, metric)
        account.fill_in(
            "trial.metrics", "how the program prints the metric, unless it prints JSON lines", metric.mark
        )
    smaller = searcher.take("smaller_is_better")
    draft.objective["direction"] = (
        "maximize" if smaller is not None and smaller.plain is False else "minimize"
    )
    if smaller is not None:
        account.carried(smaller, f"objective.direction: {draft.objective['direction']}")
    else:
        account.note("objective.direction: minimize", "the default of Determined", searcher.mark)
    for key, group, target, path in (
        ("max_trials", draft.search, "trials", "search.trials"),
        ("max_concurrent_trials", draft.run, "workers", "run.workers"),
    ):
        if (given := searcher.take(key)) is not None and given.count is not None:
            group[target] = given.count
            account.carried(given, f"{path}: {given.count}")
    if word == "single":
        draft.search["trials"] = 1
    length, divisor = _length(searcher), searcher.take("divisor")
    if pruner and name is not None:
        factor = divisor.number if divisor is not None and divisor.number is not None else 4
        add_pausing_pruner(draft, pruner, Rungs(name, None, length, factor))
    searcher.rest(
        {
            "mode": "the rungs follow from `min_epochs`, `max_epochs` and `factor`",
            "max_rungs": "the rungs follow from `min_epochs`, `max_epochs` and `factor`",
            "time_metric": "an epoch ends where the program prints the metric",
            "source_trial_id": "see `resume --fork`",
        },
        "tunecli has no such setting",
    )


def _length(searcher: Fields) -> int | None:
    """The epochs of a full training, if the file counts in epochs."""
    length = searcher.take("max_length") or searcher.take("max_time")
    if length is None:
        return None
    inner = searcher.of(length)
    epochs = inner.take("epochs")
    if isinstance(length.node, MapNode):
        inner.rest(otherwise="the pruner counts epochs, which end where the program prints the metric")
        if epochs is not None and epochs.count is not None:
            searcher.account.carried(epochs, f"search.pruner.max_epochs: {epochs.count}")
        return epochs.count if epochs is not None else None
    if length.count is not None:
        searcher.account.carried(
            length, f"search.pruner.max_epochs: {length.count}", "units of `time_metric`"
        )
    return length.count
