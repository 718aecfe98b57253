"""Configurations as a path, a dict and a text: each reads as the same study, and each mistake is named by its place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tunecli
from tunecli.config.concrete_trial import concrete
from tunecli.config.yaml_writer import yaml_text

CONFIG: dict[str, Any] = {
    "study": "small",
    "objective": {"metric": "val_accuracy"},
    "trial": {
        "data": {"source": "iris"},
        "model": {"name": "linear"},
        "optimizer": {"name": "sgd", "lr": 0.1},
    },
}
OWN = "def loss(params, trial):\n    return params['x']\n\nclass Net:\n    @staticmethod\n    def made(params, trial):\n        return 1.0\n"


@pytest.fixture(autouse=True)
def _in_an_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module with the user's functions from a folder."""

    def imported(folder: str, name: str = "own_code_of_a_test") -> ModuleType:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_text(OWN)
        monkeypatch.syspath_prepend(tmp_path / folder)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return imported


def own_study(code: Any, **run: Any) -> dict[str, Any]:
    return {
        "study": "own",
        "objective": {"metric": "loss", "direction": "minimize"},
        "trial": {"python": code, "params": {"x": {"uniform": [0, 1]}}},
        **({"run": run} if run else {}),
    }


def problems_of(config: Any, **options: Any) -> list[tunecli.Problem]:
    with pytest.raises(tunecli.ConfigError) as caught:
        tunecli.load(config, **options)
    return list(caught.value.problems)


def test_a_path_a_dict_and_a_text_are_the_same_study() -> None:
    text = yaml_text(CONFIG)
    Path("study.yaml").write_text(text)
    specs = [tunecli.load(one) for one in ("study.yaml", Path("study.yaml"), CONFIG, text)]
    assert {spec.settings.model_dump_json() for spec in specs} == {specs[0].settings.model_dump_json()}
    assert {spec.text for spec in specs} == {text}
    assert [concrete(spec.space, {}) for spec in specs] == [concrete(specs[0].space, {})] * 4


def test_a_name_of_no_file_is_a_file_that_is_missing() -> None:
    (problem,) = problems_of("stduy.yaml")
    assert (problem.file, problem.message) == ("stduy.yaml", "file not found")
    (problem,) = problems_of(Path("a: b"))
    assert (problem.file, problem.message) == ("a: b", "file not found")


def test_a_problem_of_a_text_has_its_line_and_one_of_a_dict_its_path() -> None:
    wrong = {**CONFIG, "trial": {**CONFIG["trial"], "model": {"name": "linaer"}}}
    (problem,) = problems_of(yaml_text(wrong))
    assert (problem.file, problem.line) == ("config", 8)
    (problem,) = problems_of(wrong)
    assert (problem.file, problem.line, problem.parameter) == ("config", 0, "trial.model")
    assert "linear" in problem.hint


def test_a_misspelt_key_of_a_dict_has_its_path() -> None:
    (problem,) = problems_of({**CONFIG, "search": {"trails": 3}})
    assert (problem.line, problem.parameter) == (0, "search.trails")
    (problem,) = problems_of({**CONFIG, "serach": {}})
    assert (problem.line, problem.parameter) == (0, "serach")


def test_values_of_numpy_paths_and_tuples_become_those_of_a_file() -> None:
    config = {
        **CONFIG,
        "seed": np.int64(3),
        "trial": {
            "data": {"source": "iris", "train_fraction": np.float32(0.5)},
            "model": {"name": "mlp", "hidden": (8, np.int32(4))},
            "optimizer": {"name": "sgd", "lr": {"choice": np.array([0.1, 0.01])}},
        },
    }
    spec = tunecli.load(config)
    assert spec.settings.seed == 3
    assert concrete(spec.space, {"optimizer.lr": 0.01})["model"]["hidden"] == [8, 4]
    assert "choice: [0.1, 0.01]" in spec.text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "a set is no value"),
        (1j, "a complex is no value"),
        (len, "a builtin_function_or_method is no value"),
    ],
    ids=["set", "complex", "function"],
)
def test_a_value_that_no_file_holds_is_named_by_its_path(value: Any, message: str) -> None:
    wrong = {**CONFIG, "trial": {**CONFIG["trial"], "loss": [{"name": value}]}}
    (problem,) = problems_of(wrong)
    assert (problem.file, problem.parameter) == ("config", "trial.loss.0.name")
    assert message in problem.message


def test_a_dict_that_contains_itself_and_a_key_that_is_no_text_are_problems() -> None:
    endless: dict[str, Any] = {}
    endless["model"] = endless
    problems = problems_of({**CONFIG, "trial": endless, "search": {3: 4}})
    assert [problem.message for problem in problems] == [
        "more than 100 levels, or a map that contains itself",
        "the key 3 is no text",
    ]


def test_overrides_are_a_map_or_texts() -> None:
    of_map = tunecli.load(
        CONFIG, overrides={"search.trials": 7, "optimizer.lr": {"uniform": [0.1, np.float64(0.2)]}}
    )
    of_texts = tunecli.load(CONFIG, overrides=["search.trials=7", "optimizer.lr={uniform: [0.1, 0.2]}"])
    assert of_map.settings.search.trials == of_texts.settings.search.trials == 7
    assert of_map.space.parameters == of_texts.space.parameters
    assert tunecli.load(CONFIG, overrides={"study": "7"}).settings.study == "7"
    with pytest.raises(tunecli.UsageError, match="overrides is a str"):
        tunecli.load(CONFIG, overrides="search.trials=7")
    with pytest.raises(tunecli.UsageError, match=r"overrides: expected path=value, got `search\.trials`"):
        tunecli.load(CONFIG, overrides=["search.trials"])
    (problem,) = problems_of(CONFIG, overrides={"optimizer.lr": {1, 2}})
    assert problem.file == "overrides['optimizer.lr']"


def test_a_problem_of_an_override_names_the_override_and_not_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(tunecli.load(CONFIG).text)
    for config in (CONFIG, file):
        (problem,) = problems_of(config, overrides=["search.pruner=none_such"])
        assert str(problem).startswith("overrides['search.pruner']: search.pruner: unknown name `none_such`")
    with pytest.raises(tunecli.ConfigError) as refused:
        tunecli.search(CONFIG, overrides={"search.sampler": "none_such"}, trials=0, progress=False)
    assert [problem.file for problem in refused.value.problems] == ["overrides['search.sampler']", "trials"]


def test_a_function_of_a_module_is_written_by_its_name(own_module: Callable[..., ModuleType]) -> None:
    here, elsewhere = own_module("."), own_module("code", "further_code_of_a_test")
    spec = tunecli.load(own_study(here.loss))
    assert concrete(spec.space, {"params.x": 0.5})["python"] == "own_code_of_a_test:loss"
    assert spec.settings.run.folder is None
    spec = tunecli.load(own_study(elsewhere.loss))
    assert spec.settings.run.folder == str(Path("code").resolve())
    assert "further_code_of_a_test:Net.made" in tunecli.load(own_study(elsewhere.Net.made)).text
    (problem,) = problems_of(own_study({"choice": [here.loss, elsewhere.loss]}))
    assert "keep the code of one study in one folder" in problem.hint


def test_a_run_folder_must_hold_the_module_of_a_function(own_module: Callable[..., ModuleType]) -> None:
    code = own_module("code")
    here = str(Path("code").resolve())
    assert tunecli.load(own_study(code.loss, folder=here)).settings.run.folder == here
    Path("other").mkdir()
    (problem,) = problems_of(own_study(code.loss, folder=str(Path("other").resolve())))
    assert problem.parameter == "run.folder"
    Path("other/own_code_of_a_test.py").write_text("def loss(params, trial): return {'loss': 1.0}\n")
    (problem,) = problems_of(own_study(code.loss, folder=str(Path("other").resolve())))
    assert problem.parameter == "run.folder"


def test_data_beside_the_script_is_found_although_a_class_is_in_another_folder(
    own_module: Callable[..., ModuleType], tmp_path: Path
) -> None:
    own_module("code")
    (tmp_path / "code" / "own_code_of_a_test.py").write_text(
        "import torch\n\nclass Net(torch.nn.Linear):\n"
        "    def __init__(self, input_shape, n_outputs):\n        super().__init__(input_shape[0], n_outputs)\n"
    )
    sys.modules.pop("own_code_of_a_test")
    net = importlib.import_module("own_code_of_a_test").Net
    Path("rows.csv").write_text("a,b,y\n" + "".join(f"{n},{n * n % 7},{n % 2}\n" for n in range(40)))
    trial = {"data": {"source": {"choice": ["rows.csv"]}, "target": "y"}, "model": {"python": net}}
    spec = tunecli.load({**CONFIG, "trial": trial})
    assert str(tmp_path.resolve() / "rows.csv") in spec.text


def test_code_that_no_worker_can_import_is_a_problem_with_the_way_out(
    own_module: Callable[..., ModuleType],
) -> None:
    code = own_module(".")

    def inner(params: Any, trial: Any) -> float:
        return 0.0

    code.other = code.loss
    code.loss = code.Net.made
    for function, message, hint in (
        (lambda params, trial: 0.0, "a lambda has no name", "%%writefile train.py"),
        (inner, "is defined inside a function", "at the top level"),
        (code.other, "is not this object", "under its own name"),
        (code.Net(), "not an object of Net", "`args`"),
    ):
        (problem,) = problems_of(own_study(function))
        assert (problem.file, problem.parameter) == ("config", "trial.python")
        assert message in problem.message
        assert hint in problem.hint


def test_a_function_of_a_notebook_is_a_problem_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = ModuleType("__main__")  # as in a kernel: a module without a file
    exec("def cell(params, trial):\n    return 0.0", notebook.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    (problem,) = problems_of(own_study(notebook.cell))
    assert problem.message == "`cell` is in no file that a worker can import"
    assert "%%writefile train.py" in problem.hint


def test_a_configuration_of_another_type_is_refused() -> None:
    with pytest.raises(tunecli.UsageError, match="not bytes"):
        tunecli.load(b"study: x\n")  # type: ignore[arg-type]  # the test gives a wrong type on purpose
