"""The way to the cluster's head: whether it can be reached, and the attempts to reach it again."""

from __future__ import annotations

import time
from collections.abc import Callable

from tunecli.engine.cluster.protocol import Patience, Transport
from tunecli.errors import ClusterGone


class Link:
    """The state of the connection to the cluster.

    Attributes:
        gone: why the cluster cannot be reached; None: it can.
    """

    def __init__(
        self, transport: Transport, patience: Patience, on_gone: Callable[[ClusterGone], None]
    ) -> None:
        """Begin with a cluster that can be reached.

        Args:
            transport: tries to connect again.
            patience: how long to try.
            on_gone: called once whenever the cluster is lost.
        """
        self._transport, self._patience, self._on_gone = transport, patience, on_gone
        self.gone: ClusterGone | None = None
        self._gone_s = self._retried_s = 0.0

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something with the transport, unless the cluster is gone; notice if it is gone now."""
        if self.gone is not None:
            return
        try:
            action()
        except ClusterGone as error:
            self.gone, self._gone_s, self._retried_s = error, time.monotonic(), 0.0
            self._on_gone(error)

    def reconnect(self, wait_s: float, *, is_needed: bool) -> bool:
        """Try to reach the cluster again, or wait up to ``wait_s`` seconds if it is too early.

        Args:
            wait_s: the longest time to wait.
            is_needed: whether jobs wait for the cluster.

        Returns:
            Whether it is back.

        Raises:
            ClusterGone: it did not come back in time.
        """
        assert self.gone is not None
        now_s = time.monotonic()
        if not is_needed or now_s - self._retried_s < self._patience.retry_s:
            time.sleep(min(wait_s, self._patience.retry_s))
            return False
        self._retried_s = now_s
        if self._transport.reconnect():
            self.gone = None
            return True
        if now_s - self._gone_s >= self._patience.reconnect_s:
            raise self.gone
        return False
