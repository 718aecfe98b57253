"""Export of a trial as a complete configuration, which `tunecli train` runs to the same score.

Owns the YAML spelling of a concrete configuration. Every value reads back to the same bits and the same type by the
core schema of YAML 1.2, and by YAML 1.1 too, since other readers may read the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunecli.config.objectives import spelled
from tunecli.config.yaml_writer import yaml_text
from tunecli.objective import Objective
from tunecli.text import sanitize


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
    origin = _origin(study_name, objective, number, score, {**named, **(tested or {})})
    return f"# {origin}\n{yaml_text(document)}"


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
