"""A model file is checked before it is used: whatever it holds, loading gives a model or one clear error."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from tests.support.jobs import make_job
from tunecli.errors import TunecliError, UsageError
from tunecli.messages import Ended
from tunecli.objective import Objective
from tunecli.train.artifact.layout import ENTRY, bare_weights, header_of
from tunecli.train.artifact.loading import load_model, model_of
from tunecli.train.loop import run

CONFIG: dict[str, Any] = {
    "data": {"source": "iris"},
    "model": {"name": "mlp", "hidden": [4]},
    "training": {"epochs": 1},
}


def written(folder: Path, config: dict[str, Any] = CONFIG, **knobs: Any) -> bytes:
    """The model file of a trial."""
    path = folder / "m.safetensors"
    files = {"weights_path": str(path), "base_path": str(folder)}
    *_, end = run(make_job(0, config, Objective("val_loss", False), device="cpu", **files, **knobs))
    assert isinstance(end, Ended)
    assert end.outcome.failure is None
    return path.read_bytes()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("trial"))


def with_entry(content: bytes, *path: str | int, value: Any) -> bytes:
    """The file with another value in its JSON entry."""
    header = header_of(content)
    entry = json.loads(header.metadata[ENTRY])
    node = entry
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return safetensors.torch.save(safetensors.torch.load(content), {ENTRY: json.dumps(entry)})


def test_the_file_has_one_entry_and_the_weights_alone_are_as_safetensors_writes_them(content: bytes) -> None:
    header = header_of(content)
    assert [*header.metadata] == [ENTRY]
    entry = json.loads(header.metadata[ENTRY])
    assert entry["config"] == CONFIG
    weights = {
        name: tensor
        for name, tensor in safetensors.torch.load(content).items()
        if not name.startswith(entry["arrays"])
    }
    config = json.dumps(CONFIG, sort_keys=True)
    assert bare_weights(content) == safetensors.torch.save(weights, {"config": config})
    assert model_of(content, "m").module.state_dict().keys() == weights.keys()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), 99, "reads up to 1"),
        (("format",), "1", "its format is '1'"),
        (("arrays",), 7, "not a sound model file"),
        (("facts", "n_folds"), 10**5, "does not hold"),
        (("facts", "n_repeats"), 10**5, "cannot hold"),
        (("facts", "rows_per_pass"), -1, "rows_per_pass"),
        (("facts", "threads"), 0, "threads"),
        (("folds", 0, "preparation"), None, "lacks the preparation"),
        (("folds", 0, "schema"), None, "lacks the columns"),
        (("folds", 0, "inputs", "shape"), [10**9], "it prepares 4 inputs, but its model has 1000000000"),
        (("folds", 0, "inputs", "shape"), {}, "not a sound model file"),
        (("folds", 0, "class_names"), ["a"], "it names 1 classes, but has 3 outputs"),
        (("folds", 0, "example_shapes", "y_valid"), [-1], "not a sound model file"),
        (("folds", 0, "example_shapes", "y_valid"), [10**12, 10**12], "not a sound model file"),
        (("folds", 0, "schema", "text"), [{"name": "a", "categories": []}], "columns of text"),
        (("config", "model", "hidden"), [10**9], "its weights do not fit its model"),
        (("config", "model", "hidden"), [5], "has the shape"),
        (("config", "model", "nmae"), "mlp", "not valid here"),
        (("config", "python"), "os:system", "no trial of a network"),
        (("config",), [], "no trial of a network"),
    ],
)
def test_an_unsound_entry_gives_one_error(
    content: bytes, path: tuple[str | int, ...], value: Any, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        model_of(with_entry(content, *path, value=value), "m.safetensors")
    assert message in caught.value.message
    assert "m.safetensors" in caught.value.message


def test_any_damage_gives_a_model_or_one_error(content: bytes) -> None:
    rng = random.Random(0)
    cut = [content[:n] for n in (0, 4, 8, 100, len(content) - 1)]
    flipped = []
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        flipped.append(bytes(damaged))
    lying = (2**63).to_bytes(8, "little") + content[8:]
    rows = np.zeros((2, 4))
    for damaged_file in (*cut, *flipped, lying, b"\xff" * 64, b"[" * 100_000):
        try:
            model_of(damaged_file, "m").predict(rows)
        except TunecliError:
            continue


@pytest.mark.parametrize("name", ["model9", "model-9", "modelx", "model"])
def test_weights_of_a_model_that_the_file_lacks_give_one_error(content: bytes, name: str) -> None:
    tensors = safetensors.torch.load(with_entry(content, "facts", "n_repeats", value=2))
    entry = header_of(with_entry(content, "facts", "n_repeats", value=2)).metadata
    tensors[f"{name}.weight"] = torch.zeros(1)
    with pytest.raises(UsageError, match="m is not a sound model file"):
        model_of(safetensors.torch.save(tensors, entry), "m")


def test_own_code_is_run_only_from_a_folder_that_the_caller_names(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "import pathlib, torch\n"
        "pathlib.Path(__file__).with_name('ran').touch()\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self, input_shape, n_outputs):\n"
        "        super().__init__(input_shape[0], n_outputs)\n"
    )
    content = written(tmp_path, {**CONFIG, "model": {"python": "nets:Net"}})
    (tmp_path / "ran").unlink()
    with pytest.raises(UsageError, match="`nets:Net`, which a model file does not hold"):
        model_of(content, "m")
    assert not (tmp_path / "ran").exists()
    model = load_model(tmp_path / "m.safetensors", code=tmp_path)
    assert model.predict(np.ones((3, 4))).shape == (3,)


def test_folds_and_repeats_are_averaged(tmp_path: Path) -> None:
    config = {**CONFIG, "data": {"source": "iris", "validation": {"folds": 2}}}
    model = model_of(written(tmp_path, config, repeats=2), "m")
    x: NDArray[np.float64] = np.random.default_rng(0).normal(size=(5, 4)) * 3
    parts = [
        torch.softmax(module(inputs).double(), 1)
        for module, inputs in zip(model.module, model.preprocess(x), strict=True)  # type: ignore[arg-type]
    ]
    assert "4 models, of 2 folds and 2 repeats" in model.facts.note
    expected = torch.stack(parts).mean(0).numpy()
    assert np.allclose(model.predict_proba(x), expected, rtol=1e-6)
    assert [model.classes[k] for k in expected.argmax(1)] == model.predict(x).tolist()
