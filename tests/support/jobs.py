"""Jobs for tests, made from flat keywords: `Job` groups its fields by subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from tunecli.messages import Execution, Files, Job, Limits, ResumePoint, Task
from tunecli.objective import Objective

_GROUPS = {"task": Task, "files": Files, "limits": Limits, "resume": ResumePoint, "execution": Execution}
_GROUP_OF = {field.name: group for group, kind in _GROUPS.items() for field in fields(kind)}


def make_job(
    number: int,
    config: Mapping[str, Any],
    objective: Objective,
    study_seed: int = 1,
    seed: int = 2,
    **changes: Any,
) -> Job:
    """A job of a first attempt; ``changes`` are fields of `Job` or of any of its groups."""
    return change_job(Job(number, 1, Task(config, objective, study_seed, seed)), **changes)


def change_job(job: Job, **changes: Any) -> Job:
    """The job with other values of fields of `Job` or of any of its groups, by the field's name."""
    for name, value in changes.items():
        group = _GROUP_OF.get(name)
        change = {name: value} if group is None else {group: replace(getattr(job, group), **{name: value})}
        job = replace(job, **change)
    return job
