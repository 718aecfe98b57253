"""Whether an agent's process is gone for certain: its node refuses a connection to the port that it listened on.

A cluster reports an actor as dead as soon as it lost sight of it. The process may live on for seconds, or for a minute
on a node that the network has cut off, and may go on training. Only the node's refusal is certain.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import NamedTuple

_WAIT_S = 0.2


class Place(NamedTuple):
    """Where an agent's process listens."""

    host: str
    port: int


def is_refused(place: Place) -> bool:
    """Whether the node answers, and no process listens at the port."""
    try:
        socket.create_connection(place, _WAIT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # the node does not answer
        return False
    return False


def living(places: Iterable[Place]) -> set[Place]:
    """Return the places whose processes are not gone for certain."""
    return {place for place in set(places) if not is_refused(place)}
