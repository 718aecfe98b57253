"""The study's own settings: everything of the file that is not under ``trial``, and so holds no range."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from tunecli.spec.knobs.base import Count, Knob, Positive
from tunecli.spec.metrics import METRICS
from tunecli.spec.space import Space
from tunecli.spec.wording import nearest
from tunecli.trial import Objective

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DEFAULT_TRIALS = 50
_DURATION_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^([0-9]+[dhms])+$"}]}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Goal(Knob):
    """What is optimised; the direction follows from the metric where it is not said."""

    metric: str
    direction: Literal["maximize", "minimize"] | None = None

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        if metric not in METRICS:
            near = nearest(metric, METRICS)
            raise ValueError(f"`{metric}` is no metric; {near or 'one of ' + ', '.join(METRICS)}")
        return metric

    @property
    def natural(self) -> Objective:
        """The metric in the direction that is better by its nature."""
        return Objective(self.metric, METRICS[self.metric].maximize)

    @property
    def objective(self) -> Objective:
        """The goal with its direction settled."""
        if self.direction is None:
            return self.natural
        return Objective(self.metric, self.direction == "maximize")


class Search(Knob):
    """How the space is searched.

    ``trials`` None means all of a grid and 50 otherwise. ``lookahead`` q: suggestion n is made from the
    results of trials up to n - q; ``auto`` is the number of workers when the study starts. ``repeats`` r: each
    trial is trained over r seeds and scored by its mean.
    """

    sampler: Literal["grid", "random", "quasirandom", "bayes"] = "bayes"
    trials: Count | None = None
    lookahead: Count | Literal["auto"] = "auto"
    repeats: Count = 1
    pruner: Literal["none"] = "none"


def _seconds(value: Any) -> Any:
    """``2h``, ``1h30m`` and ``45s`` are durations; a number is seconds."""
    if isinstance(value, str) and value and (found := _DURATION.fullmatch(value)):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return value


class Limit(Knob):
    """Totals after which no further trial is begun; those under way end."""

    time: Annotated[Positive | None, BeforeValidator(_seconds), WithJsonSchema(_DURATION_SCHEMA)] = None


class Run(Knob):
    """Where and how trials run.

    ``threads`` is fixed, and not the cores divided by the workers, since the bits of a matrix product may
    depend on it and a trial's result must not depend on its neighbours (law 5).
    """

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|(cuda|xpu)(:[0-9]+)?)$")] = "auto"
    workers: Count | Literal["auto"] = "auto"
    threads: Count = 1
    engine: Literal["local", "inline"] = "local"
    limit: Limit = Limit()

    @model_validator(mode="after")
    def _inline_is_one_worker(self) -> Run:
        if self.engine == "inline" and self.workers not in ("auto", 1):
            raise ValueError("the engine `inline` has one worker; `local` has more")
        return self


class StudySettings(Knob):
    """Every top-level key but ``trial``."""

    study: Annotated[str, Field(pattern=rf"^{STUDY_NAME.pattern}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    objective: Goal
    search: Search = Search()
    run: Run = Run()


@dataclass(frozen=True)
class StudySpec:
    """What the user asked for, whole and checked.

    Attributes:
        settings: name, seed, search and run.
        space: the trial's tree with its ranges.
        text: the file as the user wrote it.
        overrides: each ``path=value`` given with ``--set``.
        base_path: the folder that relative file names in it start from.
    """

    settings: StudySettings
    space: Space
    text: str
    overrides: tuple[str, ...]
    base_path: Path

    @property
    def objective(self) -> Objective:
        """Metric and direction."""
        return self.settings.objective.objective
