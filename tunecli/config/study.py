"""The study's own settings: everything of the file that is not under ``trial``, and so holds no range."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from tunecli.config.families import Pruner, Sampler
from tunecli.config.objectives import OWN_TRIAL, Goals
from tunecli.config.run import Run
from tunecli.config.space import Space
from tunecli.knob import Count, Knob, Positive
from tunecli.objective import Objective
from tunecli.registry.pruners import is_pausing, pruner_info
from tunecli.registry.samplers import SAMPLERS, sampler_info

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
UNCOUNTED = "uncounted"
"""The key of the validation context that says whether nothing tells how many epochs a trial has."""
DEFAULT_TRIALS = 50


class Stop(Knob):
    """End the sweep by itself; where both are said, by whichever comes first.

    ``improvement``: once the best candidate may be expected to better the best so far by less than this, in the
    metric's own units, at ``patience`` suggestions in a row. ``stagnation``: once so many complete trials in a row, by
    number, were no better than the best before them. Trials under way end as they would.
    """

    improvement: Positive | None = None
    patience: Count = 3
    stagnation: Count | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.improvement is None and self.stagnation is None:
            raise ValueError("say `improvement: x`, in the metric's units, or `stagnation: n`, in trials")
        if self.improvement is None and "patience" in self.model_fields_set:
            raise ValueError("`patience` is of `improvement`, which is not said")
        return self


class Search(Knob):
    """How the space is searched.

    ``trials`` None means all of a grid and 50 otherwise. ``lookahead`` q: suggestion n is made from the
    results of trials up to n - q; ``auto`` follows from the number of workers when the study starts.
    ``repeats`` r: each trial is trained over r seeds and scored by its mean. ``pruner`` ends trials that do
    worse than others did, or pauses them and continues the best; ``trials`` then counts those that are begun.
    ``stop`` ends the sweep before its total once more trials promise nothing.
    """

    sampler: Sampler = "bayes"
    trials: Count | None = None
    lookahead: Count | Literal["auto"] = "auto"
    repeats: Count = 1
    pruner: Pruner = "none"
    stop: Stop | None = None

    @property
    def sampler_name(self) -> str:
        """What the sampler is called."""
        return self.sampler if isinstance(self.sampler, str) else self.sampler.name

    @property
    def sampler_settings(self) -> dict[str, Any]:
        """What the file says of it beside its name."""
        return {} if isinstance(self.sampler, str) else self.sampler.model_dump(exclude={"name"})

    @field_validator("pruner")
    @classmethod
    def _knows_the_end(cls, pruner: Pruner, info: ValidationInfo) -> Pruner:
        is_uncounted = bool(info.context and info.context.get(UNCOUNTED))
        if is_uncounted and is_pausing(pruner) and pruner.max_epochs == "auto":
            raise ValueError(
                f"say how many epochs a full training has: `{{name: {pruner.name}, max_epochs: n}}`"
            )
        return pruner

    @model_validator(mode="after")
    def _sampler_fits_the_pruner(self) -> Search:
        if self.pruner == "none":
            return self
        info = pruner_info(self.pruner.name)
        if info.required_sampler and self.sampler_name != info.required_sampler:
            raise ValueError(
                f"the pruner `{info.name}` proposes points by its own model: the sampler beside it has to be "
                f"`{info.required_sampler}`"
            )
        return self

    @model_validator(mode="after")
    def _expects_something(self) -> Search:
        if self.stop is None or self.stop.improvement is None:
            return self
        if not sampler_info(self.sampler_name).expected_improvement:
            fitting = " or ".join(f"`{info.name}`" for info in SAMPLERS.values() if info.expected_improvement)
            raise ValueError(
                f"the sampler `{self.sampler_name}` has no model that expects an improvement: "
                f"take {fitting}, or say `stop: {{stagnation: n}}`"
            )
        if is_pausing(self.pruner):
            raise ValueError(
                f"with the pruner `{self.pruner.name}` most trials pause before their end, which no improvement is "
                "expected of: say `stop: {stagnation: n}`"
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
    objective: Goals
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
        """What is optimised, and what a trial is to hold besides."""
        return self.settings.objective.objective
