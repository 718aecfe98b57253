"""The right place of a key that is misplaced or has another tool's name, and the tool that a file was written for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tunecli.config.aliases import plain_name
from tunecli.config.foreign_ranges import flow, plain_of
from tunecli.config.metrics import METRICS
from tunecli.config.model_paths import paths_by_key
from tunecli.config.reader import MapNode
from tunecli.config.suggestions import nearest
from tunecli.errors import Problem

_MOST_PLACES = 3
_VERY_NEAR = 0.8
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")

_CALLED: dict[str, str] = {
    **dict.fromkeys(
        ("learningrate", "baselr", "initiallr", "lrinit", "eta", "stepsize"), "trial.optimizer.lr"
    ),
    **dict.fromkeys(
        ("numepochs", "nepochs", "maxepochs", "numtrainepochs", "epoch"), "trial.training.epochs"
    ),
    **dict.fromkeys(("maxsteps", "numsteps", "nsteps", "iterations"), "trial.training.steps"),
    **dict.fromkeys(("batch", "bs", "batchsize", "perdevicetrainbatchsize"), "trial.training.batch_size"),
    **dict.fromkeys(
        ("gradientclip", "gradientclipval", "gradientclipping", "clipgradnorm", "clipnorm", "maxgradnorm"),
        "trial.training.grad_clip",
    ),
    **dict.fromkeys(("accumulategradbatches", "gradientaccumulationsteps"), "trial.training.accumulate"),
    **dict.fromkeys(("earlystopping", "earlystoppingrounds"), "trial.training.early_stop"),
    **dict.fromkeys(("wd", "l2", "decay"), "trial.optimizer.weight_decay"),
    **dict.fromkeys(("dataset", "traindata", "datadir", "datapath", "train"), "trial.data.source"),
    **dict.fromkeys(("label", "labels", "targetcolumn", "outputfeatures"), "trial.data.target"),
    **dict.fromkeys(("valsplit", "validationsplit", "testsize", "valfraction"), "trial.data.validation"),
    **dict.fromkeys(("criterion", "lossfn", "lossfunction"), "trial.loss"),
    **dict.fromkeys(("network", "net", "architecture", "arch"), "trial.model"),
    **dict.fromkeys(
        ("layers", "hiddenlayers", "hiddensizes", "units", "hiddenlayersizes"), "trial.model.hidden"
    ),
    **dict.fromkeys(("scheduler", "lrscheduler", "lrschedule", "schedule"), "trial.learning_rate"),
    **dict.fromkeys(("amp", "mixedprecision", "fp16", "bf16"), "trial.training.precision"),
    **dict.fromkeys(("classweights", "classweight"), "trial.data.balance"),
    **dict.fromkeys(
        ("ntrials", "numtrials", "maxtrials", "numsamples", "niter", "ncalls", "maxtrialnumber", "runcap"),
        "search.trials",
    ),
    **dict.fromkeys(("maxtrialcount", "count", "maxevals", "numrandomtrials"), "search.trials"),
    **dict.fromkeys(("nseeds", "seeds", "numrepeats", "nrepeats"), "search.repeats"),
    **dict.fromkeys(
        ("method", "algorithm", "algo", "searchalg", "tuner", "strategy", "searcher"), "search.sampler"
    ),
    **dict.fromkeys(("earlyterminate", "assessor", "stoppingcriteria"), "search.pruner"),
    **dict.fromkeys(
        (
            "njobs",
            "numworkers",
            "parallel",
            "parallelism",
            "trialconcurrency",
            "maxconcurrenttrials",
            "nworkers",
        ),
        "run.workers",
    ),
    **dict.fromkeys(
        ("timeout", "timelimit", "maxtime", "timebudget", "maxexperimentduration"), "run.limit.time"
    ),
    **dict.fromkeys(("gpu", "gpus", "cuda", "accelerator", "resources"), "run.device"),
    **dict.fromkeys(("goal", "mode", "optimizemode"), "objective.direction"),
    **dict.fromkeys(("metricname", "monitor", "objectivemetricname", "evalmetric"), "objective.metric"),
    **dict.fromkeys(
        ("parameters", "searchspace", "space", "paramspace", "hyperparameters", "config", "hyperopt"), "trial"
    ),
    **dict.fromkeys(("sweep", "tune", "tuning", "optimization"), "search"),
    **dict.fromkeys(("constraints", "constraint", "bounds"), "objective.subject_to"),
    **dict.fromkeys(("batchnorm", "layernorm", "normalization"), "trial.model.norm"),
    **dict.fromkeys(("program", "trialcommand", "entrypoint", "script", "cmd"), "trial.command"),
    **dict.fromkeys(("function", "fn", "callable", "trainable"), "trial.python"),
    **dict.fromkeys(("project", "experiment", "experimentname", "studyname", "title"), "study"),
    **dict.fromkeys(("randomseed", "randomstate", "seedeverything"), "seed"),
}
"""By a key's name elsewhere, without `_` and capitals: the path at which it is here."""

_OF_A_SOURCE = ("file", "path", "csv", "filename", "filepath", "folder", "name")
"""What the name of a data file or of a bundled set is often put at."""

_FILES: tuple[tuple[str, tuple[frozenset[str], ...]], ...] = (
    ("a W&B sweep", (frozenset({"method", "parameters"}), frozenset({"program", "parameters"}))),
    ("a Katib experiment", (frozenset({"apiVersion", "kind"}), frozenset({"parameters", "algorithm"}))),
    ("a Determined experiment", (frozenset({"searcher", "hyperparameters"}), frozenset({"searcher", "entrypoint"}))),
    ("an NNI experiment", (
        frozenset({"searchSpace"}), frozenset({"searchSpaceFile"}), frozenset({"trialCommand"}),
        frozenset({"experimentName"}), frozenset({"tuner", "trial", "authorName"}),
    )),
    ("a Ludwig configuration", (frozenset({"input_features"}), frozenset({"output_features"}))),
    ("a Ray Tune configuration", (
        frozenset({"param_space"}), frozenset({"tune_config"}), frozenset({"num_samples", "config"}),
    )),
    ("a Hydra configuration", (frozenset({"defaults", "hydra"}), frozenset({"hydra"}))),
    ("an Optuna study", (
        frozenset({"n_trials", "search_space"}), frozenset({"n_trials", "params"}),
        frozenset({"study_name", "direction"}),
        frozenset({"study_name", "n_trials"}), frozenset({"sampler", "n_trials"}),
    )),
    ("a Lightning CLI configuration", (frozenset({"trainer", "model"}),)),
    ("a Guild file", (frozenset({"operations"}),)),
)  # fmt: skip


def tool_of(keys: Iterable[str], known: Iterable[str]) -> str:
    """The tool whose file has these top-level keys, as in ``a W&B sweep``; empty for unknown files and for our own."""
    found = set(keys)
    if len(found & set(known)) > len(found) / 2:
        return ""
    return next((tool for tool, marks in _FILES if any(mark <= found for mark in marks)), "")


def unknown_keys(root: MapNode, known: Sequence[str]) -> Iterator[Problem]:
    """The top-level keys of a file that are none of the ``known`` ones, the tool's name first that the file is for."""
    if tool := tool_of(root.marks, known):
        hint = "`tunecli init` writes a study to start from; the lines below say where each key belongs"
        yield Problem(f"this looks like {tool}, not like a tunecli study", root.mark.file, 1, 1, hint=hint)
    trial_keys = {path for paths in paths_by_key().values() for path in paths}
    for key, mark in root.marks.items():
        if key not in known:
            inside_trial = "it belongs under `trial`" if f"trial.{key}" in trial_keys else ""
            hint = inside_trial or place_of(key, plain_of(root.items[key]), "", known)
            hint = hint or f"known here: {', '.join(known)}"
            yield Problem(f"`{key}` is not known here", mark.file, mark.line, mark.column, key, hint)


def own_code(key: str, value: Any) -> str:
    """``{python: mymod:Net}`` for a class's dotted path as Hydra and Lightning write it; else empty."""
    if key not in ("_target_", "class_path") or not isinstance(value, str) or not _DOTTED.fullmatch(value):
        return ""
    module, _, name = value.rpartition(".")
    return f"{{python: {module}:{name}}}"


def place_of(key: str, value: Any, level: str, known: Sequence[str]) -> str:
    """The hint for a key that ``level`` does not have: its right place; empty for a key that no place has.

    Args:
        key: as the file has it.
        value: what stands there, plain.
        level: the path of the map that holds it, from the top level on; empty at the top.
        known: the keys that may stand there.
    """
    if own := own_code(key, value):
        return f"write {own}"
    bare = plain_name(key)
    if level == "trial.data" and bare in _OF_A_SOURCE and isinstance(value, str):
        return f"write `source: {flow(value)}`"
    if bare in ("classweights", "classweight") and isinstance(value, str):
        return "write `data.balance: weight`"
    if bare.startswith("seed") and isinstance(value, list):
        return f"write `search.repeats: {len(value)}`"
    called = _CALLED.get(bare, "")
    if called and called.rpartition(".")[0] == level:
        return f"did you mean `{called.rpartition('.')[2]}`?"
    paths = [path for path in paths_by_key().get(key, ()) if path.rpartition(".")[0] != level]
    if key in METRICS:
        return f"write `metric: {key}`"
    if level == "objective" and key == "name":
        return "did you mean `metric`?"
    if paths:
        return _known_as([*paths, *([called] if called and called not in paths else [])], level)
    return nearest(key, known, _VERY_NEAR) or (_known_as([called], level) if called else nearest(key, known))


def _known_as(paths: Sequence[str], level: str) -> str:
    is_in_trial = level.partition(".")[0] == "trial"
    inside = [path for path in paths if is_in_trial and path.startswith("trial.")] or paths
    if "." not in inside[0]:
        at_top = "at the top level of the file"
        if inside[0] != "trial":
            return f"it belongs {at_top}, next to `trial`"
        return f"it belongs {at_top}" if is_in_trial else f"it is `trial`, {at_top}"
    short = [path.removeprefix("trial.") if is_in_trial else path for path in inside]
    shown = [f"`{one if '.' in one else path}`" for one, path in zip(short, inside, strict=True)][
        :_MOST_PLACES
    ]
    return f"it is {' or '.join(shown)}"


def rate_hint(value: Any) -> str:
    """What to write for a number at `learning_rate`, which is a chain of schedules."""
    return f"the rate is `optimizer.lr`: write optimizer: {{name: adamw, lr: {flow(value)}}}"
