"""Recognise search ranges written for another tool.

The words are those of W&B, Optuna, Ray Tune, Hydra, Ludwig, NNI, Katib, Determined, hyperopt, ConfigSpace and skopt.
A range is recognised as a map (`{min: 0, max: 1}`), as one word with its arguments (`{quniform: [0, 1, 0.1]}`) and as a
call in a text (`tune.loguniform(1e-4, 1e-1)`). Nothing is run, and nothing is converted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunecli.config.reader import plain_of, read
from tunecli.errors import ConfigError

_LOW = {"min", "minval", "minvalue", "low", "lower", "lowerbound", "from", "start", "begin"}
_HIGH = {"max", "maxval", "maxvalue", "high", "upper", "upperbound", "to", "stop", "end"}
_STEP = {"q", "step", "resolution", "stepsize"}
_MEAN = {"mu", "mean", "loc"}
_DEVIATION = {"sigma", "std", "sd", "stddev", "deviation"}
_TYPE = {"distribution", "type", "space", "parametertype", "dist", "kind"}
_SCALE = {"scale", "scaletype", "scalingtype", "sampling", "prior"}

_VALUES_WORDS = (
    "values vals value val choices options categories list gridsearch grid categorical oneof items "
    "sequence candidates possiblevalues discretevalues sweep"
)
_VALUES = set(_VALUES_WORDS.split())
_INNER = {"feasiblespace", "args", "params", "arguments", "kwargs", "doublevaluespec", "integervaluespec"}
_BESIDE = {
    "name",
    "default",
    "probabilities",
    "count",
    "base",
    "log",
    "logscale",
    "weights",
    "ordered",
    "bounds",
}

_WORDS_BY_KIND: dict[str, str] = {
    "uniform": "uniform float double real continuous interval uniformfloat quniform qfloat suggestfloat "
    "suggestuniform suggestdiscreteuniform doubleuniform floatuniform realuniform linspace "
    "quantizeduniform",
    "loguniform": "loguniform loguniformvalues qloguniform qloguniformvalues suggestloguniform reciprocal "
    "logfloat invloguniformvalues loginterval",
    "int": "int integer intuniform uniformint quniformint suggestint",
    "below": "randint qrandint",
    "logbelow": "lograndint qlograndint",
    "logint": "logint loguniformint intloguniform",
    "normal": "normal qnormal gauss gaussian randn qrandn normalfloat",
    "lognormal": "lognormal qlognormal",
    "choice": "choice categorical gridsearch discrete suggestcategorical ordinal values vals choices "
    "options categories oneof sweep enum",
    "either": "range",
    "exponents": "log logspace",
    "constant": "const constant",
    "negativeexponents": "invloguniform",
    "share": "beta qbeta",
}
_KINDS = {word: kind for kind, words in _WORDS_BY_KIND.items() for word in words.split()}
"""Kind of range by a word in lower case without ``_``. ``below``: an end that is left out; ``share``: 0 to 1."""
_OF_BETA = {"a", "b"}
_LONGEST_TEXT = 300
_CALL = re.compile(r"\s*(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)\s*\((.*?)\)?\s*", re.DOTALL)
_TAGGED = re.compile(r"(?:tag\s*\(\s*log\s*,\s*|int\s*\(\s*)?(\w+)\s*\((.*?)\)*\s*", re.DOTALL)
_SPAN = re.compile(r"\s*([-+.\deE]+)\s*(?:\.\.+|…|to|–)\s*([-+.\deE]+)\s*")
_PARTS = ("min", "max", "low", "high")


@dataclass(frozen=True, slots=True)
class Asked:
    """A range that another tool's words describe."""

    kind: str
    numbers: tuple[float, ...] = ()
    values: tuple[Any, ...] = ()
    step: float | None = None
    weights: tuple[float, ...] = ()


def asked_by_map(named: Mapping[str, Any]) -> Asked | None:
    """The range that a map of another tool's words describes; else None."""
    if len(named) == 1:
        ((word, body),) = named.items()
        if (asked := _asked_by_word(word, body)) is not None:
            return asked
    said = {_key(word): value for word, value in named.items()}
    for word in _INNER & said.keys():
        if isinstance(inner := said[word], Mapping):
            said |= {_key(item): value for item, value in inner.items()}
    known = _LOW | _HIGH | _STEP | _MEAN | _DEVIATION | _TYPE | _SCALE | _VALUES | _INNER | _BESIDE
    if not said.keys() <= (known | _OF_BETA if _is_beta(said) else known):
        return None

    def first(words: set[str]) -> Any:
        return next((said[word] for word in said if word in words), None)

    word = first(_TYPE)
    kind = _KINDS.get(_key(word), "") if isinstance(word, str) else ""
    step = _number(first(_STEP))
    values = first(_VALUES)
    if isinstance(values, list | tuple):
        if kind in ("", "choice"):
            return Asked("choice", values=tuple(values), weights=_weights(said)) if values else None
        return _asked_by_word(kind, values, known_kind=kind)
    if kind == "constant" or (kind == "" and said.keys() == {"value"} and not isinstance(values, Mapping)):
        return Asked("constant", values=(said.get("val", values),))
    if kind == "share":
        return Asked("uniform", (0, 1), step=step)
    numbers = [_number(first(_LOW)), _number(first(_HIGH))]
    if kind in ("normal", "lognormal"):
        numbers = [_number(first(_MEAN)), _number(first(_DEVIATION))]
        return Asked(kind, tuple(item for item in numbers if item is not None), step=step)
    bounds = said.get("bounds")
    if isinstance(bounds, list) and len(bounds) == 2:
        numbers = [_number(item) for item in bounds]
    if None in numbers:
        return None
    low, high = (item for item in numbers if item is not None)
    scale = first(_SCALE)
    is_log = True in (said.get("log"), said.get("logscale")) or (
        isinstance(scale, str) and "log" in scale.lower()
    )
    if is_log and low > 0:
        kind = "logint" if kind in ("int", "below") else "loguniform"
    if isinstance(word, str) and _key(word) == "loguniform" and "_" in word and low <= 0:
        return Asked("loguniform", powers(math.e, low, high))  # of W&B: exponents of e
    if kind == "negativeexponents":
        return Asked("loguniform", powers(math.e, -high, -low))
    if kind == "exponents":
        base = _number(said.get("base")) or 10
        return Asked("loguniform", powers(base, low, high))
    return Asked(kind or "either", (low, high), step=step)


def _is_beta(said: Mapping[str, Any]) -> bool:
    return any(_KINDS.get(_key(str(said[word]))) == "share" for word in _TYPE & said.keys())


def _weights(said: Mapping[str, Any]) -> tuple[float, ...]:
    """How often each value is drawn, as other tools write it; empty if they do not say."""
    given = said.get("probabilities", said.get("weights"))
    if not isinstance(given, list) or not all(is_finite_number(item) and item > 0 for item in given):
        return ()
    return tuple(given)


def _asked_by_word(word: str, body: Any, known_kind: str = "") -> Asked | None:
    """The range that ``word`` with its arguments describes; None if it describes none."""
    word = word.rpartition(".")[2]  # `tune.uniform`
    kind = known_kind or _KINDS.get(_key(word), "")
    is_named = isinstance(body, list | tuple) and len(body) > 1 and isinstance(body[0], str)
    if is_named and kind != "choice" and _key(word).startswith("suggest"):
        body = body[1:]
    if isinstance(body, Mapping) and kind and kind not in ("choice", "constant"):
        asked = asked_by_map({**body, "type": word if known_kind == "" else kind})
        return asked if asked is not None else None
    if not kind or kind == "constant" or not isinstance(body, list | tuple) or not body:
        return None
    if kind == "choice":
        return Asked("choice", values=tuple(body))
    numbers = [_number(item) for item in body]
    if None in numbers or not 1 <= len(numbers) <= 3:
        return None
    given = [item for item in numbers if item is not None]
    if len(given) == 1:
        given = [0, *given] if kind in ("below", "int") else given
    if len(given) < 2:
        return None
    low, high, *rest = given
    if kind == "exponents":
        is_plain = 0 < low < high <= 1  # values, because 10^0.00001 to 10^0.1 makes no sense
        return Asked("loguniform", (low, high) if is_plain else powers(10, low, high))
    if _key(word) == "linspace":
        return Asked("uniform", (low, high))
    return Asked(kind, (low, high), step=rest[0] if rest else None)


def asked_by_text(text: str) -> Asked | None:
    """The range that a text such as ``tune.loguniform(1e-4, 1e-1)`` or ``0.1, 0.2`` describes; else None."""
    if len(text) > _LONGEST_TEXT:
        return None
    if span := _SPAN.fullmatch(text):
        low, high = (_number(argument) for argument in span.groups())
        return Asked("either", (low, high)) if low is not None and high is not None else None
    called = _CALL.fullmatch(text)
    if called is None:
        parts = _arguments(text) if "," in text else []
        return (
            Asked("choice", values=tuple(parts))
            if len(parts) > 1 and all(map(is_finite_number, parts))
            else None
        )
    word, inside = called.groups()
    if _key(word) in ("tag", "int") and (inner := _TAGGED.fullmatch(text)):
        is_log, word, inside = "tag" in text.split("(")[0], inner[1], inner[2]
        if _key(word) == "interval":
            word = "loginterval" if is_log else "int"
    arguments = _arguments(inside)
    named = (
        re.fullmatch(r"(\w+)\s*=\s*(.*)", argument, re.DOTALL)
        for argument in arguments
        if isinstance(argument, str)
    )
    words = {pair[1]: pair[2] for pair in named if pair}
    plain = [argument for argument in arguments if not (isinstance(argument, str) and "=" in argument)]
    kind = (
        "below" if _key(word) == "range" else _KINDS.get(_key(word), "")
    )  # Python's range leaves out its end
    if kind == "choice":
        if len(plain) > 1 and isinstance(plain[0], str) and isinstance(plain[-1], list):
            plain = plain[-1:]  # hyperopt's and Optuna's first argument is the name
        return _asked_by_word(word, plain[0] if len(plain) == 1 and isinstance(plain[0], list) else plain)
    if plain and isinstance(plain[0], str) and _number(plain[0]) is None and kind:
        plain = plain[1:]
    if any("log" in argument.lower() for argument in plain if isinstance(argument, str)):
        words["log"] = "True"  # scikit-optimize's third argument
    plain = [argument for argument in plain if _number(argument) is not None]
    numbers = plain or [_number(words[argument]) for argument in _PARTS if argument in words]
    asked = _asked_by_word(word, numbers, kind if kind == "below" else "")
    if asked is None:
        return None
    is_hyperopt = text.lstrip().startswith("hp.")
    if words.get("log", "").lower() == "true" or "log" in words.get("prior", ""):
        asked = Asked("logint" if asked.kind == "int" else "loguniform", asked.numbers, step=asked.step)
    elif is_hyperopt and asked.kind == "loguniform":
        asked = Asked("loguniform", powers(math.e, *asked.numbers))
    step = _number(words.get("step") or words.get("q"))
    return asked if step is None else Asked(asked.kind, asked.numbers, asked.values, step)


def _arguments(text: str) -> list[Any]:
    """The arguments of a call, as far as they are YAML."""
    try:
        node = read(f"[{text}]".encode(), "")
    except (ConfigError, RecursionError):
        return []
    arguments = plain_of(node)
    return arguments if isinstance(arguments, list) else []


def powers(base: float, low: float, high: float) -> tuple[float, ...]:
    try:
        return (float(f"{float(base) ** low:.6g}"), float(f"{float(base) ** high:.6g}"))
    except (OverflowError, ZeroDivisionError, ValueError, TypeError):
        return ()


def _number(value: Any) -> float | None:
    """A number, including one that another tool writes in quotes; None for other values."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", value) and len(value) < 40:
        try:
            value = int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)
        except ValueError:
            return None
    return value if is_finite_number(value) else None


def is_finite_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _key(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())
