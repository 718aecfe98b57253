"""The head of a cluster is gone for a while and comes back at its address, with what it knew or as another cluster.

Ray keeps the head's state in memory, unless the cluster has `RAY_gcs_storage`. Without it, the next head refuses the nodes
of the former one, which end themselves within a minute, and others have to join. In both cases the sweep goes on by
itself, and the table is that of an undisturbed sweep.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.forked import Verb
from tests.support.ray_cluster import RayCluster
from tests.support.ray_sweeps import Sweep, await_that

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_AWAY_S = 3.0
_LONG_AWAY_S = 120.0
_WAIT_S = 300.0
_SHORT_PATIENCE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}  # in place of 60 s


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The table of an undisturbed sweep on this machine."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "local")
    sweep.finish()
    return sweep.table()


def _finish(
    sweep: Sweep, cluster: RayCluster, moment: str, disturb: Callable[[Verb], None], **environment: str
) -> None:
    """Run a sweep, and do something at a moment."""
    driver = sweep.start(cluster.address, **environment)
    try:
        await_that(lambda: driver.poll() is not None or (sweep.signs / moment).exists(), _WAIT_S, moment)
        disturb(driver)
        assert driver.wait(_WAIT_S) == 0, sweep.output.read_text()[-3000:]
    finally:
        if driver.poll() is None:
            driver.kill()


def _check(sweep: Sweep, cluster: RayCluster, table: list[dict[str, str]]) -> None:
    assert sweep.table() == table
    assert not sweep.is_twice()
    await_that(lambda: not cluster.agents() and not sweep.members(), 10.0, "an end of all processes")


@pytest.mark.parametrize("moment", ["loading", "epoch", "end"])
def test_a_head_that_comes_back_with_its_state_interrupts_nothing(
    moment: str, table: list[dict[str, str]], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with RayCluster([1, 1, 1], RAY_gcs_storage="rocksdb", RAY_gcs_storage_path=str(state)) as cluster:
        sweep = Sweep(tmp_path / "sweep", "ray", pace_s=0.2)
        agents: list[int] = []

        def restart(driver: Verb) -> None:
            agents.extend(agent.pid for agent in cluster.agents())
            cluster.gcs().kill()
            time.sleep(_AWAY_S)
            cluster.restart_gcs()

        _finish(sweep, cluster, moment, restart)
        _check(sweep, cluster, table)


def test_an_agent_that_dies_while_the_head_is_away_is_replaced_when_it_is_back(
    table: list[dict[str, str]], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with RayCluster([1, 1, 1], RAY_gcs_storage="rocksdb", RAY_gcs_storage_path=str(state)) as cluster:
        sweep = Sweep(tmp_path / "sweep", "ray", pace_s=0.3)

        def restart(driver: Verb) -> None:
            victim = cluster.agents()[0]
            cluster.gcs().kill()
            victim.kill()
            time.sleep(_AWAY_S)
            cluster.restart_gcs()
            await_that(
                lambda: driver.poll() is not None or len(cluster.agents()) == 3, 60.0, "an agent in its place"
            )
            assert driver.poll() is None, "it ended before"

        _finish(sweep, cluster, "epoch", restart)
        _check(sweep, cluster, table)


@pytest.mark.parametrize("moment", ["loading", "epoch", "end"])
def test_the_sweep_goes_on_on_another_cluster_at_the_same_address(
    moment: str, table: list[dict[str, str]], tmp_path: Path
) -> None:
    sweep, clusters = Sweep(tmp_path / "sweep", "ray", pace_s=0.1), ExitStack()
    with clusters:
        first = clusters.enter_context(RayCluster([1, 1, 1], **_SHORT_PATIENCE))

        def replace(driver: Verb) -> None:
            first.close()
            await_that(
                lambda: driver.poll() is not None or "to reach the cluster again" in sweep.output.read_text(),
                120.0,
                "an end of the connection",
            )
            assert driver.poll() is None, sweep.output.read_text()[-3000:]
            port = int(first.address.rpartition(":")[2])
            clusters.enter_context(RayCluster([1, 1, 1], port=port))

        _finish(sweep, first, moment, replace, **_SHORT_PATIENCE)
        assert sweep.table() == table
        assert not sweep.is_twice()
        await_that(lambda: not sweep.members(), 10.0, "an end of all processes")


@pytest.mark.parametrize("is_kept", [False, True], ids=["another cluster after it", "back with its state"])
def test_a_head_that_is_away_for_two_minutes_costs_no_trial(
    is_kept: bool, table: list[dict[str, str]], tmp_path: Path
) -> None:
    # Ray's default: a node ends itself after 60 s without its head. The test keeps that timeout, or sets 300 s. The
    # trials are slow, so the sweep cannot end before the head is back.
    kept = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(tmp_path / "state")}
    settings = {**kept, "RAY_gcs_rpc_server_reconnect_timeout_s": "300"} if is_kept else {}
    sweep, clusters = Sweep(tmp_path / "sweep", "ray", pace_s=6.0), ExitStack()
    with clusters:
        cluster = clusters.enter_context(RayCluster([1, 1, 1], **settings))
        driver = sweep.start(cluster.address, **settings)
        try:
            await_that(
                lambda: driver.poll() is not None or (sweep.signs / "epoch").exists(), _WAIT_S, "an epoch"
            )
            cluster.gcs().kill()
            time.sleep(_LONG_AWAY_S)
            if is_kept:
                cluster.restart_gcs()
            else:
                cluster.close()
                cluster = clusters.enter_context(RayCluster([1, 1, 1]))
            code = driver.wait(_WAIT_S)
            assert code in (0, 7), sweep.output.read_text()[-3000:]
            print(f"exit {code}: {sweep.output.read_text()[-800:]}", file=sys.stderr)
            if code == 7:
                assert "tunecli resume" in sweep.output.read_text()
                sweep.finish(cluster.address, **settings)
        finally:
            if driver.poll() is None:
                driver.kill()
        _check(sweep, cluster, table)
