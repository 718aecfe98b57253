"""A recorded study as a Python object: each property reads the record, and nothing stays open between two reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from os import PathLike, fspath
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tunecli.api.rows import Rows
from tunecli.commands.export import export
from tunecli.commands.status import shown_counts
from tunecli.commands.trial_model import model_file_of, require_model
from tunecli.config.reader import plain_of, read
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.ranking import best
from tunecli.results.table import to_records
from tunecli.store.folder import RunFolder
from tunecli.store.lock import holder
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study as OpenStudy
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.record.phase import Phase, phase_of
from tunecli.study.record.publish import published_table
from tunecli.study.refitting import recorded_refit
from tunecli.trial import Trial

if TYPE_CHECKING:
    from pandas import DataFrame

    from tunecli.study.sweep import Ending
    from tunecli.train.artifact.model import TrainedModel

_Snapshot = tuple[tuple[Trial, ...], Trial | None]

_SHOWN = 10
_SETTLED_S = 0.1  # the clock of a file system is this coarse: two commits can have the same time


class Study:
    """A study on disk, from `open_study`, `search` or `resume`.

    Each property and method reads the record when it is used, so it shows the study as it is now, also while another
    process runs it. Each one sees all trials at one moment. Nothing stays open or locked in between. The list of
    trials is read again only if the record has changed.

    Attributes:
        ending: how the sweep ended that this process ran: `reason`, `baseline`, `refit`, `page`. None: this object
            comes from `open_study`.

    Examples:
        >>> study = tunecli.open_study("runs/digits")  # doctest: +SKIP
        >>> study.best.outcome.score  # doctest: +SKIP
    """

    def __init__(self, path: str | PathLike[str], ending: Ending | None = None) -> None:
        """Open the study in the run folder ``path``; see `open_study`."""
        self._folder = RunFolder.open_existing(Path(path).absolute())
        self.ending = ending
        self._read: tuple[tuple[int, ...], _Snapshot] | None = None
        with self._opened() as study:
            self._name = study.spec.settings.study

    @property
    def name(self) -> str:
        """The study's name."""
        return self._name

    @property
    def path(self) -> Path:
        """The run folder, absolute."""
        return self._folder.path

    @property
    def status(self) -> Phase:
        """``running``, ``finished``, or ``interrupted``: trials are left to run, and no process runs them."""
        held_by = holder(self._folder.path)
        with self._opened() as study:
            return phase_of(study.log, facts_of(study.log), shown_counts(study), is_held=held_by is not None)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, by number, those that run or wait included."""
        return self._snapshot()[0]

    @property
    def best(self) -> Trial | None:
        """The trial of rank 1; None: no trial has a score."""
        return self._snapshot()[1]

    def results(self) -> Rows:
        """The trials that have ended, the best first, with the columns of ``results.csv``.

        The columns are rank, trial, status, the metric, the parameters, epochs, seconds, seed, device and failure. A
        parameter that a trial does not have is None.
        """
        with self._opened() as study:
            table = published_table(study, study.log.trials())
        return Rows.of_records(table.columns, to_records(table))

    def to_pandas(self) -> DataFrame:
        """`results` as a data frame of pandas.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.results().to_pandas()

    def epochs(self, number: int | None = None) -> Rows:
        """The epochs of a trial in order: ``epoch``, each metric by its name, and ``seconds``.

        A metric that was not reported at an epoch is None.

        Args:
            number: the trial; None: the best one.

        Raises:
            UsageError: there is no such trial.
            NoTrialSucceeded: ``number`` is None, and no trial has a score.
        """
        with self._opened() as study:
            events = study.log.epochs(self._trial_of(study, number).number)
        names = dict.fromkeys(name for event in events for name in event.metrics)
        return Rows(
            ("epoch", *names, "seconds"),
            ((one.epoch, *map(one.metrics.get, names), one.seconds) for one in events),
        )

    def config(self, number: int | None = None) -> dict[str, Any]:
        """The complete configuration of a trial, as `tunecli export` writes it; `search` takes it.

        Args:
            number: the trial; None: the best one.

        Raises:
            UsageError: there is no such trial.
            NoTrialSucceeded: ``number`` is None, and no trial has a score.
        """
        text = export(self._folder, number, None).text
        config: dict[str, Any] = plain_of(read(text.encode(), "config"))
        return config

    def load_model(
        self, number: int | None = None, *, refit: bool = False, device: str | None = None
    ) -> TrainedModel:
        """The trained model of a trial, with the weights that gave its score.

        A trial whose weights were not kept is trained again, to the recorded score.

        Args:
            number: the trial; None: the best one.
            refit: take the model of all rows that `search.refit` wrote, as `tunecli predict RUN` does. It has no
                validation score, and only the best trial has one.
            device: where it computes: ``auto``, ``cpu``, ``cuda:1``, …; None: where it was trained, or on the CPU if
                this machine has no such device.

        Returns:
            The model: its ``module`` is the network, and its ``predict`` takes new rows.

        Raises:
            UsageError: there is no such trial, or it has no model of tunecli, or no refit.
            NoTrialSucceeded: ``number`` is None, and no trial has a score.
        """
        from tunecli.train.artifact.loading import model_of

        with self._opened() as study:
            trial = self._trial_of(study, number)
            content = _refit_of(study, trial) if refit else model_file_of(study, trial)
            code = study.spec.base_path
        name = f"trial {trial.number}, trained on all rows" if refit else f"trial {trial.number}"
        return model_of(content, name, device=device, code=code)

    def checkpoint_dir(self, number: int | None = None) -> Path:
        """The folder for the files that a trial of your own code wrote: `trial.checkpoint_dir` in the function.

        The folder exists only if the trial had a use for it.

        Args:
            number: the trial; None: the best one.

        Raises:
            UsageError: there is no such trial.
            NoTrialSucceeded: ``number`` is None, and no trial has a score.
        """
        with self._opened() as study:
            return self._folder.checkpoint_dir(self._trial_of(study, number).number)

    def __repr__(self) -> str:
        return f"<Study {self._name}: {self._summary()}>"

    def _repr_html_(self) -> str:
        """The state and the first rows of the table; each text is escaped."""
        heading = f"<p><b>{escape(self._name)}</b>: {escape(self._summary())}</p>"
        return heading + self.results()[:_SHOWN]._repr_html_()

    def _summary(self) -> str:
        trials, winner = self._snapshot()
        n_trials = len(trials)
        parts = [self.status, f"{n_trials:,} trials" if n_trials != 1 else "1 trial"]
        if winner is not None and winner.outcome is not None:
            parts.append(f"best {winner.outcome.score} (trial {winner.number})")
        return ", ".join([*parts, str(self.path)])

    @contextmanager
    def _opened(self) -> Iterator[OpenStudy]:
        with open_to_read(self._folder) as study:
            yield study

    def _snapshot(self) -> _Snapshot:
        """All trials and the best one. Reading 10,000 trials takes 0.3 s, so an unchanged record is not read again."""
        seen = self._record_state()
        if self._read is not None and seen is not None and self._read[0] == seen:
            return self._read[1]
        with self._opened() as study:
            trials = tuple(study.log.trials())
            snapshot = trials, best(trials, study.spec.objective)
        self._read = None if seen is None else (seen, snapshot)
        return snapshot

    def _trial_of(self, study: OpenStudy, number: int | None) -> Trial:
        if number is not None:
            return study.log.trial(number)
        winner = best(study.log.trials(), study.spec.objective)
        if winner is None:
            hint = f"tunecli status {quote(str(self.path))}"
            raise NoTrialSucceeded("no trial of this study has a score yet", hint=hint)
        return winner

    def _record_state(self) -> tuple[int, ...] | None:
        """What changes with each commit to the record; None: it changed a moment ago, or is missing."""
        try:
            facts = self._folder.database_path.stat()
        except OSError:
            return None
        is_settled = time.time_ns() - facts.st_mtime_ns > _SETTLED_S * 1e9
        return (facts.st_ino, facts.st_size, facts.st_mtime_ns) if is_settled else None


def _refit_of(study: OpenStudy, trial: Trial) -> bytes:
    """The model file of the trial that was trained on all rows at the end of the sweep.

    Raises:
        UsageError: there is none.
    """
    require_model(study, trial)
    recorded = recorded_refit(study, trial)
    if recorded is None:
        run = quote(str(study.folder.path))
        raise UsageError(
            f"trial {trial.number} has no model of all rows",
            hint=f"tunecli export {run} --trial {trial.number} --model FILE --refit, then tunecli.load_model",
        )
    return recorded.content


def open_study(run: str | PathLike[str]) -> Study:
    """Open a recorded study to read it; another process may run it.

    Args:
        run: the run folder, or the study's name under ``runs/``.

    Raises:
        UsageError: there is no such study.
        StoreDamaged, StoreTooNew: its database cannot be used.

    Examples:
        >>> study = tunecli.open_study("runs/digits")  # doctest: +SKIP
        >>> study.to_pandas()  # doctest: +SKIP
    """
    return Study(folder_of(run).path)


def folder_of(run: str | PathLike[str]) -> RunFolder:
    """The run folder that a caller names; a path object is never the name of a study.

    Raises:
        UsageError: there is no such study.
    """
    return RunFolder.find(run) if isinstance(run, str) else RunFolder.open_existing(Path(fspath(run)))
