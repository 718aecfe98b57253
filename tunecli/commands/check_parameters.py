"""The parameters of a study as `check` shows them: range, default, usual values, and where each is active."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from tunecli.config.domains import Categorical, Domain, Integer, Powers
from tunecli.config.labels import described, option_labels, shown
from tunecli.config.priors.space_priors import knobs_known_by_name, outside_priors, states_good_values
from tunecli.config.priors.table import NO_SETTING
from tunecli.config.priors.usual import Usual, choice_beside, usual_values
from tunecli.config.space import Parameter, Space
from tunecli.config.study import StudySpec
from tunecli.registry.samplers import sampler_info
from tunecli.results.columns import short_names
from tunecli.results.view import Section
from tunecli.trial import Scalar

_MOST_RANGES = 3  # that a table shows for one parameter, if they differ between the options of a choice


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter as texts.

    Attributes:
        name: its name.
        range: its range.
        default: its default; empty if it has none.
        only_where: the condition under which it is active.
        usually: where good values usually lie; empty if nothing is known.
        prior: the same for JSON: the known setting, and its usual numbers or options; None if nothing is known.
    """

    name: str
    range: str
    default: str
    only_where: str
    usually: str = ""
    prior: Mapping[str, Any] | None = None

    @property
    def data(self) -> dict[str, Any]:
        """The row as JSON."""
        plain = {
            "name": self.name,
            "range": self.range,
            "default": self.default,
            "only_where": self.only_where,
        }
        return {**plain, "prior": self.prior}


def parameter_rows(space: Space) -> Iterator[ParameterRow]:
    """Yield a row for each parameter of a space, in the order of the file."""
    labels = option_labels(space)
    names = {parameter.key: parameter.name for parameter in space.parameters}
    for parameter in space.parameters:
        conditions = [
            f"{names[condition.key]} is {_any_of(condition.values, labels.get(names[condition.key], {}))}"
            for condition in parameter.conditions
        ]
        own_labels = labels.get(parameter.name, {})
        default = "" if parameter.default is None else _option(parameter.default, own_labels)
        range_text, only_where = _range(parameter.domain, own_labels), " and ".join(conditions)
        usually, prior = usual_text(space, parameter, own_labels)
        yield ParameterRow(parameter.name, range_text, default, only_where, usually, prior)


def parameter_section(rows: Sequence[ParameterRow]) -> Section:
    """The table of the parameters, without the columns of defaults, usual values or conditions that are empty."""
    short = short_names(tuple(dict.fromkeys(row.name for row in rows)))
    optional = [(row.default, row.usually, row.only_where) for row in rows]
    is_shown = (True, True, *map(any, zip(*optional, strict=True)))

    def chosen(*cells: str) -> tuple[str, ...]:
        return tuple(compress(cells, is_shown))

    narrow = tuple(  # the rows on a narrow terminal
        chosen(short[row.name], row.range, row.default, row.usually, _with_short_names(row.only_where, short))
        for row in rows
    )
    whole = tuple(chosen(row.name, row.range, row.default, row.usually, row.only_where) for row in rows)
    columns = chosen("name", "range", "default", "usually", "only where")
    return Section("parameters", columns, whole, narrow=narrow)


def usual_text(
    space: Space, parameter: Parameter, labels: Mapping[str, str]
) -> tuple[str, Mapping[str, Any] | None]:
    """Where good values of a parameter usually lie, as text and for JSON; empty and None if nothing is known.

    Args:
        space: the space, with its priors.
        parameter: a parameter of the space.
        labels: the labels of its options, by their ``repr``.
    """
    if parameter.prior is None:
        return "", None
    usual = usual_values(space, parameter)
    prior = {"as": parameter.prior.knob, **_usual_data(usual[0], parameter.domain)}
    choice = choice_beside(space, parameter)
    if len(usual) == 1 or choice is None:
        return _usual_text(usual[0], parameter.domain, labels), prior
    texts = [
        f"{_usual_text(each, parameter.domain, labels)} ({', '.join(map(shown, each.beside))})"
        for each in usual[:_MOST_RANGES]
    ]
    by_option = [
        {"option": option, **_usual_data(each, parameter.domain)} for each in usual for option in each.beside
    ]
    text = ", ".join([*texts, *["…"] * (len(usual) > _MOST_RANGES)])
    return text, {**prior, "beside": choice.name, "by_option": by_option}


def prior_notes(spec: StudySpec) -> Iterator[str]:
    """Yield a note on the parameters that are known by name, and the reason for each `as:` that has no effect."""
    search, info = spec.settings.search, sampler_info(spec.settings.search.sampler_name)
    known = [parameter for parameter in spec.space.parameters if parameter.known_as not in ("", NO_SETTING)]
    if search.priors == "off":
        return
    by_name = knobs_known_by_name(spec.space) if info.uses_priors else {}
    if named := [p for p in spec.space.parameters if p.key in by_name and p.prior is not None]:
        meanings = dict.fromkeys(f"{p.name} is `{by_name[p.key]}`" for p in named)
        yield (
            f"known by their names: {', '.join(meanings)}. `usually` shows where good values lie; `as: none` beside a "
            "range says that it is something else"
        )
    if known and not info.uses_priors:
        names = ", ".join(dict.fromkeys(parameter.name for parameter in known))
        yield f"`as` has no effect with the sampler `{info.name}`: {names}"
        return
    outside = outside_priors(spec.space, spec.base_path)
    for parameter in known:
        beside = f"{parameter.name}: `as: {parameter.known_as}` has no effect"
        if states_good_values(parameter):
            yield f"{beside}, because the range itself says where good values lie"
        elif parameter.key in outside:
            centre = shown(float(f"{outside[parameter.key].centre:.1g}"))
            yield (
                f"{beside}: good values are usually near {centre}, and {described(parameter.domain)} is far from there"
            )


def _usual_data(usual: Usual, domain: Domain) -> dict[str, Any]:
    if usual.ends is None:
        return {"options": usual.options}
    low, high = usual.ends
    if isinstance(domain, Integer) or (isinstance(domain, Powers) and domain.is_whole):
        low, high = round(low), round(high)
    return {"low": low, "high": high}


def _usual_text(usual: Usual, domain: Domain, labels: Mapping[str, str]) -> str:
    data = _usual_data(usual, domain)
    if usual.ends is None:
        return ", ".join(_option(option, labels) for option in usual.options)
    low, high = data["low"], data["high"]
    return shown(low) if low == high else f"{shown(low)} to {shown(high)}"


def _range(domain: Domain, labels: Mapping[str, str]) -> str:
    if isinstance(domain, Categorical):
        texts = [_option(option, labels) for option in domain.options]
        if domain.weights:
            pairs = zip(texts, domain.weights, strict=True)
            texts = [f"{text} (weight {weight:g})" for text, weight in pairs]
        return f"choice {', '.join(texts)}"
    return described(domain)


def _option(option: Scalar, labels: Mapping[str, str]) -> str:
    return labels.get(repr(option)) or shown(option)


def _any_of(values: Sequence[Scalar], labels: Mapping[str, str]) -> str:
    """``1 to 3`` for whole numbers in a row, else ``a or b``."""
    numbers = [value for value in values if type(value) is int]
    if len(numbers) == len(values) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return " or ".join(_option(value, labels) for value in values)


def _with_short_names(conditions: str, short: Mapping[str, str]) -> str:
    return " ".join(short.get(word, word) for word in conditions.split(" "))
