"""A sweep on a cluster has the table of the same sweep on this machine, whatever the nodes, slots and shared folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.ray_cluster import RayCluster
from tests.support.ray_sweeps import TOKEN, Sweep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_HEAD = """\
study: same
seed: 7
"""
_RUN = """
run:
  engine: %(engine)s
  workers: 4
  device: cpu
  ray: {env: {RAY_SWEEP_OF: "%(folder)s"}%(more)s}
"""
_DIGITS = """\
objective: {metric: val_accuracy, direction: maximize}
trial:
  data: {source: digits}
  model: {name: mlp, hidden: [{logint: [8, 32]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  training: {epochs: 8, batch_size: 128}
"""
_STUDIES = {
    "digits": _DIGITS + "search: {sampler: bayes, trials: 12, lookahead: 4}",
    "hyperband": _DIGITS + "search: {sampler: random, trials: 14, lookahead: 4, pruner: hyperband}",
    "median": _DIGITS + "search: {sampler: random, trials: 14, lookahead: 4, pruner: median}",
    "repeats": _DIGITS + "search: {sampler: random, trials: 4, lookahead: 4, repeats: 3}",
    "fused": _DIGITS.replace("[{logint: [8, 32]}]", "[16]")
    + "search: {sampler: random, trials: 16, lookahead: 8}",
    "csv": """\
objective: {metric: val_loss}
trial:
  data: {source: table.csv, target: y}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: adam, lr: {loguniform: [1e-4, 1e-1]}}
  training: {epochs: 4, batch_size: 32}
search: {sampler: quasirandom, trials: 10, lookahead: 4}""",
    "function": """\
objective: {metric: val_loss}
trial:
  python: "keeper:train"
  params: {x: {uniform: [0.0, 1.0]}}
search: {sampler: quasirandom, trials: 10, lookahead: 4, pruner: median}""",
    "command": """\
objective: {metric: val_loss}
trial:
  command: [python, program.py, "{x}"]
  params: {x: {uniform: [0.0, 1.0]}}
search: {sampler: quasirandom, trials: 10, lookahead: 4}""",
}
_KEEPER = """\
import deeper

def train(params, trial):
    for epoch in range(1, 6):
        trial.report(epoch, val_loss=deeper.loss(params["x"], epoch))
"""
_DEEPER = "def loss(x, epoch):\n    return x / epoch\n"
_PROGRAM = """\
import json, sys
from deeper import loss
for epoch in range(1, 4):
    print(json.dumps({"epoch": epoch, "val_loss": loss(float(sys.argv[1]), epoch)}), flush=True)
"""
_LAYOUTS = {
    "1 node, 2 slots": [2],
    "2 nodes": [1, 1],
    "3 nodes, unlike": [2, 1, 1],
    "5 nodes": [1, 1, 1, 1, 1],
}


def _sweep(folder: Path, kind: str, engine: str, more: str = "") -> Sweep:
    sweep = Sweep(folder, engine, more=more, text=_HEAD + _STUDIES[kind] + _RUN, program=_KEEPER)
    (folder / "deeper.py").write_text(_DEEPER)
    (folder / "program.py").write_text(_PROGRAM)
    generator = np.random.default_rng(3)
    x_NF = generator.normal(size=(200, 3))
    y_N = x_NF.sum(axis=1) + 0.1 * generator.normal(size=200)
    rows = [",".join(f"{value:.6f}" for value in [*x, y]) for x, y in zip(x_NF, y_N, strict=True)]
    (folder / "table.csv").write_text("\n".join(["a,b,c,y", *rows]) + "\n")
    return sweep


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """The tables of sweeps on this machine, filled when they are asked for."""
    return {}


def _local(tables: dict[str, list[dict[str, str]]], kind: str, tmp_path: Path) -> list[dict[str, str]]:
    if kind not in tables:
        sweep = _sweep(tmp_path / "local", kind, "local")
        sweep.finish()
        tables[kind] = sweep.table()
    return tables[kind]


@pytest.fixture(scope="module", params=_LAYOUTS)
def cluster(request: pytest.FixtureRequest) -> Iterator[RayCluster]:
    """A cluster of each layout."""
    with RayCluster(_LAYOUTS[request.param]) as cluster:
        yield cluster


@pytest.mark.parametrize("agent", ["node", "slot"])
@pytest.mark.parametrize("storage", ["auto", "bytes"])
@pytest.mark.parametrize("kind", _STUDIES)
def test_the_table_is_that_of_this_machine(
    kind: str,
    storage: str,
    agent: str,
    cluster: RayCluster,
    tables: dict[str, list[dict[str, str]]],
    tmp_path: Path,
) -> None:
    expected = _local(tables, kind, tmp_path)
    sweep = _sweep(tmp_path / "ray", kind, "ray", more=f"storage: {storage}, agent: {agent}")
    sweep.finish(cluster.address)
    assert sweep.table() == expected
    assert len(expected) >= 4
    assert not sweep.members(), TOKEN
