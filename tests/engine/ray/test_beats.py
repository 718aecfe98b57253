"""Which agents the bridge keeps alive, without a cluster."""

import json
import socket
import time

import pytest

from tunecli.engine.ray.liveness import Place

pytestmark = pytest.mark.slow  # it loads Ray


class _Actor:
    """Answers each beat at once, with the number of the beat; it keeps what the beats brought."""

    def __init__(self) -> None:
        self.brought: list[bytes] = []

    @property
    def call(self):
        return self

    def remote(self, packed):
        method, _, message = packed.partition(b"\n")
        assert method == b"beat"
        self.brought.append(message)
        return self

    def _on_completed(self, take):
        take(json.dumps(len(self.brought)).encode())


@pytest.mark.parametrize("is_alive", [True, False])
def test_an_agent_whose_call_failed_is_kept_alive_unless_it_is_gone(*, is_alive: bool) -> None:
    pytest.importorskip("ray")
    from tunecli.engine.ray import watch

    failed = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place(*server.getsockname())
        if not is_alive:
            server.close()
        made = watch.Watch(lambda *failure: failed.append(failure))
        made.keep("agent", _Actor(), place)
        death = watch._Death("agent", 1, RuntimeError("it is unavailable"), time.monotonic() - 1.0)
        assert made.report([death]) == []
        assert failed == [("agent", 1, death.error, not is_alive)]
        assert made.is_kept("agent") == is_alive


def test_each_beat_brings_the_answer_to_the_last_one_and_a_released_agent_gets_none() -> None:
    pytest.importorskip("ray")
    from tunecli.engine.ray import watch

    made, actor = watch.Watch(lambda *_: None), _Actor()
    made.keep("agent", actor, None)
    now_s = time.monotonic()
    for later_s in (0.0, 0.5, 20.0, 40.0):
        made._beat(now_s + later_s)
    assert actor.brought == [b"", b"1", b"2"]
    made.release("agent")
    made._beat(now_s + 60.0)
    assert len(actor.brought) == 3
