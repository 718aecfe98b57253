"""Katib: an Experiment of Kubeflow.

The numbers of a feasible space are texts. A parameter reaches the program where the trial's template names it,
``${trialParameters.learningRate}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tunecli.config.command import is_script
from tunecli.config.reader import MapNode, Node, SequenceNode
from tunecli.importers import ranges
from tunecli.importers.account import Account, Field, Fields, number_of
from tunecli.importers.draft import Draft, literal
from tunecli.importers.ranges import Imported, NoRangeError
from tunecli.importers.written import Line, written
from tunecli.registry.samplers import installation_note

_SAMPLERS = {
    "random": "random",
    "grid": "grid",
    "bayesianoptimization": "bayes",
    "skopt": "bayes",
    "tpe": "tpe",
    "multivariate-tpe": "tpe",
    "cmaes": "cmaes",
    "sobol": "quasirandom",
    "hyperband": "random",
}
_REFERENCE = re.compile(r"\$\{trialParameters\.([\w.-]+)\}")
_PRINTED = r"{}\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?)"
"""Katib's default filter for the lines of a program: ``accuracy=0.9``."""
_LEFT_OUT = {
    "resumePolicy": "`tunecli resume` continues any study",
    "nasConfig": "architecture search has no counterpart",
    "maxFailedTrialCount": "see `run.limit.failures`",
    "trialTemplate": "tunecli starts a program on this machine",
}


def _pattern(name: str) -> str:
    return _PRINTED.replace("{}", re.escape(name).replace("\\-", "-"))


def recognises(keys: dict[str, Any]) -> bool:
    """Whether plain data is an Experiment of Katib."""
    is_kubeflow = (
        str(keys.get("apiVersion", "")).startswith("kubeflow.org/") and keys.get("kind") == "Experiment"
    )
    spec = keys.get("spec")
    return is_kubeflow or (isinstance(spec, dict) and "parameters" in spec and "objective" in spec)


def convert(root: MapNode, account: Account) -> Draft:
    """The study that an Experiment describes."""
    draft, whole = Draft(account), Fields(root, "", account)
    for key in ("apiVersion", "kind", "status"):
        whole.take(key)
    metadata = whole.inner("metadata")
    if (name := metadata.take("name") or metadata.take("generateName")) is not None and name.text:
        draft.name(name.text, name)
    metadata.rest(otherwise="tunecli runs on this machine, not in a cluster")
    spec = whole.inner("spec")
    if (parameters := spec.take("parameters")) is not None and parameters.items:
        for one in parameters.items:
            _add_parameter(spec.of(one), one, draft)
    else:
        account.fill_in("trial.params", "the experiment has no parameters")
    metric = _add_objective(spec, draft)
    _add_command(spec, draft)
    _add_metrics(spec, draft, metric)
    _add_search(spec, draft)
    spec.rest(_LEFT_OUT, "tunecli has no such setting")
    whole.rest(otherwise="tunecli has no such setting")
    return draft


def _add_parameter(parameter: Fields, source: Field, draft: Draft) -> None:
    name, kind = parameter.take("name"), parameter.take("parameterType")
    space = parameter.inner("feasibleSpace")
    if name is None or not isinstance(name.plain, str):
        draft.account.problem(source, "a parameter needs `name`")
        return
    fields = {key: space.take(key) for key in ("min", "max", "step", "list", "distribution")}
    draft.parameter(name.plain, name, _maker(str(kind.plain) if kind is not None else "", fields))
    space.rest()
    parameter.rest()


def _maker(kind: str, fields: dict[str, Field | None]) -> Callable[[], Imported]:
    def made() -> Imported:
        if kind in ("categorical", "discrete"):
            values = fields["list"]
            items = values.plain if values is not None and isinstance(values.plain, list) else []
            numbers = [number_of(item) for item in items]
            is_discrete = kind == "discrete" and None not in numbers
            return ranges.choice(numbers if is_discrete else items)
        if kind not in ("int", "double"):
            raise NoRangeError(f"unknown parameterType `{kind}`", "one of int, double, discrete, categorical")
        return _number(kind, fields)

    return made


def _number(kind: str, fields: dict[str, Field | None]) -> Imported:
    low, high = (fields[key].number if fields[key] is not None else None for key in ("min", "max"))  # type: ignore[union-attr]
    if low is None or high is None:
        raise NoRangeError("the feasible space needs numbers at `min` and `max`")
    step = fields["step"].number if fields["step"] is not None else None
    word = str(fields["distribution"].plain) if fields["distribution"] is not None else "uniform"
    word = {"loguniform": "log", "lognormal": "lognormal", "normal": "normal"}.get(word.lower(), "")
    note = ""
    if "normal" in word:
        kind_of = "log-normal" if "log" in word else "normal"
        note = f"an even distribution in [{low:g}, {high:g}], in place of Katib's {kind_of} one"
        word = "log" if "log" in word and low > 0 else ""
    if kind == "int":
        made = ranges.whole(f"{word}int", low, high, step)
    else:
        by = {} if step is None or step <= 0 else {"step": step}
        made = ranges.bounded(f"{word}uniform", low, high, **by)
    return Imported(made.value, note or made.note)


def _add_objective(spec: Fields, draft: Draft) -> Field | None:
    account, objective = draft.account, spec.inner("objective")
    metric, kind, goal = (objective.take(key) for key in ("objectiveMetricName", "type", "goal"))
    if metric is not None and metric.text:
        draft.objective["metric"] = draft.metric(metric.text, metric)
    direction = "minimize" if kind is not None and kind.plain == "minimize" else "maximize"
    draft.objective["direction"] = direction
    if kind is not None:
        account.carried(kind, f"objective.direction: {direction}")
    if goal is not None and goal.number is not None:
        draft.search["stop"] = Line(target=goal.number)
        account.carried(goal, f"search.stop.target: {goal.number:g}")
    if (others := objective.take("additionalMetricNames")) is not None:
        names = [item.text for item in others.items if item.text]
        draft.trial["metrics"] = {draft.metric(name, None): _pattern(name) for name in names}
        account.carried(others, "trial.metrics")
    objective.rest({"metricStrategies": "a trial's score is the objective after its last epoch"})
    return metric


def _add_command(spec: Fields, draft: Draft) -> None:
    account, template = draft.account, spec.inner("trialTemplate")
    names: dict[str, str] = {}
    if (given := template.take("trialParameters")) is not None:
        for one in given.items:
            pair = one.plain if isinstance(one.plain, dict) else {}
            names[str(pair.get("name"))] = str(pair.get("reference"))
    primary = template.take("primaryContainerName")
    trial_spec = template.take("trialSpec")
    container = _container(trial_spec, str(primary.plain) if primary is not None else None)
    if container is None or trial_spec is None:
        account.fill_in(
            "trial.command", "the template has no command; write your program in place of train.py"
        )
        draft.command = ["python", "train.py", *draft.passed()]
    else:
        _take_command(Fields(container, "container", account), draft, names, trial_spec)
    template.rest(otherwise="tunecli starts a program on this machine")


def _take_command(container: Fields, draft: Draft, names: dict[str, str], source: Field) -> None:
    account = draft.account
    paths = {argument.name: argument.path for argument in draft.arguments}

    def placed(word: str) -> str:
        parts, end = [], 0
        for reference in _REFERENCE.finditer(word):
            name = names.get(reference[1], reference[1])
            if name not in paths:
                account.fill_in(
                    "trial.command",
                    f"the template names `{reference[0]}`, which is no parameter",
                    source.mark,
                )
            parts += [
                literal(word[end : reference.start()]),
                f"{{{paths.get(name, name)}}}" if name in paths else "TODO",
            ]
            end = reference.end()
        return "".join([*parts, literal(word[end:])])

    for key in ("command", "args"):
        if (given := container.take(key)) is not None:
            words = given.plain if isinstance(given.plain, list) else [given.plain]
            draft.command += [placed(word if isinstance(word, str) else written(word)) for word in words]
            account.carried(given, "trial.command")
    if draft.command and is_script(draft.command[0]):
        draft.command.insert(0, "python")
    draft.command = ["python" if word == "python3" else word for word in draft.command]
    container.take("name")
    container.rest(
        {"image": "tunecli starts programs on this machine, not in containers"}, "of the container"
    )
    if not draft.command:
        account.fill_in(
            "trial.command", "the container has no command; write your program in place of train.py"
        )
        draft.command = ["python", "train.py", *draft.passed()]


def _container(spec: Field | None, primary: str | None) -> MapNode | None:
    """The primary container anywhere in the trial's spec; else the first one with a command."""
    containers = [*_containers(spec.node)] if spec is not None else []
    named = [one for one in containers if Field("", one.mark, one).plain.get("name") == primary]
    return next(iter([*named, *containers]), None)


def _containers(node: Node) -> Iterator[MapNode]:
    if isinstance(node, MapNode):
        for key, inner in node.items.items():
            if key == "containers" and isinstance(inner, SequenceNode):
                yield from (one for one in inner.items if isinstance(one, MapNode))
            else:
                yield from _containers(inner)
    elif isinstance(node, SequenceNode):
        for inner in node.items:
            yield from _containers(inner)


def _add_metrics(spec: Fields, draft: Draft, metric: Field | None) -> None:
    """How the program prints its metrics: Katib's default filter, or the collector's."""
    account = draft.account
    collector = spec.inner("metricsCollectorSpec")
    kind = collector.inner("collector").take("kind")
    others = draft.trial.pop("metrics", {})
    if kind is not None and kind.plain not in ("StdOut", "File"):
        account.left_out(kind, "let the program print its metrics, or see `trial.metrics_from`")
        account.fill_in("trial.metrics", "how the program reports its metrics", kind.mark)
        collector.rest(otherwise="the collector above has no counterpart")
        return
    if (source := collector.take("source")) is not None:
        account.left_out(source, "patterns are written under `trial.metrics`, one for each metric")
        account.fill_in(
            "trial.metrics", "the pattern of each metric, if the program does not print `name=value`"
        )
    if metric is not None and metric.text:
        draft.trial["metrics"] = {
            draft.objective["metric"]: _pattern(metric.text),
            **others,
        }
        account.note("trial.metrics", "Katib's default: the program prints `name=value`", metric.mark)


def _add_search(spec: Fields, draft: Draft) -> None:
    account = draft.account
    algorithm = spec.inner("algorithm")
    name, settings = algorithm.take("algorithmName"), algorithm.take("algorithmSettings")
    word = str(name.plain) if name is not None else "random"
    sampler = _SAMPLERS.get(word, "bayes")
    draft.search = {"sampler": sampler, **draft.search}
    if name is not None:
        note = "" if word in _SAMPLERS else "tunecli has no such algorithm"
        note = installation_note(sampler) or note
        account.carried(name, f"search.sampler: {sampler}", note)
    for one in settings.items if settings is not None else ():
        pair = one.plain if isinstance(one.plain, dict) else {}
        seed = number_of(pair.get("value")) if pair.get("name") in ("random_state", "seed") else None
        if type(seed) is int and seed >= 0:
            draft.seed = seed
            account.carried(one, f"seed: {seed}")
        else:
            account.left_out(one, "the sampler has no such setting")
    for key, group, target, path in (
        ("maxTrialCount", draft.search, "trials", "search.trials"),
        ("parallelTrialCount", draft.run, "workers", "run.workers"),
    ):
        if (given := spec.take(key)) is not None and given.count is not None:
            group[target] = given.count
            account.carried(given, f"{path}: {given.count}")
    if (failed := spec.take("maxFailedTrialCount")) is not None and failed.count is not None:
        draft.run["limit"] = Line(failures=failed.count)
        account.carried(failed, f"run.limit.failures: {failed.count}")
    early = spec.take("earlyStopping")
    if early is not None:
        _add_early_stopping(spec.of(early), draft)
    algorithm.rest()


def _add_early_stopping(early: Fields, draft: Draft) -> None:
    name, settings = early.take("algorithmName"), early.take("algorithmSettings")
    if name is None or name.plain != "medianstop":
        early.rest(otherwise="see `search.pruner`")
        return
    knob: dict[str, Any] = {"name": "median"}
    keys = {"min_trials_required": "startup_trials", "start_step": "warmup_epochs"}
    for one in settings.items if settings is not None else ():
        pair = one.plain if isinstance(one.plain, dict) else {}
        number = number_of(pair.get("value"))
        if pair.get("name") in keys and type(number) is int and number >= 1:
            knob[keys[pair["name"]]] = number
            draft.account.carried(one, f"search.pruner.{keys[pair['name']]}: {number}")
    draft.search["pruner"] = Line(knob)
    draft.account.carried(name, f"search.pruner: {written(knob)}")
