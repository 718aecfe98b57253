"""The problems of a trial are found before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunecli.config.metrics import METRICS
from tunecli.config.schema import TrialConfig
from tunecli.objective import Objective
from tunecli.train.data.sources import DataFacts
from tunecli.train.data.table import Inputs
from tunecli.train.validation import trial_problems
from tunecli.train.validation.case import Case
from tunecli.train.validation.settings import DATA_RULES


def parameters(config: dict[str, Any], metric: str = "val_loss", folder: Path = Path()) -> list[str]:
    objective = Objective(metric, METRICS[metric].maximize if metric in METRICS else True)
    found = trial_problems(TrialConfig.model_validate(config), objective, folder)
    return [problem.parameter for problem in found]


@pytest.mark.parametrize(
    "config",
    [
        {"data": {"source": "digits"}},
        {"data": {"source": "diabetes"}, "loss": "huber"},
        {"data": {"source": "digits", "augment": ["flip", "crop", {"cutout": {"size": 8}}]}, "model": "cnn"},
        *(
            {"data": {"source": "digits"}, "model": name}
            for name in ("linear", "mlp", "resnet", "rnn", "gru")
        ),
        *({"data": {"source": source}, "model": "transformer"} for source in ("digits", "iris")),
        *({"data": {"source": "iris"}, "model": name} for name in ("tabular_resnet", "ft_transformer")),
        {"data": {"source": "iris"}, "model": {"python": "mine:Net"}, "training": {"batch_size": 1}},
        {"data": {"source": "digits"}, "model": {"name": "cnn", "init": "dirac"}},
        {"data": {"source": "digits"}, "model": {"name": "gru", "init": "eye"}},
        {
            "data": {"source": "digits"},
            "model": {"name": "resnet", "norm": "group"},
            "training": {"batch_size": 1},
        },
        {"data": {"source": "iris", "augment": ["noise"], "validation": {"folds": 50}, "balance": "sample"}},
        {
            "data": {"source": "iris"},
            "model": {"name": "mlp", "norm": "batch"},
            "training": {"batch_size": 7},
        },
        {
            "data": {"source": "iris"},
            "model": {"name": "mlp", "norm": "layer"},
            "training": {"batch_size": 1},
        },
        {
            "data": {"source": "iris"},
            "learning_rate": [{"cut": {"at": [19], "factor": 0.5}}, {"cut": {"floor": 1e-5}}],
        },
    ],
)
def test_a_sound_trial_has_no_problems(config: dict[str, Any]) -> None:
    assert parameters(config) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"data": {"source": "iris", "target": "y"}}, ["data.target"]),
        ({"data": {"source": "iris", "validation": {"folds": 51}}}, ["data.validation"]),
        ({"data": {"source": "nowhere.csv"}}, ["data.source"]),
        ({"data": {"source": "iris", "validation": {"file": "v.csv"}}}, ["data.validation"]),
        ({"data": {"source": "iris"}, "loss": "mse"}, ["loss"]),
        ({"data": {"source": "diabetes"}, "loss": "focal"}, ["loss"]),
        ({"data": {"source": "iris"}, "model": "cnn"}, ["model"]),
        ({"data": {"source": "iris"}, "model": "resnet"}, ["model"]),
        ({"data": {"source": "iris"}, "model": "lstm"}, ["model"]),
        ({"data": {"source": "iris"}, "model": {"name": "mlp", "embedding": 4}}, ["model.embedding"]),
        ({"data": {"source": "digits"}, "model": "ft_transformer"}, ["model"]),
        ({"data": {"source": "digits"}, "model": {"name": "transformer", "patch": 3}}, ["model.patch"]),
        ({"data": {"source": "digits"}, "model": {"name": "cnn", "init": "eye"}}, ["model.init"]),
        ({"data": {"source": "digits"}, "model": {"name": "mlp", "init": "dirac"}}, ["model.init"]),
        (
            {"data": {"source": "digits"}, "model": "resnet", "training": {"batch_size": 1}},
            ["training.batch_size"],
        ),
        ({"data": {"source": "iris", "augment": ["noise", "flip"]}}, ["data.augment.1"]),
        ({"data": {"source": "digits", "augment": [{"crop": {"pixels": 8}}]}}, ["data.augment.0.pixels"]),
        ({"data": {"source": "digits", "augment": [{"cutout": {"size": 9}}]}}, ["data.augment.0.size"]),
        ({"data": {"source": "diabetes", "balance": "weight"}}, ["data.balance"]),
        (
            {"data": {"source": "iris", "test": {"fraction": 0.99}, "validation": {"folds": 3}}},
            ["data.validation"],
        ),
        (
            {"data": {"source": "iris"}, "optimizer": "lbfgs", "training": {"precision": "bf16"}},
            ["training.precision"],
        ),
        ({"data": {"source": "iris"}, "training": {"channels_last": True}}, ["training.channels_last"]),
        ({"data": {"source": "iris"}, "optimizer": "rprop", "learning_rate": ["cosine"]}, ["learning_rate"]),
        (
            {"data": {"source": "iris"}, "optimizer": "gd", "training": {"accumulate": 2}},
            ["training.accumulate"],
        ),
        (
            {"data": {"source": "iris"}, "training": {"batch_size": "full", "accumulate": 2}},
            ["training.accumulate"],
        ),
        (
            {"data": {"source": "iris"}, "training": {"batch_size": 64, "accumulate": 3}},
            ["training.accumulate"],
        ),
        ({"data": {"source": "iris", "augment": ["mixup", "mask", "mixup"]}}, ["data.augment.2"]),
        ({"data": {"source": "iris", "max_length": 9}}, ["data.max_length"]),
        ({"data": {"source": "iris", "test": {"own": True}}}, ["data.test"]),
        ({"data": {"source": "iris", "test": {"file": "w.csv"}}}, ["data.test"]),
        (
            {"data": {"source": "iris", "test": {"fraction": 0.9}, "validation": {"folds": 6}}},
            ["data.validation"],
        ),
        (
            {
                "data": {"source": "iris"},
                "model": {"name": "mlp", "norm": "batch"},
                "training": {"batch_size": 1},
            },
            ["training.batch_size"],
        ),
        (
            {
                "data": {"source": "iris"},
                "training": {"epochs": 5},
                "learning_rate": ["cosine", {"cut": {"at": [2, 5], "factor": 0.5}}],
            },
            ["learning_rate.1.cut.at"],
        ),
    ],
)
def test_each_problem_names_the_key_at_fault(config: dict[str, Any], expected: list[str]) -> None:
    assert parameters(config) == expected


@pytest.mark.parametrize(
    ("source", "metric"), [("iris", "val_rmse"), ("diabetes", "val_accuracy"), ("iris", "val_acuracy")]
)
def test_a_metric_of_the_other_task_is_refused(source: str, metric: str) -> None:
    assert parameters({"data": {"source": source}}, metric) == ["objective.metric"]


def test_all_problems_are_found_at_once() -> None:
    config = {"data": {"source": "iris", "augment": ["flip"]}, "model": "cnn", "loss": "mse"}
    assert parameters(config, "val_r2") == ["loss", "model", "data.augment.0", "objective.metric"]


def test_batch_norm_needs_more_than_one_training_example(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,0.5\n2,1.5\n")
    config = {"data": {"source": "t.csv", "target": "y"}, "model": {"name": "mlp", "norm": "batch"}}
    assert parameters(config, folder=tmp_path) == ["model.norm"]


@pytest.mark.parametrize(
    ("inputs", "model", "expected"),
    [
        (
            Inputs((4,)),
            "cnn",
            (
                "cnn needs images, but the data has plain features",
                "linear, mlp, tabular_resnet, transformer or ft_transformer",
            ),
        ),
        (
            Inputs((4,)),
            "gru",
            (
                "sequences, images, tokens or texts with columns, but the",
                "linear, mlp, tabular_resnet, transformer or ft_transformer",
            ),
        ),
        (
            Inputs((9,), 5),
            "ft_transformer",
            (
                "ft_transformer needs plain features, but the data has tokens",
                "linear, mlp, tabular_resnet, rnn",
            ),
        ),
        (
            Inputs((12,), 5, text_length=9),
            "resnet",
            ("but the data has texts with columns", "rnn, lstm, gru, tcn or transformer"),
        ),
        (
            Inputs((9, 2)),
            "cnn",
            ("the data has sequences", "linear, mlp, rnn, lstm, gru, tcn or transformer"),
        ),
        (
            Inputs((1, 8, 12)),
            {"name": "transformer", "patch": 3},
            ("a patch of 3 does not divide an image of 8 × 12", "one of 1, 2, 4"),
        ),
    ],
)
def test_a_model_that_cannot_read_the_data_is_refused_with_a_list_of_suitable_models(
    inputs: Inputs, model: Any, expected: tuple[str, str]
) -> None:
    config = TrialConfig.model_validate({"data": {"source": "iris"}, "model": model})
    facts = DataFacts(150, inputs, "classification", 3)
    case = Case(config, facts, 120, 30, Objective("val_loss", False), Path())
    (problem,) = (problem for rule in DATA_RULES for problem in rule(case))
    assert expected[0] in problem.message
    assert expected[1] in problem.hint


def test_tokens_take_no_augmentation_and_sequences_only_those_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,y\nab,0\nb,1\ncc,0\nd,1\n")
    data = {"source": "t.csv", "target": "y", "text": "t", "augment": ["noise", "mixup"]}
    assert parameters({"data": data, "model": "gru"}, folder=tmp_path) == ["data.augment.0", "data.augment.1"]
    np.savez(tmp_path / "t.npz", x=np.ones((9, 5, 6)), y=np.arange(9) % 2)
    data = {"source": "t.npz", "inputs": "sequence", "augment": ["noise", "mask", "crop"]}
    assert parameters({"data": data, "model": "gru"}, folder=tmp_path) == ["data.augment.2"]


def test_codes_of_categories_take_no_mixup(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'uvw'[i % 3]},{i % 2 + 0.5 * i}\n" for i in range(40))
    (tmp_path / "t.csv").write_text(f"a,c,y\n{rows}")
    data: dict[str, Any] = {"source": "t.csv", "target": "y", "categories": "embedding"}
    config = {"data": {**data, "augment": ["noise", "mixup"]}, "loss": "mse"}
    assert parameters(config, folder=tmp_path) == ["data.augment.1"]


def test_user_data_gets_only_the_problems_that_need_no_facts(tmp_path: Path) -> None:
    config = {
        "data": {
            "source": {"python": "mine:make"},
            "augment": ["flip", "mixup", "mixup"],
            "test": {"own": True},
        },
        "model": {"name": "cnn", "init": "eye", "norm": "batch"},
        "loss": "mse",
        "training": {"epochs": 3, "batch_size": 1},
        "learning_rate": [{"cut": {"at": [9], "factor": 0.5}}],
    }
    assert sorted(parameters(config, "val_accuracy", tmp_path)) == [
        "data.augment.2",
        "data.test",
        "learning_rate.0.cut.at",
        "model.init",
        "training.batch_size",
    ]


def test_user_data_takes_no_validation_file(tmp_path: Path) -> None:
    data = {"source": {"python": "mine:make"}, "validation": {"file": "v.csv"}}
    assert parameters({"data": data}, folder=tmp_path) == ["data.validation"]


def test_user_data_without_known_problems_is_accepted(tmp_path: Path) -> None:
    config = {
        "data": {"source": {"python": "mine:make"}},
        "training": {"steps": 9},
        "learning_rate": ["cosine"],
    }
    assert parameters(config, "val_accuracy", tmp_path) == []


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    config = {"data": {"source": "iris"}, "training": {"compile": True}}
    assert parameters(config) == ["training.compile"]


def test_a_test_file_of_other_columns_or_classes_is_refused_before_a_search(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'ab'[n % 2]}\n" for n in range(30))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    (tmp_path / "columns.csv").write_text("z,y\n1,a\n")
    (tmp_path / "classes.csv").write_text("x,y\n1,c\n")
    (tmp_path / "fits.csv").write_text("x,y\n1,a\n")
    for file, expected in (("columns", ["data.test"]), ("classes", ["data.test"]), ("fits", [])):
        data = {"source": "t.csv", "target": "y", "test": {"file": f"{file}.csv"}}
        assert parameters({"data": data}, folder=tmp_path) == expected


@pytest.mark.parametrize(("source", "metric"), [("diabetes", "val_r2"), ("iris", "val_auroc")])
def test_a_metric_that_one_example_does_not_define_is_refused(source: str, metric: str) -> None:
    config = {"data": {"source": source, "validation": {"fraction": 0.001}}}
    assert parameters(config, metric) == ["objective.metric"]


@pytest.mark.parametrize(
    ("validation", "expected"),
    [
        ({"fraction": 0.1}, ["objective.metric"]),  # 10 of 97 and 3: 9.7 and 0.3 round to 10 and 0
        ({"fraction": 0.3}, []),
        ({"folds": 3}, []),
        ({"file": "one.csv"}, ["objective.metric"]),
        ({"file": "both.csv"}, []),
    ],
)
def test_an_auroc_on_a_validation_part_of_one_class_is_refused(
    tmp_path: Path, validation: dict[str, Any], expected: list[str]
) -> None:
    rows = "".join(f"{n},{'b' if n < 3 else 'a'}\n" for n in range(100))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    (tmp_path / "one.csv").write_text("x,y\n1,a\n2,a\n3,a\n")
    (tmp_path / "both.csv").write_text("x,y\n1,a\n2,b\n")
    config = {"data": {"source": "t.csv", "target": "y", "validation": validation}}
    assert parameters(config, "val_auroc", tmp_path) == expected
    assert parameters(config, "val_balanced_accuracy", tmp_path) == []


def test_an_auroc_of_several_classes_needs_two_of_them(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'abc'[min(n, 2)]}\n" for n in range(30))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}{rows}")
    for held, expected in (("aa", ["objective.metric"]), ("ab", []), ("cbc", [])):
        (tmp_path / "v.csv").write_text("x,y\n" + "".join(f"1,{name}\n" for name in held))
        config = {"data": {"source": "t.csv", "target": "y", "validation": {"file": "v.csv"}}}
        assert parameters(config, "val_auroc", tmp_path) == expected


def test_an_r2_on_a_validation_file_of_one_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{n},{n}.5\n" for n in range(30)))
    for targets, expected in (("2.5 2.5 2.5", ["objective.metric"]), ("2.5 3.5", [])):
        (tmp_path / "v.csv").write_text("x,y\n" + "".join(f"1,{each}\n" for each in targets.split()))
        config = {"data": {"source": "t.csv", "target": "y", "validation": {"file": "v.csv"}}}
        assert parameters(config, "val_r2", tmp_path) == expected
