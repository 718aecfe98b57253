"""NNI: a search space (`search_space.json`), or an experiment's configuration of version 1 or 2 with its space in it.

The distributions are those of https://nni.readthedocs.io/en/stable/hpo/search_space.html. `randint` leaves its upper
end out; the values of `q…` are rounded to multiples of q and kept within the bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunecli.config.command import is_script
from tunecli.config.reader import MapNode, Node, ScalarNode, SequenceNode, plain_of
from tunecli.importers import ranges
from tunecli.importers.account import Account, Field, Fields, number_of
from tunecli.importers.draft import Draft, literal
from tunecli.importers.ranges import Imported, NoRangeError
from tunecli.importers.written import Line
from tunecli.registry.samplers import installation_note

_SAMPLERS = {
    "tpe": "tpe",
    "random": "random",
    "gridsearch": "grid",
    "gp": "bayes",
    "metis": "bayes",
    "smac": "bayes",
    "anneal": "bayes",
    "evolution": "bayes",
}
_TUNER_KEYS = ("name", "builtinTunerName")
_COMMAND = ("trialCommand", "command")
_CONFIG_KEYS = (
    "searchSpace",
    "searchSpaceFile",
    "searchSpacePath",
    "trialCommand",
    "tuner",
    "trialConcurrency",
)
_LEFT_OUT = {
    "trainingService": "tunecli runs trials on this machine",
    "trainingServicePlatform": "tunecli runs trials on this machine",
    "localConfig": "tunecli runs trials on this machine",
    "machineList": "tunecli runs trials on this machine",
    "searchSpaceFile": "import that file as well, and copy its `params`",
    "searchSpacePath": "import that file as well, and copy its `params`",
    "useAnnotation": "annotations in the code are not read",
    "authorName": "a study has no author",
    "description": "write it as a note once the study exists: `tunecli note STUDY TEXT`",
    "advisor": "see `search.pruner`",
}


def recognises(keys: dict[str, Any]) -> bool:
    """Whether plain data is a search space or a configuration of NNI."""
    if any(isinstance(value, dict) and "_type" in value and "_value" in value for value in keys.values()):
        return True
    return "tuner" in keys and any(
        key in keys for key in ("searchSpace", "searchSpaceFile", "searchSpacePath", "trial")
    )


def convert(root: MapNode, account: Account) -> Draft:
    """The study that a search space or a configuration describes."""
    draft, config = Draft(account), Fields(root, "", account)
    if not any(key in config for key in _CONFIG_KEYS):
        _add_space(config, draft, "")
        draft.search = {"sampler": "bayes"}
        account.note("search.sampler: bayes", "a search space names no tuner")
    else:
        if (space := config.take("searchSpace")) is not None:
            _add_space(config.of(space), draft, "")
        else:
            account.fill_in(
                "trial.params", "the configuration names a file with the search space: import that file"
            )
        _add_settings(config, draft)
        config.rest(_LEFT_OUT, "tunecli has no such setting")
    if not draft.command:
        account.fill_in("trial.command", "the file names no program; write yours in place of train.py")
        draft.command = ["python", "train.py"]
    draft.command += draft.passed()
    why = (
        "parameters are passed as arguments; a program that calls `nni.get_next_parameter` can read them as JSON from "
        "the environment variable TUNECLI_PARAMS"
    )
    account.fill_in("trial.command", why)
    account.fill_in(
        "objective.metric",
        'print the result as a JSON line, {"score": …}, in place of `nni.report_final_result`',
    )
    draft.objective = {"metric": "score", "direction": "maximize", **draft.objective}
    return draft


def _add_space(space: Fields, draft: Draft, prefix: str) -> None:
    for one in space.all():
        draft.parameter(f"{prefix}{one.key}", one, _maker(one))


def _maker(one: Field) -> Callable[[], Imported]:
    return lambda: _made(one.node, 0)


def _made(node: Node, depth: int) -> Imported:
    items = node.items if isinstance(node, MapNode) else {}
    kind, value = items.get("_type"), items.get("_value")
    if not isinstance(kind, ScalarNode) or value is None:
        raise NoRangeError("a parameter needs `_type` and `_value`")
    word = str(kind.value)
    if not isinstance(value, SequenceNode):
        raise NoRangeError("`_value` must be a list")
    if word == "choice":
        notes: list[str] = []
        options = [_option(option, notes, depth) for option in value.items]
        chosen = ranges.choice(options)
        return Imported(chosen.value, "; ".join(filter(None, (chosen.note, *dict.fromkeys(notes)))))
    numbers = [number_of(plain_of(item)) for item in value.items]
    if word not in _MAKERS:
        raise NoRangeError(f"unknown type `{word}`", f"one of choice, {', '.join(_MAKERS)}")
    least, make = _MAKERS[word]
    given = [number for number in numbers if number is not None]
    if word == "randint" and len(given) == 1 == len(numbers):
        given = [0, *given]  # of the first versions of NNI
    if len(given) < least or len(given) < len(numbers):
        raise NoRangeError(f"`{word}` needs {least} numbers")
    return make(*given[:least])


def _option(node: Node, notes: list[str], depth: int) -> Any:
    """An option; a map with `_name` is a sub-space, whose ranges exist only where it is chosen."""
    if not isinstance(node, MapNode) or "_name" not in node.items or depth > 20:
        return plain_of(node)
    option: dict[str, Any] = {}
    for key, item in node.items.items():
        if isinstance(item, MapNode) and "_type" in item.items:
            inner = _made(item, depth + 1)
            option[key] = inner.value
            if inner.note:
                notes.append(f"{key}: {inner.note}")
        else:
            option[key] = plain_of(item)
    return option


_MAKERS: dict[str, tuple[int, Callable[..., Imported]]] = {
    "randint": (2, lambda low, high: ranges.whole("int", low, high - 1)),
    "uniform": (2, lambda low, high: ranges.bounded("uniform", low, high)),
    "quniform": (3, lambda low, high, q: ranges.rounded("uniform", low, high, q, clips=True)),
    "loguniform": (2, lambda low, high: ranges.bounded("loguniform", low, high)),
    "qloguniform": (3, lambda low, high, q: ranges.rounded("loguniform", low, high, q, clips=True)),
    "normal": (2, lambda mean, deviation: ranges.normal("normal", mean, deviation)),
    "qnormal": (3, lambda mean, deviation, q: ranges.normal("normal", mean, deviation, q)),
    "lognormal": (2, lambda mean, deviation: ranges.normal("lognormal", mean, deviation)),
    "qlognormal": (3, lambda mean, deviation, q: ranges.normal("lognormal", mean, deviation, q)),
}


def _add_settings(config: Fields, draft: Draft) -> None:
    account = draft.account
    if (name := config.take("experimentName")) is not None and name.plain:
        draft.name(str(name.plain), name)
    for keys, group, key, path in (
        (("maxTrialNumber", "maxTrialNum"), draft.search, "trials", "search.trials"),
        (("trialConcurrency",), draft.run, "workers", "run.workers"),
    ):
        for word in keys:
            if (given := config.take(word)) is not None and given.count is not None:
                group[key] = given.count
                account.carried(given, f"{path}: {given.count}")
    for word in ("maxExperimentDuration", "maxExecDuration"):
        if (limit := config.take(word)) is not None and limit.plain is not None:
            draft.run["limit"] = Line(time=limit.plain)
            account.carried(limit, f"run.limit.time: {limit.plain}")
    _add_tuner(config, draft)
    if (assessor := config.take("assessor")) is not None:
        _add_assessor(config.of(assessor), assessor, draft)
    trial = config.inner("trial") if "trial" in config else config
    for word in _COMMAND:
        if (command := trial.take(word)) is not None and command.text:
            draft.command = [literal(part) for part in command.text.replace("python3 ", "python ").split()]
            if is_script(draft.command[0]):
                draft.command.insert(0, "python")
            account.carried(command, "trial.command")
    for word in ("trialGpuNumber", "gpuNum"):
        if (gpus := trial.take(word)) is not None and gpus.count is not None:
            if gpus.count > 1:
                draft.run["devices_per_trial"] = gpus.count
            account.carried(gpus, f"run.devices_per_trial: {gpus.count}")
    for word in ("trialCodeDirectory", "codeDir"):
        if (folder := trial.take(word)) is not None and str(folder.plain) not in (".", "./"):
            account.left_out(folder, "a command runs in the folder of the file; `run.folder` names another")
    if trial is not config:
        trial.rest(_LEFT_OUT, "tunecli has no such setting")


def _add_tuner(config: Fields, draft: Draft) -> None:
    tuner = config.inner("tuner")
    draft.search = {"sampler": "bayes", **draft.search}
    for key in _TUNER_KEYS:
        if (name := tuner.take(key)) is not None:
            word = str(name.plain).lower().replace("_", "").replace("tuner", "")
            sampler = _SAMPLERS.get(word, "bayes")
            note = "" if word in _SAMPLERS else "tunecli has no such tuner"
            note = installation_note(sampler) or note
            draft.search["sampler"] = sampler
            draft.account.carried(name, f"search.sampler: {sampler}", note)
    arguments = tuner.inner("classArgs")
    if (mode := arguments.take("optimize_mode")) is not None and mode.plain in ("maximize", "minimize"):
        draft.objective["direction"] = mode.plain
        draft.account.carried(mode, f"objective.direction: {mode.plain}")
    if (seed := arguments.take("seed")) is not None and type(seed.number) is int and seed.number >= 0:
        draft.seed = int(seed.number)
        draft.account.carried(seed, f"seed: {draft.seed}")
    arguments.rest(otherwise="the sampler has no such setting")
    tuner.rest(otherwise="the sampler has no such setting")


def _add_assessor(assessor: Fields, source: Field, draft: Draft) -> None:
    name = next(
        (given for key in ("name", "builtinAssessorName") if (given := assessor.take(key)) is not None), None
    )
    if name is None or "median" not in str(name.plain).lower():
        draft.account.left_out(name or source, "see `search.pruner`")
        return
    settings = assessor.inner("classArgs")
    knob: dict[str, Any] = {"name": "median"}
    if (start := settings.take("start_step")) is not None and type(start.number) is int and start.number >= 0:
        knob["warmup_epochs"] = int(start.number)
        draft.account.carried(start, f"search.pruner.warmup_epochs: {knob['warmup_epochs']}")
    draft.search["pruner"] = Line(knob)
    draft.account.carried(name, "search.pruner: median")
    settings.rest(otherwise="the pruner has no such setting")
