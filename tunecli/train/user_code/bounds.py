"""How much the user's own code may hand over: what is beyond a bound fails its trial with a message that names it.

What the user's code says otherwise, in an exception or on its output, is cut and not refused; see `train.failures`.
Loads no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from reprlib import Repr
from typing import Any

MOST_EPOCHS = 2**53 - 1
"""The largest number of an epoch: every one up to it is exact in JSON, and in the database."""
MOST_NAME_CHARACTERS = 200
"""Of a metric's name."""
MOST_METRICS = 4096
"""Of one trial, by their names."""

_SHOWN_CHARACTERS = 60
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN_CHARACTERS


def epoch_beyond(epoch: int) -> str:
    """What is wrong with an epoch's number; empty where nothing is."""
    if 0 <= epoch <= MOST_EPOCHS:
        return ""
    return f"epoch {shown(epoch)} was reported; an epoch is a whole number from 0 to {MOST_EPOCHS:,}"


def metrics_beyond(metrics: Mapping[str, float], known: Collection[str] = ()) -> str:
    """What is wrong with the names of metrics, beside those that the trial has; empty where nothing is."""
    for name in metrics:
        if len(name) > MOST_NAME_CHARACTERS:
            return (
                f"a metric's name has {len(name):,} characters, and {MOST_NAME_CHARACTERS} at most are kept: "
                f"{shown_name(name)}"
            )
    n = len(known) + sum(name not in known for name in metrics)
    return f"{n:,} metrics were reported, and {MOST_METRICS:,} at most are kept" if n > MOST_METRICS else ""


def shown_name(name: str) -> str:
    """A metric's name in a message."""
    text = " ".join(name[: _SHOWN_CHARACTERS + 1].split())
    return text if len(name) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def shown(value: Any) -> str:
    """A value in a message: at most a short line of it, however large it is."""
    if isinstance(value, int) and value.bit_length() > 200:  # so many digits take long, or are refused
        return f"{'-' if value < 0 else ''}2^{value.bit_length() - 1} or more"
    text = " ".join(_SHORT.repr(value).split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
