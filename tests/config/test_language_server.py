"""A real `yaml-language-server` completes, explains and checks a file with the schema. Node.js runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.language_server import LanguageServer
from tunecli.commands.starters import starter
from tunecli.config.json_schema import SCHEMA_FILE, json_schema, schema_text
from tunecli.config.metrics import METRICS
from tunecli.config.schema.optimizers import AdamW
from tunecli.registry.samplers import SAMPLERS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
HEAD = "objective: {metric: val_accuracy}\ntrial:\n  data: {source: digits}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    folder = tmp_path_factory.mktemp("editor")
    (folder / SCHEMA_FILE).write_text(schema_text(json_schema()))
    server = LanguageServer(folder, folder / SCHEMA_FILE)
    yield server
    server.close()


def labels(server: LanguageServer, text: str) -> list[str]:
    items = server.completions(text)
    undocumented = [item["label"] for item in items if not item.get("documentation")]
    assert undocumented == []
    return [item["label"] for item in items]


def test_the_top_level_keys_are_completed(server: LanguageServer) -> None:
    assert sorted(labels(server, "|\n")) == ["objective", "run", "search", "seed", "study", "trial"]


def test_the_keys_of_a_named_optimizer_are_completed(server: LanguageServer) -> None:
    offered = labels(server, HEAD + "  optimizer:\n    name: adamw\n    |\n")
    assert sorted(offered) == sorted({*AdamW.model_fields} - {"name"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "  model:\n    name: mlp\n    norm: |\n", {"none", "batch", "layer", "rms"}),
        (HEAD + "search: {sampler: |}\n", {"auto", *SAMPLERS}),
        ("objective: {metric: |}\n", {*METRICS}),
        (HEAD + "  optimizer:\n    lr:\n      uniform: [0, 1]\n      |\n", {"default", "step", "grid", "as"}),
    ],
)
def test_values_are_completed_without_noise(server: LanguageServer, text: str, expected: set[str]) -> None:
    assert {*labels(server, text)} == expected


def test_the_words_of_ranges_are_completed(server: LanguageServer) -> None:
    offered = {*labels(server, HEAD + "  optimizer:\n    lr:\n      |\n")}
    assert {"choice", "uniform", "loguniform", "int", "normal", "ref", "expr"} <= offered
    assert not [label for label in offered if "object" in label]


def test_hover_explains_every_key_of_the_starter_file(server: LanguageServer) -> None:
    text = starter().text.partition("\n")[2]
    for found in re.finditer(
        r"(?m)(?<=[{ ,\n])([a-z_]+)(?=: )", re.sub(r"#.*", lambda m: " " * len(m[0]), text)
    ):
        shown = server.hover(text[: found.start() + 1] + "|" + text[found.start() + 1 :])
        assert len(shown.split()) >= 3, found[1]
        assert not shown.startswith("#"), (found[1], shown)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_no_shipped_file_has_a_problem(server: LanguageServer, path: Path) -> None:
    assert server.problems(path.read_text().partition("\n")[2]) == []


def whole_files() -> list[str]:
    plug_ins = ROOT / "docs" / "extending.md"  # its names are in the schema where the plug-ins are installed
    pages = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {plug_ins})]
    blocks = [block for page in pages for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", page.read_text())]
    return [block for block in blocks if {"objective", "trial"} <= {*re.findall(r"(?m)^(\w+):", block)}]


def test_no_whole_file_of_the_documentation_has_a_problem(server: LanguageServer) -> None:
    files = whole_files()
    assert len(files) >= 5
    assert [(text, found) for text in files if (found := server.problems(text))] == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("  optimizer: {name: sgd, lrr: 1}\n", "lrr"),
        ("  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1], defualt: 1}}\n", "defualt"),
        ("  optimizer:\n    choice: [{name: sgd, lrr: {loguniform: [1e-3, 1]}}]\n", "lrr"),
    ],
)
def test_a_typo_is_marked_in_its_place(server: LanguageServer, line: str, word: str) -> None:
    (problem,) = server.problems(HEAD + line)
    assert word in problem["message"]
    lines = (HEAD + line).splitlines()
    start = problem["range"]["start"]
    assert lines[start["line"] - 1][start["character"] :].startswith(word)
