"""The settings of a study: everything in the file except ``trial``. They contain no ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

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

from tunecli.config.families import Pruner, Sampler
from tunecli.config.metric_names import is_on_request
from tunecli.config.objectives import OWN_TRIAL, Goals
from tunecli.config.run import Run
from tunecli.config.space import Space
from tunecli.knob import Auto, Count, Knob, Positive, Values
from tunecli.objective import Objective
from tunecli.registry.pruners import is_pausing, pruner_info
from tunecli.registry.samplers import AUTO, FALLBACK, SAMPLERS, sampler_info

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
UNCOUNTED = "uncounted"
"""Key of the validation context: why the number of epochs of a trial is unknown; empty if it is known."""
BY_DATA = "the size of your own data"
"""A value of it."""
DEFAULT_TRIALS = 50
MAX_EARLIER = 10
"""The most studies in `search.from`: each one adds a model, and so time, to every suggestion."""


class Stop(Knob):
    """End the study before its total when it is good enough or when more trials promise little; the first key that
    applies decides.

    Running trials finish.

    Attributes:
        improvement: stop when the expected improvement of the best candidate is below this, in the metric's units, for
            `patience` suggestions in a row.
        patience: number of suggestions in a row for `improvement`.
        stagnation: stop after this many complete trials in a row, by number, that are not better than the best one
            before them.
        target: stop once the score of a complete trial that satisfies all constraints is at least as good as this.
    """

    improvement: Positive | None = None
    patience: Count = 3
    stagnation: Count | None = None
    target: float | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.improvement is None and self.stagnation is None and self.target is None:
            raise ValueError(
                "write `improvement: x`, in the metric's units, or `stagnation: n`, in trials, or `target: x`, a score"
            )
        if self.improvement is None and "patience" in self.model_fields_set:
            raise ValueError("`patience` needs `improvement`")
        return self


class StartFrom(Knob):
    """Begin with the best points of earlier studies: each is trained again in this one.

    Attributes:
        from: the run folder of an earlier study, or several; a relative path starts from the file's folder.
        best: the number of points to take, the best complete trials first.
    """

    runs: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)] = Field(
        alias="from"
    )
    best: Count = 5

    @property
    def folders(self) -> tuple[str, ...]:
        """The run folders as the file names them."""
        return (self.runs,) if isinstance(self.runs, str) else tuple(self.runs)


def _kind_of_start(value: Any) -> str:
    return "from" if isinstance(value, dict | StartFrom) else "points"


Start = Annotated[
    Annotated[list[dict[str, Any]], Tag("points")] | Annotated[StartFrom, Tag("from")],
    Discriminator(_kind_of_start),
]
"""Start points, or the earlier studies that they come from. The kind is chosen first, so an error names one of them."""


class Search(Knob):
    """How the space is searched.

    Attributes:
        sampler: how points are proposed. `auto` is decided when the study begins, and recorded with its reason.
        trials: number of trials; by default the whole grid for `grid`, else 50. With a pruner, trials that start
            count.
        lookahead: with q, suggestion n uses the results of trials up to n - q; `auto` follows from the number of
            workers when the study starts.
        repeats: number of seeds that each trial is trained with; its score is the mean.
        refit: `all` trains the best trial at the end of the sweep on all rows but those of the test part, for the
            epochs that it kept. This model has no validation score.
        pruner: ends trials that are worse than others, or pauses them and continues the best.
        stop: ends the study before its total when it is good enough or when more trials promise little.
        where: conditions on parameters that each trial meets, such as `minibatch <= batch / 2`. A condition does not
            apply to a trial without one of its parameters.
        forbid: combinations of values that no trial has, such as `{data.balance: weight, loss: focal}`; a list of
            values forbids each of them.
        priors: whether `bayes` and `curves` begin where good values of a setting usually lie. `auto` does so for the
            settings that tunecli knows, and for ranges with `as:`. It fades as results come in.
        start: points that are tried first, in order, such as `{optimizer.lr: 0.01}`; parameters that are left out
            have their default or middle. Or `{from: runs/other}`, the best points of an earlier study.
        from: the run folder of an earlier study, or several, whose trials inform the sampler `bayes`; a relative path
            starts from the file's folder.
    """

    sampler: Sampler = "auto"
    trials: Count | None = None
    lookahead: Count | Auto = "auto"
    repeats: Count = 1
    refit: Annotated[
        Literal["off", "all"],
        Values(
            {
                "off": "Nothing more is trained.",
                "all": "The best trial is trained again on all rows but those of the test part.",
            }
        ),
    ] = "off"
    pruner: Pruner = "none"
    stop: Stop | None = None
    where: list[str] = Field(default_factory=list, max_length=100)
    forbid: list[dict[str, Any]] = Field(default_factory=list, max_length=1000)
    priors: Annotated[
        Literal["auto", "off"],
        Values(
            {
                "auto": "Begin where good values usually lie, and trust that less with each result.",
                "off": "All values of a range are alike until results tell them apart.",
            }
        ),
    ] = "auto"
    start: Start = Field(default_factory=list)
    earlier: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_EARLIER)]
    ) = Field(default_factory=list, alias="from")

    @property
    def earlier_folders(self) -> tuple[str, ...]:
        """The run folders of `from`, as the file names them."""
        return (self.earlier,) if isinstance(self.earlier, str) else tuple(self.earlier)

    @property
    def is_automatic(self) -> bool:
        """Whether tunecli chooses the sampler, and has not chosen it yet."""
        return self.sampler == AUTO

    @property
    def sampler_name(self) -> str:
        """Name of the sampler in the registry; of `auto` that is not decided, the one that fits every study."""
        if self.is_automatic:
            return FALLBACK
        return self.sampler if isinstance(self.sampler, str) else self.sampler.name

    @property
    def sampler_settings(self) -> dict[str, Any]:
        """The settings of the sampler beside its name."""
        return {} if isinstance(self.sampler, str) else self.sampler.model_dump(exclude={"name"})

    @field_validator("pruner")
    @classmethod
    def _knows_the_end(cls, pruner: Pruner, info: ValidationInfo) -> Pruner:
        uncounted = info.context.get(UNCOUNTED, "") if info.context else ""
        if uncounted and is_pausing(pruner) and pruner.max_epochs == "auto":
            if uncounted == BY_DATA:
                raise ValueError(
                    "the length of a training depends on the size of your own data, which is unknown before: write "
                    "`trial: {training: {epochs: n}}`"
                )
            raise ValueError(
                f"missing `max_epochs`, the epochs of a full training: `{{name: {pruner.name}, max_epochs: n}}`"
            )
        return pruner

    @model_validator(mode="after")
    def _sampler_fits_the_pruner(self) -> Search:
        if self.pruner == "none":
            return self
        info = pruner_info(self.pruner.name)
        if info.required_sampler and self.sampler_name != info.required_sampler:
            raise ValueError(
                f"the pruner `{info.name}` needs the sampler `{info.required_sampler}`, because its model proposes "
                "the points"
            )
        return self

    @model_validator(mode="after")
    def _expects_something(self) -> Search:
        if self.stop is None or self.stop.improvement is None:
            return self
        if not sampler_info(self.sampler_name).expected_improvement:
            fitting = " or ".join(f"`{info.name}`" for info in SAMPLERS.values() if info.expected_improvement)
            raise ValueError(
                f"`stop.improvement` does not work with the sampler `{self.sampler_name}`: "
                f"use {fitting}, or `stop: {{stagnation: n}}`"
            )
        if is_pausing(self.pruner):
            raise ValueError(
                f"`stop.improvement` does not work with the pruner `{self.pruner.name}`, because most of its trials "
                "never finish: use `stop: {stagnation: n}`"
            )
        return self

    @field_validator("repeats")
    @classmethod
    def _ours_to_repeat(cls, repeats: int, info: ValidationInfo) -> int:
        if repeats > 1 and info.context and info.context.get(OWN_TRIAL):
            raise ValueError(
                "your own trial runs once: repeat the training inside it, with seeds derived from its own"
            )
        return repeats

    @field_validator("refit")
    @classmethod
    def _ours_to_refit(cls, refit: str, info: ValidationInfo) -> str:
        if refit != "off" and info.context and info.context.get(OWN_TRIAL):
            raise ValueError("your own trial splits its data itself: train on all of them in your code")
        return refit


def _study_name(name: str) -> str:
    """A name that is valid for a folder on any file system."""
    if not STUDY_NAME.fullmatch(name):
        known = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-_.")[:64]
        hint = f", for example `{known}`" if STUDY_NAME.fullmatch(known) else ""
        raise ValueError(
            f"must be at most 64 letters, digits and `_.-`, starting with a letter or digit{hint}"
        )
    return name


class StudySettings(Knob):
    """Every top-level key except ``trial``.

    Attributes:
        study: name of the study and of its run folder; by default the file's name.
        seed: seed of the study, the one source of randomness.
        objective: the objective, or several of them, and constraints.
        search: how the space is searched.
        run: where and how trials run.
    """

    study: Annotated[
        str,
        AfterValidator(_study_name),
        WithJsonSchema({"type": "string", "pattern": f"^{STUDY_NAME.pattern}$"}),
    ]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    objective: Goals
    search: Search = Search()
    run: Run = Run()

    @property
    def recorded(self) -> Objective:
        """The objective, with all metrics that the file names for tunecli to compute: `run.results.metrics` too."""
        objective, columns = self.objective.objective, self.run.results.metrics
        asked = [name for name in (columns if isinstance(columns, list) else ()) if is_on_request(name)]
        return replace(objective, also=tuple(dict.fromkeys((*objective.also, *asked))))


@dataclass(frozen=True)
class SamplerChoice:
    """The choice for `search.sampler: auto` in a study.

    Attributes:
        sampler: the name of the sampler.
        why: the reason, as a clause.
        pruner: the name of a pruner that belongs to the choice, with its default settings; ``none``: that of the file.
    """

    sampler: str
    why: str
    pruner: str = "none"

    def __str__(self) -> str:
        with_pruner = "" if self.pruner == "none" else f" with the pruner {self.pruner}"
        return f"{self.sampler}{with_pruner}, because {self.why}"


@dataclass(frozen=True)
class StudySpec:
    """A checked study.

    Attributes:
        settings: name, seed, objective, search and run.
        space: the tree of the trial with its ranges.
        text: the file as the user wrote it.
        overrides: each ``path=value`` given with ``--set``.
        base_path: the folder that relative file names start from.
        choice: the choice for `search.sampler: auto`, which ``settings`` then name; None: the file names a sampler, or
            nothing is decided yet.
    """

    settings: StudySettings
    space: Space
    text: str
    overrides: tuple[str, ...]
    base_path: Path
    choice: SamplerChoice | None = None

    @property
    def objective(self) -> Objective:
        """The objective, with further objectives and constraints."""
        return self.settings.objective.objective


def with_choice(spec: StudySpec, choice: SamplerChoice) -> StudySpec:
    """The study with the choice for `search.sampler: auto`; the study itself if its file names a sampler.

    A pruner of the file stays. The priors stay only if the chosen sampler reads them.
    """
    search = spec.settings.search
    if not search.is_automatic:
        return spec
    if spec.space.priors and not sampler_info(choice.sampler).uses_priors:
        spec = replace(spec, space=replace(spec.space, priors={}))
    changes: dict[str, Any] = {"sampler": choice.sampler}
    if choice.pruner != "none" and "pruner" not in search.model_fields_set:
        changes["pruner"] = pruner_info(choice.pruner).settings.model_validate({"name": choice.pruner})
    return replace(_with_search(spec, changes), choice=choice)


def as_began(spec: StudySpec, recorded: StudySpec) -> StudySpec:
    """The study, where `search.sampler: auto` is the sampler of the study that began.

    Args:
        spec: the file as it is now.
        recorded: the study as it is on record.
    """
    if recorded.choice is not None or not spec.settings.search.is_automatic:
        return spec if recorded.choice is None else with_choice(spec, recorded.choice)
    return _with_search(spec, {"sampler": recorded.settings.search.sampler})


def _with_search(spec: StudySpec, changes: dict[str, Any]) -> StudySpec:
    search = spec.settings.search.model_copy(update=changes)
    return replace(spec, settings=spec.settings.model_copy(update={"search": search}))
