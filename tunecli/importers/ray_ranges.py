"""The ranges of Ray Tune: words with arguments, in the forms that a file can spell.

`quniform` and its relatives round to multiples of q. `randint` leaves its upper end out; `qrandint` does not.
"""

from __future__ import annotations

import re
from typing import Any

from tunecli.importers import ranges
from tunecli.importers.account import number_of
from tunecli.importers.calls import Call, CallError, parse_value
from tunecli.importers.ranges import Imported, NoRangeError

_SIGNATURES: dict[str, tuple[str, ...]] = {
    "uniform": ("lower", "upper"),
    "quniform": ("lower", "upper", "q"),
    "loguniform": ("lower", "upper", "base"),
    "qloguniform": ("lower", "upper", "q", "base"),
    "randint": ("lower", "upper"),
    "qrandint": ("lower", "upper", "q"),
    "lograndint": ("lower", "upper", "base"),
    "qlograndint": ("lower", "upper", "q", "base"),
    "randn": ("mean", "sd"),
    "qrandn": ("mean", "sd", "q"),
    "choice": ("categories",),
    "grid_search": ("values",),
    "sample_from": ("func",),
}
_ALIASES = {
    "low": "lower",
    "min": "lower",
    "high": "upper",
    "max": "upper",
    "std": "sd",
    "mu": "mean",
    "sigma": "sd",
}
_LIST_KEYS = ("values", "categories", "_value", "options", "choices")
_TYPE_KEYS = ("distribution", "strategy", "type", "_type", "space", "sampler", "fn", "func")
_ARGUMENT_KEYS = ("args", "values", "_value", "bounds", "range")
_RAYS_OBJECT = re.compile(r"<ray\.\S+ object at 0x[0-9a-f]+>|<function.*>")


def mentions_range(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return bool(re.match(r"(ray\.)?tune\.\w+\s*\(", value) or _RAYS_OBJECT.match(value))
    if not isinstance(value, dict) or depth > 40:
        return False
    if word_of(value) is not None:
        return True
    return any(mentions_range(item, depth + 1) for item in value.values())


def word_of(value: dict[str, Any]) -> tuple[str, Any] | None:
    """The word and the arguments (a list or a map) of a range; None for another map."""
    if len(value) == 1:
        ((only, body),) = value.items()
        if (plain := _plain_word(only)) and isinstance(body, list | dict):
            return plain, body
    for key in _TYPE_KEYS:
        word = value.get(key)
        if isinstance(word, str) and (plain := _plain_word(word)):
            rest = {name: item for name, item in value.items() if name not in (key, "name")}
            given = next((name for name in _ARGUMENT_KEYS if isinstance(rest.get(name), list)), None)
            if given is not None and len(rest) == 1:
                return plain, [rest[given]] if plain in ("choice", "grid_search") else rest[given]
            return plain, rest
    return None


def _plain_word(word: str) -> str:
    plain = word.removeprefix("ray.").removeprefix("tune.")
    return plain if plain in _SIGNATURES else ""


def made(value: Any, words: list[str], depth: int) -> Imported:
    """The range of a value of the space; a plain value is a constant.

    Args:
        value: plain data.
        words: gets the word of each range.
        depth: of the value in the space.

    Raises:
        NoRangeError: the value is a range without a counterpart, or its numbers make no range.
    """
    if isinstance(value, str):
        if _RAYS_OBJECT.match(value):
            hint = 'write the call: "tune.loguniform(1e-4, 1e-1)", or {"loguniform": [1e-4, 1e-1]}'
            raise NoRangeError("this is the name of a Python object, without its numbers", hint)
        if re.match(r"(ray\.)?tune\.\w+\s*\(", value):
            return _of_call(value, words, depth)
    call = word_of(value) if isinstance(value, dict) else None
    if call is None:
        if key := ranges.reserved_key(value):
            raise NoRangeError(
                f"the value has the key `{key}`, which is a range in tunecli", "rename the key"
            )
        return Imported(value)
    word, body = call
    words.append(word)
    if isinstance(body, dict):
        named: dict[str, Any] = {_ALIASES.get(str(key), str(key)): item for key, item in body.items()}
    else:
        is_listed = word in ("choice", "grid_search") and not (len(body) == 1 and isinstance(body[0], list))
        named = dict(zip(_SIGNATURES[word], [body] if is_listed else body, strict=False))
    return _of_word(word, named, words, depth)


def _of_call(text: str, words: list[str], depth: int) -> Imported:
    try:
        call = parse_value(text)
    except CallError as error:
        raise NoRangeError(str(error)) from None
    if not isinstance(call, Call):
        raise NoRangeError("the text is no call")
    word = call.word
    if word not in _SIGNATURES:
        raise NoRangeError(f"unknown range `{word}`", f"one of {', '.join(_SIGNATURES)}")
    words.append(word)
    named: dict[str, Any] = dict(zip(_SIGNATURES[word], call.positional, strict=False)) | call.named
    return _of_word(word, named, words, depth)


def _of_word(word: str, named: dict[str, Any], words: list[str], depth: int) -> Imported:
    if word == "sample_from":
        raise NoRangeError("a Python function has no counterpart", "write its range, or `{expr: …}`")
    if word in ("choice", "grid_search"):
        lists = (named[key] for key in _LIST_KEYS if isinstance(named.get(key), list))
        options: list[Any] = next(lists, [])
        return ranges.choice([_option(option, words, depth) for option in options])

    def number(key: str, default: float | None = None) -> float:
        value = number_of(named.get(key, default))
        if value is None:
            raise NoRangeError(f"`{word}` needs a number at `{key}`")
        return value

    if word in ("randn", "qrandn"):
        return ranges.normal(
            "normal", number("mean", 0), number("sd", 1), number("q") if word == "qrandn" else None
        )
    low, high, is_log = number("lower"), number("upper"), "log" in word
    scale = "log" if is_log else ""
    if "randint" in word:
        if word.startswith("q"):
            return ranges.rounded(f"{scale}uniform", low, high, number("q"), is_whole=True)
        return ranges.whole(f"{scale}int", low, high - 1)
    if word.startswith("q"):
        return ranges.rounded(f"{scale}uniform", low, high, number("q"), is_whole=False)
    return ranges.bounded(f"{scale}uniform", low, high)


def _option(option: Any, words: list[str], depth: int) -> Any:
    """An option of a choice; the ranges in it become a sub-tree of the space."""
    if isinstance(option, dict) and depth < 20:
        if word_of(option) is not None:
            return made(option, words, depth + 1).value
        return {key: _option(item, words, depth + 1) for key, item in option.items()}
    return made(option, words, depth + 1).value if isinstance(option, str) else option
