"""pydantic's validation errors as messages for people, each at its place in the file.

One validation error becomes one `Problem`: the union members that pydantic tried are removed from its path, an unknown
key is compared with the known keys, and several errors about one value become one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from tunecli.config.concrete_trial import locate
from tunecli.config.domains import Domain, Integer, Normal, Real
from tunecli.config.expressions import Broken, Fixed, Group, Numeric
from tunecli.config.hints import device_hint, own_code_map, range_key_hint, unknown_key_hint, value_hint
from tunecli.config.model_paths import Place, example_of, fields_of, models_at, names_of, place_at
from tunecli.config.range_lines import hint_of, lines_for, lines_for_list
from tunecli.config.run import DEVICE, FOLDER
from tunecli.config.schema.user_code import CODE_NAME, METRIC_KEY
from tunecli.config.search_hints import search_hint
from tunecli.config.space import Space
from tunecli.config.study import StudySettings
from tunecli.config.suggestions import alias, meant, nearest, plain_name
from tunecli.errors import Problem
from tunecli.text import counted
from tunecli.trial import Parameters

_MOST_HINTS = 100  # of one trial: more are not readable at a time, and each takes a search
_MOST_ARGUMENTS = 20  # of a call that commas cut into keys

_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "dict_type": "a map",
    "finite_number": "a finite number",
}

_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}

_SIZES = {"too_short", "too_long", "string_too_short", "string_too_long"}
"""Of the members of a union, the one that takes the kind of the value says more than those that do not."""

_PATTERNS = {
    CODE_NAME: "`module:name`, such as `mine:Net`",
    METRIC_KEY: "the name of a metric: a letter, then letters, digits and `_./-`",
    DEVICE: "one of `auto`, `cpu`, `mps`, `cuda`, `xpu`, or a numbered device such as `cuda:1`",
    FOLDER: "an absolute path such as `/home/me/data`",
}


def problems_of(
    error: ValidationError, model: type[BaseModel], space: Space, point: Parameters, prefix: str
) -> Iterator[Problem]:
    """The problems in ``error``, each at its place in the file.

    Args:
        error: raised by validating the concrete tree at ``point``.
        model: the model of that validation.
        space, point: where the concrete tree comes from.
        prefix: the start of parameter paths: ``trial`` or nothing.
    """
    by_place: dict[tuple[str | int, ...], list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        taken, _ = locate(space, point, detail["loc"])
        missing = detail["loc"][-1:] if detail["type"] == "missing" else ()
        by_place.setdefault((*taken, *missing), []).append(dict(detail))
    for number, (place, details) in enumerate(by_place.items()):
        if _is_said_by_items(place, details, by_place):
            continue
        taken, expression = locate(space, point, place)
        if isinstance(expression, Broken):
            continue
        mark = expression.mark
        level = (*((prefix,) if prefix else ()), *place[:-1])
        is_hinted = number < _MOST_HINTS
        message, hint = _worded(details, model, ".".join(map(str, level)), is_hinted=is_hinted)
        _, parent = locate(space, point, place[:-1])
        if isinstance(parent, Group) and place:
            if details[0]["type"] == "extra_forbidden" or "[key]" in details[0]["loc"]:
                mark = parent.marks.get(str(place[-1]), mark)
            if is_hinted:
                hint = _of_a_split_call(parent, str(place[-1])) or hint
        if isinstance(expression, Numeric) and details[0]["type"] != "extra_forbidden":
            hint = _of_range(expression.domain, details, place)
        parameter = ".".join(str(step) for step in ((prefix,) if prefix else ()) + place)
        yield Problem(message, mark.file, mark.line, mark.column, parameter, hint)


def _is_said_by_items(
    place: tuple[str | int, ...],
    details: list[dict[str, Any]],
    by_place: Mapping[tuple[str | int, ...], Sequence[Any]],
) -> bool:
    """Whether only members of a union that take no list refuse this list, and another one refuses its items."""
    if {detail["type"] for detail in details} != {"string_type"} or not isinstance(details[0]["input"], list):
        return False
    return any(other[: len(place)] == place and len(other) > len(place) for other in by_place)


def _of_range(domain: Domain, details: list[dict[str, Any]], place: Sequence[str | int]) -> str:
    """The hint for a range that contains invalid values."""
    if place == ("learning_rate",):
        return "the learning rate is `optimizer.lr`: put the range there"
    if isinstance(domain, Real | Integer) and any(detail["type"] == "list_type" for detail in details):
        word = f"{'log' if domain.is_log else ''}{'int' if isinstance(domain, Integer) else 'uniform'}"
        if lines := lines_for({word: [domain.low, domain.high]}):
            return hint_of([f"[{line}]" for line in lines])
    wants_whole = any(detail["type"] == "int_type" for detail in details)
    if isinstance(domain, Normal) and not domain.is_log and wants_whole:
        low, high = (round(domain.mean + side * 2 * domain.deviation) for side in (-1, 1))
        return hint_of(lines_for({"int": [low, high]}))
    if isinstance(domain, Real) and wants_whole:
        scale = "log" if domain.is_log else ""
        if lines := lines_for({f"{scale}uniform": [domain.low, domain.high]}, is_whole=True):
            return hint_of(lines)
    return "every value of the range must be valid"


def _worded(
    details: list[dict[str, Any]], model: type[BaseModel], level: str, *, is_hinted: bool
) -> tuple[str, str]:
    details = [each for each in details if each["type"] in _SIZES] or details
    wanted = [want for detail in details if (want := _wanted(detail))]
    given = details[0]["input"]
    place = place_at(model, details[0]["loc"])
    if wanted:
        kinds = [str(detail["type"]) for detail in details]
        options = [word for detail in details for word in _words(detail)]
        hint = ""
        if is_hinted:
            is_searchable = level.partition(".")[0] == "trial" or (not level and model is not StudySettings)
            hint = value_hint(given, kinds, options, place, is_searchable=is_searchable)
        return f"must be {' or '.join(dict.fromkeys(wanted))}, not {_shown(given)}", hint
    detail = details[0]
    kind, path = detail["type"], detail["loc"]
    match kind:
        case "extra_forbidden":
            return _unknown_key(str(path[-1]), given, models_at(model, path[:-1]), level, is_hinted=is_hinted)
        case "missing":
            return f"missing key `{path[-1]}`", _example_hint(str(path[-1]), models_at(model, path[:-1]))
        case "union_tag_invalid":
            tag = str(detail["ctx"]["tag"])
            options = _words(detail)
            near = nearest_or_alias(tag, options) or search_hint(str(path[-1]), given)
            near = near or hint_of(lines_for(given)) or hint_of(lines_for(tag))
            return f"unknown name `{tag}`", near or f"one of {', '.join(options)}"
        case "union_tag_not_found":
            options = [name for member in models_at(model, path) for name in names_of(member)]
            options += [word for word in ("none",) if "none" in _words(detail)]
            if isinstance(path[-1], int) and isinstance(given, dict) and len(given) > 1:
                return _too_many_keys(given, options)
            return _nameless(given, options, place if is_hinted else None, models_at(model, path))
        case "value_error" | "assertion_error":
            return str(detail["ctx"]["error"]), ""
        case "too_short":
            least, held = detail["ctx"]["min_length"], detail["ctx"]["actual_length"]
            return f"must have at least {least} {_items(least)}, not {held}", ""
        case "too_long":
            most, held = detail["ctx"]["max_length"], detail["ctx"]["actual_length"]
            return f"must have at most {most} {_items(most)}, not {held}", ""
        case "string_pattern_mismatch":
            pattern = detail["ctx"]["pattern"]
            hint = device_hint(given) if pattern == DEVICE else ""
            return f"must be {_PATTERNS.get(pattern, pattern)}, not {_shown(given)}", hint
        case "string_too_short" | "string_too_long":
            bound = detail["ctx"].get("min_length") or detail["ctx"].get("max_length")
            side = "at least" if kind == "string_too_short" else "at most"
            return f"must be text of {side} {counted(bound, 'character')}, not {_shown(given)}", ""
        case _:
            return f"invalid value: {_shown(given)}", ""


def _unknown_key(
    key: str, given: Any, models: Sequence[type[BaseModel]], level: str, *, is_hinted: bool
) -> tuple[str, str]:
    known = [name for member in models for name in fields_of(member)]
    absent = {name: why for member in models for name, why in _absent(member).items()}
    if key in absent:
        return f"key `{key}` is not allowed here", absent[key]
    message = f"unknown key `{key}`"
    if not is_hinted:
        return message, ""
    if any(key in names_of(model) for model in models):
        return message, f"write `name: {key}` instead"
    same = meant(key, known)
    if same and plain_name(same) == plain_name(key):
        return message, f"did you mean `{same}`?"
    return message, unknown_key_hint(
        key, given, level, known
    ) or f"known keys: {', '.join(_own_first(models))}"


def _nameless(
    given: Any, options: Sequence[str], place: Place | None, models: Sequence[type[BaseModel]]
) -> tuple[str, str]:
    """The message for a map without `name`, or a plain value, in the place of a named knob."""
    if not isinstance(given, dict):
        example = example_of(place, given) if place is not None else ""
        choice = hint_of(lines_for_list(given)) if isinstance(given, list) else ""
        return f"must be one of {', '.join(options)}, not {_shown(given)}", choice or (
            f"write `{example}`" if example else ""
        )
    if own := next(filter(None, (own_code_map(str(key), value) for key, value in given.items())), ""):
        return "missing `name`", f"write {own}"
    for key in ("type", "kind", "class", "id", "algorithm", "method"):
        if isinstance(word := given.get(key), str) and (
            name := word if word in options else meant(word, options)
        ):
            return "missing `name`", f"write `name: {name}` instead of `{key}: {word}`"
    if near := hint_of(lines_for(given)):
        return "missing `name`", near
    words = [word for word in given if word in options or alias(str(word)) in options]
    if len(given) == 1 and words and place is not None and (example := example_of(place, given)):
        return f"the arguments of `{words[0]}` must be a map", f"write `{example}`"
    if near := range_key_hint(given):
        return "missing `name`", near
    usual = getattr(place.field.default, "name", "") if place is not None else ""
    fitting = [
        name for model in models if given.keys() <= model.model_fields.keys() for name in names_of(model)
    ]
    example = usual if usual in fitting or not fitting else fitting[0]
    example = example or next(iter(options), "")
    return (
        f"missing `name`; one of {', '.join(options)}",
        f"for example `name: {example}`" if example else "",
    )


def _of_a_split_call(parent: Group, key: str) -> str:
    """The hint for a call such as ``tune.uniform(0, 1)`` in braces, which its comma splits into two keys."""
    keys = list(parent.items)
    if key not in keys:
        return ""
    first = least = keys.index(key)
    while first >= max(0, least - _MOST_ARGUMENTS) and not _opens(parent.items[keys[first]]):
        first -= 1
    if first < max(0, least - _MOST_ARGUMENTS):
        return ""
    opened = parent.items[keys[first]]
    for last in range(first + 1, min(len(keys), first + _MOST_ARGUMENTS)):
        if keys[last].endswith(")") and isinstance(opened, Fixed):
            if first <= keys.index(key) <= last:
                call = ", ".join([str(opened.value), *keys[first + 1 : last + 1]])
                lines = lines_for(call)
                return (
                    f"write {keys[first]}: {' or '.join(lines)}"
                    if lines
                    else f'quote it: {keys[first]}: "{call}"'
                )
            return ""
    return ""


def _opens(part: object) -> bool:
    return (
        isinstance(part, Fixed)
        and isinstance(part.value, str)
        and part.value.count("(") > part.value.count(")")
    )


def nearest_or_alias(word: str, options: Sequence[str]) -> str:
    """The hint for another library's name, or for a mistyped one."""
    name = meant(word, options)
    return f"did you mean `{name}`?" if name else nearest(word, options)


def _too_many_keys(given: Mapping[str, Any], options: Sequence[str]) -> tuple[str, str]:
    """The message for a link with several keys: the key of a link is its name."""
    message = f"a link must be a map with one key, not with {', '.join(f'`{key}`' for key in given)}"
    links, others = ([key for key in given if (key in options) is known] for known in (True, False))
    if not links:
        return message, f"one of {', '.join(options)}"
    inside = f"{{{', '.join(('…', *(f'{key}: …' for key in others)))}}}" if others else "…"
    return message, "write " + ", ".join(f"{{{link}: {inside}}}" for link in links)


def _wanted(detail: dict[str, Any]) -> str:
    kind = detail["type"]
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"{word} {detail['ctx'][key]:g}"
    if kind == "literal_error":
        words = [f"`{word}`" for word in _words(detail)]
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    return ""


def _words(detail: dict[str, Any]) -> list[str]:
    context = detail.get("ctx", {})
    text = str(context.get("expected") or context.get("expected_tags") or "").replace(" or ", ", ")
    return [word.strip("'\" ") for word in text.split(",") if word.strip()]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) < 60 else "a long text"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | tuple):
        return "a map" if isinstance(value, dict) else "a list"
    return repr(value)


def _absent(model: type[BaseModel]) -> Mapping[str, str]:
    """Keys that a model lacks on purpose, and the reason for each."""
    return getattr(model, "ABSENT", {})


def _items(count: int) -> str:
    return "item" if count == 1 else "items"


def _example_hint(key: str, models: Sequence[type[BaseModel]]) -> str:
    """The hint for a missing key: a line with a value that it accepts."""
    owner = next((model for model in models if key in fields_of(model)), None)
    example = example_of(Place(owner, key, fields_of(owner)[key], is_item=False), None) if owner else ""
    return f"for example `{example}`" if example else ""


def _own_first(models: Sequence[type[BaseModel]]) -> list[str]:
    """The keys of the models without `name`, those that a class defines itself before inherited ones."""
    fields = [pair for model in models for pair in model.model_fields.items() if pair[0] != "name"]
    own = {key for model in models for key in model.__annotations__}
    in_order = sorted(fields, key=lambda pair: pair[0] not in own)
    return list(dict.fromkeys(field.alias or key for key, field in in_order))
