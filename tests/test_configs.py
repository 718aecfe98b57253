"""Every example file is valid, and each real sweep reaches a known score."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.examples import WITH_IMAGES, with_images
from tests.support.torchvision_models import narrow_torchvision
from tunecli.commands.check import check, load_checked
from tunecli.config.schema.data import Data
from tunecli.train.data.sources import read_source
from tunecli.train.data.splits import split

__all__ = ["narrow_torchvision"]

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def searched(name: str, folder: Path) -> list[dict]:
    path = next(path for path in CONFIGS if path.stem == name)
    command = [sys.executable, "-m", "tunecli", "search", str(path), "--out", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["trials"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("narrow_torchvision")
def test_an_example_is_sound_and_can_be_checked(path, tmp_path):
    path = with_images(path.stem, tmp_path) if path.stem in WITH_IMAGES else path
    assert check(load_checked(path, ())).plan.n_trials >= 1


@pytest.mark.slow
def test_digits_reaches_97_percent(tmp_path):
    assert searched("digits", tmp_path / "run")[0]["val_accuracy"] >= 0.97


@pytest.mark.slow
def test_the_convolutional_net_reaches_95_percent(tmp_path):
    assert searched("digits_cnn", tmp_path / "run")[0]["val_accuracy"] >= 0.95


@pytest.mark.slow
def test_diabetes_beats_ridge_regression_on_the_same_split(tmp_path):
    from sklearn.linear_model import RidgeCV

    data = Data.model_validate({"source": "diabetes", "validation": {"fraction": 0.25}})
    table = read_source(data, Path())
    (part,) = split(table, data, study_seed=7)
    x, y = table.x / table.x[part.train_indices].std(axis=0), table.y
    ridge = RidgeCV(alphas=np.logspace(-3, 3, 61)).fit(x[part.train_indices], y[part.train_indices])
    residuals = ridge.predict(x[part.valid_indices]) - y[part.valid_indices]
    assert searched("diabetes", tmp_path / "run")[0]["val_rmse"] < np.sqrt(np.mean(residuals**2))


@pytest.mark.slow
def test_every_point_of_the_grid_is_scored_over_five_folds(tmp_path):
    trials = searched("breast_cancer_grid", tmp_path / "run")
    assert len(trials) == 18
    assert trials[0]["val_auroc"] > 0.99


@pytest.mark.slow
def test_the_table_of_rents_is_predicted_within_a_tenth(tmp_path):
    assert searched("csv", tmp_path / "run")[0]["val_mae"] < 75  # the mean rent is 1,047


@pytest.mark.slow
def test_both_chains_are_searched_around_a_convolutional_net(tmp_path):
    trials = searched("digits_chains", tmp_path / "run")
    assert trials[0]["val_accuracy"] >= 0.97
    assert {trial["learning_rate.1"] for trial in trials} >= {"cosine", "cut"}
    assert {trial["weights.length"] for trial in trials} >= {0, 3}
    assert all(trial["status"] == "complete" for trial in trials)


@pytest.mark.slow
def test_a_transformer_reads_a_table_feature_by_feature(tmp_path):
    assert searched("wine_transformer", tmp_path / "run")[0]["val_loss"] < 0.15


@pytest.mark.slow
def test_a_recurrent_net_learns_the_language_of_a_word_from_its_characters(tmp_path):
    assert searched("words_lstm", tmp_path / "run")[0]["val_accuracy"] > 0.75  # a third by chance


@pytest.mark.slow
def test_a_table_with_gaps_is_learned_and_its_test_part_opened_at_the_end_only(tmp_path):
    trials = searched("machines", tmp_path / "run")
    assert trials[0]["val_auroc"] > 0.87
    assert not any(name.startswith("test_") for trial in trials for name in trial)
    command = [sys.executable, "-m", "tunecli", "export", str(tmp_path / "run"), "--test", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"]["test_auroc"] > 0.7


def test_a_user_program_is_tuned(tmp_path):
    assert searched("own_command", tmp_path / "run")[0]["height"] < 0.1


@pytest.mark.slow
def test_a_user_function_is_tuned(tmp_path):
    assert searched("own_function", tmp_path / "run")[0]["val_loss"] < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "arguments", "said"),
    [
        ("confidence", "--studies 20", "20 studies a cell"),
        ("defaults", "--sets iris --models linear --splits 1 --part scores", "iris"),
        ("fused", "--only mlp64 --widths 2 --runs 1", "as one"),
        ("goals", "--methods bayes --seeds 1 --budget 6", "bayes"),
        ("loop", "--runs 1", "chains / loop"),
        ("next_config", "--worlds bowl --studies 1 --pairs 1 --trials 20", "mean gain / noise"),
        ("overhead", "--trials 3 --runs 1", "median wall / training"),
        ("page", "--trials 20 --repeats 1", "first paint"),
        ("peers", "--works mlp64 --trials 2 --runs 1 --methods tunecli", "mlp64: 2 trials"),
        ("predict", "--rows 200 --columns 12", "processor"),
        ("real", "--methods random --problems iris-mlp --seeds 1 --marks 3", "3 trials"),
        ("real", "--trainings 2 --methods curves --problems iris-mlp --seeds 1", "2 trainings"),
        ("recording", "--trials 4 --runs 1", "fuse: auto"),
        ("scale", "--trials 50 --runs 1", "50"),
        ("spaces", "--methods bayes --problems branins --seeds 1 --budget 6", "branins"),
        ("suggestions", "--trials 20 --parameters 3 --runs 1", "MB"),
        ("turnover", "--trials 10 --runs 1", "trials/s"),
        ("wide", "--columns 200 --rows 20", "200 columns"),
    ],
)
def test_a_benchmark_runs(benchmark, arguments, said):
    command = [sys.executable, "-m", f"tests.benchmarks.{benchmark}", *arguments.split()]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
