"""The readable form of a confirmation in the run folder: confirmed.csv with each run, confirmed.yaml to train again.

Neither holds a duration, so a confirmation that was interrupted writes the same bytes as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunecli.durable_files import read_regular
from tunecli.errors import UsageError
from tunecli.results.confirmed import Confirmed
from tunecli.results.table import Cell, Table, to_csv
from tunecli.store.files import kind_of, remove, write_atomically
from tunecli.study.record.confirmation import Recorded, confirmed, repeatable_metrics
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.publish import document
from tunecli.text import counted, sanitize
from tunecli.trial import FreshRun, Trial

_LEADING = ("confirmation", "trial", "stage", "repeat", "state")


def publish_confirmed(study: Study, recorded: Recorded, trials: Sequence[Trial]) -> None:
    """Write both files of a complete confirmation, where they differ from those that are there.

    Without a trial to quote, the confirmed.yaml of an earlier confirmation is removed.
    """
    for path, text in _texts(study, recorded, trials).items():
        if _is_published(path, text):
            continue
        if text is None:
            remove(path)
        else:
            write_atomically(path, text)


def are_published(study: Study, recorded: Recorded, trials: Sequence[Trial]) -> bool:
    """Whether both files are as `publish_confirmed` leaves them."""
    return all(_is_published(path, text) for path, text in _texts(study, recorded, trials).items())


def _is_published(path: Path, text: str | None) -> bool:
    if text is None:
        return not kind_of(path)
    try:
        return read_regular(path) == text.encode()
    except OSError:  # it is missing, or no file of tunecli
        return False


def _texts(study: Study, recorded: Recorded, trials: Sequence[Trial]) -> dict[Path, str | None]:
    """The content of each file by its path; None: there is no confirmed trial, so no confirmed.yaml."""
    return {
        study.folder.confirmed_path: to_csv(runs_table(study, recorded)),
        study.folder.confirmed_best_path: confirmed_document(
            study, confirmed(study, recorded, trials), trials
        ),
    }


def runs_table(study: Study, recorded: Recorded) -> Table:
    """A row for each run that has ended: first the race by candidate, then the further runs."""
    metric = study.spec.objective.metric
    order = {number: place for place, number in enumerate(recorded.confirmation.candidates)}
    runs = sorted(
        (run for run in recorded.runs if run.outcome is not None),
        key=lambda run: (run.stage.value != "race", order[run.number], run.repeat),
    )
    names = sorted(
        {name for run in runs if run.outcome for name in repeatable_metrics(run.outcome)} - {metric}
    )
    columns = (*_LEADING, metric, *names, "epochs", "seed", "split_seed", "device", "failure")
    return Table(columns, tuple(_row(run, names) for run in runs), len(_LEADING))


def _row(run: FreshRun, names: Sequence[str]) -> tuple[Cell, ...]:
    end = run.outcome
    assert end is not None
    failure = "" if end.failure is None else sanitize(f"{end.failure.kind.value}: {end.failure.cause}")
    return (
        *(run.confirmation, run.number, run.stage.value, run.repeat, end.state.value),
        end.score,
        *(end.metrics.get(name) for name in names),
        *(end.epochs, run.seed, run.split_seed, end.device, failure),
    )


def confirmed_document(study: Study, value: Confirmed, trials: Sequence[Trial]) -> str | None:
    """The quoted trial as a complete file that can be run; its first lines say the confirmed score.

    Returns:
        None: there is no score to quote, or the file would contain a folder name that is not UTF-8.
    """
    if value.quote is None:
        return None
    trial = next(trial for trial in trials if trial.number == value.quote.number)
    try:
        text = document(study, trial)
    except UsageError:
        return None
    lines = [f"# {line}" for line in quoted_lines(study.spec.objective.metric, value)]
    return "\n".join([*lines, text])


def quoted_lines(metric: str, value: Confirmed) -> list[str]:
    """The confirmed score and test metrics as comments."""
    quote = value.quote
    if quote is None:
        return []
    n = counted(len(quote.scores), "fresh run")
    lines = []
    if quote.score is not None:
        lines.append(f"confirmed: {metric} {quote.score} (95 %), from {n} after the choice")
    for name, interval in quote.tested.items():
        lines.append(f"test: {name} {interval} (95 %)")
    return [sanitize(line) for line in lines]
