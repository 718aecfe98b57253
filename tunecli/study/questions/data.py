"""What `check`, `search` and `train` say of a study's data before anything is trained on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from typing import Any

from tunecli.config.concrete_trial import concrete, points_to_check, resolve_trial
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import names_in, redacted
from tunecli.config.study import StudySpec
from tunecli.train.data.summary import DataSummary, summary_of

_MAX_DATA_SETS = 4
_MAX_POINTS = 200
_NOT_READ = {"augment", "balance", "normalize"}
"""Knobs that no summary depends on."""


def data_of(spec: StudySpec) -> tuple[DataSummary, ...]:
    """A summary of each data set that trials may have, at most `_MAX_DATA_SETS`; no summary of an own trial.

    The summary shows ``${env:NAME}`` and not the variable's value.

    Raises:
        DataError: the data cannot be read or split.
    """
    found: dict[str, DataSummary] = {}
    for point in islice(points_to_check(spec.space), _MAX_POINTS):
        trial = resolve_trial(spec.space, point)
        if not isinstance(trial, TrialConfig):
            continue
        identity = trial.data.model_dump_json(exclude=_NOT_READ)
        if identity not in found:
            names = [*names_in(concrete(spec.space, point))]
            summary = summary_of(trial.data, spec.base_path, spec.settings.seed)
            found[identity] = _redacted(summary, names)
        if len(found) == _MAX_DATA_SETS:
            break
    return tuple(found.values())


def _redacted(value: Any, names: Iterable[str]) -> Any:
    """A value with every text in it redacted."""
    if not names:
        return value
    match value:
        case str():
            return redacted(value, names)
        case tuple() if hasattr(value, "_fields"):
            return value
        case tuple():
            return tuple(_redacted(each, names) for each in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            changed = {each.name: _redacted(getattr(value, each.name), names) for each in fields(value)}
            return replace(value, **changed)
        case _:
            return value
