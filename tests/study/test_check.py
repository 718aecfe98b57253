"""What `check` says of a sound file before anything is spent."""

from pathlib import Path

import pytest

from tunecli.study.answers import of_check
from tunecli.study.check import Check, check, load_checked


@pytest.fixture
def checked(tmp_path):
    def found(trial: str, rest: str = "") -> Check:
        path: Path = tmp_path / "study.yaml"
        path.write_text(f"objective: {{metric: val_loss}}\ntrial: {trial}\n{rest}\n")
        return check(load_checked(path, ()))

    return found


@pytest.mark.parametrize(
    ("trial", "keys"),
    [
        ("{data: {choice: [{source: iris}, {source: wine}]}}", ["data.source"]),
        (
            "{data: {choice: [{source: iris, validation: {fraction: 0.2}}, {source: iris, validation: {folds: 3}}]}}",
            ["data.validation"],
        ),
        ("{choice: [{data: {source: iris}}, {data: {source: wine}}]}", ["data.source"]),
        ("{data: {source: {choice: [iris, wine]}}}", ["data.source"]),
        ("{data: {choice: [{source: iris}, {source: iris, normalize: minmax}]}}", []),
    ],
)
def test_trials_that_are_scored_on_different_data_are_noted_however_the_file_spells_it(checked, trial, keys):
    said = [note for note in checked(trial).notes if "not of the same data" in note]
    assert said == [f"{key} differs between trials, so their scores are not of the same data" for key in keys]


@pytest.mark.parametrize(
    "model", ["{python: 'torch.nn:Linear'}", "{choice: [mlp, {python: 'torch.nn:Linear'}]}"]
)
def test_of_a_model_of_one_s_own_the_steps_alone_are_known(checked, model):
    found = checked(f"{{data: {{source: iris}}, model: {model}, training: {{batch_size: full}}}}")
    answer = of_check(found)
    assert dict(answer.lines)["a trial"] == "20 steps; your own model: its weights and their cost are unknown"
    assert dict(answer.lines)["the sweep"] == "unknown"
    assert answer.data["smallest_trial"] == {"n_parameters": None, "n_steps": 20, "n_multiply_adds": None}
