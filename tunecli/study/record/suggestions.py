"""The points that a study's sampler suggests, and which of its trials no model of the results chose.

Their number depends on the study's total, which `resume --trials` can change. So the record has each total with the
first trial that was suggested under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.config.study import StudySpec
from tunecli.registry.implementations import implementation
from tunecli.registry.pruners import pruner_info
from tunecli.registry.samplers import n_before_results_of, n_initial_of
from tunecli.search.protocols import suggest
from tunecli.study.record.history import History
from tunecli.trial import Observation, Parameters, Trial

TOTALS = "totals"
"""The key of the fact with the totals of a study: ``from``, a trial's number, and ``trials``, the total from it on."""


def suggested_point(
    spec: StudySpec, history: Sequence[Observation], number: int, n_trials: int | None
) -> Parameters | None:
    """Return the point that the study's sampler suggests for trial ``number``; None: the space has no further point.

    Args:
        spec: the study.
        history: the earlier trials, as the sampler may see them.
        number: the trial's number.
        n_trials: the study's total; None: unknown.
    """
    search = spec.settings.search
    return suggest(
        search.sampler_name,
        spec.space,
        history,
        number,
        spec.settings.seed,
        search.sampler_settings,
        n_trials,
    )


def n_without_model(spec: StudySpec, n_trials: int) -> int:
    """Return how many of the first trials no model of the results chooses, neither the sampler's nor the pruner's.

    Args:
        spec: the study.
        n_trials: its total.
    """
    search = spec.settings.search
    n_first = n_initial_of(search.sampler_name, spec.space, n_trials)
    if search.pruner == "none" or not (own := pruner_info(search.pruner.name).n_initial):
        return n_first
    return min(n_first, int(implementation(own)(spec.space)))


def first_suggestions(spec: StudySpec, n: int, n_trials: int | None = None) -> list[Trial]:
    """Return up to ``n`` first points of the sampler in a study of ``n_trials``: those that no result changes."""
    trials: dict[int, Trial] = {}
    n_fixed = n_before_results_of(spec.settings.search.sampler_name, spec.space, n_trials or n)
    n_fixed = min(n_fixed, n_without_model(spec, n_trials or n))
    for number in range(min(n, max(n_fixed, len(spec.space.start)))):
        history = History(trials.values(), spec.objective).up_to(-1)
        point = suggested_point(spec, history, number, n_trials)
        if point is None:
            break
        trials[number] = Trial(number, point, 0)
    return list(trials.values())


def with_total(facts: Mapping[str, Any], before: int, after: int, n_suggested: int) -> list[dict[str, int]]:
    """Return the fact `TOTALS` after a change of the total.

    Args:
        facts: of the study, complete.
        before, after: the totals.
        n_suggested: number of trials that were suggested under earlier totals.
    """
    totals = facts[TOTALS] or [{"from": 0, "trials": before}]
    return [*(one for one in totals if one["from"] < n_suggested), {"from": n_suggested, "trials": after}]


def initial_trials(spec: StudySpec, facts: Mapping[str, Any], n_trials: int) -> list[int]:
    """Return the numbers of the trials that no model of the results chooses, in order.

    After a raised total there may be some behind trials of the model.

    Args:
        spec: the study.
        facts: of the study, complete.
        n_trials: the study's total now.
    """
    totals = facts[TOTALS] or [{"from": 0, "trials": n_trials}]
    ends = [*(one["from"] for one in totals[1:]), n_trials]
    numbers: list[int] = []
    for total, end in zip(totals, ends, strict=True):
        numbers += range(total["from"], min(n_without_model(spec, total["trials"]), end))
    return numbers
