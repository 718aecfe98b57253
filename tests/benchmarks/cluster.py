"""The cost of the cluster engine for one trial and one epoch, by the number of slots.

The transport here has agents that take no time: each job ends at once with its events. So the time is the engine's
own, with the JSON of both sides. Run: ``python -m tests.benchmarks.cluster --slots 16 1000 10000``.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator, Sequence

from tests.support.jobs import make_job
from tunecli.engine.cluster.engine import ClusterEngine
from tunecli.engine.cluster.protocol import AgentFacts, AgentSetup, CallFailed, Reply, Resources
from tunecli.engine.cluster.wire import Batch, Item, Kind, pack_batch, pack_facts, unpack_order, unpack_poll
from tunecli.engine.protocol import EngineOptions
from tunecli.engine.versions import software_versions
from tunecli.messages import Ended, EpochEnded, Event, Started
from tunecli.objective import Objective
from tunecli.trial import Outcome, State


class InstantTransport:
    """Agents that end each job at once, with a number of epochs."""

    def __init__(self, slots_per_agent: int, n_epochs: int) -> None:
        self._size, self._n_epochs = slots_per_agent, n_epochs
        self._answers: deque[Reply | CallFailed] = deque()
        self._polls: dict[str, int] = {}
        self._events: dict[str, list[Event]] = {}
        self._n_batches: dict[str, int] = {}
        self._n_calls = 0

    def share(self, blobs: Sequence[bytes]) -> None:
        pass

    def end_former(self, study: str) -> int:
        return 0

    def divide(self, n_slots: int, slot: Resources) -> Sequence[int]:
        whole, rest = divmod(n_slots, self._size)
        return [*[self._size] * whole, *[rest] * bool(rest)]

    def hire(self, agent: str, setup: AgentSetup, resources: Resources) -> int:
        self._n_calls += 1
        facts = AgentFacts("host", "", 1, setup.n_slots, (), True, dict(software_versions()))
        self._events[agent], self._n_batches[agent] = [], 0
        self._answers.append(Reply(agent, self._n_calls, pack_facts(facts)))
        return self._n_calls

    def call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes] = ()) -> int:
        self._n_calls += 1
        if method == "poll":
            order = unpack_poll(message).order
            self._polls[agent] = self._n_calls
        else:
            self._answers.append(Reply(agent, self._n_calls, b"{}"))
            order = unpack_order(message)
        if order is not None and order.kind is Kind.SUBMIT:
            self._events[agent] += [event for job in order.jobs for event in self._course(job.number)]
        if self._events[agent] and agent in self._polls:
            self._n_batches[agent] += 1
            batch = Batch(self._n_batches[agent], [Item(event) for event in self._events[agent]])
            self._events[agent] = []
            self._answers.append(Reply(agent, self._polls.pop(agent), pack_batch(batch)))
        return self._n_calls

    def _course(self, number: int) -> Iterator[Event]:
        yield Started(number, 1, "cpu", 1, host="host")
        for epoch in range(1, self._n_epochs + 1):
            yield EpochEnded(number, 1, epoch, self._n_epochs, {"val_loss": 1.0 / epoch, "lr": 0.1}, 0.1)
        yield Ended(number, 1, Outcome(State.COMPLETE, 0.1, {"val_loss": 0.1}, self._n_epochs, 1, 1.0, "cpu"))

    def replies(self, wait_s: float) -> Iterator[Reply | CallFailed]:
        while self._answers:
            yield self._answers.popleft()

    def dismiss(self, agent: str) -> None:
        pass

    def reconnect(self) -> bool:
        return True

    def close(self) -> None:
        pass


def measure(n_slots: int, slots_per_agent: int, n_trials: int, n_epochs: int) -> tuple[float, float]:
    """Run trials with all slots busy; return processor seconds of the engine alone, and of both sides."""
    engine = ClusterEngine(
        EngineOptions(n_slots, 1), InstantTransport(slots_per_agent, n_epochs), Resources(1.0)
    )
    jobs = [make_job(n, {"command": ["true"]}, Objective("val_loss", False)) for n in range(n_trials)]
    began_s, n_ended = time.process_time(), 0
    waiting = deque(jobs)
    while n_ended < n_trials:
        while waiting and engine.n_idle:
            engine.submit(waiting.popleft())
        n_ended += sum(isinstance(event, Ended) for event in engine.events(0.0))
    took_s = time.process_time() - began_s
    engine.close()
    return took_s, n_trials / took_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, nargs="*", default=[16, 1000, 10000])
    parser.add_argument("--per-agent", type=int, default=8)
    parser.add_argument("--trials", type=int, default=20000)
    options = parser.parse_args()
    for n_slots in options.slots:
        for n_epochs in (0, 20):
            n_trials = options.trials if not n_epochs else options.trials // 10
            n_trials = max(n_trials, n_slots)
            took_s, rate = measure(n_slots, options.per_agent, n_trials, n_epochs)
            print(
                f"{n_slots:>6} slots, {n_epochs:>2} epochs: {n_trials} trials in {took_s:.2f} processor s, "
                f"{rate:,.0f} trials/s, {rate * n_epochs:,.0f} epochs/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
