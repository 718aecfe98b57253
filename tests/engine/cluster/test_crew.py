"""The crew of agents behind a transport whose answers a test writes itself."""

import time
from collections import deque
from collections.abc import Iterator, Sequence

from tunecli.engine.cluster.crew import Crew
from tunecli.engine.cluster.protocol import AgentFacts, AgentSetup, CallFailed, Patience, Reply, Resources
from tunecli.engine.cluster.seat import Came, Joined, Lost, News
from tunecli.engine.cluster.wire import Batch, Item, Kind, pack_batch, pack_facts, unpack_poll
from tunecli.messages import EpochEnded

_PATIENCE = Patience(poll_s=0.01, orphan_s=60.0, unsure_s=0.05, retry_s=0.01)
_EPOCH = EpochEnded(1, 1, 1, 1, {}, 0.1)


class ByHand:
    """A transport with two agents of a slot each; `answers` holds what `replies` yields next."""

    def __init__(self) -> None:
        self.answers: deque[Reply | CallFailed] = deque()
        self.calls: list[tuple[str, str]] = []
        self.messages: list[bytes] = []
        self.dismissed: list[str] = []
        self.n_dying = 0  # agents that die before they answer

    def share(self, blobs: Sequence[bytes]) -> None:
        pass

    def end_former(self, study: str) -> int:
        return 0

    def divide(self, n_slots: int, slot: Resources) -> Sequence[int]:
        return [1] * n_slots

    def hire(self, agent: str, setup: AgentSetup, resources: Resources) -> int:
        call = self.call(agent, "hello", b"")
        if self.n_dying:
            self.n_dying -= 1
            self.answers.append(CallFailed(agent, call, "its node died", is_gone=True))
            return call
        facts = AgentFacts(f"host of {agent}", agent, 1, 1)
        self.answers.append(Reply(agent, call, pack_facts(facts)))
        return call

    def call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes] = ()) -> int:
        self.calls.append((agent, method))
        self.messages.append(message)
        return len(self.calls)

    def replies(self, wait_s: float) -> Iterator[Reply | CallFailed]:
        if self.answers:
            yield self.answers.popleft()
        else:
            time.sleep(wait_s)

    def dismiss(self, agent: str) -> None:
        self.dismissed.append(agent)

    def reconnect(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def answer(self, call: int, batch: Batch) -> None:
        """Answer a poll."""
        self.answers.append(Reply(self.calls[call - 1][0], call, pack_batch(batch)))


def crew_of(n_slots: int) -> tuple[Crew, ByHand, list[Joined]]:
    """A crew whose agents have joined."""
    transport = ByHand()
    crew = Crew(transport, AgentSetup("study", "session", 0), Resources(1.0), _PATIENCE)
    crew.begin(n_slots, lambda: ())
    joined: list[News] = []
    while len(joined) < n_slots:
        joined += crew.news(0.0, is_needed=True)
    return crew, transport, [news for news in joined if isinstance(news, Joined)]


def test_agents_that_die_before_they_answer_are_replaced_until_one_joins() -> None:
    transport = ByHand()
    transport.n_dying = 7
    crew = Crew(transport, AgentSetup("study", "session", 0), Resources(1.0), _PATIENCE)
    crew.begin(1, lambda: ())
    news: list[News] = []
    while not news:
        news += crew.news(0.01, is_needed=True)
    assert isinstance(news[0], Joined)
    assert (crew.n_slots, crew.left_out) == (1, {})


def test_a_late_answer_of_an_agent_that_was_left_out_is_dropped() -> None:
    crew, transport, joined = crew_of(2)
    seat = joined[0].seat
    polls = [number for number, call in enumerate(transport.calls, 1) if call == (seat.name, "poll")]
    batch = Batch(1, [Item(_EPOCH)], "its disk is full")
    transport.answer(polls[0], batch)
    (came,) = crew.news(0.0, is_needed=True)
    assert isinstance(came, Came)
    crew.acknowledge(seat, 1)
    crew.leave_out(seat, batch.problem)
    transport.answer(polls[0], Batch(problem=batch.problem))
    assert not [news for news in crew.news(0.0, is_needed=True) if isinstance(news, Came)]
    assert crew.n_slots == 1


def test_an_error_of_an_agent_that_was_left_out_is_dropped() -> None:
    crew, transport, joined = crew_of(2)
    seat = joined[0].seat
    crew.leave_out(seat, "its disk is full")
    poll = transport.calls.index((seat.name, "poll")) + 1
    transport.answers.append(CallFailed(seat.name, poll, "the agent has ended", is_gone=False, is_bug=True))
    [*crew.news(0.0, is_needed=True)]
    [*crew.news(0.0, is_needed=True)]


def test_answers_that_waited_while_the_caller_computed_save_their_agents() -> None:
    crew, transport, _ = crew_of(2)
    for number, (_, method) in enumerate(transport.calls, 1):
        if method == "poll":
            transport.answer(number, Batch(1, [Item(_EPOCH)]))
    time.sleep(_PATIENCE.poll_s + 2 * _PATIENCE.unsure_s)  # the caller computes
    came: list[News] = []
    for _ in range(3):  # one answer a call, as of a socket with much to read
        came += crew.news(0.0, is_needed=True)
    assert not transport.dismissed
    assert len(came) == 2


def test_an_agent_that_never_answers_a_poll_is_given_up() -> None:
    crew, transport, _ = crew_of(1)
    until_s = time.monotonic() + 10.0
    while not transport.dismissed:
        assert time.monotonic() < until_s, "it was not given up"
        [*crew.news(0.01, is_needed=True)]


def test_an_order_goes_with_the_poll_that_is_due_and_is_repeated_if_its_answer_is_lost() -> None:
    crew, transport, joined = crew_of(1)
    seat = joined[0].seat
    n_before = len(transport.calls)
    crew.acknowledge(seat, 7)
    assert len(transport.calls) == n_before
    crew.order(seat, seat.order(Kind.STOP))
    assert transport.calls[n_before:] == [(seat.name, "poll")]
    poll = unpack_poll(transport.messages[-1])
    assert poll.acknowledged == 7
    assert poll.order is not None and poll.order.kind is Kind.STOP
    assert 1 in seat.sent, "it is kept until it is answered"
    transport.answers.append(
        CallFailed(seat.name, len(transport.calls), "the answer was lost", is_gone=False)
    )
    until_s = time.monotonic() + 10.0
    while transport.calls[n_before + 1 :] != [(seat.name, "poll"), (seat.name, "order")]:
        assert time.monotonic() < until_s, transport.calls
        [*crew.news(0.01, is_needed=True)]
    assert unpack_poll(transport.messages[-2]).order is None
    transport.answers.append(Reply(seat.name, len(transport.calls), b"{}"))
    [*crew.news(0.0, is_needed=True)]
    assert not seat.sent


def test_an_order_with_a_poll_has_arrived_once_that_is_answered_and_one_apart_is_answered_at_once() -> None:
    crew, transport, joined = crew_of(1)
    seat = joined[0].seat
    crew.acknowledge(seat, 1)
    crew.order(seat, with_poll := seat.order(Kind.STOP))
    assert seat.accepted < with_poll
    transport.answer(len(transport.calls), Batch(2, [Item(_EPOCH)]))
    [*crew.news(0.0, is_needed=True)]
    assert seat.accepted == with_poll
    crew.acknowledge(seat, 2)
    crew.order(seat, apart := seat.order(Kind.STOP), is_apart=True)
    assert transport.calls[-1] == (seat.name, "order")
    transport.answers.append(Reply(seat.name, len(transport.calls), b"{}"))
    [*crew.news(0.0, is_needed=True)]
    assert seat.accepted == apart


def test_an_agent_that_the_cluster_ended_on_purpose_casts_no_suspicion_on_its_jobs() -> None:
    for is_planned in (True, False):
        crew, transport, joined = crew_of(1)
        seat = joined[0].seat
        poll = transport.calls.index((seat.name, "poll")) + 1
        failed = CallFailed(seat.name, poll, "its node went", is_gone=True, is_planned=is_planned)
        transport.answers.append(failed)
        (lost,) = [news for news in crew.news(0.0, is_needed=True) if isinstance(news, Lost)]
        assert lost.is_suspicious is not is_planned


def test_a_poll_without_an_order_goes_when_the_engine_listens_again() -> None:
    crew, transport, joined = crew_of(1)
    seat = joined[0].seat
    crew.acknowledge(seat, 3)
    [*crew.news(0.0, is_needed=True)]
    assert transport.calls[-1] == (seat.name, "poll")
    poll = unpack_poll(transport.messages[-1])
    assert (poll.acknowledged, poll.order) == (3, None)
