"""`tunecli export --optuna FILE`: the study as an Optuna storage, for optuna-dashboard and for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.exporters.optuna import write_storage
from tunecli.registry.implementations import require_package
from tunecli.results.view import View
from tunecli.store.destination import as_argument, require_destination, write_where_asked
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.text import counted


def require_alone(others: Mapping[str, object]) -> None:
    """Refuse options of `export` that choose one trial.

    Args:
        others: their values, by the option; None: it was not given.

    Raises:
        UsageError: one was given.
    """
    for option in [option for option, value in others.items() if value is not None]:
        raise UsageError(f"--optuna does not work with {option}", hint="--optuna writes all trials")


def export_optuna(folder: RunFolder, out_path: Path) -> View:
    """Write the ended trials of a study into a new SQLite file in Optuna's format.

    Args:
        folder: the run folder.
        out_path: the new file.

    Raises:
        NoTrialSucceeded: no trial has ended.
        UsageError: the file exists or cannot be written, or Optuna is not installed.
        DiskFull: the disk is full.
    """
    require_package("`--optuna`", "optuna", "optuna", "")
    require_destination(out_path)
    if out_path.exists() or out_path.is_symlink():
        raise UsageError(
            f"{out_path} exists already", hint="name a new file: an Optuna storage may hold other studies"
        )
    with open_to_read(folder) as study:
        trials = [trial for trial in study.log.trials() if trial.outcome is not None]
        if not trials:
            raise NoTrialSucceeded(
                "no trial of this study has ended yet", hint=f"tunecli status {quote(str(folder.path))}"
            )
        epochs = study.log.epochs_of([trial.number for trial in trials])
        with TemporaryDirectory(prefix="tunecli-") as draft_folder:
            draft_path = Path(draft_folder) / "study.db"
            name = study.spec.settings.study
            copy = write_storage(draft_path, name, study.spec.space, study.spec.objective, trials, epochs)
            place = write_where_asked(out_path, draft_path.read_bytes())
    how = f"optuna-dashboard sqlite:///{as_argument(out_path)}"
    notes = [f"wrote {place}: {counted(copy.n_trials, 'trial')}; `{how}` shows them"]
    if n := copy.n_without_finite_values:
        notes.append(
            f"note: {counted(n, 'complete trial')} without finite values became failed, as Optuna demands"
        )
    data = {
        "out": str(out_path),
        "trials": copy.n_trials,
        "without_finite_values": copy.n_without_finite_values,
    }
    return View("export_optuna", data, messages=tuple(notes))
