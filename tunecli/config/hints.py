"""What to do about a value that a model refused: one hint, which never says again what was just refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.config.aliases import alias, meant
from tunecli.config.elsewhere import rate_hint
from tunecli.config.examples import example_of, is_taken
from tunecli.config.expressions import RANGE_KEYS
from tunecli.config.foreign_ranges import flow, hint_of, lines_for, lines_for_list
from tunecli.config.model_paths import Place, models_in, names_of
from tunecli.config.reader import scalar
from tunecli.config.suggestions import nearest

_STRUCTURES = {"list_type", "tuple_type", "model_type", "model_attributes_type", "dict_type"}
_TRUTHS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_BOUND = re.compile(r"\s*([A-Za-z][\w.@/-]*)\s*(<=?|>=?)\s*([-+.\deE_]+)\s*")
_NUMBERS = re.compile(r"[-+\d.eE]+([,;x ]+[-+\d.eE]+)+")
_GROUPED = re.compile(r"[-+]?\d{1,3}([_,' ]\d{3})+(\.\d+)?")


def of_value(
    given: Any, kinds: Sequence[str], words: Sequence[str], place: Place | None, *, is_searchable: bool
) -> str:
    """The hint for a value of the wrong kind.

    Args:
        given: the value, plain.
        kinds: pydantic's names for what was expected.
        words: the words that would do, if any.
        place: the key that refused it.
        is_searchable: whether a range may stand there.
    """
    is_whole = "int_type" in kinds or None
    is_number = is_whole or "float_type" in kinds
    wants_structure = bool(_STRUCTURES & set(kinds))
    if place is not None and (meant_here := _of_key(given, kinds, place)):
        return meant_here
    if isinstance(given, Mapping):
        if place is not None and place.key == "command" and all(value is None for value in given.values()):
            return f'quote an argument that holds a brace: "{{{", ".join(map(str, given))}}}"'
        lines = lines_for(given, is_whole=is_whole) if is_searchable else ()
        if lines and place is not None and place.key == "learning_rate" and not place.is_item:
            return f"the rate is `optimizer.lr`: write optimizer: {{name: adamw, lr: {lines[-1]}}}"
        if lines:
            wants_list = "list_type" in kinds and not re.match(r"\{choice: \[\[", lines[0])
            return hint_of([f"[{line}]" for line in lines] if wants_list else lines)
        if wants_structure and place is not None and _names_a_member(given, place):
            return f"write `{example_of(place, given)}`"
        if is_searchable and (near := of_range_key(given)):
            return near
    if place is not None and place.key == "seed" and isinstance(given, list):
        return f"write `search: {{repeats: {len(given)}}}`: each trial is then trained over so many seeds"
    if place is not None and place.key == "device":
        return of_device(given)
    if isinstance(given, list) and is_searchable and not {"list_type", "tuple_type"} & set(kinds):
        return hint_of(lines_for_list(given, is_whole=is_whole, is_number=bool(is_number)))
    if isinstance(given, list) and not wants_structure:
        if place is not None and place.key == "metric" and all(isinstance(each, str) for each in given):
            goals = ", ".join(f"{{metric: {flow(each)}}}" for each in given)
            return f"write `objective: {{pareto: [{goals}]}}`"
        example = example_of(place, None) if place is not None else ""
        return f"write one value, such as `{example}`" if example else "write one value"
    if isinstance(given, str):
        hint = hint_of(lines_for(given, is_whole=is_whole)) if is_searchable else ""
        hint = hint or _of_text(given, kinds, words)
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
        return f"write `{example}`, or drop the key" if example else "write a value, or drop the key"
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


def _of_key(given: Any, kinds: Sequence[str], place: Place) -> str:
    """The hint for a plain value whose meaning its key tells: `stop: 3`, `subject_to: n <= 5`, `hidden: 8,8`."""
    if place.key == "stop" and _is_number(given) and given >= 1:
        return f"write `stop: {{stagnation: {math.floor(given)}}}`"
    if place.key == "stop" and given is True:
        return "write `stop: {stagnation: 20}`"
    if not isinstance(given, str):
        return ""
    if place.key == "subject_to" and (bound := _BOUND.fullmatch(given)):
        return f'write `subject_to: {{{bound[1]}: "{bound[2][0]}= {bound[3]}"}}`'
    if "list_type" in kinds and not place.is_item and _NUMBERS.fullmatch(given):
        items = [each for each in re.split(r"[,;x ]+", given) if each]
        line = f"{place.key}: [{', '.join(items)}]"
        return f"write `{line}`" if is_taken(place, [scalar(item) for item in items]) else ""
    return ""


def _of_text(given: str, kinds: Sequence[str], words: Sequence[str]) -> str:
    if words and (name := meant(given, words)):
        return f"did you mean `{name}`?"
    if words and (near := nearest(given, words)):
        return near
    if "bool_type" in kinds and given.lower() in _TRUTHS:
        return f"write {_TRUTHS[given.lower()]}"
    if {"int_type", "float_type"} & set(kinds):
        return _of_digits(given, is_whole="int_type" in kinds)
    return ""


def _of_digits(given: str, *, is_whole: bool) -> str:
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
    is_number = re.fullmatch(r"[-+]?\d+" if is_whole else r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    if is_number and text == given:
        return f"write {text} without quotes"
    return f"write {text}" if is_number else ""


def of_range_key(given: Any) -> str:
    """The hint for a map that was to be a range, where its key was mistyped."""
    if not isinstance(given, Mapping):
        return ""
    return next(filter(None, (nearest(str(key), RANGE_KEYS) for key in given)), "")


def of_device(given: Any) -> str:
    """The hint for a device by another name: ``gpu``, ``0``."""
    text = str(given).lower()
    kind, colon, number = text.partition(":")
    if text.isascii() and text.isdecimal() and len(text) < 4:
        return f"did you mean `cuda:{text}`?"
    name = alias(kind)
    if name in ("cuda", "mps") and (not colon or (number.isascii() and number.isdecimal())):
        return f"did you mean `{name}{colon}{number}`?" if name == "cuda" else f"did you mean `{name}`?"
    return nearest(text, ("auto", "cpu", "mps", "cuda", "xpu"))


def _names_a_member(given: Mapping[str, Any], place: Place) -> bool:
    """Whether a map has the name of a member of the key's family, as its key or by `name`."""
    names = {name for model in models_in(place.field.annotation) for name in names_of(model)}
    words = [str(given.get("name", "")), *(map(str, given) if len(given) == 1 else ())]
    return any(word in names or alias(word) in names for word in words)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
