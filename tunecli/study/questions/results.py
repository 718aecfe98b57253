"""The ranked table as a person asks for it: whole or its top, and, where that is asked for, with a model's predictions.

A model costs a second to load and more with every trial, so a plain table never meets one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tunecli.results.prediction import Prediction, Surprise, predicted_columns, surprise, with_predictions
from tunecli.results.ranking import Standing, standing
from tunecli.results.table import Table, top
from tunecli.search.bayes import n_initial
from tunecli.search.forecast import forecasts
from tunecli.search.quasirandom import MAX_DIMENSIONS
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.record.observed import Seen
from tunecli.study.record.opening import look
from tunecli.study.record.published import table_of
from tunecli.trial import Trial


@dataclass(frozen=True)
class Results:
    """A ranked table and what to say of it.

    Attributes:
        table: with its predictions, where there are some.
        standing: how the trials stand where one metric does not tell it.
        notes: what a person should know of it.
        is_predicted: whether predictions were asked for.
        predicted: the names of their two columns; none where there are no predictions.
        best: the trial that is predicted best, and its prediction; None where that is the best by its score too.
        line: the same in words.
    """

    table: Table
    standing: Standing | None
    notes: tuple[str, ...] = ()
    is_predicted: bool = False
    predicted: tuple[str, ...] = ()
    best: tuple[int, Prediction] | None = None
    line: str = ""


def results(folder: RunFolder, *, n_shown: int | None = None, is_predicted: bool = False) -> Results:
    """The ranked table of everything that has ended.

    Args:
        folder: the run folder.
        n_shown: how many rows, from the first on; None: all.
        is_predicted: with what the Gaussian process of `bayes` holds each complete trial's score to be without its
            noise, whatever sampler proposed them.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with look(folder) as study:
        trials, objective = study.log.trials(), study.spec.objective
        notes = tuple(mixtures(study.log, trials))
        table, stands = table_of(study, trials), standing(trials, objective)
        space, seed = study.spec.space, study.spec.settings.seed
    found = Results(table, stands, notes)
    if is_predicted:
        history = Seen(trials, objective).up_to(len(trials))
        predictions = {
            number: Prediction(objective.sign * each.loss, each.deviation)
            for number, each in forecasts(space, history, seed).items()
        }
        if not predictions:
            why_none = (
                f"no predictions: the model needs {n_initial(space)} complete trials, with scores that differ"
            )
            if len(space.parameters) > MAX_DIMENSIONS:
                why_none = f"no predictions: the model takes up to {MAX_DIMENSIONS:,} parameters"
            found = replace(found, notes=(*notes, why_none))
        else:
            found = replace(
                found,
                table=with_predictions(table, objective.metric, predictions),
                predicted=predicted_columns(table.columns),
            )
            surprised = None if stands else surprise(table, predictions, objective.sign)
            if surprised:
                found = replace(
                    found,
                    best=(surprised.predicted_best, predictions[surprised.predicted_best]),
                    line=_said(
                        surprised, predictions[surprised.predicted_best], predictions[surprised.scored_best]
                    ),
                )
        found = replace(found, is_predicted=True)
    return found if n_shown is None else replace(found, table=top(found.table, n_shown))


def mixtures(log: Log, trials: Iterable[Trial]) -> list[str]:
    """What the trials of one table do not have in common though their scores may depend on it: devices and versions.

    Args:
        log: the record.
        trials: all on it.

    Raises:
        StoreDamaged: the database cannot be used.
    """
    ended = [trial.outcome for trial in trials if trial.outcome is not None]
    used = set(log.sessions_of_results().values())
    versions = [session["versions"] for session in log.sessions() if session["id"] in used]
    devices = sorted({outcome.device for outcome in ended if outcome.device})
    found = [f"the trials ran on several devices: {', '.join(devices)}"] if len(devices) > 1 else []
    for package in sorted({name for each in versions for name in each}):
        seen = sorted({each.get(package, "absent") for each in versions})
        if len(seen) > 1:
            found.append(f"the trials ran under several versions of {package}: {', '.join(seen)}")
    return found


def _said(found: Surprise, best: Prediction, scored: Prediction) -> str:
    return (
        f"trial {found.predicted_best} ({_shown(best)}), and not trial {found.scored_best} ({_shown(scored)}), "
        "whose score is the best"
    )


def _shown(prediction: Prediction) -> str:
    return f"{prediction.score:.4g} ± {prediction.uncertainty:.2g}"
