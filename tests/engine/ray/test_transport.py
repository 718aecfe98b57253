"""The transport on a real cluster, with agents that only answer."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.ray_cluster import RayCluster
from tunecli.engine.cluster.protocol import AgentSetup, CallFailed, Reply, Resources
from tunecli.engine.ray.transport import Connection, RayTransport
from tunecli.errors import ClusterGone, UsageError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ECHO = "tests.support.echo_agent:EchoAgent"
_WAIT_S = 120.0
_SLOT = Resources(1.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A cluster of a head and two nodes with one CPU each, which the tests leave as it was."""
    with RayCluster([1, 1]) as cluster:
        yield cluster


@pytest.fixture
def transport(cluster: RayCluster) -> Iterator[RayTransport]:
    """A connected transport, closed at the end."""
    transport = RayTransport(Connection(cluster.address), agent=_ECHO)
    yield transport
    transport.close()


def _answers(transport: RayTransport, n: int = 1) -> list[Reply | CallFailed]:
    """Return the next answers."""
    found: list[Reply | CallFailed] = []
    until = time.monotonic() + _WAIT_S
    while len(found) < n:
        found += transport.replies(1.0)
        assert time.monotonic() < until, "no answer came"
    return found


def _answer(transport: RayTransport) -> Reply | CallFailed:
    (found,) = _answers(transport)
    return found


def _hired(transport: RayTransport, *agents: str, session: str = "now") -> list[dict[str, object]]:
    """Hire agents of one slot; return their facts."""
    calls = [transport.hire(agent, AgentSetup("study", session, 1), _SLOT) for agent in agents]
    replies = {reply.call: reply for reply in _answers(transport, len(agents))}
    facts = []
    for call in calls:
        reply = replies[call]
        assert isinstance(reply, Reply), reply
        facts.append(json.loads(reply.message))
    return facts


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_agents_start_on_the_nodes_that_were_planned_with_the_shared_blobs(transport: RayTransport) -> None:
    transport.share([b"first", b"second" * 100_000])
    assert list(transport.divide(2, _SLOT)) == [1, 1]
    transport.hire("a", AgentSetup("study", "now", 1), _SLOT)
    transport.hire("b", AgentSetup("study", "now", 1), _SLOT)
    replies = _answers(transport, 2)
    assert all(
        isinstance(reply, Reply) and reply.blobs == [b"first", b"second" * 100_000] for reply in replies
    )
    nodes = {json.loads(reply.message)["node"] for reply in replies if isinstance(reply, Reply)}
    assert len(nodes) == 2


def test_calls_and_blobs_come_back_each_once_with_their_numbers(transport: RayTransport) -> None:
    _hired(transport, "a", "b")
    sent = {transport.call("ab"[i % 2], "echo", b"%d" % i, [b"x" * i * 9_999]): i for i in range(40)}
    replies = _answers(transport, len(sent))
    assert sorted(reply.call for reply in replies) == sorted(sent)
    for reply in replies:
        assert isinstance(reply, Reply)
        assert (reply.message, reply.blobs) == (b"%d" % sent[reply.call], [b"x" * sent[reply.call] * 9_999])


def test_an_error_of_the_agents_own_code_is_a_bug_and_the_agent_goes_on(transport: RayTransport) -> None:
    _hired(transport, "a")
    transport.call("a", "nonsense", b"")
    failed = _answer(transport)
    assert isinstance(failed, CallFailed)
    assert failed.is_bug
    assert not failed.is_gone
    assert "ValueError: it has no method nonsense" in failed.cause
    transport.call("a", "echo", b"on")
    assert isinstance(_answer(transport), Reply)


def test_a_killed_agent_is_gone_for_certain(transport: RayTransport) -> None:
    (facts,) = _hired(transport, "a")
    transport.call("a", "wait", b"")
    pid = facts["process_id"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    failed = _answer(transport)
    assert isinstance(failed, CallFailed)
    assert failed.is_gone
    assert not failed.is_bug
    assert _gone(pid)


def test_a_dismissed_agent_fails_its_calls_once_it_is_gone_and_takes_no_more(transport: RayTransport) -> None:
    (facts,) = _hired(transport, "a")
    open_call = transport.call("a", "wait", b"")
    transport.dismiss("a")
    failed = _answer(transport)
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.is_gone) == (open_call, True)
    pid = facts["process_id"]
    assert isinstance(pid, int)
    assert _gone(pid)
    transport.call("a", "echo", b"")
    late = _answer(transport)
    assert isinstance(late, CallFailed)
    assert late.is_gone
    _hired(transport, "b", "c")  # its room is free


def test_agents_of_a_coordinator_that_was_killed_are_gone_within_seconds(cluster: RayCluster) -> None:
    program = (
        "import sys, os, json, signal\n"
        f"sys.path.insert(0, {str(Path.cwd())!r})\n"
        "from tests.engine.ray.test_transport import *\n"
        "from tests.engine.ray.test_transport import _ECHO, _hired\n"
        f"transport = RayTransport(Connection({cluster.address!r}), agent=_ECHO)\n"
        "facts = _hired(transport, 'a', 'b', session='former')\n"
        "print(json.dumps([transport.bridge.process_id, *(one['process_id'] for one in facts)]), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pids = json.loads(done.stdout)
    until = time.monotonic() + 30.0
    while not all(map(_gone, pids)):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_former_agents_of_the_study_end_and_other_studies_go_on(
    cluster: RayCluster, transport: RayTransport
) -> None:
    former = RayTransport(Connection(cluster.address), agent=_ECHO)
    try:
        (facts,) = _hired(former, "a", session="former")
        former.hire("b", AgentSetup("another", "former", 1), _SLOT)
        other = _answer(former)
        assert isinstance(other, Reply)
        assert transport.end_former("study") == 1
        pid = facts["process_id"]
        assert isinstance(pid, int)
        assert _gone(pid)
        assert not _gone(json.loads(other.message)["process_id"])
        assert transport.end_former("study") == 0
    finally:
        former.close()


def test_an_agent_that_ended_itself_is_gone(transport: RayTransport) -> None:
    _hired(transport, "a")
    transport.call("a", "orphan", b"")
    failed = _answer(transport)
    assert isinstance(failed, CallFailed)
    assert failed.is_gone


def test_a_killed_bridge_means_that_the_cluster_is_gone_and_another_one_connects(
    transport: RayTransport,
) -> None:
    facts = _hired(transport, "a", "b")
    os.kill(transport.bridge.process_id, signal.SIGKILL)
    with pytest.raises(ClusterGone):
        _answers(transport)
    with pytest.raises(ClusterGone):
        transport.call("a", "echo", b"")
    until = time.monotonic() + _WAIT_S
    while not transport.reconnect():
        assert time.monotonic() < until
    assert all(_gone(pid) for fact in facts if isinstance(pid := fact["process_id"], int))
    _hired(transport, "c", "d")


def test_a_node_that_dies_takes_its_agent_with_it(cluster: RayCluster) -> None:
    with RayCluster([1]) as alone:
        transport = RayTransport(Connection(alone.address), agent=_ECHO)
        try:
            (facts,) = _hired(transport, "a")
            transport.call("a", "wait", b"")
            alone.raylet(0).kill()
            failed = _answer(transport)
            assert isinstance(failed, CallFailed)
            assert failed.is_gone
            pid = facts["process_id"]
            assert isinstance(pid, int)
            assert _gone(pid)
        finally:
            transport.close()


def test_a_cluster_that_is_started_for_the_sweep_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    connection = Connection("auto")
    transport = RayTransport(connection, agent=_ECHO)
    try:
        assert connection.resolved == ""
        members = psutil.Process(transport.bridge.process_id).children(recursive=True)
        assert members
        _hired(transport, "a")
    finally:
        transport.close()
    _, alive = psutil.wait_procs(members, timeout=20.0)
    assert not alive
    assert not list(Path("/tmp").glob(f"tunecli-ray-*/session_*_{connection.bridge.process_id}"))


def test_a_cluster_of_other_versions_is_an_error_that_names_them(cluster: RayCluster) -> None:
    with RayCluster([], RAY_CLUSTER_TEST_VERSION="2.1.0") as other, pytest.raises(UsageError) as raised:
        Connection(other.address)
    assert raised.value.message.startswith(f"the cluster at {other.address} runs Ray 2.1.0 and Python 3.")


def test_a_port_that_is_not_rays_is_an_error() -> None:
    program = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with pytest.raises(UsageError, match=f"Ray cluster at 127.0.0.1:{port}|Ray cluster answers at"):
            Connection(f"127.0.0.1:{port}")
        server.kill()
