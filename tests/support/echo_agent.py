"""An agent that only answers: it tests a transport without trials."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence

from tunecli.engine.cluster.protocol import AgentSetup


class EchoAgent:
    """Takes the same arguments and calls as `tunecli.engine.cluster.agent.Agent`."""

    def __init__(
        self, setup: AgentSetup, blobs: Sequence[bytes], node: str, on_orphaned: Callable[[], None]
    ) -> None:
        self._setup, self._blobs, self._node, self._on_orphaned = setup, blobs, node, on_orphaned
        self._is_closed = threading.Event()
        self._n_beats = 0

    def call(self, method: str, message: bytes, blobs: Sequence[bytes]) -> tuple[bytes, Sequence[bytes]]:
        match method:
            case "hello":
                facts = {"node": self._node, "process_id": os.getpid(), "n_slots": self._setup.n_slots}
                return json.dumps(facts).encode(), self._blobs
            case "echo":
                return message, blobs
            case "wait":  # until it is closed
                self._is_closed.wait()
                return b"closed", ()
            case "beat":
                self._n_beats += 1
                return b"", ()
            case "beats":
                return str(self._n_beats).encode(), ()
            case "close":
                self._is_closed.set()
                return b"", ()
            case "orphan":
                self._on_orphaned()
        raise ValueError(f"it has no method {method}")
