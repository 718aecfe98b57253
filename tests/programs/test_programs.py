"""Programs with the habits of public ones run unchanged: `{args}`, their metrics, and at most three further keys."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.verbs import called

SOURCES = Path(__file__).parent / "sources"
NUMBER = "([0-9.eE+-]+)"


class Program(NamedTuple):
    """A program and the study that runs it.

    Attributes:
        command: its arguments, as YAML.
        params: the parameters, as YAML.
        metric: the objective.
        trial: further keys under ``trial``, as YAML.
        run: keys under ``run``, as YAML.
        search: further keys under ``search``, as YAML.
    """

    command: str
    params: str
    metric: str
    trial: str = ""
    run: str = ""
    search: str = ""


LR = "lr: {loguniform: [0.01, 1.0]}"
PROGRAMS = {
    "word language model: a flag without a value": Program(
        '[python, word_model.py, "{args}"]',
        f"{{{LR}, nhid: {{int: [10, 200]}}, model: {{choice: [LSTM, GRU]}}, tied: {{choice: [true, false]}}}}",
        "valid_loss",
        f"args: {{booleans: flag}}, metrics: {{valid_loss: 'valid loss +{NUMBER}', valid_ppl: 'valid ppl +{NUMBER}'}}",
    ),
    "imagenet: a folder by position, and a checkpoint in the working folder": Program(
        '[python, imagenet.py, data, "{args}"]',
        f"{{arch: {{choice: [resnet18, vgg]}}, batch-size: {{choice: [64, 256]}}, {LR}}}",
        "acc1",
        f"metrics: {{acc1: '\\* +Acc@1 {NUMBER}'}}",
        "cwd: trial, link: [data]",
    ),
    "dcgan: a line a step, pictures into a folder": Program(
        '[python, gan.py, "--outf={checkpoint_dir}", "{args}"]',
        f"{{{LR}, beta1: {{uniform: [0.1, 0.9]}}}}",
        "Loss_D",
        f"every: step, metrics: {{Loss_D: 'Loss_D: {NUMBER}', Loss_G: 'Loss_G: {NUMBER}', epoch: '^\\[(\\d+)/'}}",
    ),
    "reinforce: runs until it is stopped": Program(
        '[python, reinforce.py, "{args}"]',
        "{gamma: {uniform: [0.9, 0.99]}}",
        "reward",
        f"metrics: {{reward: 'Average reward: {NUMBER}'}}",
        "trial_limit: {epochs: 3}",
    ),
    "nanoGPT: `--x=True`, and floats that look like floats": Program(
        '[python, nano_gpt.py, "{args}"]',
        "{learning_rate: {choice: [1.0, 1e-5]}, n_layer: {int: [2, 12]}, compile: {choice: [true, false]}}",
        "val_loss",
        f"args: {{style: underscore, booleans: True/False}}, metrics: {{val_loss: 'val loss {NUMBER}'}}",
    ),
    "makemore: an option of one branch, and the device": Program(
        '[python, make_more.py, "--device={device}", "--seed={seed}", "--type={model.type}", "--n-head={model.n_head?}"]',
        "{model: {choice: [{type: transformer, n_head: {choice: [1, 2, 4]}}, {type: rnn}]}}",
        "test_loss",
        f"metrics: {{test_loss: 'test loss: {NUMBER}'}}",
    ),
    "pygcn: a working folder and a path of modules": Program(
        '[python, train.py, --no-cuda, "{args}"]',
        "{hidden: {int: [2, 64]}}",
        "loss_val",
        f"metrics: {{loss_val: 'loss_val: {NUMBER}'}}",
        "cwd: pygcn, env: {PYTHONPATH: ..}",
    ),
    "skorch: names with two underscores, and colours": Program(
        '[python, skorch_cli.py, "{args}"]',
        f"{{{LR}, module__hidden_units: {{int: [2, 64]}}}}",
        "valid_loss",
        f"metrics: {{valid_loss: '0\\.9000 +{NUMBER}'}}",
    ),
    "Lightning CLI: dotted names, metrics in a new folder": Program(
        '[python, lightning_cli.py, fit, "{args}"]',
        "{model: {lr: {loguniform: [0.01, 1.0]}}, trainer: {max_epochs: 2}}",
        "val_loss_epoch",
        'metrics_from: {csv: "lightning_logs/version_*/metrics.csv"}',
        "cwd: trial",
    ),
    "HF Trainer: Python dicts between progress bars": Program(
        '[python, hf_trainer.py, "{args}"]',
        "{learning_rate: {loguniform: [0.01, 1.0]}, fp16: {choice: [true, false]}, target_modules: {list: {of: {choice: [q, k]}, length: {int: [1, 2]}}}}",
        "eval_loss",
        f"args: {{style: underscore, lists: space}}, metrics: {{eval_loss: \"'eval_loss': {NUMBER}\"}}",
    ),
    "ppo: `--x` or `--no-x`, and TensorBoard only": Program(
        '[python, ppo.py, "{args}"]',
        "{learning-rate: {loguniform: [1e-4, 1e-2]}, anneal-lr: {choice: [true, false]}}",
        "charts/episodic_return",
        "args: {booleans: no-flag}, metrics_from: {tensorboard: runs}",
        "cwd: trial",
    ),
    "W&B: configuration and metrics through wandb alone": Program(
        "[python, sweep_only.py]",
        f"{{{LR}, hidden: {{int: [2, 64]}}}}",
        "val/loss",
        "shim: wandb",
    ),
    "Hydra: overrides without dashes, logging on stderr": Program(
        '[python, hydra_app.py, "{args}"]',
        "{optimizer: {lr: {loguniform: [0.01, 1.0]}}, model: {depth: {int: [1, 4]}}, augment: {choice: [true, false]}}",
        "val_loss",
        f"args: {{style: hydra}}, metrics: {{val_loss: 'val_loss: {NUMBER}'}}",
    ),
    "a file with the settings, and one with the result": Program(
        '[python, config_file.py, "--config={params_json}"]',
        f"{{{LR}, layers: {{list: {{of: {{int: [4, 8]}}, length: {{int: [1, 3]}}}}}}}}",
        "eval.rmse",
        "metrics_from: {json: results.json}",
        "cwd: trial",
    ),
    "a pipeline of a shell, with a constraint": Program(
        """[sh, -c, 'printf "%d" $(({lc} + {lp})) | sed "s/^/size /"']""",
        "{lc: {int: [0, 4]}, lp: {int: [0, 4]}}",
        "size, direction: minimize",
        f"metrics: {{size: 'size {NUMBER}'}}",
        search='where: ["lc + lp <= 4"]',
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(SOURCES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "data" / "labels.txt").write_text("cat dog\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tunecli(folder, capfd, monkeypatch):
    """Run a verb in this process and return its exit code, its stdout and its stderr."""
    return partial(called, capture=capfd, monkeypatch=monkeypatch)


def study(program: Program) -> str:
    lines = [
        "study: mine",
        f"objective: {{metric: {program.metric}}}",
        f"trial: {{command: {program.command}, params: {program.params}{', ' + program.trial if program.trial else ''}}}",
        f"search: {{sampler: random, trials: 3{', ' + program.search if program.search else ''}}}",
        f"run: {{device: cpu, workers: 2{', ' + program.run if program.run else ''}}}",
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_unchanged(folder, tunecli, name):
    (folder / "s.yaml").write_text(study(PROGRAMS[name]))
    code, out, err = tunecli("search", "s.yaml", "--json")
    assert code == 0, err
    trials = json.loads(out)["trials"]
    assert [trial["failure"] for trial in trials] == [None] * 3
    metric = PROGRAMS[name].metric.partition(",")[0]
    assert all(isinstance(trial["metrics"][metric], float) for trial in trials)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_needs_few_keys(name):
    program = PROGRAMS[name]
    further = [key for key in (program.trial, program.run, program.search) if key]
    assert sum(_n_keys(text) for text in further) <= 3


def _n_keys(text: str) -> int:
    return len(yaml.safe_load(f"{{{text}}}"))
