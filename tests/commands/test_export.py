"""An exported trial equals the recorded one in its score, its weights and its data."""

import os
import sys

from tests.study.sweeps import run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.status import status
from tunecli.commands.train import train
from tunecli.store.folder import RunFolder
from tunecli.train.artifact.layout import bare_weights


def test_the_exported_best_trains_to_the_same_score_to_the_last_bit(study_file, tmp_path):
    path = study_file(**{"source: iris": "source: wine"})
    table = run_whole(path, tmp_path / "run")
    exported = tmp_path / "elsewhere" / "best.yaml"
    exported.parent.mkdir()
    exported.write_text(export(RunFolder.open_existing(tmp_path / "run"), None, None).text)
    trained = train(load_checked(exported, ()), None)
    assert trained.outcome.score == table.rows[0][3]


def test_weights_not_on_disk_are_trained_again_to_the_same_bits(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run")
    folder = RunFolder.open_existing(tmp_path / "run")
    for number in range(6):
        export(folder, number, tmp_path / f"{number}.safetensors")
        assert (tmp_path / f"{number}.safetensors").stat().st_size > 100
    best = status(folder).best
    assert best is not None
    kept = folder.weights_path(best.number).read_bytes()
    assert (tmp_path / f"{best.number}.safetensors").read_bytes() == bare_weights(kept)


def test_changed_weights_on_disk_are_trained_again(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run", "search.trials=2")
    folder = RunFolder.open_existing(tmp_path / "run")
    best = status(folder).best
    assert best is not None
    kept = folder.weights_path(best.number)
    sound = kept.read_bytes()
    for damage in (sound[:-1] + bytes([sound[-1] ^ 1]), sound[:100], b""):
        kept.write_bytes(damage)
        export(folder, None, tmp_path / "w.safetensors")
        assert (tmp_path / "w.safetensors").read_bytes() == bare_weights(sound)


def test_an_export_names_its_files_so_that_it_runs_from_anywhere(study_file, tmp_path):
    rows = "\n".join(f"{i % 7},{i % 5},{(i % 7) > 3}" for i in range(60))
    (tmp_path / "mine.csv").write_text(f"a,b,c\n{rows}\n")
    path = study_file(**{"source: iris": "source: mine.csv, target: c"})
    table = run_whole(path, tmp_path / "run", "search.trials=1")
    elsewhere = tmp_path / "else" / "where.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(export(RunFolder.open_existing(tmp_path / "run"), 0, None).text)
    assert train(load_checked(elsewhere, ()), None).outcome.score == table.rows[0][3]


def test_user_code_is_trained_again_in_its_own_process_for_weights_and_test_metrics(study_file, tmp_path):
    """In this process it would find the state that an earlier trial, or this test, left in its modules."""
    (tmp_path / "nets.py").write_text(
        "import os, torch\n"
        "made = []\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, inputs, outputs):\n"
        "        super().__init__()\n"
        "        made.append(1)\n"
        "        self.scale, self.body = float(len(made)), torch.nn.Linear(inputs, outputs)\n"
        "        os.environ['LEFT_BY_NET'] = '1'\n"
        "    def forward(self, x):\n"
        "        return self.scale * self.body(x)\n"
    )
    (tmp_path / "own.yaml").write_text(
        "study: own\nobjective: {metric: val_loss}\n"
        "trial:\n"
        "  data: {source: iris, validation: {fraction: 0.25}, test: {fraction: 0.2}}\n"
        "  model: {python: nets:Net, args: {inputs: 4, outputs: 3}}\n"
        "  optimizer: {name: adamw, lr: {loguniform: [1e-3, 1e-1]}}\n"
        "  training: {epochs: 2}\n"
        "search: {sampler: random, trials: 2}\nrun: {device: cpu, workers: 1}\n"
    )
    run_whole(tmp_path / "own.yaml", tmp_path / "run")
    folder = RunFolder.open_existing(tmp_path / "run")
    for number in range(2):
        exported = export(folder, number, tmp_path / f"{number}.safetensors", open_test=True)
        assert "test_loss" in exported.tested
    assert "nets" not in sys.modules
    assert "LEFT_BY_NET" not in os.environ
