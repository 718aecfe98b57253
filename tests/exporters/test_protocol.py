"""An exporter never stops a sweep: its first error ends it, is said once, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.sweeps import Silent
from tunecli.commands.check import check, load_checked
from tunecli.commands.search import search
from tunecli.errors import ConfigError, UsageError
from tunecli.exporters.protocol import GuardedDisplay
from tunecli.messages import Started
from tunecli.registry import exporters
from tunecli.registry.packages import install_command

STUDY = """\
study: events
objective: {metric: val_loss}
trial: {python: 'own_exported:train', params: {x: {uniform: [0, 1]}}}
search: {sampler: random, trials: 3}
run: {engine: inline, device: cpu, workers: 1, report: off, events: EVENTS}
"""


class Recorder:
    """A display that notes its calls, and raises from one of them on."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls: list[str] = []
        self.error = error

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self.error is not None and name == "happened":
            raise self.error

    def began(self, heading: object, trials: object) -> None:
        self._note("began")

    def suggested(self, trial: object) -> None:
        self._note("suggested")

    def happened(self, event: object) -> None:
        self._note("happened")

    def ended(self) -> None:
        self._note("ended")


def test_an_exporter_that_raises_is_left_out_and_the_others_go_on() -> None:
    broken, whole, shown = Recorder(RuntimeError("no store")), Recorder(), Recorder()
    said: list[str] = []
    both = GuardedDisplay(shown, {"broken": broken, "whole": whole}, said.append)
    for number in range(2):
        both.happened(Started(number, 1, "cpu", 1))
    both.ended()
    both.close()
    assert broken.calls == ["happened"]
    assert whole.calls == shown.calls == ["happened", "happened", "ended"]
    (line,) = said
    assert "run.events: broken" in line
    assert "RuntimeError: no store" in line


def test_a_closed_terminal_does_not_end_the_exporters() -> None:
    shown, whole = Recorder(BrokenPipeError()), Recorder()
    both = GuardedDisplay(shown, {"whole": whole}, lambda _: None)
    both.happened(Started(0, 1, "cpu", 1))
    both.happened(Started(1, 1, "cpu", 1))
    assert (len(shown.calls), len(whole.calls)) == (1, 2)


def study_with(events: str, folder: Path) -> Path:
    (folder / "own_exported.py").write_text(
        "def train(params, trial):\n    return {'val_loss': params['x']}\n"
    )
    path = folder / "study.yaml"
    path.write_text(STUDY.replace("EVENTS", events))
    return path


def test_a_folder_that_cannot_be_written_costs_a_note_and_no_trial(tmp_path: Path) -> None:
    path = study_with("tensorboard", tmp_path)
    said: list[str] = []

    class InTheWay(Silent):
        def began(self, heading: object, trials: object) -> None:
            (tmp_path / "run" / "events").write_text("a file in the place of the folder")

    ending = search(load_checked(path, ()), tmp_path / "run", InTheWay(), said.append)
    assert ending.n_scored == 3
    assert len([line for line in said if "run.events: tensorboard" in line]) == 1


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("tensorbord", "tensorboard"),
        ("[tensorboard, tensorboard]", "names one tool twice"),
        ("{name: tensorboard, uri: x}", "no settings"),
        ("{name: mlflow, url: x}", "url"),
        ("7", "must be `tensorboard`"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_right(events: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_checked(study_with(events, tmp_path), ())
    assert message in str(caught.value.problems[0])


@pytest.mark.parametrize("events", ["off", "tensorboard", "[tensorboard]", "{name: tensorboard}"])
def test_each_way_to_name_a_tool_is_read(events: str, tmp_path: Path) -> None:
    names = load_checked(study_with(events, tmp_path), ()).settings.run.event_names
    assert names == (() if events == "off" else ("tensorboard",))


def test_a_tool_that_is_not_installed_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = exporters.ExporterInfo("tensorboard", "x:y", package="a_package_that_is_absent", extra="mlflow")
    monkeypatch.setattr(exporters, "EXPORTERS", {"tensorboard": absent})
    with pytest.raises(UsageError, match="a_package_that_is_absent") as caught:
        check(load_checked(study_with("tensorboard", tmp_path), ()))
    assert install_command("mlflow", "mlflow") in (caught.value.hint or "")
