"""The axes of a study's report, and the position of each trial's values on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from tunecli.commands.check_parameters import usual_text
from tunecli.config.axes import (
    axis_ends,
    condition_text,
    distinct_names,
    is_log_axis,
    positions_on,
    varying_parameters,
)
from tunecli.config.domains import Categorical, Domain, Integer, Normal, Powers
from tunecli.config.labels import option_labels, shown
from tunecli.config.legal_ends import NO_ENDS, legal_ends
from tunecli.config.space import Parameter, Space, values_by_key
from tunecli.results.columns import short_names
from tunecli.results.report import Axis, AxisKind
from tunecli.text import sanitize, shorten
from tunecli.trial import Scalar, Trial

_LONGEST_OPTION = 200
_MAX_KEPT = 4096  # positions of a parameter


def axes_of(space: Space) -> tuple[Axis, ...]:
    """The axis of each parameter that varies, in the order of the file."""
    parameters = varying_parameters(space)
    numeric = [parameter for parameter in parameters if not isinstance(parameter.domain, Categorical)]
    ends = legal_ends(space, numeric)
    names, labels = distinct_names(space), option_labels(space)
    short = _short_names(parameters, names)
    return tuple(
        Axis(
            names[parameter.key],
            short[parameter.key],
            _kind(parameter.domain),
            *axis_ends(parameter.domain),
            condition=condition_text(space, parameter),
            is_log=is_log_axis(parameter.domain),
            options=_options(parameter, labels.get(parameter.name, {})),
            least=ends.get(parameter.key, NO_ENDS)[0],
            greatest=ends.get(parameter.key, NO_ENDS)[1],
            default=parameter.default,
            usually=usually,
            prior=prior,
        )
        for parameter in parameters
        for usually, prior in [usual_text(space, parameter, labels.get(parameter.name, {}))]
    )


def _short_names(parameters: Iterable[Parameter], names: dict[str, str]) -> dict[str, str]:
    """By key, the shortest end of the parameter's name, with its branch where other branches have one of that name."""
    paths = {parameter.key: parameter.name for parameter in parameters}
    short = short_names(list(dict.fromkeys(paths.values())))
    return {
        key: short[path] + names[key].removeprefix(path) if names[key].startswith(path) else names[key]
        for key, path in paths.items()
    }


def _kind(domain: Domain) -> AxisKind:
    match domain:
        case Categorical():
            return AxisKind.OPTIONS
        case Integer():
            return AxisKind.WHOLE
        case Powers():
            return AxisKind.WHOLE if domain.is_whole else AxisKind.NUMBER
        case Normal(step=float(step)) if step.is_integer():
            return AxisKind.WHOLE
        case _:
            return AxisKind.NUMBER


def _options(parameter: Parameter, labels: dict[str, str]) -> tuple[str, ...]:
    if not isinstance(parameter.domain, Categorical):
        return ()
    return tuple(
        shorten(sanitize(labels.get(repr(option)) or _shown(option)), _LONGEST_OPTION)
        for option in parameter.domain.options
    )


def _shown(option: Scalar) -> str:
    return f"{option:.4g}" if isinstance(option, float) else shown(option)


def positions_of(space: Space, trials: Iterable[Trial]) -> dict[int, tuple[float | None, ...]]:
    """By trial number, the position of the value on each of `axes_of`; None: the trial does not have the parameter.

    A trial whose point does not belong to the space, which only a later tunecli could have recorded, is left out.
    """
    scales = [(parameter.key, _positions(parameter.domain)) for parameter in varying_parameters(space)]
    found: dict[int, tuple[float | None, ...]] = {}
    for trial in trials:
        try:
            values = values_by_key(space, trial.parameters)
        except KeyError:
            continue
        found[trial.number] = tuple(
            [position_of(values[key]) if key in values else None for key, position_of in scales]
        )
    return found


def _positions(domain: Domain) -> Callable[[Scalar], float | None]:
    """The position of a value; options and whole numbers repeat, so their positions are kept."""
    position = positions_on(domain)
    kept = lru_cache(_MAX_KEPT, typed=True)(position)
    return lambda value: position(value) if isinstance(value, float) else kept(value)
