"""Sizes, classes and problems of a split are known before training, and equal those of the split itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.data import Data
from tunecli.objective import Objective
from tunecli.train.data.sources import facts_of, read_source
from tunecli.train.data.split_facts import split_facts
from tunecli.train.data.splits import split
from tunecli.train.data.summary import n_test_of, summary_of
from tunecli.train.validation import trial_problems
from tunecli.train.validation.notes import trial_notes
from tunecli.train.workload import sizes_of_parts


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    generator = np.random.default_rng(0)
    n = 90
    group = generator.integers(0, 17, n)
    split_column = np.where(np.arange(n) < 50, "train", np.where(np.arange(n) < 75, "validation", "test"))
    arrays = {"x": generator.normal(size=(n, 3)), "time": np.arange(n), "group": group, "split": split_column}
    if "column" in str(request.node.name):
        del arrays["group"]  # its groups would have rows in two parts
    np.savez(tmp_path / "classes.npz", y=generator.integers(0, 3, n).astype(str), **arrays)
    np.savez(tmp_path / "numbers.npz", y=generator.normal(size=n), **arrays)
    np.savez(tmp_path / "plain.npz", x=arrays["x"], y=generator.normal(size=n))
    return tmp_path


def data(source: str = "classes.npz", **knobs: object) -> Data:
    return Data.model_validate({"source": source, **knobs})


@pytest.mark.parametrize("source", ["classes.npz", "numbers.npz"])
@pytest.mark.parametrize(
    "knobs",
    [
        {"validation": {"fraction": 0.25, "by": "group"}, "test": {"fraction": 0.1, "by": "group"}},
        {"validation": {"folds": 4, "by": "group", "repeats": 2}, "train_fraction": 0.6},
        {
            "validation": {"folds": 4, "by": "time", "gap": 3},
            "test": {"fraction": 0.2, "by": "time", "gap": 2},
        },
        {"validation": {"fraction": 0.25, "by": "time"}, "train_fraction": 0.4},
        {"validation": {"by": "column"}, "test": {"by": "column"}},
        {"validation": {"by": "column"}},
        {"validation": {"folds": 3, "repeats": 2}, "test": {"fraction": 0.2}},
        {"validation": {"fraction": 0.2, "stratify": "none"}},
    ],
    ids=str,
)
def test_the_sizes_and_classes_that_are_predicted_are_those_of_the_split(
    folder: Path, source: str, knobs: dict[str, object]
) -> None:
    knob = data(source, **knobs)
    facts = facts_of(knob, folder)
    assert facts is not None
    seed = 11
    table = read_source(knob, folder)
    parts = split(table, knob, seed)
    sizes = sizes_of_parts(knob, facts, folder, seed)
    assert sizes == tuple((len(part.train_indices), len(part.valid_indices)) for part in parts)
    assert n_test_of(knob, facts, folder, seed) == len(parts[0].test_indices)
    found = split_facts(knob, facts, folder, seed)
    if table.task == "classification":
        assert found.classes == tuple(frozenset(table.y[part.valid_indices].tolist()) for part in parts)
    (*_, last) = split(table, knob.model_copy(update={"train_fraction": 1.0}), seed)
    n_used = sum(map(len, (last.train_indices, last.valid_indices, last.test_indices)))
    assert found.n_left_out == facts.n_examples - n_used
    summary = summary_of(knob, folder, seed)
    assert (summary.parts, summary.n_left_out) == (sizes, found.n_left_out)


def test_quantiles_of_a_number_are_shared_out_evenly(folder: Path) -> None:
    knob = data("numbers.npz", validation={"fraction": 0.2, "stratify": "quantiles"})
    table = read_source(knob, folder)
    (part,) = split(table, knob, 3)
    ranks = np.argsort(np.argsort(table.y))
    assert np.ptp(np.bincount(ranks[part.valid_indices] // 9, minlength=10)) <= 1
    auto = split(table, data("numbers.npz"), 3)[0]
    assert {*auto.valid_indices} != {*part.valid_indices}


def problems(folder: Path, source: str, **knobs: object) -> list[tuple[str, str, str]]:
    config = TrialConfig.model_validate({"data": {"source": source, **knobs}, "model": "linear"})
    return [*map(tuple, trial_problems(config, Objective("val_loss", False), folder, 1))]


def test_a_check_reports_all_problems_of_a_split(folder: Path) -> None:
    knobs = {"validation": {"folds": 3, "by": "group"}, "test": {"fraction": 0.2, "by": "time"}}
    assert problems(folder, "plain.npz", **knobs) == [
        (
            "data.validation.by",
            "`by: group` needs the group of each row",
            "add an array `group` to plain.npz",
        ),
        ("data.test.by", "`by: time` needs the time of each row", "add an array `time` to plain.npz"),
    ]
    ((parameter, message, _),) = problems(folder, "classes.npz", validation={"folds": 40, "by": "group"})
    assert (parameter, message) == ("data.validation", "40 folds are more than the 16 groups in the data")
    ((_, _, hint),) = problems(folder, "iris", validation={"folds": 3, "by": "group"})
    assert hint == "use another source, or split by `row`"


def test_a_class_without_a_validation_example_is_noted(folder: Path) -> None:
    y = np.where(np.arange(90) < 60, np.arange(90) % 2, 0)
    np.savez(folder / "early.npz", x=np.random.default_rng(0).normal(size=(90, 2)), y=y, time=np.arange(90))
    config = TrialConfig.model_validate(
        {"data": {"source": "early.npz", "validation": {"fraction": 0.2, "by": "time"}}, "model": "linear"}
    )
    notes = [note.text for note in trial_notes(config, Objective("val_loss", False), folder)]
    assert "the validation part has no example of the class '1'" in notes


@pytest.mark.parametrize(
    "knobs",
    [
        {"validation": {"fraction": 0.2}, "test": {"fraction": 0.1}},
        {"validation": {"folds": 5, "repeats": 2}, "train_fraction": 0.5},
        {"validation": {"fraction": 0.3, "stratify": "none"}},
    ],
)
def test_facts_of_labels_are_those_of_the_split(folder: Path, knobs: dict[str, object]) -> None:
    y = np.random.default_rng(0).random((90, 4)) < [0.5, 0.3, 0.1, 0.02]
    np.savez(folder / "labels.npz", x=np.zeros((90, 2)), y=y.astype(int))
    knob = data("labels.npz", **knobs)
    facts = facts_of(knob, folder)
    assert facts is not None and facts.task == "multilabel"
    parts, found = split(read_source(knob, folder), knob, 5), split_facts(knob, facts, folder, 5)
    assert found.sizes == tuple((len(part.train_indices), len(part.valid_indices)) for part in parts)
    has = [frozenset(np.flatnonzero(y[part.valid_indices].any(axis=0)).tolist()) for part in parts]
    assert found.classes == tuple(has)


def test_a_label_without_an_example_in_a_part_is_noted(folder: Path) -> None:
    y = np.zeros((90, 2), dtype=int)
    y[::2, 0] = y[:5, 1] = 1
    arrays = {"x": np.zeros((90, 2)), "y": y, "time": np.arange(90)}
    np.savez(folder / "early.npz", **arrays)
    np.savez(folder / "late.npz", **(arrays | {"y": y[::-1]}))
    for source, part in (("early.npz", "validation"), ("late.npz", "training")):
        knobs = {"source": source, "validation": {"fraction": 0.2, "by": "time"}}
        config = TrialConfig.model_validate({"data": knobs, "model": "linear"})
        notes = [note.text for note in trial_notes(config, Objective("val_loss", False), folder)]
        assert [note for note in notes if "label" in note] == [
            f"the {part} part has no example of the label 'y1'"
        ]


def test_the_users_function_gives_groups_and_times(folder: Path) -> None:
    code = "import numpy as np\ndef make():\n    return {'x': np.ones((6, 2)), 'y': np.arange(6) / 2, 'groups': list('aabbcc'),"
    (folder / "mine_parts.py").write_text(
        f"{code} 'time': np.arange(6).astype('datetime64[D]'), 'split': ['train'] * 6}}\n"
    )
    table = read_source(Data.model_validate({"source": {"python": "mine_parts:make"}}), folder)
    assert table.roles.group is not None and table.roles.time is not None and table.roles.part is not None
    assert table.roles.group.tolist() == [*"aabbcc"]
    assert table.roles.time.tolist() == [day * 86_400.0 for day in range(6)]
    knob = Data.model_validate(
        {"source": {"python": "mine_parts:make"}, "validation": {"folds": 3, "by": "group"}}
    )
    assert [len(part.valid_indices) for part in split(table, knob, 1)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        (
            {"validation": {"fraction": 0.2}},
            ["one group may be", "later rows may train", "rows marked `test`"],
        ),
        ({"validation": {"folds": 2, "by": "group"}, "test": {"by": "column"}}, ["later rows may train"]),
        ({"validation": {"file": "valid.csv"}}, ["rows marked `test`"]),
        (
            {"validation": {"folds": 2, "by": "group"}, "test": {"fraction": 0.2}},
            ["later rows may train", "write `test: {by: group}`", "rows marked `test`"],
        ),
    ],
)
def test_columns_that_are_named_and_do_not_split_the_data_are_noted(
    tmp_path: Path, knobs: dict[str, object], words: list[str]
) -> None:
    lines = [
        f"p{n % 6 if n <= 30 else 9},{n},{'test' if n > 30 else 'train'},{n % 4},{n % 3 > 0}\n"
        for n in range(36)
    ]
    (tmp_path / "visits.csv").write_text("".join(["patient,day,part,a,y\n", *lines]))
    lines = [line.replace("p", "q", 1) for line in lines]
    (tmp_path / "valid.csv").write_text("".join(["patient,day,part,a,y\n", *lines]))
    columns = {"group": "patient", "time": "day", "split": "part"}
    source = {"source": "visits.csv", "target": "y", "columns": columns}
    config = TrialConfig.model_validate({"data": {**source, **knobs}, "model": "linear"})
    notes = [note.text for note in trial_notes(config, Objective("val_loss", False), tmp_path)]
    found = [note for note in notes if "data.columns" in note or "test part" in note]
    assert len(found) == len(words)
    assert all(word in note for word, note in zip(words, found, strict=True))
