"""The defaults of a trial's keys in studies that began under an earlier version of them.

A study records the version of the defaults with which it began, and keeps it. In a study of an earlier version, each
trial has the earlier defaults as if the file named them, so that its trials, exports and repetitions stay the same to
the last bit. A file that names a setting means the same in all versions.

Version 2 chooses the length of a training by its optimizer steps, and gives the `cnn` norms. In version 3, the weight
decay of an `mlp` that names no optimizer is stronger on a small table with a noisy target; in version 4, that of a
`tabular_resnet` is, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunecli.config.schema import TrialConfig, trial_model

DEFAULTS = 4
"""The version of the defaults in `tunecli.config.schema`."""
UNRECORDED = 1
"""The version of a study whose record names none."""

_EPOCHS = 20
_OPTIMIZER = "adamw"
_MODEL = "mlp"
_FIRST_DECAYS: Mapping[str, int] = {"mlp": 3, "tabular_resnet": 4}
"""By model, the version from which on the weight decay of the default optimizer follows from the data."""
_OF_MODELS: Mapping[str, Mapping[str, Any]] = {
    "cnn": {"norm": "none"},
}
"""By model, its keys whose default was another one in version 1."""


def with_defaults(plain: Any, version: int) -> Any:
    """The plain tree of a concrete trial, with the defaults of an earlier ``version`` written out.

    Args:
        plain: the tree; wrong parts stay as they are.
        version: of the defaults, from 1 to `DEFAULTS`.
    """
    if version >= DEFAULTS or not isinstance(plain, dict) or trial_model(plain) is not TrialConfig:
        return plain
    training, model = plain.get("training", {}), plain.get("model", _MODEL)
    name = model.get("name") if isinstance(model, dict) else model
    changed = dict(plain)
    if version < _FIRST_DECAYS.get(str(name), DEFAULTS):
        changed.setdefault("optimizer", _OPTIMIZER)
    if version > UNRECORDED:
        return changed
    if isinstance(training, dict) and not training.keys() & {"epochs", "steps"}:
        changed["training"] = {**training, "epochs": _EPOCHS}
    named = {"name": model} if isinstance(model, str) else model
    if isinstance(named, dict) and (earlier := _OF_MODELS.get(str(named.get("name")))):
        changed["model"] = {**named, **{key: value for key, value in earlier.items() if key not in named}}
    return changed
