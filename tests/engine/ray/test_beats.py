"""Which agents the bridge keeps alive, without a cluster."""

import socket
import time

import pytest

from tunecli.engine.ray.liveness import Place

pytestmark = pytest.mark.slow  # it loads Ray


@pytest.mark.parametrize("is_alive", [True, False])
def test_an_agent_whose_call_failed_is_kept_alive_unless_it_is_gone(*, is_alive: bool) -> None:
    pytest.importorskip("ray")
    from tunecli.engine.ray import bridge

    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as server:
        place = Place(*server.getsockname())
        if not is_alive:
            server.close()
        made = bridge._Bridge(theirs)
        made._places["agent"], made._called_s["agent"] = place, 0.0
        death = bridge._Death("agent", 1, RuntimeError("it is unavailable"), time.monotonic() - 1.0)
        assert made._confirm([death]) == []
        assert made._answers.get() == ("agent", 1, death.error, not is_alive)
        assert ("agent" in made._called_s) == is_alive
