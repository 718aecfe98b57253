"""A study has the same table on a cluster as with local workers: with files that travel, and with agents that die."""

import hashlib
from pathlib import Path

import pytest

from tests.engine.cluster.clusters import SOON
from tests.golden.studies import CHAINS, COMMAND, FUNCTION, OWN, PROGRAM, SPACE
from tests.study.sweeps import Silent, comparable, run_whole
from tunecli.commands.check import load_checked
from tunecli.engine import needs_torch
from tunecli.engine.cluster.engine import ClusterEngine, ClusterSettings
from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.protocol import EngineOptions
from tunecli.messages import Checkpointed, EpochEnded
from tunecli.results.table import Table
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study, begin
from tunecli.study.record.user_files import user_files
from tunecli.study.sweep import sweep
from tunecli.testing.in_process_cluster import Faults, InProcessTransport

ACCURACY = "{metric: val_accuracy, direction: maximize}"
TRAINING = "  training: {epochs: 6, batch_size: 32}\n"
CSV = (
    "  data: {source: ../data/rows.csv, target: y}\n"
    "  model: {name: mlp, hidden: [8]}\n"
    "  optimizer: {name: adam, lr: {loguniform: [1e-3, 1e-1]}}\n"
)
SAVING = "  python: own:saving\n  params: {x: {uniform: [0, 1]}}\n"
SAVING_CODE = """

def saving(params, trial):
    saved = trial.checkpoint_dir / "state"
    first = int(saved.read_text()) + 1 if saved.exists() else 1
    for epoch in range(first, 10):
        saved.write_text(str(epoch))
        print(f"epoch {epoch}")
        trial.report(epoch, val_loss=(params["x"] - 0.3) ** 2 + 1 / epoch)
"""
STUDIES = {
    "digits": (SPACE, ACCURACY, "{sampler: bayes, trials: 10, lookahead: 3}", ""),
    "chains": (SPACE + CHAINS, ACCURACY, "{sampler: random, trials: 6}", ""),
    "hyperband": (SPACE, ACCURACY, "{sampler: random, trials: 9, pruner: hyperband, lookahead: 2}", ""),
    "median": (SPACE, ACCURACY, "{sampler: quasirandom, trials: 12, pruner: median, lookahead: 2}", ""),
    "fused": (SPACE, ACCURACY, "{sampler: random, trials: 12}", ", fuse: 4"),
    "repeats": (SPACE, ACCURACY, "{sampler: random, trials: 4, repeats: 2}", ""),
    "csv": (CSV, ACCURACY, "{sampler: random, trials: 6}", ""),
    "own-function": (FUNCTION, "{metric: val_loss}", "{sampler: random, trials: 8}", ""),
    "own-command": (COMMAND, "{metric: val_loss}", "{sampler: random, trials: 6}", ""),
    "own-pausing": (
        SAVING,
        "{metric: val_loss}",
        "{sampler: random, trials: 4, pruner: {name: hyperband, max_epochs: 9}, lookahead: 2}",
        "",
    ),
}


def written(folder: Path, name: str) -> Path:
    """The file of a study, with all files that it may need."""
    trial, objective, search, run = STUDIES[name]
    place = folder / "study"
    place.mkdir()
    (folder / "data").mkdir()
    rows = [f"{x / 40},{(x * 7) % 11},{'a' if x % 3 else 'b'}" for x in range(120)]
    (folder / "data" / "rows.csv").write_text("\n".join(["u,v,y", *rows]) + "\n")
    (place / "own.py").write_text(OWN + SAVING_CODE)
    (place / "program.py").write_text(PROGRAM)
    training = TRAINING if "model:" in trial else ""
    file = place / "study.yaml"
    file.write_text(
        f"study: {name}\nseed: 5\nobjective: {objective}\ntrial:\n{trial}{training}search: {search}\n"
        f"run: {{device: cpu, workers: 2, checkpoint: {{epochs: 2}}{run}}}\n"
    )
    return file


def on_cluster(study: Study, transport: InProcessTransport) -> ClusterEngine:
    """The engine of a study, with the options that its plan gives to an engine on other machines."""
    plan, facts = study.plan, facts_of(study.log)
    base_path = study.spec.base_path.absolute()
    options = EngineOptions(
        n_workers=plan.n_workers,
        threads=plan.threads,
        needs_torch=needs_torch(study.spec, plan.device),
        workers_lock=study.folder.workers_lock_path,
        folder=study.folder.path.absolute(),
        base_path=base_path,
        files=user_files(base_path, facts["code"], facts["data"]),
    )
    return ClusterEngine(options, transport, Resources(1.0), ClusterSettings(patience=SOON))


class Killing(Silent):
    """A display that kills the first agent at each so many-th epoch or checkpoint."""

    def __init__(self, transport: InProcessTransport, each: int) -> None:
        super().__init__()
        self.transport, self.each, self.n_seen, self.n_killed = transport, each, 0, 0

    def happened(self, event):
        super().happened(event)
        if isinstance(event, Checkpointed | EpochEnded):
            self.n_seen += 1
            if self.n_seen % self.each == 0 and self.transport.agents:
                self.transport.kill(self.transport.agents[0])
                self.n_killed += 1


def both(
    tmp_path: Path, name: str, transport: InProcessTransport, kill_each: int = 10**9
) -> tuple[Table, Table, Killing]:
    """The tables of a study with local workers and on a cluster, and the display of the latter."""
    file = written(tmp_path, name)
    local = run_whole(file, tmp_path / "local")
    display = Killing(transport, kill_each)
    with begin(load_checked(file, ()), tmp_path / "cluster") as study:
        table = sweep(study, display, on_cluster(study, transport)).table
    return comparable(local), comparable(table), display


def weights(folder: Path) -> dict[str, str]:
    """The hashes of the files in a run folder's checkpoints."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "checkpoints").rglob("*"))
        if path.is_file()
    }


def test_an_own_function_that_pauses_goes_on_from_its_own_files_on_another_node(tmp_path):
    transport = InProcessTransport({"n1": 1, "n2": 1}, sees_run_folder=False)
    local, table, _ = both(tmp_path, "own-pausing", transport)
    assert table == local
    assert weights(tmp_path / "cluster") == weights(tmp_path / "local")
    logs = sorted(path.name for path in (tmp_path / "local" / "logs").iterdir())
    assert sorted(path.name for path in (tmp_path / "cluster" / "logs").iterdir()) == logs


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_the_table_is_that_of_local_workers_where_files_travel(name, tmp_path):
    transport = InProcessTransport({"n1": 1, "n2": 1, "n3": 1}, sees_run_folder=False)
    local, table, _ = both(tmp_path, name, transport)
    assert table == local
    assert weights(tmp_path / "cluster") == weights(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_the_table_is_that_of_local_workers_where_the_folder_is_shared(name, tmp_path):
    local, table, _ = both(tmp_path, name, InProcessTransport({"n1": 2}))
    assert table == local


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "hyperband", "csv", "own-pausing"])
def test_the_table_stays_the_same_while_agents_die_and_answers_are_lost(name, tmp_path):
    faults = Faults(lose_each=7, repeat_each=5)
    transport = InProcessTransport({"n1": 1, "n2": 1}, sees_run_folder=False, faults=faults)
    local, table, display = both(tmp_path, name, transport, kill_each=9)
    assert display.n_killed
    assert table == local
