"""The article's knobs, rows 1 to 57: each key exists, can be fixed and searched, acts as its reference, and is a column.

The reference is a training loop by hand in plain torch with the same initial weights and the same order of examples,
which differs from the default only in the row's knob. `tests/train` compares every optimizer, link, loss and rule with
its reference; here each row of the table is tested once, from the file to the results.

Axes: N examples, F features.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as fn

from tests.article.by_hand import (
    BASE,
    EPOCHS,
    ROWS,
    SEED,
    STEPS,
    Hand,
    learner_of,
    merged,
    score_of,
)
from tests.article.rows import ALL, ELSEWHERE, one_of, within
from tunecli.commands.check import load_checked
from tunecli.config.schema import TrialConfig
from tunecli.messages import SweepInfo
from tunecli.seeding import seed_for
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep
from tunecli.train.data.loading import load
from tunecli.train.data.sources import read_source
from tunecli.train.data.splits import split
from tunecli.train.learner import Learner
from tunecli.trial import Trial


def test_every_row_of_the_article_is_walked() -> None:
    assert sorted({*ALL, *ELSEWHERE}) == list(range(1, 58))


@pytest.mark.parametrize("number", sorted(ALL))
def test_a_fixed_value_trains_as_the_loop_by_hand(number: int) -> None:
    row = ALL[number]
    learner, fold = learner_of(row.fixed)
    expected = row.hand.train(learner.weights(), fold)
    for epoch in range(1, EPOCHS + 1):
        learner.train_epoch(epoch)
    plain, _ = learner_of({})
    for epoch in range(1, EPOCHS + 1):
        plain.train_epoch(epoch)
    found = learner.weights()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)
    matters = any(
        tensor.shape != found[name].shape or not torch.equal(tensor, found[name])
        for name, tensor in plain.weights().items()
        if name in found
    )
    assert matters, "the knob changes nothing"


class Silent:
    """A display that shows nothing."""

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None: ...

    def suggested(self, trial: Trial) -> None: ...

    def happened(self, event: object) -> None: ...

    def ended(self) -> None: ...


def table(trial: dict[str, Any], folder: Path, **settings: Any) -> list[dict[str, str]]:
    """The results of a sweep of two trials, as results.csv has them."""
    study = {
        "study": "row",
        "seed": 5,
        "objective": {"metric": "val_loss"},
        "trial": trial,
        "search": {"sampler": "random", "trials": 2, **settings},
        "run": {"device": "cpu", "engine": "inline"},
    }
    path = folder / "row.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    with begin(load_checked(path, ()), folder / "run") as begun:
        sweep(begun, Silent())
    with (folder / "run" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_searched(found: list[dict[str, str]], column: str, is_between: Callable[[str], bool]) -> None:
    assert [row["status"] for row in found] == ["complete", "complete"]
    values = [row[column] for row in found]
    assert all(is_between(text) for text in values), values


@pytest.mark.parametrize("number", sorted(ALL))
def test_a_searched_value_is_a_column_under_its_path(number: int, tmp_path: Path) -> None:
    row = ALL[number]
    trial = merged(BASE, row.searched)
    assert_searched(table(trial, tmp_path), row.column, row.is_between)


def test_row_8_the_training_part_is_subsampled_and_scaled_by_its_own_statistics(tmp_path: Path) -> None:
    config = TrialConfig.model_validate(
        merged(BASE, {"data": {"normalize": "minmax", "train_fraction": 0.5, "balance": "sample"}})
    )
    (fold,) = load(config.data, Path(), 7, torch.device("cpu"))
    source = read_source(config.data, Path())
    (part,) = split(source, config.data, 7)
    x = source.x[part.train_indices]
    expected = (x - x.min(0)) / (x.max(0) - x.min(0))
    assert len(x) == ROWS // 2
    np.testing.assert_allclose(fold.x_train.numpy(), expected, rtol=1e-5)
    searched = {
        "source": {"choice": ["iris", "wine"]},
        "normalize": {"choice": ["standard", "minmax"]},
        "train_fraction": {"uniform": [0.2, 1.0]},
        "augment": {"choice": [[], [{"noise": {"std": {"uniform": [0.01, 0.2]}}}]]},
        "balance": {"choice": ["none", "weight", "sample"]},
    }
    found = table(merged(BASE, {"data": searched}), tmp_path)
    assert_searched(found, "data.train_fraction", within(0.2, 1.0))
    assert_searched(found, "data.source", one_of("iris", "wine"))
    assert_searched(found, "data.normalize", one_of("standard", "minmax"))
    assert_searched(found, "data.balance", one_of("none", "weight", "sample"))


def test_row_9_the_score_of_folds_is_the_mean_of_a_loop_by_hand_per_fold(tmp_path: Path) -> None:
    trial = merged(BASE, {"data": {"validation": {"folds": 3}}, "training": {"batch_size": "full"}})
    config = TrialConfig.model_validate(trial)
    losses = []
    for number, fold in enumerate(load(config.data, Path(), 7, torch.device("cpu"))):
        learner = Learner(config, fold, SEED, (number,))
        model = Hand().model()
        model.load_state_dict(Hand(batch=ROWS).train(learner.weights(), fold))
        with torch.inference_mode():
            losses.append(float(fn.cross_entropy(model(fold.x_valid), fold.y_valid)))
    found = score_of(trial)
    assert found["val_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["val_loss_std"] == pytest.approx(np.std(losses), rel=1e-3)
    ways = {"data": {"validation": {"choice": [{"fraction": 0.3}, {"folds": {"int": [2, 3]}}]}}}
    found_rows = table(merged(BASE, ways), tmp_path)
    assert {row["status"] for row in found_rows} == {"complete"}
    assert any(name.startswith("data.validation") for name in found_rows[0])


def test_row_10_training_lasts_for_epochs_or_steps_and_can_stop_early(tmp_path: Path) -> None:
    learner, fold = learner_of({"training": {"epochs": 5}})
    expected = Hand(epochs=5).train(learner.weights(), fold)
    for epoch in range(1, 6):
        learner.train_epoch(epoch)
    for name, tensor in learner.weights().items():
        torch.testing.assert_close(tensor, expected[name])
    by_steps = {**BASE, "training": {"steps": 5 * STEPS, "batch_size": 40}}
    assert score_of(by_steps) == score_of(merged(BASE, {"training": {"epochs": 5}}))
    searched = {"epochs": {"int": [1, 4]}, "early_stop": {"patience": {"int": [1, 3]}}}
    found = table(merged(BASE, {"training": searched}), tmp_path)
    assert_searched(found, "training.epochs", within(1, 4))
    assert_searched(found, "training.early_stop.patience", within(1, 3))


def test_row_11_the_seed_determines_a_trial_and_the_mean_ranks_its_repeats(tmp_path: Path) -> None:
    seeds = [SEED, *(seed_for(SEED, "repeat", number) for number in (1, 2))]
    apart = [score_of(BASE, seed=seed)["val_loss"] for seed in seeds]
    assert len(set(apart)) == 3
    together = score_of(BASE, repeats=3)
    assert together["val_loss"] == pytest.approx(np.mean(apart))
    assert together["val_loss_std"] == pytest.approx(np.std(apart))
    found = table({**BASE, "seed": {"int": [1, 9]}}, tmp_path, repeats=2)
    assert_searched(found, "seed", within(1, 9))


@pytest.mark.parametrize("name", ["kaiming_normal", "xavier_uniform", "orthogonal"])
def test_row_13_initial_weights_equal_those_of_torch(name: str, tmp_path: Path) -> None:
    learner, _ = learner_of({"model": {"init": name}})
    gain = math.sqrt(2.0)
    rules: dict[str, Callable[[Tensor], Tensor]] = {
        "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "xavier_uniform": lambda w: nn.init.xavier_uniform_(w, gain),
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain),
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(SEED, "init"))
        expected: Iterator[Tensor] = iter([rules[name](torch.empty(6, 4)), rules[name](torch.empty(3, 6))])
    for tensor in (tensor for tensor in learner.weights().values() if tensor.ndim == 2):
        assert torch.equal(tensor, next(expected))
    names = ["default", "kaiming_normal", "xavier_uniform", "orthogonal"]
    found = table(merged(BASE, {"model": {"init": {"choice": names}}}), tmp_path)
    assert_searched(found, "model.init", one_of(*names))


def test_the_order_of_a_chain_matters_in_both_chains() -> None:
    for key, links in {
        "weights": [{"cut": {"by": "magnitude", "fraction": 0.3}}, {"clip": {"norm": 0.5}}],
        "learning_rate": [{"cut": {"at": [1], "factor": 0.5}}, {"clip": {"max": 0.15}}],
    }.items():
        ends = []
        for chain in (links, links[::-1]):
            learner, _ = learner_of({key: chain})
            for epoch in (1, 2):
                learner.train_epoch(epoch)
            ends.append(torch.cat([tensor.flatten() for tensor in learner.weights().values()]))
        assert not torch.equal(*ends), key


def test_a_whole_chain_can_be_searched_links_length_and_parameters(tmp_path: Path) -> None:
    links = [
        {"cut": {"by": "magnitude", "fraction": {"uniform": [0.05, 0.2]}}},
        {"clip": {"norm": {"loguniform": [1.0, 10.0]}}},
    ]
    rates = [{"cut": {"at": [1], "factor": {"uniform": [0.3, 0.9]}}}, {"clip": {"max": 0.1}}, "cosine"]
    trial = {
        **BASE,
        "weights": {"list": {"of": {"choice": links}, "length": {"int": [0, 4]}}},
        "learning_rate": {"list": {"of": {"choice": rates}, "length": {"int": [0, 4]}}},
    }
    found = table(trial, tmp_path, trials=6)
    assert {row["status"] for row in found} == {"complete"}
    assert len({row["weights.length"] for row in found}) > 1
    assert {row["weights.0"] for row in found} <= {"cut", "clip", ""}
