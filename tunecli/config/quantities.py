"""Durations and sizes as a file may write them: seconds or `1h30m`, bytes or `8GiB`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from tunecli.knob import Count, Positive

_DURATION_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^([0-9]{1,9}[dhms])+$"}]}
_DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")


def _seconds(value: Any) -> Any:
    """``2h``, ``1h30m`` and ``45s`` in seconds; a number is seconds already."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        shown = repr(value) if len(value) < 60 else "a long text"
        raise ValueError(
            f"invalid duration {shown}: write seconds (7200), or days, hours, minutes and seconds: 2h, 1h30m, 90s"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


SIZE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})? ?([kKMGT]i?)?B?$"},
    ]
}
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(?:([kKMGT])(i?))?B?")
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def in_bytes(value: Any) -> Any:
    """``8GiB``, ``500MB`` and ``1.5G`` in bytes; a number is bytes already. ``Ki`` is 1,024 and ``k`` is 1,000."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        shown = repr(value) if len(value) < 60 else "a long text"
        raise ValueError(
            f"invalid size {shown}: write bytes (500000), or a size such as 64KiB, 500MB or 8GiB"
        )
    number, prefix, binary = match.groups()
    return round(float(number) * (1024 if binary else 1000) ** _POWERS[prefix or ""])


Size = Annotated[Count, BeforeValidator(in_bytes), WithJsonSchema(SIZE_SCHEMA)]
"""A number of bytes."""

Seconds = Annotated[Positive, BeforeValidator(_seconds), WithJsonSchema(_DURATION_SCHEMA)]
"""A number of seconds."""
Duration = Annotated[Positive | None, BeforeValidator(_seconds), WithJsonSchema(_DURATION_SCHEMA)]
"""A number of seconds, or None."""
