"""The cluster engine over a transport with faults: each job has exactly one end, and none is trained twice at a time."""

import itertools
import platform
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engine.cluster.clusters import QUICK, cluster, function_job, run
from tests.support.jobs import change_job
from tunecli.errors import ClusterGone, StoreFailed, UsageError
from tunecli.messages import Ended, EpochEnded, Started, Stopped
from tunecli.testing.in_process_cluster import Faults, InProcessTransport
from tunecli.trial import FailureKind, State

NODES = {"n1": 2, "n2": 2}


def losses(ends):
    return {number: end.outcome.score for number, end in ends.items()}


class TestWithoutFaults:
    def test_jobs_run_on_all_nodes_and_each_ends_once(self, tmp_path):
        transport = InProcessTransport(NODES)
        with cluster(transport, 4) as engine:
            assert engine.n_workers == engine.n_idle == 4
            ends, events = run(engine, [function_job(tmp_path, number) for number in range(6)])
            assert engine.n_idle == 4
            (host,) = engine.hosts()
        assert losses(ends) == {number: (1.0 + number) / 3 for number in range(6)}
        assert transport.n_hired == 2
        hosts = {event.host for event in events if isinstance(event, Started)}
        assert hosts == {host.name} and host.name
        assert host.n_slots == 4 and host.versions["python"] == platform.python_version()

    def test_jobs_wait_in_the_engine_until_a_node_comes(self, tmp_path):
        transport = InProcessTransport({})
        with cluster(transport, 2) as engine:
            engine.submit(function_job(tmp_path, 0))
            assert list(engine.events(0.0)) == []
            assert engine.n_idle == 1
            transport.add_node("late", 1)
            found = []
            while not any(isinstance(event, Ended) for event in found):
                found.extend(engine.events(1.0))
            assert found[-1].number == 0

    def test_stop_ends_a_waiting_job_at_once_and_the_next_job_runs(self, tmp_path):
        transport = InProcessTransport({})
        with cluster(transport, 1) as engine:
            engine.submit(function_job(tmp_path, 0))
            engine.stop()
            assert list(engine.events(0.0)) == [Stopped(0, 1)]
            transport.add_node("late", 1)
            ends, _ = run(engine, [function_job(tmp_path, 1)])
            assert ends[1].outcome.state is State.COMPLETE

    def test_a_waiting_job_that_is_ended_by_hand_is_pruned(self, tmp_path):
        with cluster(InProcessTransport({}), 1) as engine:
            engine.submit(function_job(tmp_path, 0))
            engine.end(0)
            (ended,) = engine.events(0.0)
            assert ended.outcome.state is State.PRUNED
            assert engine.n_idle == 1

    def test_a_running_job_is_ended_by_one_order_however_often_it_is_wanted(self, tmp_path):
        transport = InProcessTransport({"n1": 1})
        sent = []
        call = transport.call
        transport.call = lambda agent, method, *rest: sent.append(rest[0]) or call(agent, method, *rest)
        with cluster(transport, 1) as engine:
            engine.submit(function_job(tmp_path, 0, wait=str(tmp_path / "never")))
            while not any(isinstance(event, EpochEnded) for event in engine.events(1.0)):
                pass
            found = []
            while not any(isinstance(event, Ended) for event in found):
                engine.end(0)
                found.extend(engine.events(0.05))
            assert sum(b'"kind": "end"' in message for message in sent) == 1
        assert found[-1].outcome.state is State.PRUNED

    def test_a_run_folder_that_refuses_a_file_is_an_error_of_the_disk(self, tmp_path):
        with (
            pytest.raises(StoreFailed, match="cannot write"),
            cluster(InProcessTransport(NODES), 1, folder=tmp_path / "missing"),
        ):
            pass


class TestLostAnswers:
    def test_lost_and_repeated_calls_lose_no_event_and_repeat_none(self, tmp_path):
        transport = InProcessTransport(NODES, faults=Faults(lose_each=3, repeat_each=4))
        with cluster(transport, 4) as engine:
            ends, events = run(engine, [function_job(tmp_path, number) for number in range(8)])
        assert losses(ends) == {number: (1.0 + number) / 3 for number in range(8)}
        assert transport.n_hired == 2, "no agent was replaced"
        epochs = [(event.number, event.epoch) for event in events if isinstance(event, EpochEnded)]
        assert sorted(epochs) == list(itertools.product(range(8), (1, 2, 3)))
        assert all(epochs.index((number, 1)) < epochs.index((number, 3)) for number in range(8))

    def test_an_agent_that_is_unavailable_for_a_while_keeps_its_job(self, tmp_path):
        transport = InProcessTransport({"n1": 1})
        flag = tmp_path / "flag"
        with cluster(transport, 1) as engine:

            def cut_off_for_a_while(event):
                if isinstance(event, EpochEnded) and event.epoch == 1:
                    (agent,) = transport.agents
                    transport.cut_off(agent)
                    for _ in range(3):
                        assert list(engine.events(0.02)) == []
                    transport.reach_again(agent)
                    flag.touch()

            ends, _ = run(engine, [function_job(tmp_path, 0, wait=str(flag))], cut_off_for_a_while)
        assert ends[0].outcome.state is State.COMPLETE
        assert ends[0].attempt == 1
        assert transport.n_hired == 1

    def test_an_agent_that_stays_unavailable_gives_its_job_back_after_it_ended_itself(self, tmp_path):
        transport = InProcessTransport({"n1": 1, "n2": 1})
        flag = tmp_path / "flag"
        cut = []
        with cluster(transport, 1, patience=QUICK) as engine:

            def cut_off(event):
                if isinstance(event, EpochEnded) and not cut:
                    cut.extend(transport.agents)
                    transport.cut_off(cut[0])
                if isinstance(event, Stopped):
                    assert cut[0] not in transport.agents, "the former agent must not train any more"
                    flag.touch()

            ends, events = run(engine, [function_job(tmp_path, 0, wait=str(flag))], cut_off)
        assert ends[0].outcome.state is State.COMPLETE
        (stopped,) = [event for event in events if isinstance(event, Stopped)]
        assert "was lost" in stopped.cause
        assert transport.n_hired == 2


class TestDeadAgents:
    def test_a_killed_agent_gives_its_job_back_and_is_replaced(self, tmp_path):
        transport = InProcessTransport({"n1": 1})
        flag = tmp_path / "flag"
        killed = []
        with cluster(transport, 1) as engine:

            def kill(event):
                if isinstance(event, EpochEnded) and not killed:
                    killed.extend(transport.agents)
                    transport.kill(killed[0])
                    flag.touch()

            ends, events = run(engine, [function_job(tmp_path, 0, wait=str(flag))], kill)
            assert not Path(transport.spool(killed[0])).exists(), "a later agent removes its spool"
        assert ends[0].outcome.state is State.COMPLETE
        (stopped,) = [event for event in events if isinstance(event, Stopped)]
        assert "SIGKILL" in stopped.cause
        assert transport.n_hired == 2

    def test_a_trial_that_ends_its_machine_three_times_in_a_row_is_lost(self, tmp_path):
        transport = InProcessTransport({"n1": 1})
        began = tmp_path / "began"
        with cluster(transport, 1) as engine:

            def kill(event):
                if isinstance(event, Started):
                    transport.kill(transport.agents[0])

            ends, events = run(engine, [function_job(tmp_path, 0, "dying", began=str(began))], kill)
        assert ends[0].outcome.failure.kind is FailureKind.LOST
        assert ends[0].attempt == 3
        assert sum(isinstance(event, Stopped) for event in events) == 2

    def test_its_neighbour_runs_alone_before_it_could_be_taken_for_the_culprit(self, tmp_path):
        transport = InProcessTransport({"n1": 2})
        began, started = tmp_path / "began", set()
        with cluster(transport, 2) as engine:

            def kill(event):
                if not isinstance(event, Started):
                    return
                started.add((event.number, event.attempt))
                if event.attempt == 3:
                    (began if event.number == 1 else tmp_path / "other").touch()
                is_shared = {(0, event.attempt), (1, event.attempt)} <= started
                if is_shared if event.attempt < 3 else event.number == 0:
                    transport.kill(transport.agents[0])

            culprit = function_job(tmp_path, 0, "dying", began=str(tmp_path / "culprit"))
            neighbour = function_job(tmp_path, 1, "slow", wait=str(began))
            ends, events = run(engine, [culprit, neighbour], kill)
            assert engine.n_idle == 2
            again, _ = run(engine, [function_job(tmp_path, number) for number in (2, 3)])
        assert ends[0].outcome.failure.kind is FailureKind.LOST
        assert ends[1].outcome.state is State.COMPLETE
        assert [event.number for event in events if isinstance(event, Stopped)].count(1) == 2
        assert all(end.outcome.state is State.COMPLETE for end in again.values())

    def test_no_spool_is_left_after_the_end(self, tmp_path):
        transport = InProcessTransport({"n1": 1}, sees_run_folder=False)
        with cluster(transport, 1, base_path=tmp_path, folder=tmp_path) as engine:
            run(engine, [function_job(tmp_path, 0)])
            spool = Path(transport.spool(transport.agents[0]))
            assert spool.stat().st_mode & 0o777 == 0o700
        assert not spool.exists()


class TestTheHead:
    def test_jobs_go_on_when_the_head_is_back(self, tmp_path):
        faults = Faults()
        transport = InProcessTransport({"n1": 1}, faults=faults)
        flag = tmp_path / "flag"
        gone = []
        with cluster(transport, 1) as engine:

            def lose_head(event):
                if isinstance(event, EpochEnded) and not gone:
                    gone.append(event)
                    faults.is_head_gone = True
                    flag.touch()

            ends, events = run(engine, [function_job(tmp_path, 0, wait=str(flag))], lose_head)
        assert ends[0].outcome.state is State.COMPLETE
        assert [event.cause for event in events if isinstance(event, Stopped)] == [
            "the cluster's head is gone"
        ]

    def test_a_head_that_stays_away_gives_the_jobs_back_and_raises(self, tmp_path):
        faults = Faults(comes_back=False)
        transport = InProcessTransport({"n1": 1}, faults=faults)
        with cluster(transport, 1) as engine:
            job = function_job(tmp_path, 0, wait=str(tmp_path / "never"))
            engine.submit(job)
            while not any(isinstance(event, EpochEnded) for event in engine.events(1.0)):
                pass
            faults.is_head_gone = True
            found = []
            while not found:
                found.extend(engine.events(0.1))
            assert found == [Stopped(0, 1, "the cluster's head is gone")]
            engine.submit(change_job(job, attempt=2))
            assert "to reach the cluster again" in engine.notices()[-1]
            with pytest.raises(ClusterGone):
                while True:
                    list(engine.events(0.1))
            faults.is_head_gone = False


class TestUnfitNodes:
    def test_a_node_with_another_torch_is_left_out_and_reported(self, tmp_path):
        transport = InProcessTransport({"n1": 1})
        with cluster(transport, 1, versions={"torch": "1.0.0"}) as engine:
            engine.submit(function_job(tmp_path, 0))
            found = []
            with pytest.raises(UsageError, match=r"no node .* torch .* in place of 1\.0\.0"):
                while True:
                    found.extend(engine.events(1.0))
            assert found == []
            assert "is left out: torch" in engine.notices()[0]

    def test_a_node_without_an_expected_file_is_left_out(self, tmp_path):
        data = tmp_path / "data.csv"
        data.write_text("1,2\n")
        transport = InProcessTransport({"n1": 1})
        files = {str(data): "0" * 64}
        with cluster(transport, 1, base_path=tmp_path, files=files) as engine:
            engine.submit(function_job(tmp_path, 0))
            with pytest.raises(UsageError, match=r"data\.csv has another content there"):
                while True:
                    list(engine.events(1.0))
        with suppress(OSError):
            data.unlink()
