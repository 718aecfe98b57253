"""Hints for a refused value or an unknown key: one sentence that says what to write instead.

Also recognises files written for another tool.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from tunecli.config.metric_hints import setting_hint
from tunecli.config.metrics import METRICS
from tunecli.config.model_paths import Place, example_of, is_taken, models_in, names_of, paths_by_key
from tunecli.config.range_lines import flow, hint_of, lines_for, lines_for_list
from tunecli.config.range_words import RANGE_WORDS
from tunecli.config.reader import MapNode, plain_of, scalar
from tunecli.config.search_hints import search_hint
from tunecli.config.suggestions import LINK_KEYS_ELSEWHERE, PATH_BY_NAME, alias, meant, nearest, plain_name
from tunecli.errors import Problem

_STRUCTURES = {"list_type", "tuple_type", "model_type", "model_attributes_type", "dict_type"}
_TRUTHS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_BOUND = re.compile(r"\s*([A-Za-z][\w.@/-]*)\s*(<=?|>=?)\s*([-+.\deE_]+)\s*")
_NUMBERS = re.compile(r"[-+\d.eE]+([,;x ]+[-+\d.eE]+)+")
_FORMULA = re.compile(r"([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)\s*(\*\*|[/*^])\s*([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)")
_GROUPED = re.compile(r"[-+]?\d{1,3}([_,' ]\d{3})+(\.\d+)?")
_CHAINS = ("trial.learning_rate.", "trial.weights.", "trial.data.augment.")
_LONGEST_KEY = 100
_MOST_PLACES = 3
_VERY_NEAR = 0.8
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")

_OF_A_SOURCE = ("file", "path", "csv", "filename", "filepath", "folder", "name")
"""Keys under which people often write the name of a data file or of a bundled data set."""

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


def value_hint(
    given: Any, kinds: Sequence[str], words: Sequence[str], place: Place | None, *, is_searchable: bool
) -> str:
    """The hint for a value of the wrong kind.

    Args:
        given: the value, plain.
        kinds: pydantic's names of the expected kinds.
        words: the words that are valid here, if any.
        place: the key that refused the value.
        is_searchable: whether a range is allowed here.
    """
    is_number = bool({"int_type", "float_type"} & set(kinds))
    is_whole = "int_type" in kinds if is_number else None
    wants_structure = bool(_STRUCTURES & set(kinds))
    if place is not None and (meant_here := _hint_by_key(given, kinds, place)):
        return meant_here
    if isinstance(given, Mapping):
        if place is not None and place.key == "command" and all(value is None for value in given.values()):
            return f'quote an argument that contains a brace: "{{{", ".join(map(str, given))}}}"'
        lines = lines_for(given, is_whole=is_whole) if is_searchable else ()
        if lines and place is not None and place.key == "learning_rate" and not place.is_item:
            return f"the learning rate is `optimizer.lr`: write optimizer: {{name: adamw, lr: {lines[-1]}}}"
        if lines:
            wants_list = "list_type" in kinds and not re.match(r"\{choice: \[\[", lines[0])
            return hint_of([f"[{line}]" for line in lines] if wants_list else lines)
        if wants_structure and place is not None and _names_a_member(given, place):
            return f"write `{example_of(place, given)}`"
        if is_searchable and (near := range_key_hint(given)):
            return near
    if place is not None and place.key == "seed" and isinstance(given, list):
        return f"write `search: {{repeats: {len(given)}}}` to train each trial with {len(given)} seeds"
    if place is not None and place.key == "device":
        return _devices_hint(given) if isinstance(given, list) else device_hint(given)
    if isinstance(given, list) and is_searchable and not {"list_type", "tuple_type"} & set(kinds):
        return hint_of(lines_for_list(given, is_whole=is_whole, is_number=is_number))
    if isinstance(given, list) and not wants_structure:
        if place is not None and place.key == "metric" and all(isinstance(item, str) for item in given):
            goals = ", ".join(f"{{metric: {flow(item)}}}" for item in given)
            return f"write `objective: {{pareto: [{goals}]}}`"
        example = example_of(place, None) if place is not None else ""
        return f"write one value, such as `{example}`" if example else "write one value"
    if isinstance(given, str):
        hint = hint_of(lines_for(given, is_whole=is_whole)) if is_searchable else ""
        hint = hint or _text_hint(given, kinds, words)
        if hint:
            return hint
    if words and _is_number(given) and (name := meant(str(given), words)):
        return f"did you mean `{name}`?"
    if place is not None and place.key == "learning_rate" and _is_number(given) and not place.is_item:
        return rate_hint(given)
    if is_whole and isinstance(given, float) and given.is_integer() and abs(given) < 2**53:
        return f"write {int(given)}"
    if given is None:
        example = example_of(place, given) if wants_structure and place is not None else ""
        return f"write `{example}`, or remove the key" if example else "write a value, or remove the key"
    is_name = place is not None and place.key == "metric"
    if (
        "string_type" in kinds
        and _is_number(given)
        and not is_name
        and place is not None
        and is_taken(place, str(given))
    ):
        return f'write "{given}" in quotes'
    if (
        (wants_structure or "string_type" in kinds)
        and place is not None
        and (example := example_of(place, given))
    ):
        return f"write `{example}`"
    return ""


def _hint_by_key(given: Any, kinds: Sequence[str], place: Place) -> str:
    """The hint for a plain value whose meaning follows from its key: `stop: 3`, `subject_to: n <= 5`, `hidden: 8,8`."""
    if place.key == "stop" and _is_number(given) and given >= 1:
        return f"write `stop: {{stagnation: {math.floor(given)}}}`"
    if place.key == "where" and not isinstance(given, str) and not place.is_item:
        return 'write `where: ["minibatch <= batch / 2"]`'
    if place.key == "start" and {"list_type", "dict_type", "string_type"} & set(kinds):
        if isinstance(given, str):
            return f"write `start: {{from: {given}}}`"
        return "write `start: [{optimizer.lr: 0.01}]` or `start: {from: runs/other}`"
    if place.key == "stop" and given is True:
        return "write `stop: {stagnation: 20}`"
    if near := search_hint(place.key, given):
        return near
    if not isinstance(given, str):
        return ""
    if place.key == "class_weights":
        return "write a list with one number per class, or use `data.balance: weight`"
    if place.key == "subject_to" and (bound := _BOUND.fullmatch(given)):
        return f'write `subject_to: {{{bound[1]}: "{bound[2][0]}= {bound[3]}"}}`'
    if "list_type" in kinds and not place.is_item and _NUMBERS.fullmatch(given):
        items = [each for each in re.split(r"[,;x ]+", given) if each]
        line = f"{place.key}: [{', '.join(items)}]"
        return f"write `{line}`" if is_taken(place, [scalar(item) for item in items]) else ""
    return ""


def _text_hint(given: str, kinds: Sequence[str], words: Sequence[str]) -> str:
    if words and (name := meant(given, words)):
        return f"did you mean `{name}`?"
    if words and (near := nearest(given, words)):
        return near
    if "bool_type" in kinds and given.lower() in _TRUTHS:
        return f"write {_TRUTHS[given.lower()]}"
    if {"int_type", "float_type"} & set(kinds):
        return _number_hint(given, is_whole="int_type" in kinds)
    return ""


def _number_hint(given: str, *, is_whole: bool) -> str:
    text = given.strip()
    if len(text) > 60:
        return ""
    if _GROUPED.fullmatch(text):
        text = re.sub(r"[_,' ]", "", text)
    elif re.fullmatch(r"0[bB][01]+", text):
        text = str(int(text, 2))
    elif re.fullmatch(r"[-+]?\d+,\d+", text):
        text = text.replace(",", ".")
    elif re.fullmatch(r"[-+]?\d+(\.\d+)?\s*%", text):
        text = flow(float(text.rstrip("% ")) / 100)
    elif (formula := _FORMULA.fullmatch(text)) is not None:
        text = _result(float(formula[1]), formula[2], float(formula[3]))
    is_number = re.fullmatch(r"[-+]?\d+" if is_whole else r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    if is_number and text == given:
        return f"write {text} without quotes"
    return f"write {text}" if is_number else ""


def _result(left: float, operator: str, right: float) -> str:
    """The number that a formula such as ``1/1000`` or ``10**-3`` gives; empty if it gives none."""
    try:
        number = left / right if operator == "/" else left * right if operator == "*" else left**right
    except (OverflowError, ZeroDivisionError):
        return ""
    if isinstance(number, complex) or not math.isfinite(number):
        return ""
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else flow(number)


def range_key_hint(given: Any) -> str:
    """The hint for a range whose key is mistyped."""
    if not isinstance(given, Mapping):
        return ""
    return next(filter(None, (nearest(str(key), RANGE_WORDS) for key in given)), "")


def device_hint(given: Any) -> str:
    """The hint for another name of a device: ``gpu``, ``0``."""
    text = str(given).lower()
    kind, colon, number = text.partition(":")
    if text.isascii() and text.isdecimal() and len(text) < 4:
        return f"did you mean `cuda:{text}`?"
    name = alias(kind)
    if name in ("cuda", "mps") and (not colon or (number.isascii() and number.isdecimal())):
        return f"did you mean `{name}{colon}{number}`?" if name == "cuda" else f"did you mean `{name}`?"
    return nearest(text, ("auto", "cpu", "mps", "cuda", "xpu"))


def _devices_hint(given: Sequence[Any]) -> str:
    """The hint for a list of devices: one key without a number uses all of its kind."""
    kinds = {str(device).lower().partition(":")[0] for device in given}
    kind = next(iter(kinds)) if len(kinds) == 1 else ""
    return f"write `device: {kind}` to use all of them" if kind in ("cuda", "xpu") else "write one device"


def _names_a_member(given: Mapping[str, Any], place: Place) -> bool:
    """Whether a map contains the name of a member of the key's family, as its key or in `name`."""
    names = {name for model in models_in(place.field.annotation) for name in names_of(model)}
    words = [str(given.get("name", "")), *(map(str, given) if len(given) == 1 else ())]
    return any(word in names or alias(word) in names for word in words)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def tool_of(keys: Iterable[str], known: Iterable[str]) -> str:
    """The tool whose files have these top-level keys, as in ``a W&B sweep``; empty if it is unknown or tunecli."""
    given = set(keys)
    if len(given & set(known)) > len(given) / 2:
        return ""
    return next((tool for tool, marks in _FILES if any(mark <= given for mark in marks)), "")


def unknown_keys(root: MapNode, known: Sequence[str]) -> Iterator[Problem]:
    """A problem for each top-level key that is not ``known``; first one for the file if it is another tool's."""
    if tool := tool_of(root.marks, known):
        hint = "`tunecli init` writes a study to start from; the lines below show where each key belongs"
        yield Problem(f"this looks like {tool}, not a tunecli study", root.mark.file, 1, 1, hint=hint)
    trial_keys = {path for paths in paths_by_key().values() for path in paths}
    for key, mark in root.marks.items():
        if key not in known:
            inside_trial = "it belongs under `trial`" if f"trial.{key}" in trial_keys else ""
            hint = inside_trial or unknown_key_hint(key, plain_of(root.items[key]), "", known)
            hint = hint or f"known keys: {', '.join(known)}"
            yield Problem(f"unknown key `{key}`", mark.file, mark.line, mark.column, key, hint)


def own_code_map(key: str, value: Any) -> str:
    """``{python: mymod:Net}`` for a dotted class path of Hydra or Lightning; empty for other values."""
    if key not in ("_target_", "class_path") or not isinstance(value, str) or not _DOTTED.fullmatch(value):
        return ""
    module, _, name = value.rpartition(".")
    return f"{{python: {module}:{name}}}"


def unknown_key_hint(key: str, value: Any, level: str, known: Sequence[str]) -> str:
    """The hint for an unknown key: where it belongs; empty if that is unknown.

    Args:
        key: the key in the file.
        value: its value, plain.
        level: the path of the map that contains it; empty at the top level.
        known: the keys that are allowed there.
    """
    if own := own_code_map(key, value):
        return f"write {own}"
    if set(known) - {"name"} == {"python", "args"} and not nearest(key, ["args", "python"]):
        return f"arguments of your own code belong to `args`: write `args: {{{key}: {flow(value)}}}`"
    bare = plain_name(key)
    if level.startswith(_CHAINS):  # keys of links are short and mean other things elsewhere
        ours = next((name for name in LINK_KEYS_ELSEWHERE.get(bare, "").split() if name in known), "")
        return f"did you mean `{ours}`?" if ours else nearest(key, known)
    if level == "trial.data" and bare in _OF_A_SOURCE and isinstance(value, str):
        return f"write `source: {flow(value)}`"
    if bare in ("classweights", "classweight") and isinstance(value, str):
        return "write `data.balance: weight`"
    if bare.startswith("seed") and isinstance(value, list):
        return f"write `search.repeats: {len(value)}`"
    called = PATH_BY_NAME.get(bare, "")
    if called and called.rpartition(".")[0] == level:
        return f"did you mean `{called.rpartition('.')[2]}`?"
    if called.rpartition(".")[2] == key and not level.startswith("trial.model"):
        return _known_as([called], level)  # of several keys with this name, the one that is meant most often
    paths = [path for path in paths_by_key().get(key, ()) if path.rpartition(".")[0] != level]
    if key in METRICS:
        return f"write `metric: {key}`"
    if re.fullmatch(r"objective(\.pareto\.\d+)?", level) and (setting := setting_hint(key, value)):
        return setting
    if level == "objective" and key == "name":
        return "did you mean `metric`?"
    if paths:
        return _known_as([*paths, *([called] if called and called not in paths else [])], level)
    near = nearest(key, known, _VERY_NEAR) or (_known_as([called], level) if called else nearest(key, known))
    if near or len(key) > _LONGEST_KEY:
        return near
    alike = get_close_matches(key, [name for name in paths_by_key() if name != key], 1, _VERY_NEAR)
    elsewhere = [path for name in alike for path in paths_by_key()[name] if path.rpartition(".")[0] != level]
    return _known_as(elsewhere, level) if elsewhere else ""


def _known_as(paths: Sequence[str], level: str) -> str:
    is_in_trial = level.partition(".")[0] == "trial"
    at_top_level = not level or is_in_trial
    inside = [path for path in paths if at_top_level and path.startswith("trial.")] or paths
    if "." not in inside[0]:
        at_top = "at the top level of the file"
        if inside[0] != "trial":
            return f"it belongs {at_top}, next to `trial`"
        return f"it belongs {at_top}" if is_in_trial else f"use `trial`, {at_top}"
    short = [path.removeprefix("trial.") if is_in_trial else path for path in inside]
    shown = [f"`{one if '.' in one else path}`" for one, path in zip(short, inside, strict=True)][
        :_MOST_PLACES
    ]
    return f"use {' or '.join(shown)}"


def rate_hint(value: Any) -> str:
    """The hint for a number at `learning_rate`, which is a chain of schedules."""
    return f"the learning rate is `optimizer.lr`: write optimizer: {{name: adamw, lr: {flow(value)}}}"
