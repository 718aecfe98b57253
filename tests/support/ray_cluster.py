"""A Ray cluster of several nodes on this machine, in a process of its own: Ray's threads stay out of the tests' process.

    with RayCluster([1, 1, 1]) as cluster:
        cluster.address, cluster.remove_node(0), cluster.add_node(cpus=1)

The head node has no CPU. Run as a program, this module is that process: it obeys lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from tests.support.network import NetworkHost

_ROOT = Path(__file__).resolve().parents[2]
_MOST_STARTS = 2
_START_S = 180.0  # of a node; Ray's own 30 s are too short on a loaded machine
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # Ray's 15 would starve the agents on a loaded machine
}


class RayCluster:
    """A running cluster. Nodes count from 0 in the order in which they were added."""

    def __init__(
        self,
        cpus: Sequence[int],
        *,
        port: int = 0,
        host: NetworkHost | None = None,
        hidden: Path | None = None,
        **environment: str,
    ) -> None:
        """Start the head, and a node for each number of CPUs.

        Args:
            cpus: the number of CPUs of each node.
            port: of the head; 0: any.
            host: where the head and those nodes run; None: on this machine.
            hidden: a folder whose content the nodes do not see, as on another machine.
            environment: of the cluster's processes.

        Raises:
            PermissionError: this account cannot hide a folder.
        """
        self._environment = environment
        self._apart: list[str] = [] if hidden is None else _without(hidden)
        if host is not None:
            self._apart += host.command
        for _ in range(_MOST_STARTS):
            self._begin()
            try:
                self.address: str = self._ask(do="start", port=port, ip=host.ip if host else "")
                for n in cpus:
                    self.add_node(cpus=n)
                return
            except RuntimeError:  # the machine is too loaded for other patiences of Ray
                self.close()
        raise RuntimeError("no cluster can be started")

    def _begin(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="ray")
        self._process = subprocess.Popen(
            [*self._apart, sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env=self._variables(),
        )

    def _variables(self) -> dict[str, str]:
        own = {"RAY_TMPDIR": self._folder, **_SETTINGS, "PYTHONPATH": str(_ROOT)}
        return {**os.environ, **own, **self._environment}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_node(self, **resources: Any) -> None:
        """Add a node with so many CPUs, GPUs and other resources."""
        self._ask(do="add", **resources)

    def add_host(self, host: NetworkHost, cpus: int) -> None:
        """Add a node on another host, and wait until it has joined."""
        words = ["--address", self.address, "--node-ip-address", host.ip, "--num-cpus", str(cpus)]
        program = [sys.executable, "-m", "ray.scripts.scripts", "start", *words]
        subprocess.run([*host.command, *program], env=self._variables(), check=True, capture_output=True)

    def remove_node(self, node: int) -> None:
        """Remove a node and all of its processes at once, as if its power failed."""
        raylet = self.raylet(node)
        for process in [*raylet.children(recursive=True), raylet]:
            _kill(process)

    def raylet(self, node: int) -> psutil.Process:
        """The raylet of a node."""
        return psutil.Process(self._ask(do="raylet", node=node))

    def gcs(self) -> psutil.Process:
        """The head's process."""
        return psutil.Process(self._ask(do="gcs"))

    def restart_gcs(self) -> None:
        """End the head's process if it lives, and start another one at the same address.

        It knows the former one's nodes and actors only if the cluster has ``RAY_gcs_storage``.
        """
        self._ask(do="restart_gcs")

    def agents(self) -> list[psutil.Process]:
        """The processes of all actors."""
        return [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if "ray::Actor" in " ".join(process.info["cmdline"] or ()) and self._is_own(process)
        ]

    def _is_own(self, process: psutil.Process) -> bool:
        # Some processes of Ray overwrite their environment with a title; workers of agents leave the session.
        try:
            if os.getsid(process.pid) == self._process.pid:
                return bool(process.status() != psutil.STATUS_ZOMBIE)
            return bool(process.environ().get("RAY_TMPDIR") == self._folder)
        except (OSError, psutil.Error):
            return False

    def members(self) -> list[psutil.Process]:
        """All living processes of the cluster, and what they started."""
        return [process for process in psutil.process_iter() if self._is_own(process)]

    def close(self) -> None:
        """End all processes of the cluster."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        while members := self.members():
            for process in members:
                _kill(process)
            psutil.wait_procs(members, timeout=5.0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, **order: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the cluster's process ended at {order}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{answer['error']} at {order}")
        return answer["found"]


def _without(folder: Path) -> list[str]:
    """The beginning of a command that does not see the content of a folder, in name spaces of its own."""
    ways = ["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]
    for way in ways:
        with contextlib.suppress(OSError):
            if not subprocess.run([*way, "true"], capture_output=True, check=False).returncode:
                return [*way, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder)]
    raise PermissionError("this account cannot hide a folder from a process (unshare --mount)")


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


def _obey() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ray prints
    nodes = _Nodes()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"found": getattr(nodes, order.pop("do"))(**order)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class _Nodes:
    """The cluster in its own process; each method is an order."""

    def __init__(self) -> None:
        self._cluster: Any = None
        self._nodes: list[Any] = []

    def start(self, port: int, ip: str) -> str:
        from ray.cluster_utils import Cluster

        _be_patient()
        head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False}
        head |= {"gcs_server_port": port} if port else {}
        head |= {"node_ip_address": ip} if ip else {}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        if version := os.environ.get("RAY_CLUSTER_TEST_VERSION"):
            _pretend(self._cluster, version)
        address: str = self._cluster.address
        return address

    def add(self, **resources: Any) -> None:
        """Add a node, and wait until the head knows it. Others may have died unseen, so their number says nothing."""
        renamed = {f"num_{name}" if name in ("cpus", "gpus") else name: n for name, n in resources.items()}
        for left in reversed(range(_MOST_STARTS)):
            known = set(self._cluster.worker_nodes)
            try:
                self._nodes.append(self._cluster.add_node(**renamed))
                return
            except Exception:  # as above
                for node in set(self._cluster.worker_nodes) - known:
                    node.kill_all_processes(check_alive=False, allow_graceful=False)
                    self._cluster.worker_nodes.discard(node)
                if not left:
                    raise

    def raylet(self, node: int) -> int:
        return _process_of(self._nodes[node], "raylet")

    def gcs(self) -> int:
        return _process_of(self._cluster.head_node, "gcs_server")

    def restart_gcs(self) -> None:
        self._cluster.head_node.kill_gcs_server(check_alive=False)
        self._cluster.head_node.start_gcs_server()


def _be_patient() -> None:
    """Make Ray wait longer for a node that starts."""
    from ray._private import services

    get_node, wait_for_node = services.get_node, services.wait_for_node

    def get_node_patiently(*arguments: Any) -> Any:
        until_s = time.monotonic() + _START_S
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.1)

    services.get_node = get_node_patiently
    services.wait_for_node = lambda address, store, _: wait_for_node(address, store, _START_S)


def _pretend(cluster: Any, version: str) -> None:
    """Make the head say that the cluster runs another version of Ray."""
    from ray._raylet import GcsClient

    client = GcsClient(address=cluster.address)
    namespace, key = b"cluster", b"CLUSTER_METADATA"
    described = json.loads(client.internal_kv_get(key, namespace))
    packed = json.dumps({**described, "ray_version": version}).encode()
    client.internal_kv_put(key, packed, True, namespace)


def _process_of(node: Any, kind: str) -> int:
    found: int = node.all_processes[kind][0].process.pid
    return found


if __name__ == "__main__":
    _obey()
