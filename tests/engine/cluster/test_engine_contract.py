"""The contract of every engine, kept by the cluster engine with agents in this process, whether files travel or not."""

from typing import ClassVar

import pytest

from tunecli.engine.cluster.engine import ClusterEngine
from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.protocol import Engine, EngineOptions
from tunecli.registry.engines import EngineInfo
from tunecli.testing import EngineContract
from tunecli.testing.in_process_cluster import InProcessTransport

INFO = EngineInfo("cluster", "tunecli.engine.cluster.engine:ClusterEngine")


class TestSharedFolder(EngineContract):
    engine: ClassVar[EngineInfo] = INFO

    def make(self) -> Engine:
        return ClusterEngine(EngineOptions(1, 1), InProcessTransport(), Resources(1.0))


@pytest.mark.slow
class TestNoSharedFolder(EngineContract):
    engine: ClassVar[EngineInfo] = INFO

    def make(self) -> Engine:
        return ClusterEngine(EngineOptions(1, 1), InProcessTransport(sees_run_folder=False), Resources(1.0))
