"""Checkpoints of a real cluster travel through a storage: its nodes do not see the folder of the sweep at all.

A node dies once checkpoints lie in the storage. Their trials go on from them on another node, and the table is that of
this machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.ray_cluster import RayCluster
from tests.support.ray_sweeps import Sweep, await_that
from tests.support.s3_server import CREDENTIALS, S3Server
from tunecli.object_storage.claims import pointers_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_STUDY = """\
study: stored
seed: 11
objective: {metric: val_loss}
trial:
  data: {source: digits, train_fraction: 0.2}
  model: {name: mlp, hidden: [{logint: [8, 64]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  training: {epochs: 60, batch_size: 16}
search: {sampler: quasirandom, trials: %(n_trials)d, lookahead: 2, pruner: %(pruner)s}
run:
  engine: %(engine)s
  workers: 2
  device: cpu
  checkpoint: {epochs: 2}
  ray: {env: {RAY_SWEEP_OF: "%(folder)s"}%(more)s}
"""
_WAIT_S = 300.0


class _Storage:
    """Where the checkpoints of a test travel."""

    def __init__(self, location: str, folder: Path | None, server: S3Server | None) -> None:
        self.location, self._folder, self._server = location, folder, server

    def names(self) -> list[str]:
        """The objects that are there."""
        if self._server is not None:
            return sorted({*self._server.keys()} - {"sweeps/"})  # the folder that the test named
        assert self._folder is not None
        return [str(path) for path in self._folder.rglob("*") if path.is_file()]


@pytest.fixture(params=["folder", "file URL", "bucket"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[_Storage]:
    """A storage that all nodes reach."""
    folder = tmp_path / "objects"
    if request.param == "bucket":
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        with S3Server() as server:
            yield _Storage(server.url("sweeps"), None, server)
    else:
        yield _Storage(str(folder) if request.param == "folder" else folder.as_uri(), folder, None)


@pytest.fixture
def cluster(tmp_path: Path, storage: _Storage) -> Iterator[RayCluster]:
    """A cluster whose nodes do not see the folder of the sweep. It has the credentials of the storage."""
    hidden = tmp_path / "sweep"
    hidden.mkdir()
    try:
        cluster = RayCluster([1, 1], hidden=hidden)
    except PermissionError as error:
        pytest.skip(str(error))  # only root may hide a folder from the nodes
    with cluster:
        yield cluster


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The table of this machine."""
    sweep = Sweep(tmp_path_factory.mktemp("local"), "local", n_trials=6, text=_STUDY)
    sweep.finish()
    return sweep.table()


def _starts(sweep: Sweep) -> list[int]:
    """The epochs from which later attempts went on."""
    with closing(sqlite3.connect(sweep.run / "study.db")) as database:
        return [epoch for (epoch,) in database.execute("SELECT from_epoch FROM start WHERE attempt > 1")]


def _stored_trials(sweep: Sweep) -> set[str]:
    """The trials with a checkpoint in the storage."""
    return {path.name.partition(".")[0] for path in pointers_in(sweep.run / "checkpoints")}


@pytest.mark.parametrize("victim", ["node", "driver"])
def test_a_trial_goes_on_from_a_checkpoint_in_the_storage(
    victim: str, storage: _Storage, cluster: RayCluster, table: list[dict[str, str]], tmp_path: Path
) -> None:
    more = f'storage: "{storage.location}"'
    sweep = Sweep(tmp_path / "sweep", "ray", n_trials=6, text=_STUDY, more=more, signs=tmp_path / "signs")
    driver = sweep.start(cluster.address)
    try:
        await_that(
            lambda: driver.poll() is not None or len(_stored_trials(sweep)) > 1,
            _WAIT_S,
            "a checkpoint of each running trial in the storage",
        )
        assert driver.poll() is None, sweep.output.read_text()[-3000:]
        assert storage.names()
        seen = Path(f"/proc/{cluster.raylet(0).pid}/root{sweep.folder}")
        assert not [*seen.iterdir()], "the nodes see the sweep"
        if victim == "node":
            cluster.remove_node(0)
            cluster.add_node(cpus=1)
        else:
            driver.kill()
            driver = sweep.start(cluster.address)
        assert driver.wait(_WAIT_S) == 0, sweep.output.read_text()[-3000:]
    finally:
        if driver.poll() is None:
            driver.kill()
    assert sweep.table() == table
    assert any(_starts(sweep)), "no trial went on from a checkpoint"
    assert not pointers_in(sweep.run / "checkpoints")
    assert storage.names() == []
    await_that(lambda: not cluster.agents() and not sweep.members(), 10.0, "an end of all processes")
