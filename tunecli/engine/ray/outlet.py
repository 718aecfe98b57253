"""The bridge's way out: frames to the coordinator from any thread, each whole and in order.

A frame goes out in the thread that sends it, if the socket takes it at once. Else a thread of its own sends the rest,
so a coordinator that computes for minutes delays no thread of Ray.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.engine.ray.frames import pack_frame


class Outlet:
    """Sends frames through a socket."""

    def __init__(self, channel: socket.socket) -> None:
        """Send through ``channel``, a blocking stream socket that the caller closes."""
        self._channel = channel
        self._left: deque[bytes | memoryview] = deque()
        self._changed = threading.Condition()
        threading.Thread(target=self._send_the_rest, daemon=True).start()

    def send(self, header: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a frame, or let it be sent soon; a coordinator that is gone gets none."""
        pieces: Sequence[bytes | memoryview] = pack_frame(header, blobs)
        with self._changed:
            if not self._left:
                pieces = self._untaken(pieces)
            if pieces:
                self._left.extend(pieces)
                self._changed.notify()

    def _untaken(self, pieces: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
        """Give the socket as many bytes as it takes at once, and return the rest."""
        for number, piece in enumerate(pieces):
            left = memoryview(piece)
            while left:
                try:
                    left = left[self._channel.send(left, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    return [left, *pieces[number + 1 :]]
                except OSError:  # the coordinator is gone; the thread that reads meets that as well
                    return []
        return []

    def _send_the_rest(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._left)
                piece = self._left[0]
            try:
                self._channel.sendall(piece)
            except OSError:
                return
            with self._changed:
                self._left.popleft()
