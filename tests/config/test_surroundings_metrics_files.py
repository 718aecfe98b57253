"""Files of metrics in a study's file: a wrong entry is refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.commands.check import load_checked
from tunecli.errors import ConfigError

STUDY = """\
objective: {{metric: acc}}
trial: {{command: [cat, "{{lr}}"], params: {{lr: {lr}}}, metrics_from: {source}}}
run: {run}
"""
FUNCTION = """\
objective: {metric: acc}
trial: {python: "own:train", params: {lr: {uniform: [0, 1]}}, metrics_from: SOURCE, every: step}
run: {cwd: trial}
"""


def load(folder: Path, source: str, run: str = "{cwd: trial}", lr: str = "{uniform: [0, 1]}") -> None:
    (folder / "study.yaml").write_text(STUDY.format(source=source, run=run, lr=lr))
    load_checked(folder / "study.yaml", ())


@pytest.mark.parametrize(
    "source",
    ["both", "{csv: m.csv}", "[stdout, {tensorboard: runs}]", "{json: 'out/{lr}.json'}", "{csv: 'version_*/m.csv'}"],
)  # fmt: skip
def test_a_source_of_metrics_is_accepted(tmp_path: Path, source: str) -> None:
    load(tmp_path, source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{csv: 'm-{rl}.csv'}", r"2:\d+: trial.metrics_from.csv: `\{rl\}` is no key under `params`"),
        ("[stdout, {jsonl: 'm{'}]", r"trial.metrics_from.1.jsonl: unmatched `\{`"),
        ("{csv: m.csv, json: m.json}", "must name one file"),
        ("{}", "must name one file"),
        ("[]", "at least 1 item"),
        ("stdin", "must be `stdout`, `stderr`, `both` or a file such as"),
        ("[stdin]", r"trial.metrics_from.0: must be `stdout`"),
        ("{cvs: m.csv}", "unknown key `cvs`"),
        ("{csv: ''}", "trial.metrics_from.csv"),
        ("{json: 3}", "trial.metrics_from.json: must be text, not 3"),
    ],
)
def test_an_invalid_source_is_refused_at_its_place(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, source)


@pytest.mark.parametrize("run", ["{}", "{workers: 2}", "{cwd: config}"])
def test_one_file_for_trials_that_run_at_the_same_time_is_refused(tmp_path: Path, run: str) -> None:
    with pytest.raises(
        ConfigError, match=r"2:\d+: trial.metrics_from.csv: trials that run at the same time"
    ) as caught:
        load(tmp_path, "{csv: m.csv}", run)
    assert "`workers: 1` under `run`, or write `{number}`" in str(caught.value.problems[0].hint)


@pytest.mark.parametrize(
    ("source", "run", "lr"),
    [
        ("{csv: m.csv}", "{workers: 1}", "{uniform: [0, 1]}"),
        ("{csv: m.csv}", "{cwd: trial}", "{uniform: [0, 1]}"),
        ("{csv: 'm{number}.csv'}", "{}", "{uniform: [0, 1]}"),
        ("{csv: '{checkpoint_dir}/m.csv'}", "{}", "{uniform: [0, 1]}"),
        ("{csv: m.csv}", "{}", "0.1"),
    ],
)
def test_a_file_of_one_trial_is_accepted(tmp_path: Path, source: str, run: str, lr: str) -> None:
    load(tmp_path, source, run, lr)


def test_a_function_may_write_files_and_report_steps(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(params, trial):\n    pass\n")
    for source in ("{tensorboard: runs}", "[{csv: a.csv}, {csv: b.csv}]"):
        (tmp_path / "study.yaml").write_text(FUNCTION.replace("SOURCE", source))
        load_checked(tmp_path / "study.yaml", ())
    (tmp_path / "study.yaml").write_text(FUNCTION.replace("SOURCE", "stdout"))
    with pytest.raises(ConfigError, match="metrics_from"):
        load_checked(tmp_path / "study.yaml", ())
