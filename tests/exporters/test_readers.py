"""TensorBoard's and MLflow's own readers find each trial of a study; run by `make test-all`, which installs both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.study.sweeps import Silent
from tunecli.commands.check import load_checked
from tunecli.commands.search import resume, search
from tunecli.store.database import Log

# Both libraries warn about their own use of other packages.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
OWN = """
def train(params, trial):
    for epoch in range(1, 4):
        trial.report(epoch, val_loss=params["x"] / epoch)
    if trial.number == 2:
        raise ValueError("broken")
"""
STUDY = """\
study: read
objective: {metric: val_loss}
trial: {python: 'own_read:train', params: {x: {uniform: [0, 1]}, kind: {choice: [a, b]}}}
search: {sampler: random, trials: 4}
run: {engine: inline, device: cpu, workers: 1, report: off, events: EVENTS}
"""


def run_study(folder: Path, events: str) -> tuple[Path, list[Any], dict[int, Any], list[str]]:
    """Run 4 trials, then 2 more by resume; the run folder, its trials, their epochs, and the lines that were said."""
    (folder / "own_read.py").write_text(OWN)
    (folder / "study.yaml").write_text(STUDY.replace("EVENTS", events))
    run, said = folder / "run", list[str]()
    search(load_checked(folder / "study.yaml", ()), run, Silent(), said.append)
    resume(
        str(run),
        {"n_trials": 6},
        (),
        config_path=None,
        fork_name=None,
        display=Silent(),
        say=said.append,
    )
    with Log.open_to_read(run / "study.db") as log:
        trials = log.trials()
        return run, trials, log.epochs_of([trial.number for trial in trials]), said


def test_tensorboard_reads_the_scalars_and_the_parameters(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    run, trials, epochs, said = run_study(tmp_path, "tensorboard")
    assert not [line for line in said if "run.events" in line]
    for trial in trials:
        reader = EventAccumulator(str(run / "events" / f"trial-{trial.number:05d}"))
        reader.Reload()
        found = [(one.step, one.value) for one in reader.Scalars("val_loss")]
        expected = [(one.epoch, pytest.approx(one.metrics["val_loss"])) for one in epochs[trial.number]]
        assert found == expected
        start = metadata.parse_session_start_info_plugin_data(
            reader.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        )
        assert start.hparams["params.x"].number_value == trial.parameters["params.x"]
        assert start.hparams["params.kind"].string_value == trial.parameters["params.kind"]
        end = metadata.parse_session_end_info_plugin_data(
            reader.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
        )
        assert end.status == (2 if trial.number == 2 else 1)


def test_mlflow_finds_parameters_metrics_tags_and_the_best_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow keeps the artifacts beside
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    _, trials, epochs, said = run_study(tmp_path, f"{{name: mlflow, uri: '{uri}', experiment: mine}}")
    assert not [line for line in said if "run.events" in line]
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert len(runs) == len(trials) + 1
    (parent,) = [one for one in runs if "tunecli.trial" not in one.data.tags]
    files = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert files == {"study.yaml", "best.yaml"}
    by_number = {int(one.data.tags["tunecli.trial"]): one for one in runs if one is not parent}
    for trial in trials:
        copy = by_number[trial.number]
        assert copy.data.params == {name: str(value) for name, value in trial.parameters.items()}
        history = client.get_metric_history(copy.info.run_id, "val_loss")
        assert sorted((one.step, one.value) for one in history) == [
            (one.epoch, one.metrics["val_loss"]) for one in epochs[trial.number]
        ]
        assert copy.info.status == ("FAILED" if trial.number == 2 else "FINISHED")
        assert copy.data.tags["tunecli.state"] == trial.state.value
        assert copy.data.tags["mlflow.parentRunId"] == parent.info.run_id
