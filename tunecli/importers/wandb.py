"""Weights & Biases: a sweep's YAML file.

The distributions are those of https://docs.wandb.ai/guides/sweeps/sweep-config-keys and of the reference sampler in
the package `sweeps`: `log_uniform` has the exponents of e as its bounds, `log_uniform_values` the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tunecli.config.reader import MapNode
from tunecli.importers import ranges
from tunecli.importers.account import Account, Field, Fields
from tunecli.importers.draft import Draft
from tunecli.importers.pruning import Rungs, add_pausing_pruner
from tunecli.importers.ranges import Imported, NoRangeError
from tunecli.importers.wandb_command import add_command

SAMPLERS = {"grid": "grid", "random": "random", "bayes": "bayes"}
_LEFT_OUT = {
    "project": "a study is the folder runs/<study>; tags group studies: `tunecli tag STUDY TAG`",
    "entity": "tunecli has no accounts",
    "controller": "tunecli runs the sweep itself",
    "job": "tunecli starts programs, not jobs of W&B Launch",
    "image_uri": "tunecli starts programs, not images of W&B Launch",
    "launch": "tunecli starts programs, not jobs of W&B Launch",
    "scheduler": "custom schedulers are programs; choose `search.sampler`",
    "description": "write it as a note once the study exists: `tunecli note STUDY TEXT`",
}


def recognises(keys: dict[str, Any]) -> bool:
    """Whether a file's plain data is a sweep of W&B."""
    parameters = keys.get("parameters")
    return isinstance(parameters, dict) and (
        "method" in keys or "program" in keys or "early_terminate" in keys
    )


def convert(root: MapNode, account: Account) -> Draft:
    """The study that a sweep describes."""
    draft, sweep = Draft(account), Fields(root, "", account)
    for key in ("apiVersion", "kind"):
        sweep.take(key)
    if name := sweep.take("name"):
        draft.name(name.text or "", name)
    _add_objective(sweep, draft)
    parameters = sweep.take("parameters")
    if parameters is None or not isinstance(parameters.node, MapNode) or not parameters.node.items:
        account.fill_in("trial.params", "the sweep has no parameters")
    else:
        _add_parameters(sweep.of(parameters), draft, "")
    add_command(sweep, draft)
    _add_search(sweep, draft)
    sweep.rest(_LEFT_OUT)
    return draft


def _add_objective(sweep: Fields, draft: Draft) -> None:
    metrics = sweep.take("metrics")
    if metrics is not None:
        draft.objective["pareto"] = [
            _aim(Fields(one.node, one.path, sweep.account), draft, one) for one in metrics.items
        ]
        return
    metric = sweep.take("metric")
    if metric is not None:
        draft.objective.update(_aim(sweep.of(metric), draft, metric))


def _aim(metric: Fields, draft: Draft, source: Field) -> dict[str, Any]:
    """One metric and its direction, which is `minimize` unless the sweep says otherwise."""
    account = draft.account
    name, goal, target = metric.take("name"), metric.take("goal"), metric.take("target")
    aim: dict[str, Any] = {}
    if name is None or not name.text:
        account.fill_in("objective.metric", "the sweep's metric has no name", source.mark)
        aim["metric"] = "score"
    else:
        aim["metric"] = draft.metric(name.text, name)
    word = goal.text if goal is not None and goal.text in ("minimize", "maximize") else "minimize"
    aim["direction"] = word
    if goal is None:
        account.note(f"objective.direction: {word}", "the default of W&B", source.mark)
    elif goal.text == word:
        account.carried(goal, f"objective.direction: {word}")
    else:
        account.problem(goal, "the goal must be `minimize` or `maximize`")
    if target is not None and target.number is not None:
        draft.search["stop"] = {"target": target.number}
        account.carried(target, f"search.stop.target: {target.number}")
    metric.rest({"impute": "the sampler avoids regions of failed trials"}, "the sampler has no such setting")
    return aim


def _add_parameters(parameters: Fields, draft: Draft, prefix: str) -> None:
    for parameter in parameters.all():
        name = f"{prefix}{parameter.key}"
        if not isinstance(parameter.node, MapNode):
            draft.account.problem(parameter, "a parameter must be a map", "write `{value: …}` for a constant")
            continue
        settings = parameters.of(parameter)
        nested = settings.take("parameters")
        if nested is not None:
            if not prefix:
                why = "W&B passes a nested parameter as one argument; tunecli passes each value by its path"
                draft.account.note(f"--{name}.…", why, parameter.mark)
            _add_parameters(settings.of(nested), draft, f"{name}.")
            settings.rest(otherwise="a parameter with `parameters` has no other key")
            continue
        draft.parameter(name, parameter, _maker(settings, parameter))
        settings.rest(otherwise="this distribution has no such key")


def _maker(settings: Fields, source: Field) -> Callable[[], Imported]:
    """A function that makes the range of a parameter; its keys are taken now."""
    taken = {key: settings.take(key) for key in ("distribution", "value", "values", "probabilities")}
    numbers = {key: settings.take(key) for key in ("min", "max", "q", "mu", "sigma", "a", "b")}
    word = taken["distribution"].text if taken["distribution"] is not None else None
    value, values, probabilities = taken["value"], taken["values"], taken["probabilities"]

    def made() -> Imported:
        name = word or _implied(value, values, probabilities, numbers)
        if name == "constant":
            if value is None:
                raise NoRangeError("a constant needs `value`")
            return _constant(value.plain)
        if name.startswith("categorical"):
            if values is None:
                raise NoRangeError("a categorical parameter needs `values`")
            return ranges.choice(
                values.plain if isinstance(values.plain, list) else [], _weights(probabilities)
            )
        if name not in _MAKERS:
            raise NoRangeError(f"unknown distribution `{name}`", f"one of {', '.join(_MAKERS)}")
        return _MAKERS[name](_Numbers(name, numbers))

    return made


def _implied(
    value: Field | None, values: Field | None, weights: Field | None, numbers: dict[str, Field | None]
) -> str:
    """The distribution of a parameter that names none, as W&B infers it."""
    if value is not None:
        return "constant"
    if values is not None:
        return "categorical" if weights is None else "categorical_w_probabilities"
    low, high = numbers["min"], numbers["max"]
    if low is None or high is None:
        raise NoRangeError("a parameter needs `value`, `values`, or `min` and `max`")
    are_whole = all(type(end.number) is int for end in (low, high))
    return "int_uniform" if are_whole else "uniform"


def _constant(value: Any) -> Imported:
    if key := ranges.reserved_key(value):
        raise NoRangeError(f"the value has the key `{key}`, which is a range in tunecli", "rename the key")
    return Imported(value)


def _weights(probabilities: Field | None) -> list[float] | None:
    if probabilities is None:
        return None
    numbers = [item.number for item in probabilities.items]
    if not numbers or any(number is None for number in numbers):
        raise NoRangeError("`probabilities` must be a list of numbers")
    return [number for number in numbers if number is not None]


class _Numbers:
    """The numbers of a distribution, by key."""

    def __init__(self, name: str, fields: dict[str, Field | None]) -> None:
        self._name, self._fields = name, fields

    def of(self, key: str, default: float | None = None) -> float:
        """The number at a key.

        Raises:
            NoRangeError: there is none, and no default.
        """
        given = self._fields[key]
        number = default if given is None else given.number
        if number is None:
            raise NoRangeError(f"`{self._name}` needs a finite number at `{key}`")
        return number

    @property
    def ends(self) -> tuple[float, float]:
        return self.of("min"), self.of("max")

    @property
    def q(self) -> float:
        return self.of("q", 1)


def _exponents(numbers: _Numbers, sign: int = 1) -> tuple[float, float]:
    """The bounds of a distribution that has the exponents of e as its bounds."""
    ends = [ranges.power(math.e, sign * end) for end in numbers.ends]
    return (ends[0], ends[1]) if sign > 0 else (ends[1], ends[0])


def _beta(numbers: _Numbers) -> Imported:
    a, b = numbers.of("a", 1), numbers.of("b", 1)
    is_flat = a == b == 1
    note = "" if is_flat else f"tunecli has no beta distribution; Beta({a:g}, {b:g}) lies in the same bounds"
    return Imported(ranges.bounded("uniform", 0, 1).value, note)


def _q_beta(numbers: _Numbers) -> Imported:
    beta = _beta(numbers)
    stepped = ranges.rounded("uniform", 0, 1, numbers.q)
    return Imported(stepped.value, "; ".join(filter(None, (beta.note, stepped.note))))


_MAKERS: dict[str, Callable[[_Numbers], Imported]] = {
    "int_uniform": lambda numbers: ranges.whole("int", *numbers.ends),
    "uniform": lambda numbers: ranges.bounded("uniform", *numbers.ends),
    "q_uniform": lambda numbers: ranges.rounded("uniform", *numbers.ends, numbers.q),
    "log_uniform": lambda numbers: ranges.bounded("loguniform", *_exponents(numbers)),
    "log_uniform_values": lambda numbers: ranges.bounded("loguniform", *numbers.ends),
    "q_log_uniform": lambda numbers: ranges.rounded("loguniform", *_exponents(numbers), numbers.q),
    "q_log_uniform_values": lambda numbers: ranges.rounded("loguniform", *numbers.ends, numbers.q),
    "inv_log_uniform": lambda numbers: ranges.bounded("loguniform", *_exponents(numbers, -1)),
    "inv_log_uniform_values": lambda numbers: ranges.bounded("loguniform", *numbers.ends),
    "normal": lambda numbers: ranges.normal("normal", numbers.of("mu", 0), numbers.of("sigma", 1)),
    "q_normal": lambda numbers: ranges.normal(
        "normal", numbers.of("mu", 0), numbers.of("sigma", 1), numbers.q
    ),
    "log_normal": lambda numbers: ranges.normal("lognormal", numbers.of("mu", 0), numbers.of("sigma", 1)),
    "q_log_normal": lambda numbers: ranges.normal(
        "lognormal", numbers.of("mu", 0), numbers.of("sigma", 1), numbers.q
    ),
    "beta": _beta,
    "q_beta": _q_beta,
}


def _add_search(sweep: Fields, draft: Draft) -> None:
    account = draft.account
    method = sweep.take("method")
    if method is None or method.text not in SAMPLERS:
        if method is not None:
            account.left_out(method, "the sampler is `bayes`; `grid`, `random`, `tpe` and `cmaes` are others")
        draft.search["sampler"] = "bayes"
    else:
        draft.search["sampler"] = SAMPLERS[method.text]
        account.carried(method, f"search.sampler: {SAMPLERS[method.text]}")
    cap = sweep.take("run_cap")
    if cap is not None and cap.count is not None:
        draft.search["trials"] = cap.count
        account.carried(cap, f"search.trials: {cap.count}")
    elif cap is not None:
        account.left_out(cap, "the value must be a whole number above 0")
    elif draft.search["sampler"] != "grid":
        account.note("search.trials: 50", "the sweep has no `run_cap`, so W&B would go on without an end")
        draft.search["trials"] = 50
    early = sweep.take("early_terminate")
    if early is not None:
        _add_pruner(sweep.of(early), early, draft)


def _add_pruner(early: Fields, source: Field, draft: Draft) -> None:
    account, kind = draft.account, early.take("type")
    if kind is None or kind.text != "hyperband":
        account.left_out(kind or source, "the only type is hyperband; `search.pruner` names others")
        early.rest(otherwise="the type above has no counterpart")
        return
    least, most, eta, brackets = (early.take(key) for key in ("min_iter", "max_iter", "eta", "s"))
    factor = eta.number if eta is not None and eta.number is not None else 3
    min_epochs = least.count if least is not None else None
    max_epochs = most.count if most is not None else None
    if max_epochs is not None and brackets is not None and brackets.count is not None:
        min_epochs = max(1, int(max_epochs / factor ** min(brackets.count, 64)))
    rungs = Rungs(kind, min_epochs, max_epochs, factor)
    add_pausing_pruner(draft, "hyperband", rungs)
    for one in (least, most, eta, brackets):
        if one is not None:
            account.carried(
                one, "search.pruner", "an iteration of W&B is one log of the metric, here an epoch"
            )
    early.rest({"strict": "tunecli has no such setting: it promotes only the best of a rung"})
