"""Export of a trial as a complete configuration, which `tunecli train` runs to the same score.

Owns the YAML spelling of a concrete configuration. Every value reads back to the same bits and the same type by the
core schema of YAML 1.2, and by YAML 1.1 too, since other readers may read the file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from tunecli.config.objectives import spelled
from tunecli.config.reader import scalar
from tunecli.objective import Objective
from tunecli.text import sanitize

# Readers that follow YAML 1.1 to the letter read these as booleans; PyYAML and YAML 1.2 read them as strings.
_ONE_LETTER_BOOLEANS = {"y", "Y", "n", "N"}


def concrete_document(
    study_name: str,
    study_seed: int,
    objective: Objective,
    trial_config: Mapping[str, Any],
    trial_seed: int,
    run: Mapping[str, Any],
    *,
    number: int | None = None,
    score: float | None = None,
    repeats: int = 1,
    metrics: Mapping[str, float] | None = None,
    tested: Mapping[str, float] | None = None,
) -> str:
    """The YAML text of one trial's configuration: ``study``, ``seed``, ``objective``, ``trial`` and ``run``.

    The keys keep their order. The first line is a comment that says where the configuration comes from.

    Args:
        study_name: the study's name.
        study_seed: the study's seed, which determines the split of the data.
        objective: the goals and constraints.
        trial_config: the value of ``trial``, without ranges: dicts, lists and scalars.
        trial_seed: the trial's own seed, written as ``trial.seed``.
        run: the value of ``run``.
        number: the trial's number, for the comment.
        score: the trial's score, for the comment.
        repeats: the number of seeds that the trial was trained with; written if it is more than 1.
        metrics: the trial's other metrics; the comment shows those that the objective names.
        tested: the trial's metrics on the test part, for the comment.

    Raises:
        yaml.representer.RepresenterError: a value is no plain data.
    """
    document = {
        "study": study_name,
        "seed": study_seed,
        "objective": spelled(objective),
        "trial": {**trial_config, "seed": trial_seed},
        **({"search": {"repeats": repeats}} if repeats > 1 else {}),
        "run": dict(run),
    }
    named = {name: metrics[name] for name in objective.metrics[1:] if metrics and name in metrics}
    body = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=sys.maxsize,
    )
    return f"# {_origin(study_name, objective, number, score, {**named, **(tested or {})})}\n{body}"


def _origin(
    study_name: str,
    objective: Objective,
    number: int | None,
    score: float | None,
    further: Mapping[str, float],
) -> str:
    parts = [f"study {study_name}"]
    if number is not None:
        parts.append(f"trial {number}")
    if score is not None:
        parts.append(f"{objective.metric} {score!r}")
    parts += [f"{name} {value!r}" for name, value in further.items()]
    return sanitize(", ".join(parts))


class _Dumper(yaml.SafeDumper):
    """A SafeDumper without aliases. It quotes strings that YAML 1.1 would misread, and those that YAML 1.2 would."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style_of(text))


def _style_of(text: str) -> str | None:
    if any(not character.isprintable() for character in text):
        return '"'
    try:
        is_text = scalar(text) == text
    except ValueError:
        is_text = False
    return None if is_text and text not in _ONE_LETTER_BOOLEANS else "'"


def _list(dumper: _Dumper, items: list[Any] | tuple[Any, ...]) -> yaml.Node:
    is_leaf = not any(isinstance(item, list | tuple | dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_leaf)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)
