"""The facts of a study that a display shows, made from its file and its plan."""

from __future__ import annotations

import math

from tunecli.config.domains import Categorical, Domain, Normal, Powers
from tunecli.config.feasibility import feasible_default
from tunecli.config.labels import option_labels
from tunecli.config.space import Space
from tunecli.messages import Origins, SweepInfo
from tunecli.registry.samplers import sampler_info
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.suggestions import initial_trials

_DEVIATIONS = 2.0  # of a normal distribution: 95 % of the values are nearer to its mean


def sweep_info(study: Study) -> SweepInfo:
    """The facts of a study that a display shows; they do not change while it runs."""
    spec, plan = study.spec, study.plan
    return SweepInfo(
        spec.settings.study,
        spec.objective,
        plan.n_trials,
        plan.n_workers,
        spec.space.names,
        option_labels(spec.space),
        scales_of(spec.space),
        _origins(study),
    )


def scales_of(space: Space) -> dict[str, tuple[float, float, bool]]:
    """By numeric parameter, the ends of its range, and whether its scale is logarithmic.

    A name that several branches share has the range of all of them. A normal distribution has the range of two
    deviations on both sides of its mean.
    """
    scales: dict[str, tuple[float, float, bool]] = {}
    for parameter in space.parameters:
        scale = _scale(parameter.domain)
        if scale is None:
            continue
        low, high, is_log = scale
        before = scales.get(parameter.name, scale)
        scales[parameter.name] = (min(low, before[0]), max(high, before[1]), is_log and before[2])
    return scales


def _scale(domain: Domain) -> tuple[float, float, bool] | None:
    match domain:
        case Categorical():
            return None
        case Powers(base, exponents):
            scale = _scale(exponents)
            assert scale is not None
            try:
                low, high = sorted(float(base) ** end for end in scale[:2])
            except OverflowError:
                return None
            return (low, high, True) if low > 0 and math.isfinite(high) else None
        case Normal(mean, deviation):
            low, high = mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation
            try:
                return (math.exp(low), math.exp(high), True) if domain.is_log else (low, high, False)
            except OverflowError:
                return None
        case _:
            return (float(domain.low), float(domain.high), domain.is_log and domain.low > 0)


def _origins(study: Study) -> Origins:
    space, info = study.spec.space, sampler_info(study.spec.settings.search.sampler_name)
    initial = None
    if info.reads_results:
        initial = frozenset(initial_trials(study.spec, facts_of(study.log), study.plan.n_trials))
    earlier = tuple(point for study in space.earlier for point in study.points)
    # With priors, some of the first trials are draws from them, or steps of the learning rate.
    draws = "initial" if info.uses_priors and space.priors else info.draws
    return Origins(space.start, feasible_default(space), draws, initial, earlier)
