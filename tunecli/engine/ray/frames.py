"""Frames between the coordinator and its bridge: a JSON header with blobs behind it, over a stream socket.

Both ends use this module. A frame is the length of the header in 4 bytes, the header, and the blobs one after another;
the header's ``sizes`` are the lengths of the blobs in bytes. Nothing is pickled.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_LENGTH = struct.Struct("!I")
_READ_BYTES = 1 << 18
_JOINED_BYTES = 1 << 16  # smaller frames are sent by one call of the system


class Frame(NamedTuple):
    """A frame as it came.

    Attributes:
        header: JSON values by name.
        blobs: bytes that belong to it.
    """

    header: dict[str, Any]
    blobs: list[bytes]


def pack_frame(header: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> list[bytes]:
    """Return the frame as pieces to send one after another; a small frame is one piece."""
    packed = json.dumps({**header, "sizes": [len(blob) for blob in blobs]}).encode()
    pieces = [_LENGTH.pack(len(packed)), packed, *blobs]
    return [b"".join(pieces)] if sum(map(len, pieces)) < _JOINED_BYTES else pieces


class FrameReader:
    """Reads frames from a stream socket."""

    def __init__(self, channel: socket.socket) -> None:
        """Read from ``channel``, which the caller closes."""
        self._channel = channel
        self._buffer = bytearray()

    def wait(self) -> Iterator[Frame]:
        """Wait for bytes, and yield the frames that are complete with them.

        Raises:
            EOFError: the other end is closed, and no frame is left.
            BlockingIOError: the socket does not block, and no bytes have come.
        """
        if not self._receive():
            raise EOFError
        while (frame := self._next()) is not None:
            yield frame

    def _receive(self) -> bool:
        """Add the bytes that have come to the buffer; return whether there were any."""
        try:
            data = self._channel.recv(_READ_BYTES)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self._buffer += data
        return bool(data)

    def _next(self) -> Frame | None:
        """Take a whole frame out of the buffer."""
        start = _LENGTH.size
        if len(self._buffer) < start:
            return None
        begin = start + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) < begin:
            return None
        header = json.loads(self._buffer[start:begin])
        sizes: list[int] = header.pop("sizes")
        if len(self._buffer) < begin + sum(sizes):
            return None
        blobs = []
        with memoryview(self._buffer) as view:
            for size in sizes:
                blobs.append(bytes(view[begin : begin + size]))
                begin += size
        del self._buffer[:begin]
        return Frame(header, blobs)
