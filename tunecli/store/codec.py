"""Values ↔ strict JSON in plain ASCII, exactly: every float comes back to the bit, NaN and infinities included.

JSON has no NaN and SQLite turns it into NULL, so a float that is not finite is spelled ``{"$float": "nan"}``. ASCII
escapes carry text that is not valid Unicode, such as a lone surrogate from a file name in a traceback. Knows nothing
of what the values mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_MARK = "$float"
_SPELLINGS = ("nan", "inf", "-inf")


def encode(value: Any) -> str:
    """``value`` as one line of JSON; a tuple becomes a list.

    Raises:
        TypeError: a value that is neither null, bool, number, text, list nor map.
    """
    try:
        return _dumps(value)
    except ValueError:
        return _dumps(_spelled(value))


def decode(text: str) -> Any:
    """What :func:`encode` was given.

    Raises:
        ValueError: ``text`` is not JSON.
    """
    return json.loads(text, object_hook=_revived if _MARK in text else None)


def decode_all(texts: Sequence[str]) -> list[Any]:
    """What :func:`encode` was given, text by text; several times as fast as one by one, and equal keys share memory.

    Raises:
        ValueError: one of them is not JSON.
    """
    marked = [i for i, text in enumerate(texts) if _MARK in text]
    plain = list(texts)
    for i in marked:
        plain[i] = "null"
    values: list[Any] = json.loads(f"[{','.join(plain)}]")
    if len(values) != len(texts):  # a text that is no JSON by itself, and with its neighbours is
        return [decode(text) for text in texts]
    for i in marked:
        values[i] = decode(texts[i])
    return values


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _spelled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_MARK: str(float(value))}
    if isinstance(value, Mapping):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return value


def _revived(value: dict[str, Any]) -> Any:
    if value.keys() == {_MARK} and value[_MARK] in _SPELLINGS:
        return float(value[_MARK])
    return value
