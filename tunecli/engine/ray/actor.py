"""The Ray actor on a node: it holds one agent, and passes calls on to it.

The bridge ships the class by value, so it also runs on a node that lacks tunecli, and can tell that. Therefore it
imports only the standard library before it knows that the node has the coordinator's version of tunecli.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import threading
import time
from typing import Any

_LOOK_S = 0.5


class Actor:
    """Holds an agent of `tunecli.engine.cluster`. Its methods run in several threads at a time."""

    def __init__(self, kind: str, version: str, n_slots: int, setup: str, *files: bytes) -> None:
        """Make the agent, or find out why there cannot be one.

        Args:
            kind: ``module:attribute`` of the agent's class.
            version: the coordinator's version of tunecli.
            n_slots: of the agent.
            setup: an `AgentSetup` as JSON.
            files: the contents of its files.
        """
        import ray

        self._node = ray.get_runtime_context().get_node_id()
        self._n_slots = n_slots
        self._agent: Any = None
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        self._problem = _problem(version)
        if not self._problem:
            from tunecli.engine.cluster.wire import unpack_setup

            module, _, attribute = kind.partition(":")
            make = getattr(importlib.import_module(module), attribute)
            self._agent = make(unpack_setup(setup.encode()), files, self._node, lambda: os._exit(1))

    def call(self, packed: bytes, *blobs: bytes) -> bytes | list[bytes]:
        """Call a method of the agent.

        Args:
            packed: the method's name, a line break and its message. Ray takes bytes as they are, and packs all else.
            blobs: of the message.

        Returns:
            The message of the answer, with its blobs behind it if it has any. Without an agent, ``hello`` returns the
            problem.
        """
        if self._agent is None:
            return json.dumps(self._facts()).encode()
        method, _, message = packed.partition(b"\n")
        answer, files = self._agent.call(method.decode(), message, blobs)
        return [answer, *files] if files else answer

    def end(self) -> None:
        """End the agent with its workers, and remove its files. The bridge kills the process then."""
        if self._agent is not None:
            self._agent.call("close", b"{}", ())

    def _facts(self) -> dict[str, Any]:
        """Return the fields of an `AgentFacts`."""
        return {
            "host": socket.gethostname(),
            "node": self._node,
            "process_id": os.getpid(),
            "n_slots": self._n_slots,
            "problem": self._problem,
        }


def _end_with(raylet: int) -> None:
    """End this process when the node's own process of Ray has died.

    Ray itself waits until no call runs any more, and the agent would train on meanwhile.
    """
    while os.getppid() == raylet:
        time.sleep(_LOOK_S)
    os._exit(1)


def _problem(version: str) -> str:
    """Return why this node cannot run trials of a coordinator with that version of tunecli; empty if it can."""
    try:
        found = importlib.import_module("tunecli").__version__
    except ModuleNotFoundError as error:
        if error.name != "tunecli":
            raise
        return f"its Python ({sys.executable}) has no package `tunecli`"
    return f"it has tunecli {found}, and the sweep runs tunecli {version}" if found != version else ""
