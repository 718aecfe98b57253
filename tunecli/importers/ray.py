"""Ray Tune: a `param_space` as JSON or YAML.

Ray's ranges are Python objects, so a file spells them as a word with its arguments. These forms are read, with or
without ``tune.`` before the word:

    {"lr": {"loguniform": [1e-4, 1e-1]}}                 the word and the arguments of the call
    {"lr": {"loguniform": {"lower": 1e-4, "upper": 0.1}}}  by name
    {"lr": "tune.loguniform(1e-4, 1e-1)"}                the call as a text
    {"lr": {"distribution": "loguniform", "lower": 1e-4, "upper": 0.1}}
    {"bs": {"grid_search": [16, 32]}}                    what `tune.grid_search([16, 32])` is in Python

The whole may be the space, or a map of `param_space`, `tune_config` and `run_config`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tunecli.config.reader import MapNode, Node, ScalarNode, SequenceNode, plain_of
from tunecli.importers.account import Account, Field, Fields
from tunecli.importers.draft import Draft
from tunecli.importers.pruning import Rungs, add_pausing_pruner
from tunecli.importers.ranges import Imported
from tunecli.importers.ray_ranges import made, mentions_range, word_of
from tunecli.importers.written import Line
from tunecli.registry.samplers import installation_note

_SPACES = ("param_space", "config", "search_space", "space")
_SETTINGS = ("tune_config", "run_config", "num_samples", "metric", "mode")
_SAMPLERS = {
    "optuna": "tpe",
    "hyperopt": "tpe",
    "bayesopt": "bayes",
    "ax": "bayes",
    "hebo": "bayes",
    "bohb": "bayes",
    "skopt": "bayes",
    "random": "random",
    "basicvariant": "random",
}
_PRUNERS = {
    "asha": "asha",
    "asynchyperband": "asha",
    "hyperband": "hyperband",
    "bohb": "hyperband",
    "median": "median",
}


def recognises(keys: dict[str, Any]) -> bool:
    """Whether plain data holds a range of Ray Tune."""
    if any(isinstance(keys.get(key), dict) for key in _SPACES[:1]) or "tune_config" in keys:
        return True
    return any(mentions_range(value, 0) for value in keys.values())


def convert(root: Node, account: Account) -> Draft:
    """The study that a space describes."""
    draft = Draft(account)
    if isinstance(root, SequenceNode):
        _add_list(root, draft)
        _add_search(draft, None, Fields(root, "", account))
        return draft
    whole = Fields(root, "", account)
    wrapped = next(
        (key for key in _SPACES if key in whole and any(name in whole for name in _SETTINGS)), None
    )
    if wrapped is None and _SPACES[0] in whole:
        wrapped = _SPACES[0]
    words: list[str] = []
    _add_space(whole if wrapped is None else whole.inner(wrapped), draft, "", words)
    _add_search(draft, words, whole)
    if wrapped is not None:
        whole.rest(otherwise="tunecli has no such setting")
    return draft


def _add_space(space: Fields, draft: Draft, prefix: str, words: list[str]) -> None:
    for one in space.all():
        name = f"{prefix}{one.key}"
        plain = one.plain
        is_nested = isinstance(one.node, MapNode) and word_of(plain) is None and one.node.items
        if is_nested and any(mentions_range(item, 0) for item in plain.values()):
            _add_space(space.of(one), draft, f"{name}.", words)
            continue
        draft.parameter(name, one, partial(made, plain, words, 0))


def _add_list(root: SequenceNode, draft: Draft) -> None:
    """A list of parameters: ``[{"name": "lr", "distribution": "uniform", "lower": 0, "upper": 1}]``."""
    for place, node in enumerate(root.items):
        one = Field(str(place), node.mark, node, str(place))
        plain = plain_of(node)
        name = plain.get("name") if isinstance(plain, dict) else None
        if not isinstance(name, str):
            draft.account.problem(one, "an item of the list must be a map with `name`")
        elif plain.get("distribution") == "constant":
            draft.parameter(name, one, partial(Imported, plain.get("value", plain.get("values"))))
        else:
            draft.parameter(name, one, partial(made, plain, [], 0))


def _add_search(draft: Draft, words: list[str] | None, whole: Fields) -> None:
    account = draft.account
    is_grid = bool(words) and all(word == "grid_search" for word in words or ())
    config = (
        whole.inner("tune_config")
        if "tune_config" in whole
        else Fields(MapNode({}, {}, whole.mark), "", account)
    )
    run = whole.inner("run_config") if "run_config" in whole else config
    outer = whole if any(key in whole for key in _SPACES) else config
    draft.search["sampler"] = "grid" if is_grid else "bayes"
    algorithm = config.take("search_alg")
    name = _setting_name(algorithm)
    known = next((ours for word, ours in _SAMPLERS.items() if word in name), None) if name else None
    if known is not None and algorithm is not None:
        draft.search["sampler"] = known
        account.carried(algorithm, f"search.sampler: {known}", installation_note(known))
    elif algorithm is not None:
        account.left_out(algorithm, "tunecli has no such sampler; `bayes` is used")
    else:
        why = "every range is a `grid_search`" if is_grid else "the file names no search algorithm"
        account.note(f"search.sampler: {draft.search['sampler']}", why)
    _add_objective(draft, config, outer)
    samples = config.take("num_samples") or (outer.take("num_samples") if outer is not config else None)
    if samples is not None and samples.count is not None:
        if is_grid:
            account.left_out(samples, "the grid is tried once; `search.repeats` trains with several seeds")
        else:
            draft.search["trials"] = samples.count
            account.carried(samples, f"search.trials: {samples.count}")
    workers, time_s = config.take("max_concurrent_trials"), config.take("time_budget_s")
    if workers is not None and workers.count is not None:
        draft.run["workers"] = workers.count
        account.carried(workers, f"run.workers: {workers.count}")
    if time_s is not None and time_s.number is not None and time_s.number > 0:
        draft.run["limit"] = Line(time=time_s.number)
        account.carried(time_s, f"run.limit.time: {time_s.number}")
    if (study := run.take("name")) is not None and study.text:
        draft.name(study.text, study)
    if (scheduler := config.take("scheduler")) is not None:
        _add_scheduler(scheduler, draft)
    config.rest(otherwise="tunecli has no such setting")
    run.rest({"storage_path": "the run folder is runs/<study>"}, "tunecli has no such setting")
    if draft.command:
        return
    account.fill_in("trial.command", "the file names no program; write yours in place of train.py")
    draft.command = ["python", "train.py", *draft.passed()]


def _add_objective(draft: Draft, config: Fields, outer: Fields) -> None:
    metric = config.take("metric") or (outer.take("metric") if outer is not config else None)
    mode = config.take("mode") or (outer.take("mode") if outer is not config else None)
    direction = {"max": "maximize", "min": "minimize"}.get(str(mode.plain)) if mode is not None else None
    if metric is not None and metric.text:
        draft.objective["metric"] = draft.metric(metric.text, metric)
        draft.account.fill_in(
            "trial.metrics", "how the program prints the metric, unless it prints JSON lines"
        )
    if mode is not None and direction is not None:
        draft.objective["direction"] = direction
        draft.account.carried(mode, f"objective.direction: {direction}")


def _add_scheduler(scheduler: Field, draft: Draft) -> None:
    settings = Fields(scheduler.node, scheduler.path, draft.account)
    name = _setting_name(scheduler)
    pruner = next((ours for word, ours in _PRUNERS.items() if word in name), None)
    for key in ("type", "name", "_type", "class"):
        settings.take(key)
    if pruner is None:
        draft.account.left_out(scheduler, "see `search.pruner`")
        return
    if pruner == "median":
        draft.search["pruner"] = "median"
        draft.account.carried(scheduler, "search.pruner: median")
    else:
        numbers = {key: settings.take(key) for key in ("max_t", "grace_period", "reduction_factor")}
        counts = {key: given.count if given is not None else None for key, given in numbers.items()}
        add_pausing_pruner(
            draft,
            pruner,
            Rungs(scheduler, counts["grace_period"], counts["max_t"], counts["reduction_factor"] or 4),
        )
    settings.rest(otherwise="the pruner has no such setting")


def _setting_name(setting: Field | None) -> str:
    """The name of a scheduler or algorithm, in lower case: a text, or the `type` of a map."""
    if setting is None:
        return ""
    name = setting.node.value if isinstance(setting.node, ScalarNode) else None
    if isinstance(setting.plain, dict):
        name = next(
            (setting.plain[key] for key in ("type", "name", "_type", "class") if key in setting.plain), None
        )
    return str(name).lower().replace("_", "") if name is not None else ""
