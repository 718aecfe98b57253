"""Each part of a cluster killed at each moment of a sweep: the table is that of an undisturbed sweep on this machine.

No trial runs twice at a time, and nothing is left afterwards. ``TUNECLI_RAY_KILLS`` sets the number of random kills of each
part; ``TUNECLI_RAY_FAULTS`` and ``TUNECLI_RAY_MOMENTS`` select cells of the matrix by name.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.forked import Verb
from tests.support.ray_cluster import RayCluster
from tests.support.ray_sweeps import Sweep, await_that

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

N_KILLS = int(os.environ.get("TUNECLI_RAY_KILLS", "50"))
FAULTS = (
    "agent",
    "worker",
    "raylet",
    "node",
    "all nodes",
    "driver",
    "bridge",
    "frozen",
    "head for a while",
    "head",
)
MOMENTS = ("before started", "epoch", "checkpoint", "end", "paused", "close")
_WAIT_S = 480.0
_PAUSING = "{name: hyperband, max_epochs: 9}"
_BREAKS_THE_HEAD = {"head", "head for a while"}
_SHORT_PATIENCE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}  # in place of 60 s


def _chosen(names: tuple[str, ...], variable: str) -> list[str]:
    return [name for name in names if name in os.environ.get(variable, ",".join(names)).split(",")]


class _Clusters:
    """The cluster of the tests; another one if a test has broken it."""

    def __init__(self) -> None:
        self.cluster: RayCluster | None = None
        self.nodes: list[int] = []

    def get(self) -> RayCluster:
        """A cluster with three nodes."""
        while True:
            if self.cluster is None:
                self.cluster = RayCluster([1, 1, 1], **_SHORT_PATIENCE)
                self.nodes, self.n_made = [0, 1, 2], 3
            try:
                self.fill()
                return self.cluster
            except (RuntimeError, BrokenPipeError):  # a node did not start in Ray's 30 s
                self.drop()

    def fill(self) -> None:
        """Add nodes up to three."""
        assert self.cluster is not None
        while len(self.nodes) < 3:
            self.cluster.add_node(cpus=1)
            self.nodes.append(self.n_made)
            self.n_made += 1

    def drop(self) -> None:
        """End it."""
        if self.cluster is not None:
            self.cluster.close()
            self.cluster = None


@pytest.fixture(scope="module")
def clusters() -> Iterator[_Clusters]:
    clusters = _Clusters()
    yield clusters
    clusters.drop()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """The tables of the two studies on this machine."""
    tables = {}
    for pruner in ("none", _PAUSING):
        sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "local", pruner=pruner)
        sweep.finish()
        tables[pruner] = sweep.table()
    return tables


def _bridges(driver: Verb) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(driver.pid).children()
        if any("tunecli.engine.ray.bridge" in word for word in child.cmdline())
    ]


def _workers(sweep: Sweep, agents: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that train: children of fork servers and templates, which are children of agents."""
    servers = [server for agent in agents for server in _children(agent)]
    below = [child for server in servers for child in _children(server, is_deep=True)]
    return [process for process in below if not _children(process)]


def _children(process: psutil.Process, *, is_deep: bool = False) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        found: list[psutil.Process] = process.children(recursive=is_deep)
        return found
    return []


def _inject(fault: str, clusters: _Clusters, driver: Verb, sweep: Sweep, chance: random.Random) -> bool:
    """Do it; return whether the driver was killed with it."""
    cluster = clusters.get()
    match fault:
        case "agent" | "worker":
            agents = cluster.agents()
            found = agents if fault == "agent" else _workers(sweep, agents)
            if found:
                with suppress(psutil.NoSuchProcess):
                    chance.choice(found).kill()
        case "raylet" | "node":
            node = chance.choice(clusters.nodes)
            clusters.nodes.remove(node)
            if fault == "raylet":
                cluster.raylet(node).kill()
            else:
                cluster.remove_node(node)
            clusters.fill()
        case "all nodes":
            for node in clusters.nodes:
                cluster.remove_node(node)
            clusters.nodes.clear()
            clusters.fill()
        case "driver":
            driver.kill()
            return True
        case "bridge":
            for bridge in _bridges(driver):
                bridge.kill()
        case "frozen":
            frozen = [psutil.Process(driver.pid), *_bridges(driver)]
            for process in frozen:
                process.suspend()
            time.sleep(5.0)
            for process in frozen:
                process.resume()
        case "head" | "head for a while":
            cluster.gcs().kill()
    return False


def _await_moment(moment: str, cluster: RayCluster, sweep: Sweep, driver: Verb, n_trials: int) -> None:
    """Wait for the moment, or for the end of the sweep."""

    def is_there() -> bool:
        if driver.poll() is not None:
            return True
        if moment == "before started":
            return bool(cluster.agents())
        if moment == "close":
            return f"[{n_trials}/{n_trials}]" in sweep.output.read_text()
        return (sweep.signs / moment).exists()

    await_that(is_there, _WAIT_S, moment)


def _check(sweep: Sweep, cluster: RayCluster, table: list[dict[str, str]]) -> None:
    assert sweep.table() == table
    assert not sweep.is_twice()
    await_that(lambda: not cluster.agents() and not sweep.members(), 10.0, "an end of all processes")


@pytest.mark.parametrize("moment", _chosen(MOMENTS, "TUNECLI_RAY_MOMENTS"))
@pytest.mark.parametrize("fault", _chosen(FAULTS, "TUNECLI_RAY_FAULTS"))
def test_a_fault_at_any_moment_leaves_the_table_as_it_was(
    fault: str,
    moment: str,
    clusters: _Clusters,
    undisturbed: dict[str, list[dict[str, str]]],
    tmp_path: Path,
) -> None:
    pruner = _PAUSING if moment == "paused" else "none"
    # The trials of a head that is gone for good last longer than Ray waits for it.
    pace_s = 0.3 if fault == "head" else 0.05
    sweep = Sweep(tmp_path / "sweep", "ray", pruner=pruner, pace_s=pace_s)
    table = undisturbed[pruner]
    cluster = clusters.get()
    environment = _SHORT_PATIENCE if fault == "head" else {}
    driver = sweep.start(cluster.address, **environment)
    try:
        _await_moment(moment, cluster, sweep, driver, 12)
        was_killed = _inject(fault, clusters, driver, sweep, random.Random(f"{fault} {moment}"))
        if fault in _BREAKS_THE_HEAD:
            code = driver.wait(_WAIT_S)
            # Without the head, agents go on, but none begins.
            codes = (0, 7) if fault == "head" or moment == "before started" else (0,)
            assert code in codes, sweep.output.read_text()[-3000:]
            if code == 7:
                assert "tunecli resume" in sweep.output.read_text()
                clusters.drop()
                cluster = clusters.get()
                sweep.finish(cluster.address)
        elif was_killed:
            sweep.finish(cluster.address)
        else:
            assert driver.wait(_WAIT_S) == 0, sweep.output.read_text()[-3000:]
        if fault in _BREAKS_THE_HEAD and clusters.cluster is cluster and not _has_head(cluster):
            assert sweep.table() == table
            assert not sweep.is_twice()
            await_that(lambda: not sweep.members(), 20.0, "an end of all processes")
        else:
            _check(sweep, cluster, table)
    finally:
        if driver.poll() is None:
            driver.kill()
        if fault in _BREAKS_THE_HEAD:
            clusters.drop()


def _has_head(cluster: RayCluster) -> bool:
    try:
        return cluster.gcs().status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("fault", ["node", "driver", "agent", "worker"])
def test_random_kills_leave_the_table_as_it_was(
    fault: str, clusters: _Clusters, undisturbed: dict[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    chance = random.Random(f"random {fault}")
    n_killed = n_sweeps = 0
    while n_killed < N_KILLS:
        sweep = Sweep(tmp_path / f"{n_sweeps}", "ray")
        n_sweeps += 1
        cluster = clusters.get()
        # A trial whose worker dies twice fails.
        most = n_killed + 1 if fault == "worker" else N_KILLS
        driver = sweep.start(cluster.address)
        try:
            while driver.poll() is None and n_killed < most:
                _await_moment("loading", cluster, sweep, driver, 12)
                time.sleep(chance.uniform(0.0, 1.5))
                if driver.poll() is not None:
                    break
                killed = _inject(fault, clusters, driver, sweep, chance)
                (sweep.signs / "loading").unlink(
                    missing_ok=True
                )  # the next kill waits for a trial that begins
                if killed:
                    driver = sweep.start(cluster.address)
                n_killed += 1
            assert driver.wait(_WAIT_S) == 0, sweep.output.read_text()[-3000:]
            _check(sweep, cluster, undisturbed["none"])
        finally:
            if driver.poll() is None:
                driver.kill()
    print(f"{fault}: {n_killed} kills in {n_sweeps} sweeps", file=sys.stderr)
