"""Hosts with names and networks of their own, and a cable that is cut: no attempt runs twice, and the table stays the same.

The agent on a host that the network has cut off cannot be told to end. It ends itself before its trial goes elsewhere.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.support.network import Network, NetworkHost
from tests.support.ray_cluster import RayCluster
from tests.support.ray_sweeps import TOKEN, Sweep, await_that

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_PACE_S = 9.0  # a trial lasts longer than an agent lives without a beat
_WAIT_S = 600.0


class _Hosts:
    """A head without a CPU, where the driver runs, and two hosts with a CPU each."""

    def __init__(self, network: Network) -> None:
        self.head, *self.others = (network.add(name) for name in ("head", "left", "right"))
        self.cluster = RayCluster([], host=self.head)
        for host in self.others:
            self.cluster.add_host(host, 1)


@pytest.fixture
def hosts() -> Iterator[_Hosts]:
    try:
        network = Network()
    except PermissionError as error:
        pytest.skip(str(error))  # only root may make hosts with networks of their own
    with network:
        hosts = _Hosts(network)
        with hosts.cluster:
            yield hosts


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The table of an undisturbed sweep on this machine, whose trials are quick."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "local", n_trials=2)
    sweep.finish()
    return sweep.table()


def _start(sweep: Sweep, hosts: _Hosts) -> subprocess.Popen[bytes]:
    """Start the driver on the head's host."""
    program = [sys.executable, "-m", "tunecli", "search", "study.yaml", "--out", str(sweep.run)]
    with sweep.output.open("wb") as output:
        return subprocess.Popen(
            [*hosts.head.command, *program],
            cwd=sweep.folder,
            env={**os.environ, TOKEN: str(sweep.folder), "RAY_ADDRESS": hosts.cluster.address},
            stdout=output,
            stderr=output,
        )


def _starts(sweep: Sweep) -> list[tuple[int, int, str]]:
    """The number, the attempt and the host of each start on record."""
    with closing(sqlite3.connect(sweep.run / "study.db")) as database:
        return [*database.execute("SELECT number, attempt, host FROM start_host ORDER BY number, attempt")]


def _on(host: NetworkHost, processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes that are in the network of a host."""
    space = Path("/run/netns", host.command[3]).stat().st_ino
    return [one for one in processes if Path(f"/proc/{one.pid}/ns/net").stat().st_ino == space]


def _run(sweep: Sweep, hosts: _Hosts, cut_s: float | None) -> tuple[NetworkHost, list[tuple[int, int, str]]]:
    """Run a sweep, and cut the host of its first trial off; return that host, and the starts."""
    driver = _start(sweep, hosts)
    try:
        await_that(
            lambda: (
                driver.poll() is not None or ((sweep.run / "study.db").is_file() and len(_starts(sweep)) == 2)
            ),
            _WAIT_S,
            "a start on each host",
        )
        assert driver.poll() is None, sweep.output.read_text()[-3000:]
        name = _starts(sweep)[0][2]
        (victim,) = (host for host in hosts.others if host.name == name)
        victim.cut()
        if cut_s is not None:
            time.sleep(cut_s)
            victim.mend()
        assert driver.wait(_WAIT_S) == 0, sweep.output.read_text()[-3000:]
    finally:
        driver.kill()
        driver.wait()
    return victim, _starts(sweep)


def test_the_trial_of_a_host_that_is_cut_off_goes_on_elsewhere_once_its_agent_has_ended_itself(
    hosts: _Hosts, table: list[dict[str, str]], tmp_path: Path
) -> None:
    sweep = Sweep(tmp_path / "sweep", "ray", n_trials=2, pace_s=_PACE_S)
    victim, starts = _run(sweep, hosts, None)
    assert sweep.table() == table
    assert not sweep.is_twice()
    (other,) = (host.name for host in hosts.others if host is not victim)
    assert starts == [(0, 1, victim.name), (0, 2, other), (1, 1, other)]
    assert not _on(victim, sweep.members()), "its agent and its workers have ended"


def test_a_cable_that_is_cut_for_some_seconds_interrupts_no_trial(
    hosts: _Hosts, table: list[dict[str, str]], tmp_path: Path
) -> None:
    sweep = Sweep(tmp_path / "sweep", "ray", n_trials=2, pace_s=3.0)
    _, starts = _run(sweep, hosts, 6.0)
    assert sweep.table() == table
    assert [attempt for _, attempt, _ in starts] == [1, 1]
    await_that(lambda: not sweep.members(), 10.0, "an end of all processes")
