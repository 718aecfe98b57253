"""The objectives of a study, and its constraints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from tunecli.config.bounds import Bound, constraints
from tunecli.config.metric_hints import unknown_metric
from tunecli.config.metric_names import MetricSettings, facts_of_metric, metric_of
from tunecli.config.metric_words import maximized_by_name
from tunecli.config.metrics import DECIDED, METRIC_LINES, METRICS
from tunecli.config.schema.user_code import METRIC_NAME, UserCode
from tunecli.knob import Auto, Knob, Values
from tunecli.objective import BEST, LAST, MEAN_OF_LAST, Objective
from tunecli.text import short_repr

OWN_TRIAL = "own_trial"
"""Key of the validation context: whether the trial is the user's own, and names its metrics itself."""

MOST_AVERAGED = 10_000
"""The largest number of values that ``mean_of_last`` averages."""

MOST_GOALS = 4
"""With more objectives, nearly every trial is on the Pareto front."""


def _bounded(name: str, info: ValidationInfo) -> str:
    """A metric that can have a constraint: a built-in one, or a metric of the user's own that is an objective."""
    goals = (
        [info.data["metric"]]
        if "metric" in info.data
        else [objective.metric for objective in info.data.get("pareto", ())]
    )
    own = [_column(metric) for metric in goals if isinstance(metric, UserCode)]
    if name not in own:
        _require_metric(name, own, info)
    return name


Bounds = Annotated[dict[Annotated[str, AfterValidator(_bounded)], Bound], Field(min_length=1)]
"""The constraint of each metric."""

_METRIC_NAMES = {
    "x-define": "MetricName",
    "enum": list(METRIC_LINES),
    "enumDescriptions": list(METRIC_LINES.values()),
}
_Name = Annotated[str, Tag("name"), WithJsonSchema({"anyOf": [_METRIC_NAMES, {"type": "string"}]})]


def _kind_of_metric(value: Any) -> str:
    if isinstance(value, MetricSettings) or (
        isinstance(value, dict) and "name" in value and "python" not in value
    ):
        return "settings"
    return "own" if isinstance(value, dict | UserCode) else "name"


_Metric = Annotated[
    _Name | Annotated[UserCode, Tag("own")] | Annotated[MetricSettings, Tag("settings")],
    Discriminator(_kind_of_metric),
]


def _recorded_name(metric: str | MetricSettings, info: ValidationInfo) -> str:
    """The name of a built-in metric, or of one that the user's own trial reports."""
    if isinstance(metric, MetricSettings):
        if _is_own_trial(info):
            raise ValueError("your own trial reports its metrics itself: write the name of one of them")
        return metric.recorded
    _require_metric(metric, (), info)
    return metric


def _further_metric(metric: str | MetricSettings, info: ValidationInfo) -> str:
    if _is_own_trial(info):
        raise ValueError("`also` is not for your own trial, whose metrics are all recorded: remove it")
    return _recorded_name(metric, info)


Also = Annotated[
    list[
        Annotated[
            _Name | Annotated[MetricSettings, Tag("settings")],
            Discriminator(lambda value: "settings" if isinstance(value, dict | MetricSettings) else "name"),
            AfterValidator(_further_metric),
        ]
    ],
    Field(max_length=100),
]
"""Metrics to record beside the objective's; once validated, their names."""


class Aim(Knob):
    """One metric and its direction. The direction follows from the metric if the file does not give it.

    Attributes:
        metric: built-in metric, also with settings (`{name: val_f1, average: weighted}`), your own function
            (`{python: module:name}`), or a metric that your own trial reports.
        direction: whether a higher or a lower value is better.
    """

    metric: _Metric
    direction: (
        Annotated[
            Literal["maximize", "minimize"],
            Values(
                {
                    "maximize": "A higher value is better.",
                    "minimize": "A lower value is better.",
                }
            ),
        ]
        | None
    ) = None

    @field_validator("metric")
    @classmethod
    def _known_metric(
        cls, metric: str | UserCode | MetricSettings, info: ValidationInfo
    ) -> str | UserCode | MetricSettings:
        if not isinstance(metric, UserCode):
            return _recorded_name(metric, info)
        if _is_own_trial(info):
            raise ValueError("your own trial reports its metrics itself: write the name of one of them")
        known = metric_of(_column(metric))
        if known is not None and not known.is_on_request:
            raise ValueError(f"`{known.name}` is a built-in metric; give your function another name")
        return metric

    @model_validator(mode="after")
    def _has_direction(self) -> Aim:
        if self.direction is None and self.natural is None and self.inferred is None:
            raise ValueError(f"missing `direction` of {self.name}: write maximize or minimize")
        return self

    @property
    def name(self) -> str:
        """Name of the metric, and of its column."""
        return _column(self.metric) if isinstance(self.metric, UserCode) else str(self.metric)

    @property
    def natural(self) -> Objective | None:
        """The metric in the direction in which it is better; None for a metric that is not built in."""
        facts = None if isinstance(self.metric, UserCode) else facts_of_metric(self.name)
        return None if facts is None else Objective(self.name, facts.maximize)

    @property
    def inferred(self) -> Objective | None:
        """The user's own metric in the direction that its name suggests; None if the file or no name decides."""
        if self.direction is not None or self.natural is not None:
            return None
        maximize = maximized_by_name(self.name)
        return None if maximize is None else self._own(maximize=maximize)

    @property
    def goal(self) -> Objective:
        """The metric with its direction."""
        if self.direction is None and self.natural is not None:
            return self.natural
        return self.inferred or self._own(maximize=self.direction == "maximize")

    def _own(self, *, maximize: bool) -> Objective:
        own = self.metric if isinstance(self.metric, UserCode) else None
        return Objective(self.name, maximize, own.python if own else "", own.args if own else {})


class MeanOfLast(Knob):
    """The mean of the last reported values.

    Attributes:
        mean_of_last: number of values; if fewer were reported, all of them are averaged.
    """

    mean_of_last: Annotated[int, Field(ge=1, le=MOST_AVERAGED)]


def _score_rule(value: Any, info: ValidationInfo) -> Any:
    if not (value in (LAST, BEST) or isinstance(value, dict | MeanOfLast)):
        raise ValueError(f"must be `last`, `best` or `{{mean_of_last: k}}`, not {short_repr(value)}")
    if value != LAST and not _is_own_trial(info):
        raise ValueError(
            "`score` is for your own functions and commands; write `training: {early_stop: {patience: n}}` under "
            "`trial` to keep the best epoch"
        )
    return value


ScoreRule = Annotated[
    Annotated[
        Literal["last", "best"],
        Values({"last": "The last reported value.", "best": "The best reported value."}),
        Tag("word"),
    ]
    | Annotated[MeanOfLast, Tag("map")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "map"),
    BeforeValidator(_score_rule),
]


class Goal(Aim):
    """The objective: one metric, with optional constraints.

    Attributes:
        subject_to: constraints by metric, such as `"<= 5"`; a trial that violates one is not feasible.
        score: how the score of your own trial follows from its reported values: the last one, the best one, or
            `{mean_of_last: k}`.
        also: further metrics to compute and record, such as `[val_mcc, {name: val_f1, average: weighted}]`.
        threshold: probability above which the second of two classes, or a label, is predicted; by default one half.
            `auto` chooses it after each epoch, so that the metric is best on the validation part.
    """

    subject_to: Bounds | None = None
    score: ScoreRule = "last"
    also: Also = Field(default_factory=list)
    threshold: Auto | Annotated[float, Field(gt=0, lt=1)] | None = None

    @field_validator("threshold")
    @classmethod
    def _of_decided_classes(cls, threshold: str | float | None, info: ValidationInfo) -> str | float | None:
        metric = info.data.get("metric")
        if threshold is None or metric is None:
            return threshold
        if _is_own_trial(info):
            raise ValueError("`threshold` is not for your own trial, which decides the classes itself")
        known = metric_of(metric) if isinstance(metric, str) else None
        if known is None or known.base not in DECIDED:
            name = known.name if known else "your own metric"
            raise ValueError(f"{name} does not depend on a threshold; those that do: {', '.join(DECIDED)}")
        return threshold

    @property
    def aims(self) -> tuple[Aim, ...]:
        """All objectives."""
        return (self,)

    @property
    def objective(self) -> Objective:
        """The objective with its constraints."""
        fixed = self.threshold if isinstance(self.threshold, float) else None
        rule = {
            "tunes_threshold": self.threshold == "auto",
            "threshold": fixed,
            **_rule_fields(self.score),
        }
        return replace(self.goal, constraints=constraints(self.subject_to), also=_names(self.also), **rule)


class Pareto(Knob):
    """Several objectives without fixed weights; the best trials are those on the Pareto front.

    Attributes:
        pareto: objectives; early stopping and rung decisions follow the first.
        subject_to: constraints by metric, such as `"<= 5"`; a trial that violates one is not feasible.
        score: how the scores of your own trial follow from its reported values: the last ones, those of the report with
            the best first objective, or `{mean_of_last: k}`.
        also: further metrics to compute and record, such as `[val_mcc, {name: val_f1, average: weighted}]`.
    """

    ABSENT: ClassVar[Mapping[str, str]] = {
        "metric": "write `metric` or `pareto`, not both",
        "direction": "each metric under `pareto` has its own `direction`",
    }

    pareto: Annotated[list[Aim], Field(min_length=2, max_length=MOST_GOALS)]
    subject_to: Bounds | None = None
    score: ScoreRule = "last"
    also: Also = Field(default_factory=list)

    @field_validator("pareto")
    @classmethod
    def _each_once(cls, pareto: list[Aim]) -> list[Aim]:
        names = [aim.name for aim in pareto]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"`{twice}` appears twice")
        return pareto

    @property
    def aims(self) -> tuple[Aim, ...]:
        """All objectives."""
        return tuple(self.pareto)

    @property
    def objective(self) -> Objective:
        """The objectives with their constraints."""
        first, *others = (aim.goal for aim in self.pareto)
        limits, rule = constraints(self.subject_to), _rule_fields(self.score)
        also, further = _names(self.also), tuple(others)
        return replace(first, further_objectives=further, constraints=limits, also=also, **rule)


Goals = Annotated[
    Annotated[Goal, Tag("one")] | Annotated[Pareto, Tag("several")],
    Discriminator(
        lambda value: "several" if isinstance(value, Pareto) or _is_several(value) else "one",
    ),
]
"""One objective, or several under ``pareto``."""


def spelled(objective: Objective) -> dict[str, Any]:
    """An objective in one form of the file, with explicit directions."""
    aims = [
        {
            "metric": {"python": goal.python, "args": dict(goal.args)} if goal.python else goal.metric,
            "direction": "maximize" if goal.maximize else "minimize",
        }
        for goal in objective.goals
    ]
    plain: dict[str, Any] = {"pareto": aims} if objective.further_objectives else aims[0]
    if objective.constraints:
        plain["subject_to"] = {
            constraint.metric: f"{'>=' if constraint.is_least else '<='} {constraint.bound!r}"
            for constraint in objective.constraints
        }
    if objective.tunes_threshold:
        plain["threshold"] = "auto"
    if objective.threshold is not None:
        plain["threshold"] = objective.threshold
    if objective.also:
        plain["also"] = [*objective.also]
    if objective.score_rule != LAST:
        plain["score"] = (
            {MEAN_OF_LAST: objective.n_averaged} if objective.n_averaged else objective.score_rule
        )
    return plain


def described(objective: Objective) -> str:
    """An objective in one line: ``maximize val_accuracy, subject to latency_ms <= 5``."""
    goals = [f"{'maximize' if goal.maximize else 'minimize'} {goal.metric}" for goal in objective.goals]
    text = " and ".join(goals)
    if objective.constraints:
        text += ", subject to " + " and ".join(map(str, objective.constraints))
    if objective.tunes_threshold:
        text += ", at the threshold that is best for it on the validation part"
    if objective.threshold is not None:
        text += f", at the threshold {objective.threshold:.12g}"
    if objective.score_rule != LAST:
        text += f", {f'mean of the last {objective.n_averaged}' if objective.n_averaged else 'best'} value as score"
    return text


def _names(also: Iterable[str | MetricSettings]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, also)))


def _rule_fields(rule: str | MeanOfLast) -> dict[str, Any]:
    """The fields of an `Objective` that a ``score`` sets."""
    if isinstance(rule, MeanOfLast):
        return {"score_rule": MEAN_OF_LAST, "n_averaged": rule.mean_of_last}
    return {"score_rule": rule}


def _is_several(value: Any) -> bool:
    return isinstance(value, dict) and "pareto" in value


def _column(metric: UserCode) -> str:
    """Name of the column of a user's metric: ``mine:score`` is ``val_score``."""
    return "val_" + re.split(r"[:.]", metric.python)[-1]


def _is_own_trial(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get(OWN_TRIAL))


def _require_metric(name: str, own: Iterable[str], info: ValidationInfo) -> None:
    if _is_own_trial(info):
        if not re.fullmatch(METRIC_NAME, name):
            raise ValueError(f"invalid metric name {name!r}: use a letter, then letters, digits and `_./-`")
    elif metric_of(name) is None:
        raise ValueError(unknown_metric(name, list(dict.fromkeys((*METRICS, *own)))))
