"""The choice of a sampler for `search.sampler: auto`, made once, when a study begins, from its file and its data.

The choice is recorded, so that `resume` goes on with the same sampler, also with a higher total (record-is-the-state).
It is `bayes`, unless a sampler that reads no results reaches the same points, or takes a small part of the time; or the
file allows so few epochs that the pruner `curves` finds better points with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunecli.config.concrete_trial import concrete_trials, trial_models
from tunecli.config.feasibility import n_feasible, n_feasible_grid
from tunecli.config.schema import TrialConfig
from tunecli.config.study import DEFAULT_TRIALS, SamplerChoice, StudySpec, with_choice
from tunecli.registry.samplers import FALLBACK
from tunecli.study.plan.fusing import cost_bounds, seconds_of
from tunecli.text import counted

FEW_TRAININGS = 30
"""Below this number of full trainings, `curves` is better than `bayes` with the same epochs.

Mean regret on the LCBench surrogate (`tests/benchmarks/lcbench.py --epochs`, 12 tasks, one seed): `curves` 0.09 and
`bayes` 0.30 within 10 full trainings, 0.05 and 0.14 within 20, 0.03 and 0.02 within 50; `bayes` 0.10 within 25 and 0.06
within 35. With trainings of 9 to 12 epochs both are equal: on ten small problems (`tests/benchmarks/real.py`, two
seeds) `curves` has 0.15, 0.10 and 0.09 and `bayes` 0.15, 0.10 and 0.10 within 10, 20 and 25.
"""
_LEAST_TRAININGS = 3  # fewer do not even train the initial trials of a model
_LEAST_EPOCHS = 9  # shorter trainings have too few rungs: 1, 3 and 9 epochs
MANY_TRIALS = 1000
"""From this number of trials on, the time of the suggestions is compared with that of the trials."""
SUGGESTION_S = 0.1
"""Seconds of a suggestion of `bayes` with a long record, roughly."""
_CHEAPER = 20  # a trial that takes this part of a suggestion: the search would cost 20 times the training


def decided(spec: StudySpec) -> StudySpec:
    """The study with the sampler chosen for `search.sampler: auto`; the study itself if its file names one.

    Args:
        spec: a loaded study.
    """
    return with_choice(spec, next(_choices(spec))) if spec.settings.search.is_automatic else spec


def _choices(spec: StudySpec) -> Iterator[SamplerChoice]:
    """The choices that fit the study, the best first; the last one fits every study."""
    n_trials = _n_trials(spec)
    if not spec.space.parameters:
        yield SamplerChoice(FALLBACK, "the file has no range to search")
    if (n_trainings := _trainings_of_curves(spec)) is not None:
        few = f"`run.limit.epochs` allows only {n_trainings:.3g} full trainings"
        yield SamplerChoice(
            FALLBACK, f"{few}, and learning curves show early which trials deserve one", "curves"
        )
    if (
        not _may_end_early(spec) and not spec.settings.search.earlier_folders
    ):  # only a model learns from those
        n_points = n_feasible(spec.space)
        if n_points is not None and n_points <= n_trials and n_points == n_feasible_grid(spec.space):
            points = "the only point" if n_points == 1 else f"each of the {counted(n_points, 'point')}"
            reached = f"the trials reach {points} of the space"
            yield SamplerChoice("grid", reached)
        trial_s = _trial_s(spec) if n_trials >= MANY_TRIALS else None
        if trial_s is not None and trial_s * _CHEAPER < SUGGESTION_S:
            takes = f"a trial takes about {max(1, round(1000 * trial_s))} ms"
            yield SamplerChoice(
                "quasirandom", f"{takes}, and {n_trials:,} suggestions of `bayes` would take much longer"
            )
    yield SamplerChoice(FALLBACK, "a model of the results needs the fewest trials for a good point")


def _trainings_of_curves(spec: StudySpec) -> float | None:
    """How many full trainings the limit of epochs allows; None: `curves` is not measured on such a study.

    It is measured on one objective without constraints, and on trainings of one known length.
    """
    search, run, objective = spec.settings.search, spec.settings.run, spec.objective
    is_plain = not objective.further_objectives and not objective.constraints and search.repeats == 1
    is_plain = is_plain and not search.earlier_folders
    if (
        run.limit.epochs is None
        or "pruner" in search.model_fields_set
        or search.stop is not None
        or not is_plain
    ):
        return None
    if (
        run.limit.time is not None
        or isinstance(run.fuse, int)
        or trial_models(spec.space.tree) != {TrialConfig}
    ):
        return None
    lengths = {_length(plain) for plain in concrete_trials(spec.space)}
    length = lengths.pop() if len(lengths) == 1 else None
    if length is None or length < _LEAST_EPOCHS:
        return None
    n_trainings = run.limit.epochs / length
    if not _LEAST_TRAININGS <= n_trainings < FEW_TRAININGS or _n_trials(spec) < 2 * n_trainings:
        return None
    n_points = n_feasible(spec.space)
    return n_trainings if n_points is None or n_points >= 2 * n_trainings else None


def _length(plain: Mapping[str, Any]) -> int | None:
    """The number of epochs of a trial; None: it is not in the file, or the trial may end before it, or has folds."""
    training, validation = plain.get("training"), plain.get("data", {}).get("validation")
    if not isinstance(training, dict) or training.get("early_stop") is not None:
        return None
    if isinstance(validation, dict) and "folds" in validation:
        return None
    epochs = training.get("epochs")
    return epochs if type(epochs) is int else None


def _n_trials(spec: StudySpec) -> int:
    """The number of trials that the file asks for; at most the default number if it asks for none."""
    wanted = spec.settings.search.trials or DEFAULT_TRIALS
    return min(wanted, spec.settings.run.limit.trials or wanted)


def _may_end_early(spec: StudySpec) -> bool:
    """Whether the study may end before its total, or a trial before its end, so that good points must come early."""
    search, limit = spec.settings.search, spec.settings.run.limit
    has_limit = limit.time is not None or limit.epochs is not None or bool(limit.failures)
    return has_limit or search.stop is not None or search.pruner != "none"


def _trial_s(spec: StudySpec) -> float | None:
    """The seconds of the most expensive trial, roughly; None: unknown."""
    _, largest = cost_bounds(spec)
    return None if largest is None or largest.n_multiply_adds is None else seconds_of(largest)
