"""The record of a study as values of its report: facts, curves, classes, and the least step of the score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunecli.commands.results import mixtures
from tunecli.config.concrete_trial import trial_models
from tunecli.config.expressions import Expression, Fixed, Group
from tunecli.config.schema import TrialConfig
from tunecli.errors import UsageError
from tunecli.messages import EpochEnded
from tunecli.objective import Objective
from tunecli.results.classes import ClassScores, class_scores
from tunecli.results.fresh import least_gap
from tunecli.results.ranking import Ranked
from tunecli.results.report import MAX_CURVES, Curve, StudyFacts
from tunecli.store.annotation import annotation_of
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder
from tunecli.study.record.confirmation import FRACTIONS
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.part_sizes import recorded_sizes
from tunecli.study.record.phase import phase_of
from tunecli.study.record.suggestions import initial_trials
from tunecli.train.artifact.layout import entry_of_file
from tunecli.trial import State, Trial

_MAX_EPOCHS = 200_000  # that are read for curves: 10,000 epochs of each of the 20 best trials
_N_BEST = MAX_CURVES * 3 // 4
_TRAIN_LOSS, _VALID_LOSS = "train_loss", "val_loss"


def classes_of(folder: RunFolder, ranked: Sequence[Ranked], *, tunes_threshold: bool) -> ClassScores | None:
    """The scores of the best trial's classes or labels, from its model file; None: it has none, or has no classes."""
    best = next((row.trial for row in ranked if row.rank == 1), None)
    if best is None:
        return None
    try:
        entry = entry_of_file(folder.weights_path(best.number))
        facts, fold = entry["facts"], entry["folds"][0]
        counts = [(float(hits), float(true), float(guessed)) for hits, true, guessed in facts["decided"]]
        scores = class_scores([str(name) for name in fold["class_names"]], counts)
        word = "label" if fold["task"] == "multilabel" else "class"
        n_models = int(facts["n_folds"]) * int(facts["n_repeats"])
        threshold = None if facts["threshold"] is None else float(facts["threshold"])
    except (OSError, UsageError, LookupError, TypeError, ValueError):
        return None  # no model was kept, or another version wrote it
    found = ClassScores(best.number, word, scores, threshold, n_models, is_tuned=tunes_threshold)
    return found if scores else None


def study_facts(study: Study, trials: Sequence[Trial], held_by: Holder | None) -> StudyFacts:
    """The facts on record.

    Args:
        study: the study.
        trials: all its trials.
        held_by: the process that runs the study; None: no process does.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    facts = facts_of(study.log)
    settings, space = study.spec.settings, study.spec.space
    counts = {state: 0 for state in State if state.shown is state}
    for trial in trials:
        counts[trial.state.shown] += 1
    phase = phase_of(study.log, facts, counts, is_held=held_by is not None)
    if held_by is None:  # a trial that runs on record was interrupted with its process
        counts[State.WAITING] += counts[State.RUNNING]
        counts[State.RUNNING] = 0
    is_empty = not any(counts[state] for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    pruner = settings.search.pruner
    initial = initial_trials(study.spec, facts, study.plan.n_trials)
    sizes, about = recorded_sizes(facts), annotation_of(study.folder.path)
    return StudyFacts(
        name=settings.study,
        path=str(study.folder.path),
        config=study.spec.text,
        sampler=settings.search.sampler_name,
        seed=settings.seed,
        n_planned=study.plan.n_trials,
        pruner="" if pruner == "none" else pruner.name,
        sampler_choice=study.spec.choice,
        has_priors=settings.search.priors == "auto",
        n_initial=len(initial),
        model_from=initial[-1] + 1 if initial else 0,
        phase="empty" if is_empty and held_by is None else phase,
        counts=counts,
        elapsed_s=float(facts["elapsed_s"]),
        n_train=sizes.n_train,
        n_valid=sizes.n_valid,
        n_test=sizes.n_test,
        is_folded=sizes.is_folded or "folds" in _validation_keys(study),
        split_by=_split_by(study),
        n_repeats=settings.search.repeats,
        n_draws=sizes.n_draws,
        versions=dict(facts["versions"]),
        hashes={**facts["data"], **facts["code"]},
        mixtures=tuple(mixtures(study.log, trials)),
        machines=dict(sorted(Counter(study.log.hosts().values()).items())),
        n_carried=_n_carried(facts),
        is_own_code=trial_models(space.tree) != {TrialConfig},
        note=about.note,
        tags=about.tags,
    )


def _n_carried(facts: Mapping[str, Any]) -> int:
    origin = facts.get("forked_from")
    numbers = origin.get("trials") if isinstance(origin, Mapping) else None
    return len(numbers) if isinstance(numbers, list) else 0


def _validation_keys(study: Study) -> Mapping[str, Expression]:
    tree: Expression | None = study.spec.space.tree
    for key in ("data", "validation"):
        tree = tree.items.get(key) if isinstance(tree, Group) else None
    return tree.items if isinstance(tree, Group) else {}


def _split_by(study: Study) -> str:
    by = _validation_keys(study).get("by")
    return str(by.value) if isinstance(by, Fixed) else "row"


def curves_of(log: Log, ranked: Sequence[Ranked], objective: Objective) -> dict[int, Curve]:
    """The learning curves of the best trials, and of others spread over the ranks, by number.

    There are at most `MAX_CURVES`, and fewer if they have very many epochs.

    Args:
        log: the record.
        ranked: all trials in the order of the table.
        objective: the goals; curves show the first.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    begun = [row.trial for row in ranked if row.trial.state is not State.WAITING]
    rest = begun[_N_BEST:]
    n_spread = MAX_CURVES - _N_BEST
    spread = (
        [rest[place * len(rest) // n_spread] for place in range(n_spread)] if len(rest) > n_spread else rest
    )
    chosen, n_epochs = list[Trial](), 0
    for trial in (*begun[:_N_BEST], *spread):
        n_epochs += trial.outcome.epochs if trial.outcome else 0
        if chosen and n_epochs > _MAX_EPOCHS:
            break
        chosen.append(trial)
    epochs = log.epochs_of(trial.number for trial in chosen)
    return {
        trial.number: _curve(epochs[trial.number], trial, objective)
        for trial in chosen
        if epochs[trial.number]
    }


def _curve(epochs: Sequence[EpochEnded], trial: Trial, objective: Objective) -> Curve:
    return Curve(
        tuple(epoch.epoch for epoch in epochs),
        _course(epochs, objective.metric),
        _course(epochs, _TRAIN_LOSS) if any(_TRAIN_LOSS in epoch.metrics for epoch in epochs) else (),
        _course(epochs, _VALID_LOSS) if any(_VALID_LOSS in epoch.metrics for epoch in epochs) else (),
        trial.outcome.kept_epoch if trial.outcome else 0,
    )


def _course(epochs: Iterable[EpochEnded], metric: str) -> tuple[float, ...]:
    return tuple(epoch.metrics.get(metric, math.nan) for epoch in epochs)


def least_step(trials: Iterable[Trial], objective: Objective, facts: StudyFacts) -> float | None:
    """The least difference between two scores, in the metric's unit; None: fewer than two different scores.

    A metric that counts validation examples changes in steps of one example. For any other metric it is the smallest
    gap between two scores on record.
    """
    if objective.metric in FRACTIONS and facts.n_valid:
        return 1 / (facts.n_valid * facts.n_draws * facts.n_repeats)
    return least_gap(trial.outcome.score for trial in trials if trial.outcome is not None)
