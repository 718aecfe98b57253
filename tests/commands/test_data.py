"""The summary of the data by `check`, `search` and `train`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tunecli.commands.check import check, check_view, load_checked
from tunecli.commands.search import opening_lines
from tunecli.errors import ConfigError

ROWS = 80
LINEAR = "model: linear, optimizer: {name: adamw, lr: 0.1}, training: {epochs: 50}"


@pytest.fixture
def shops(tmp_path):
    """A CSV with numbers, a text column, gaps, and a target of texts."""
    r = np.random.default_rng(0)
    x, z = r.normal(size=ROWS).round(3), r.uniform(size=ROWS).round(3)
    shop = r.choice(["north", "south"], ROWS)
    y = np.where(x + z + r.normal(size=ROWS) > 0.5, "yes", "no")
    lines = ["x,z,shop,y"]
    lines += [
        f"{a},{'' if i < 3 else b},{'' if i == 5 else c},{d}"
        for i, (a, b, c, d) in enumerate(zip(x, z, shop, y, strict=True))
    ]
    (tmp_path / "shops.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def checked(folder: Path, trial: str, rest: str = "objective: {metric: val_loss}"):
    path = folder / "study.yaml"
    path.write_text(f"{rest}\ntrial: {{{trial}}}\n")
    return check(load_checked(path, ()))


def test_check_shows_task_classes_inputs_parts_and_missing_values(shops):
    data = "data: {source: shops.csv, target: y, test: {fraction: 0.25}, validation: {fraction: 0.2}}"
    answer = check_view(checked(shops, f"{data}, {LINEAR}"))
    lines = dict(answer.lines)
    assert lines["data"] == "shops.csv, 80 examples: 48 train, 12 validate (a fraction of 0.2), 20 test"
    counts = {name: (shops / "shops.csv").read_text().count(f",{name}\n") for name in ("no", "yes")}
    told = ", ".join(f"'{name}' {n}" for name, n in counts.items())
    assert (
        lines["target"] == f"'y', classification, 2 classes: {told} (inferred: the target's values are text)"
    )
    assert lines["inputs"] == "2 numbers; 1 text column one-hot, by categories: 'shop' 2; 4 values in all"
    assert lines["missing"] == "'z' 3 (the training part's median); 'shop' 1 (no category: all zeros)"
    (found,) = answer.data["data"]
    assert found["classes"] == [{"name": name, "n_examples": n} for name, n in counts.items()]
    assert found["parts"] == [{"n_train": 48, "n_valid": 12}]
    assert (found["task"], found["n_test"], found["oddities"]) == ("classification", 20, [])
    assert json.loads(json.dumps(answer.data)) == answer.data
    assert not any("one-hot" in note for note in answer.notes)


def test_folds_a_validation_file_and_excluded_columns_are_shown(shops):
    folded = checked(shops, f"data: {{source: shops.csv, target: y, validation: {{folds: 3}}}}, {LINEAR}")
    assert dict(check_view(folded).lines)["data"].endswith("53 to 54 train, 26 to 27 validate (3 folds)")
    data = "data: {source: shops.csv, target: y, text: shop, validation: {file: shops.csv}}, model: gru"
    lines = dict(check_view(checked(shops, data)).lines)
    assert lines["data"].endswith("80 train, 80 validate (shops.csv)")
    assert lines["inputs"] == "the characters of 'shop', at most 5 of them, 9 different tokens"
    assert lines["texts"] == (
        "0 of 80 texts cut after 5 tokens; 1 without a token; 0.00% of the validation tokens unknown"
    )
    assert lines["left out"] == "columns 'x', 'z'"
    worded = checked(shops, data.replace("text: shop", "text: shop, tokens: words"))
    inputs = dict(check_view(worded).lines)["inputs"]
    assert inputs == "the words of 'shop', at most 1 of them, 4 different tokens"


def test_windows_of_a_series_and_texts_with_columns_are_shown(shops):
    series = "series: {window: 5, horizon: 2}, validation: {by: time, fraction: 0.25}"
    lines = dict(
        check_view(checked(shops, f"data: {{source: shops.csv, target: x, {series}}}, {LINEAR}")).lines
    )
    assert lines["data"].endswith(
        "74 examples: 48 train, 20 validate (a fraction of 0.25 by time), 6 in no part"
    )
    x = np.array([float(line.split(",")[0]) for line in (shops / "shops.csv").read_text().split()[1:]])
    rmse = np.sqrt(np.mean((x[60:] - x[58:-2]) ** 2))
    assert lines["series"] == (
        "80 rows of one series; 74 windows of 5 rows, whose target is 2 rows later; "
        f"6 windows between the parts left out; repeating the last value has val_rmse {rmse:.4g}"
    )
    assert lines["inputs"].startswith("5 rows of 6 values: 2 numbers; 2 text columns one-hot")
    text = "text: shop, text_with_columns: true, tokens: words"
    lines = dict(
        check_view(checked(shops, f"data: {{source: shops.csv, target: y, {text}}}, {LINEAR}")).lines
    )
    assert lines["inputs"] == "2 numbers; the words of 'shop', at most 1 of them, 4 different tokens"


def test_the_reason_for_the_task_is_shown(shops):
    why = {
        "{source: shops.csv, target: y}": "inferred: the target's values are text",
        "{source: shops.csv, target: y, task: classification}": "`data.task: classification`",
        "{source: shops.csv, target: x}": "inferred: the target's values are numbers, not all of them whole",
        "{name: moons}": "known for this data set",
        "iris": "known for this data set",
    }
    for source, expected in why.items():
        data = source if "target" in source else f"{{source: {source}}}"
        assert expected in dict(check_view(checked(shops, f"data: {data}, {LINEAR}")).lines)["target"]


def test_the_first_of_many_classes_are_shown_with_the_number_of_others(tmp_path):
    (tmp_path / "many.csv").write_text(
        "x,y\n" + "".join(f"{i % 7}.5,class {i % 40:02d}\n" for i in range(400))
    )
    target = dict(check_view(checked(tmp_path, f"data: {{source: many.csv, target: y}}, {LINEAR}")).lines)[
        "target"
    ]
    assert "40 classes: 'class 00' 10, 'class 01' 10" in target
    assert "and 34 more" in target


def test_check_does_not_run_the_users_data_function(tmp_path):
    (tmp_path / "mine.py").write_text("def make():\n    raise SystemExit\n")
    found = checked(
        tmp_path, f"data: {{source: {{python: 'mine:make'}}, validation: {{folds: 2}}}}, {LINEAR}"
    )
    lines = dict(check_view(found).lines)
    assert lines["data"] == "mine:make: your own function, which runs when trials start; validated by 2 folds"
    assert "target" not in lines
    assert check_view(found).data["data"][0]["is_read"] is False


def test_each_data_set_of_the_space_is_shown(shops):
    found = checked(shops, f"data: {{source: {{choice: [iris, wine]}}}}, {LINEAR}")
    lines = dict(check_view(found).lines)
    assert lines["data 1"].startswith("iris, 150 examples")
    assert lines["data 2"].startswith("wine, 178 examples")


def test_a_search_begins_with_few_lines_for_data_with_many_oddities(shops):
    table = (shops / "shops.csv").read_text().splitlines()
    odd = [f"id,{','.join(f'one{n}' for n in range(9))},{table[0]}"]
    odd += [f"{i},{'5,' * 9}{line}" for i, line in enumerate(table[1:])]
    (shops / "shops.csv").write_text("\n".join(odd) + "\n")
    found = checked(shops, f"data: {{source: shops.csv, target: y}}, {LINEAR}")
    lines = opening_lines(found)
    of_data = lines[: len(lines) - len(found.notes)]
    assert [line.partition(":")[0] for line in of_data] == [
        "data",
        "target",
        "inputs",
        "missing",
        *["note"] * 4,
        "sampler",
    ]
    assert of_data[-2] == "note: 7 more notes on the data: `tunecli check`"
    assert sum("one value" in note for note in check_view(found).notes) == 9


def test_search_and_train_summarize_the_data_on_stderr(shops, tunecli):
    checked(shops, "data: {source: shops.csv, target: y}, model: linear, training: {epochs: 1}")
    for verb in ("search", "train"):
        done = tunecli(verb, "study.yaml", "--json")
        assert json.loads(done.stdout)["kind"] == verb
        assert done.stderr.startswith("data: shops.csv, 80 examples: 64 train, 16 validate")


def test_no_summary_contains_the_value_of_an_environment_variable(shops, monkeypatch):
    monkeypatch.setenv("WHERE_IT_IS", "shops.csv")
    found = checked(shops, f"data: {{source: '${{env:WHERE_IT_IS}}', target: y}}, {LINEAR}")
    answer = check_view(found)
    assert dict(answer.lines)["data"].startswith("${env:WHERE_IT_IS}, 80")
    assert "shops.csv" not in json.dumps(answer.data)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("word {i}", "name another target"),
    ],
)
@pytest.mark.parametrize("validation", ["{fraction: 0.2}", "{folds: 3}"])
def test_too_few_examples_of_a_non_class_target_are_explained_by_the_target(
    tmp_path, written, expected, validation
):
    rows = "".join(f'{i % 7},"{written.format(i=i)}"\n' for i in range(20))
    (tmp_path / "few.csv").write_text(f"x,y\n{rows}")
    with pytest.raises(ConfigError) as caught:
        checked(tmp_path, f"data: {{source: few.csv, target: y, validation: {validation}}}, {LINEAR}")
    (problem,) = caught.value.problems
    assert re.search(expected, f"{problem.message} {problem.hint}")
    assert "add data" not in str(problem)


def test_several_targets_are_shown_each_in_quotes(tmp_path):
    rows = [f"{n % 7},{n}.5,{n % 9}.25" for n in range(60)]
    (tmp_path / "rents.csv").write_text("\n".join(["x,price,rent", *rows]))
    answer = check_view(checked(tmp_path, f"data: {{source: rents.csv, target: [price, rent]}}, {LINEAR}"))
    assert dict(answer.lines)["target"].startswith("'price', 'rent', regression, 2 targets")
    assert answer.data["data"][0]["target"] == "price, rent"
