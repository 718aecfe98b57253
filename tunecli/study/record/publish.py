"""What people read of a record: the ranked table, and a trial as a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.config.concrete_trial import concrete
from tunecli.config.labels import options_of
from tunecli.config.schema.data import with_absolute_paths
from tunecli.config.user_code import uses
from tunecli.errors import UsageError
from tunecli.results.export import concrete_document
from tunecli.results.ranking import best, rank
from tunecli.results.table import Table, options_alike, results_table, to_csv
from tunecli.store.files import write_atomically
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.names import require_text
from tunecli.trial import Trial

NOTHING_TESTED: Mapping[str, float] = {}


def document(study: Study, trial: Trial, tested: Mapping[str, float] = NOTHING_TESTED) -> str:
    """A trial as a complete runnable file: its ranges replaced by its values, its seed fixed; with its test metrics.

    Raises:
        UsageError: the file would name a folder whose name is not UTF-8, which no file can.
    """
    spec = study.spec
    config = concrete(spec.space, trial.parameters)
    run: dict[str, Any] = {"threads": study.plan.threads}
    if study.plan.fuse:
        run["fuse"] = study.plan.fuse
    if any(uses(config, spec.objective)) or "command" in config:
        run["folder"] = str(spec.base_path.resolve())
    if "data" in config:
        config = with_absolute_paths(config, spec.base_path)
    require_text((config, run), spec.base_path)
    score = trial.outcome.score if trial.outcome else None
    device = trial.outcome.device if trial.outcome and trial.outcome.device else study.plan.device
    return concrete_document(
        study_name=spec.settings.study,
        study_seed=spec.settings.seed,
        objective=spec.objective,
        trial_config=config,
        trial_seed=trial.seed,
        run={"device": device, **run},
        repeats=spec.settings.search.repeats,
        number=trial.number,
        score=score,
        metrics=trial.outcome.metrics if trial.outcome else None,
        tested=tested,
    )


def table_of(study: Study, trials: Sequence[Trial]) -> Table:
    """The ranked table of ``trials``."""
    space, objective = study.spec.space, study.spec.objective
    return results_table(
        rank(trials, objective),
        objective,
        space.names,
        alike={name: options_alike(options) for name, options in options_of(space).items()},
    )


def publish(study: Study, trials: Sequence[Trial]) -> None:
    """Write what people read: results.csv, ranked, and best.yaml."""
    write_atomically(study.folder.results_path, to_csv(table_of(study, trials)))
    winner = best(trials, study.spec.objective)
    if winner is None:
        return
    try:
        text = document(study, winner)
    except UsageError:  # no file can hold it: possible in a study that an earlier tunecli began
        return
    write_atomically(study.folder.best_path, text)
