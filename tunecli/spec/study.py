"""The study's own settings: everything of the file that is not under ``trial``, and so holds no range."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from tunecli.spec.knobs.base import Count, Knob, OwnCode
from tunecli.spec.knobs.own import METRIC_NAME
from tunecli.spec.metrics import METRICS
from tunecli.spec.pruners import Curves, Pausing, Pruner
from tunecli.spec.run import Run
from tunecli.spec.samplers import Sampler
from tunecli.spec.space import Space
from tunecli.spec.wording import nearest
from tunecli.trial import Objective

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
OWN_TRIAL = "own_trial"
"""The key of the validation context that says whether the trial is the user's own and names its metrics itself."""
UNCOUNTED = "uncounted"
"""The key of the validation context that says whether nothing tells how many epochs a trial has."""
DEFAULT_TRIALS = 50


class Goal(Knob):
    """What is optimised; the direction follows from the metric where it is not said.

    ``metric`` is one of ours, or the user's own function, or, where the trial is the user's own, what that reports.
    """

    metric: Annotated[
        Annotated[str, Tag("name")] | Annotated[OwnCode, Tag("own")],
        Discriminator(lambda value: "own" if isinstance(value, dict | OwnCode) else "name"),
    ]
    direction: Literal["maximize", "minimize"] | None = None

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str | OwnCode, info: ValidationInfo) -> str | OwnCode:
        is_own_trial = bool(info.context and info.context.get(OWN_TRIAL))
        if isinstance(metric, OwnCode):
            if is_own_trial:
                raise ValueError("a trial of your own reports its metrics itself: name one of them")
            if _column(metric) in METRICS:
                raise ValueError(f"`{_column(metric)}` is built in already; give your function another name")
        elif is_own_trial:
            if not re.fullmatch(METRIC_NAME, metric):
                raise ValueError(f"{metric!r} is no metric's name: a letter, then letters, digits and `_./-`")
        elif metric not in METRICS:
            near = nearest(metric, METRICS)
            raise ValueError(f"`{metric}` is no metric; {near or 'one of ' + ', '.join(METRICS)}")
        return metric

    @model_validator(mode="after")
    def _has_direction(self) -> Goal:
        if self.direction is None and self.natural is None:
            raise ValueError(f"say which `direction` of {self.name} is better: maximize or minimize")
        return self

    @property
    def name(self) -> str:
        """The metric's name, and its column's."""
        return self.metric if isinstance(self.metric, str) else _column(self.metric)

    @property
    def natural(self) -> Objective | None:
        """The metric in the direction that is better by its nature; None where we do not know its nature."""
        facts = METRICS.get(self.name)
        return None if facts is None else Objective(self.name, facts.maximize)

    @property
    def objective(self) -> Objective:
        """The goal with its direction settled."""
        if self.direction is None and self.natural is not None:
            return self.natural
        own = self.metric if isinstance(self.metric, OwnCode) else None
        return Objective(
            self.name, self.direction == "maximize", own.python if own else "", own.args if own else {}
        )


def _column(metric: OwnCode) -> str:
    """``mine:score`` is in the column ``val_score``."""
    return "val_" + re.split(r"[:.]", metric.python)[-1]


class Search(Knob):
    """How the space is searched.

    ``trials`` None means all of a grid and 50 otherwise. ``lookahead`` q: suggestion n is made from the
    results of trials up to n - q; ``auto`` follows from the number of workers when the study starts.
    ``repeats`` r: each trial is trained over r seeds and scored by its mean. ``pruner`` ends trials that do
    worse than others did, or pauses them and continues the best; ``trials`` then counts those that are begun.
    """

    sampler: Sampler = "bayes"
    trials: Count | None = None
    lookahead: Count | Literal["auto"] = "auto"
    repeats: Count = 1
    pruner: Pruner = "none"

    @property
    def sampler_name(self) -> str:
        """What the sampler is called."""
        return self.sampler if isinstance(self.sampler, str) else self.sampler.name

    @property
    def sampler_settings(self) -> dict[str, str]:
        """What the file says of it beside its name."""
        return {} if isinstance(self.sampler, str) else self.sampler.model_dump(exclude={"name"})

    @field_validator("pruner")
    @classmethod
    def _knows_the_end(cls, pruner: Pruner, info: ValidationInfo) -> Pruner:
        is_uncounted = bool(info.context and info.context.get(UNCOUNTED))
        if is_uncounted and isinstance(pruner, Pausing) and pruner.max_epochs == "auto":
            raise ValueError(
                f"say how many epochs a full training has: `{{name: {pruner.name}, max_epochs: n}}`"
            )
        return pruner

    @model_validator(mode="after")
    def _curves_propose_by_their_model(self) -> Search:
        if isinstance(self.pruner, Curves) and self.sampler_name != "bayes":
            raise ValueError(
                "the pruner `curves` proposes points by its own model: leave the sampler `bayes`"
            )
        return self

    @field_validator("repeats")
    @classmethod
    def _ours_to_repeat(cls, repeats: int, info: ValidationInfo) -> int:
        if repeats > 1 and info.context and info.context.get(OWN_TRIAL):
            raise ValueError(
                "a trial of your own is run once; repeat within it, over seeds made from its own"
            )
        return repeats


def _study_name(name: str) -> str:
    """The name of the run folder, on any file system."""
    if not STUDY_NAME.fullmatch(name):
        known = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-_.")[:64]
        hint = f", for example `{known}`" if STUDY_NAME.fullmatch(known) else ""
        raise ValueError(
            f"a study's name has letters, digits and `_.-` only, at most 64, a letter or digit first{hint}"
        )
    return name


class StudySettings(Knob):
    """Every top-level key but ``trial``."""

    study: Annotated[
        str,
        AfterValidator(_study_name),
        WithJsonSchema({"type": "string", "pattern": f"^{STUDY_NAME.pattern}$"}),
    ]
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
