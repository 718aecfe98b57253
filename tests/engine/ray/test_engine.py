"""The engine on a real cluster: the contract of every engine, and the errors for trials that fit no node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import psutil
import pytest

from tests.support.ray_cluster import RayCluster
from tunecli.config.ray import Ray
from tunecli.config.run import Run
from tunecli.engine.protocol import Engine, EngineOptions
from tunecli.engine.ray.engine import capacity, ray_engine
from tunecli.errors import UsageError
from tunecli.registry.engines import ENGINES
from tunecli.testing import EngineContract

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A cluster of a head without CPUs, a node of two, and one of one with half a GPU's worth of `a100`."""
    with RayCluster([2, 1]) as cluster:
        yield cluster


class TestRay(EngineContract):
    engine = ENGINES["ray"]
    address: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _address(self, cluster: RayCluster) -> None:
        type(self).address = cluster.address

    def make(self) -> Engine:
        return ray_engine(EngineOptions(1, 1, settings=Ray(address=self.address)))


class TestRayApart(TestRay):
    """The same without a folder that the nodes share with the coordinator."""

    def make(self) -> Engine:
        return ray_engine(EngineOptions(1, 1, settings=Ray(address=self.address, storage="bytes")))


def _run(cluster: RayCluster, **settings: object) -> Run:
    ray = {"address": cluster.address, **settings.pop("ray", {})}  # type: ignore[dict-item]  # a keyword of this test
    return Run.model_validate({"engine": "ray", "ray": ray, **settings})


def test_the_capacity_counts_the_room_of_each_node(cluster: RayCluster) -> None:
    found = capacity(_run(cluster))
    assert found.n_slots == 3
    assert sorted(host.n_slots for host in found.hosts) == [1, 2]
    assert not found.can_grow
    assert capacity(_run(cluster, threads=2)).n_slots == 1
    assert capacity(_run(cluster, ray={"cpus": 0.5})).n_slots == 6


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"threads": 8}, "run.threads: no node has 8 CPUs, the largest has 2", "CPU 3"),
        ({"ray": {"cpus": 4}}, "run.ray.cpus: no node has 4 CPUs, the largest has 2", "CPU 3"),
        (
            {"device": "cuda"},
            "run.device: no node of the cluster has a `cuda` device",
            "the nodes have CPU 3",
        ),
        ({"ray": {"resources": {"a100": 1}}}, "run.ray.resources: no node has 1 of `a100`", "CPU 3"),
        ({"ray": {"memory": "900TB"}}, "run.ray.memory: no node has 9e+14 bytes of memory", "CPU 3"),
    ],
)
def test_a_cluster_without_room_is_an_error_that_names_the_key(
    cluster: RayCluster, settings: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        capacity(_run(cluster, **settings))
    assert raised.value.message.startswith(message)
    assert hint in raised.value.hint


def test_shares_of_a_gpu_are_counted_and_the_engine_binds_as_many_jobs_to_each(cluster: RayCluster) -> None:
    with RayCluster([]) as other:
        other.add_node(cpus=8, gpus=2)
        run = _run(other, device="cuda", per_device=4)
        found = capacity(run)
        assert (found.n_slots, found.hosts[0].devices) == (8, ("cuda", "cuda"))
        assert capacity(_run(other, ray={"gpus": 0.3, "cpus": 0.1})).n_slots == 6


def test_nothing_of_ray_is_loaded_into_this_process() -> None:
    modules = {name.partition(".")[0] for name in __import__("sys").modules}
    assert "ray" not in modules
    assert psutil.Process().num_threads() < 20
