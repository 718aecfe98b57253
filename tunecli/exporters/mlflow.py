"""`run.events: mlflow`: a run of MLflow for each trial, below one run for the study.

MLflow's own settings (``MLFLOW_TRACKING_URI`` and the like) hold unless the file names a ``uri``. Metrics are sent at
the end of a trial, and every few seconds while it runs. The runs carry the study's identity as a tag, so a resumed
sweep finds them again and adds what is missing. The study's run gets the best trial's file as an artifact.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunecli.exporters.protocol import ExportedStudy
from tunecli.messages import Ended, EpochEnded, Event, Paused, Started, SweepInfo
from tunecli.trial import FailedAttempt, Outcome, State, Trial

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

_TAG = "tunecli."
_PARENT_TAG = "mlflow.parentRunId"
_LONGEST_TAG = 500  # MLflow's own limit is 5,000 or more
_LONGEST_PARAMETER = 500  # of every store
_MOST_METRICS = 1000  # of one request
_MOST_PARAMETERS = 100
_FLUSH_S = 5.0
_STATUS = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAILED: "FAILED"}


class MlflowRuns:
    """Writes the runs of a study; see `Display` for the methods."""

    def __init__(self, study: ExportedStudy, uri: str | None = None, experiment: str | None = None) -> None:
        """Connect to the tracking store.

        Args:
            study: the study.
            uri: the tracking store; None: MLflow's own setting.
            experiment: the name of the experiment; None: the study's.

        Raises:
            mlflow.exceptions.MlflowException: the store cannot be used.
        """
        from mlflow.tracking import MlflowClient

        self._study = study
        self._client: MlflowClient = MlflowClient(tracking_uri=uri)
        name = experiment or study.name
        existing = self._client.get_experiment_by_name(name)
        self._experiment_id = existing.experiment_id if existing else self._client.create_experiment(name)
        self._parent_id = ""
        self._run_ids: dict[int, str] = {}
        self._trials: dict[int, Trial] = {}
        self._waiting: dict[int, list[EpochEnded]] = {}
        self._flushed_at: dict[int, float] = {}

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        """Find the runs of this study, make those that are missing, and complete those that a kill left open."""
        self._trials = {trial.number: trial for trial in trials}
        ended: set[int] = set()
        for run in self._runs():
            number = run.data.tags.get(f"{_TAG}trial")
            if number is None:
                self._parent_id = run.info.run_id
                continue
            self._run_ids[int(number)] = run.info.run_id
            if run.data.tags.get(f"{_TAG}state") == _state_text(self._trials.get(int(number))):
                ended.add(int(number))
        if self._parent_id:
            self._client.update_run(self._parent_id, status="RUNNING")
        else:
            goals = ", ".join(
                f"{goal.metric} ({'maximize' if goal.maximize else 'minimize'})"
                for goal in heading.objective.goals
            )
            tags = {f"{_TAG}objective": goals, f"{_TAG}path": str(self._study.path), **self._facts()}
            self._parent_id = self._create(self._study.name, tags)
            self._client.log_text(self._parent_id, self._study.config, "study.yaml")
        missing = [trial for trial in trials if trial.outcome is not None and trial.number not in ended]
        epochs = self._study.epochs_of([trial.number for trial in missing])
        for trial in missing:
            assert trial.outcome is not None
            self._finish(trial.number, trial.outcome, epochs[trial.number])

    def suggested(self, trial: Trial) -> None:
        self._trials[trial.number] = trial

    def noticed(self, notices: Sequence[str]) -> None:
        """Notices are not exported."""

    def happened(self, event: Event | FailedAttempt) -> None:
        number = event.number
        if isinstance(event, Started):
            self._run_id(number)
            self._flushed_at[number] = time.monotonic()
            self._waiting[number] = []
        elif isinstance(event, EpochEnded):
            self._waiting.setdefault(number, []).append(event)
            if time.monotonic() - self._flushed_at.get(number, 0.0) > _FLUSH_S:
                self._flush(number)
        elif isinstance(event, Ended | Paused):
            self._finish(number, event.outcome, self._waiting.pop(number, []))

    def ended(self) -> None:
        """End the study's run, with the best trial's file if there is one."""
        if not self._parent_id:
            return
        if self._study.best_path.is_file():
            self._client.log_artifact(self._parent_id, str(self._study.best_path))
        self._client.set_terminated(self._parent_id, "FINISHED")

    def _runs(self) -> list[Any]:
        from mlflow.entities import ViewType

        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id],
                f"tags.`{_TAG}study` = '{self._study.identity()}'",
                ViewType.ACTIVE_ONLY,
                max_results=1000,
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _facts(self) -> dict[str, str]:
        return {f"{_TAG}{name}": str(value)[:_LONGEST_TAG] for name, value in self._study.facts.items()}

    def _create(self, name: str, tags: dict[str, str]) -> str:
        run = self._client.create_run(
            self._experiment_id, tags={f"{_TAG}study": self._study.identity(), **tags}, run_name=name
        )
        return str(run.info.run_id)

    def _run_id(self, number: int) -> str:
        """The run of a trial, made with its parameters at the first call."""
        if number not in self._run_ids:
            from mlflow.entities import Param

            trial = self._trials[number]
            tags = {f"{_TAG}trial": str(number), f"{_TAG}seed": str(trial.seed), _PARENT_TAG: self._parent_id}
            self._run_ids[number] = self._create(f"trial {number}", tags)
            parameters = [
                Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in trial.parameters.items()
            ]
            for first in range(0, len(parameters), _MOST_PARAMETERS):
                part = parameters[first : first + _MOST_PARAMETERS]
                self._client.log_batch(self._run_ids[number], params=part)
        return self._run_ids[number]

    def _flush(self, number: int) -> None:
        epochs, self._waiting[number] = self._waiting.get(number, []), []
        self._log(number, epochs)
        self._flushed_at[number] = time.monotonic()

    def _log(self, number: int, epochs: Sequence[EpochEnded]) -> None:
        metrics = [metric for epoch in epochs for metric in _metrics(epoch)]
        for first in range(0, len(metrics), _MOST_METRICS):
            part = metrics[first : first + _MOST_METRICS]
            self._client.log_batch(self._run_id(number), metrics=part)

    def _finish(self, number: int, outcome: Outcome, epochs: Sequence[EpochEnded]) -> None:
        """Send the rest of a trial, and end its run."""
        from mlflow.entities import RunTag

        run_id = self._run_id(number)
        self._log(number, epochs)
        texts = {
            "state": outcome.state.shown.value,
            "kept_epoch": str(outcome.kept_epoch),
            "device": outcome.device,
            "failure": outcome.failure.cause if outcome.failure else "",
            "score": "" if outcome.score is None else repr(outcome.score),
        }
        tags = [RunTag(f"{_TAG}{name}", text[:_LONGEST_TAG]) for name, text in texts.items() if text]
        self._client.log_batch(run_id, tags=tags)
        self._client.set_terminated(run_id, _STATUS.get(outcome.state.shown, "FINISHED"))


def _state_text(trial: Trial | None) -> str:
    return "" if trial is None or trial.outcome is None else trial.outcome.state.shown.value


def _metrics(epoch: EpochEnded) -> list[Metric]:
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    return [Metric(_key(name), value, now_ms, epoch.epoch) for name, value in epoch.metrics.items()]


def _key(name: str) -> str:
    """The name with the characters that MLflow allows: letters, digits and ``_-. :/``; others become ``_``."""
    kept = "".join(one if one.isalnum() or one in "_-. :/" else "_" for one in name)
    return kept.strip("/.") or "_"
