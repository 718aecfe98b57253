"""A metric with its settings, and the name under which it is recorded: the settings are a part of that name.

So a name alone says what to compute. ``{name: val_f1, average: weighted}`` is recorded as ``val_f1_weighted``, and both
spellings mean the same in a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from tunecli.config.metrics import METRIC_LINES, METRICS, MetricFacts
from tunecli.config.suggestions import nearest
from tunecli.knob import Knob, Values

_LONGEST_CLASS = 100
_OF = "of_"  # before the name of a class
_K = "_k"  # ends the name of a metric that has no meaning without k

_WITH_SETTINGS = [name for name, facts in METRICS.items() if facts.settings]


@dataclass(frozen=True, slots=True)
class NamedMetric:
    """A built-in metric with its settings.

    Attributes:
        name: the name under which it is recorded.
        base: its key in `METRICS`.
        facts: the facts about it.
        settings: its settings; empty: the metric as its name alone says.
    """

    name: str
    base: str
    facts: MetricFacts
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_on_request(self) -> bool:
        """Whether it is computed only if the file names it."""
        return not self.facts.is_standard or bool(self.settings)


class MetricSettings(Knob):
    """A metric with settings.

    Attributes:
        name: the metric.
        average: of val_f1, val_precision and val_recall: how the classes are averaged. `binary` is the second of two
            classes alone; `samples` is the mean over the examples, of labels only.
        positive: of val_f1, val_precision and val_recall: the class or label that is scored, alone.
        weights: of val_kappa: how a wrong class counts by its distance; by default all wrong classes count the same.
        k: of val_top_k: the number of classes that count.
        alpha: of val_pinball: the quantile.
        target: of a regression with several targets: the target that is scored, alone.
    """

    name: Annotated[
        str,
        WithJsonSchema(
            {"enum": _WITH_SETTINGS, "enumDescriptions": [METRIC_LINES[n] for n in _WITH_SETTINGS]}
        ),
    ]
    average: (
        Annotated[
            Literal["macro", "micro", "weighted", "binary", "samples"],
            Values(
                {
                    "macro": "Mean over the classes, each counted once.",
                    "micro": "All examples together.",
                    "weighted": "Mean over the classes, weighted by their numbers of examples.",
                    "binary": "The second of two classes alone.",
                    "samples": "Mean over the examples, of labels only.",
                }
            ),
        ]
        | None
    ) = None
    positive: str | bool | int | float | None = None
    weights: (
        Annotated[
            Literal["linear", "quadratic"],
            Values(
                {
                    "linear": "A wrong class counts by its distance.",
                    "quadratic": "A wrong class counts by the square of its distance.",
                }
            ),
        ]
        | None
    ) = None
    k: Annotated[int, Field(ge=2)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    target: str | None = None

    @field_validator("name")
    @classmethod
    def _takes_settings(cls, name: str) -> str:
        if name in METRICS:
            return name
        raise ValueError(
            f"unknown metric `{name}`; {nearest(name, METRICS) or 'one of ' + ', '.join(METRICS)}"
        )

    @model_validator(mode="after")
    def _fit_the_metric(self) -> Self:
        known = METRICS[self.name].settings
        for key in self._given:
            if key not in known:
                having = [name for name in _WITH_SETTINGS if key in METRICS[name].settings]
                its = " and ".join(f"`{one}`" for one in known)
                its = f"its settings are {its}" if known else f"write `metric: {self.name}`"
                raise ValueError(
                    f"`{self.name}` has no setting `{key}`, which is for {', '.join(having)}; {its}"
                )
        if self.name.endswith(_K) and self.k is None:
            raise ValueError(f"`{self.name}` needs `k`: write `{{name: {self.name}, k: 5}}`")
        if self.positive is not None:
            if self.average not in (None, "binary"):
                raise ValueError(f"`positive` scores one class, so it excludes `average: {self.average}`")
            if not _is_class(_class_name(self.positive)):
                raise ValueError(f"`positive` needs 1 to {_LONGEST_CLASS} printable characters")
        if self.target is not None:
            if self.alpha is not None:
                raise ValueError("`target` and `alpha` exclude each other")
            if not _is_class(self.target):
                raise ValueError(f"`target` needs 1 to {_LONGEST_CLASS} printable characters")
        return self

    @property
    def _given(self) -> dict[str, Any]:
        settings = self.model_dump(exclude={"name"})
        return {key: value for key, value in settings.items() if value is not None}

    @property
    def recorded(self) -> str:
        """The name under which the metric is recorded."""
        given = self._given
        if self.positive is not None:
            given = {"positive": _class_name(self.positive)}
        return recorded_name(self.name, given)


def recorded_name(base: str, settings: Mapping[str, Any]) -> str:
    """The name under which a metric with these settings is recorded: ``val_f1_weighted``, ``val_top_5``.

    Args:
        base: its key in `METRICS`.
        settings: valid settings, at most one.
    """
    for key, value in settings.items():
        if key in ("positive", "target"):
            return f"{base}_{_OF}{value}"
        if (key, value) == ("average", "macro"):
            return base
        return f"{base.removesuffix(_K) if key == 'k' else base}_{value}"
    return base


def metric_of(name: str) -> NamedMetric | None:
    """The built-in metric that a name means, with its settings; None if there is none.

    A name that is spelled in another way than it is recorded (``val_pinball_0.90``) is no name of a metric.
    """
    if name in METRICS:
        return None if name.endswith(_K) else NamedMetric(name, name, METRICS[name])
    for base in _WITH_SETTINGS:
        begin = f"{base.removesuffix(_K)}_"
        settings = _settings_of(METRICS[base], name[len(begin) :]) if name.startswith(begin) else {}
        if settings and recorded_name(base, settings) == name:
            return NamedMetric(name, base, METRICS[base], settings)
    return None


def is_on_request(name: str) -> bool:
    """Whether a name is that of a built-in metric that is computed only if the file names it."""
    metric = metric_of(name)
    return metric is not None and metric.is_on_request


def facts_of_metric(name: str) -> MetricFacts | None:
    """The facts about the built-in metric that a name means; None if there is none."""
    known = METRICS.get(name)
    if known is None and (metric := metric_of(name)) is not None:
        return metric.facts
    return known


def example_names(base: str) -> list[str]:
    """Names of a metric with each of its settings, for messages and documents."""
    examples: dict[str, list[Any]] = {
        "average": ["micro", "weighted", "binary", "samples"],
        "positive": ["CLASS"],
        "target": ["TARGET"],
        "weights": ["linear", "quadratic"],
        "k": [5],
        "alpha": [0.9],
    }
    return [recorded_name(base, {key: value}) for key in METRICS[base].settings for value in examples[key]]


def _settings_of(facts: MetricFacts, text: str) -> dict[str, Any]:
    """The setting that the end of a name spells; empty if it spells none."""
    for key in facts.settings:
        match key:
            case "average" if text in ("micro", "weighted", "binary", "samples"):
                return {key: text}
            case "positive" | "target" if text.startswith(_OF) and _is_class(text[len(_OF) :]):
                return {key: text[len(_OF) :]}
            case "weights" if text in ("linear", "quadratic"):
                return {key: text}
            case "k" if re.fullmatch(r"[1-9][0-9]{0,6}", text) and int(text) > 1:
                return {key: int(text)}
            case "alpha" if re.fullmatch(r"0?\.[0-9]{1,17}", text) and 0 < float(text) < 1:
                return {key: float(text)}
            case _:
                continue
    return {}


def _is_class(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_CLASS and text.isprintable() and text == text.strip()


def _class_name(value: str | bool | float) -> str:
    """The name of a class, as the data's classes are named: ``1.0`` is the class ``1``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
