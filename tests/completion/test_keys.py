"""The words behind `--set`."""

import os
from pathlib import Path

import pytest

from tests.completion.conftest import STUDY
from tunecli.completion.command_line import read_table
from tunecli.completion.keys import leaves, set_words

KEYS = read_table().keys


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY)
    return path


def test_parameters_of_the_file_come_first(config):
    assert set_words("opt", config, KEYS) == ["optimizer=", "optimizer.lr=", "optimizer.momentum="]
    assert set_words("trial.optimizer.l", config, KEYS) == ["trial.optimizer.lr="]


def test_further_keys_follow_where_the_file_has_none(config):
    assert set_words("optimizer.w", config, KEYS) == ["optimizer.weight_decay="]
    assert set_words("training.ep", config, KEYS) == ["training.epochs="]


def test_keys_of_members_that_the_file_does_not_name_are_left_out(config):
    assert set_words("optimizer.r", config, KEYS) == []  # rho is adadelta's
    assert set_words("optimizer.r", None, KEYS) == ["optimizer.rho="]
    assert set_words("metrics_f", config, KEYS) == []  # a command's


def test_keys_of_the_search_and_of_the_run_are_offered_with_those_of_the_file(config):
    assert {"search.trials=", "search.sampler="} <= {*set_words("search.", config, KEYS)}
    assert set_words("run.dev", config, KEYS) == ["run.device=", "run.devices_per_trial="]


def test_many_keys_are_shown_level_by_level(config):
    words = set_words("", config, KEYS)
    assert {"run.", "search.", "optimizer.", "optimizer=", "seed="} <= {*words}
    assert not [word for word in words if word.startswith("run.d")]


def test_fixed_values_follow_the_sign():
    assert {"search.sampler=bayes", "search.sampler=grid"} <= {*set_words("search.sampler=", None, KEYS)}
    assert "trial.optimizer=adamw" in set_words("trial.optimizer=", None, KEYS)
    assert set_words("no.such=", None, KEYS) == []


def test_items_of_lists_and_own_parameters_have_paths(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("trial: {python: 'm:f', params: {width: {int: [1, 2]}, kind: a}}\n")
    assert {"params.width=", "params.kind="} <= {*set_words("params.", path, KEYS)}
    assert set_words("model", path, KEYS) == []
    path.write_text(STUDY)
    assert "learning_rate.0.cosine.to=" in set_words("learning_rate.0", path, KEYS)


@pytest.mark.parametrize("text", ["trial: [", "a: &a [*a]", "x" * 1_100_000, "\x00", "- 1", "5", ""])
def test_a_broken_file_has_no_keys(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert leaves(path) == {}


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert leaves(tmp_path / "pipe.yaml") == {}
    assert leaves(Path("missing.yaml")) == {}
    assert leaves(tmp_path) == {}
