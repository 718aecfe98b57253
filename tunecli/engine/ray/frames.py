"""Frames between the coordinator and its bridge: a header with blobs behind it, over a stream socket.

Both ends use this module. A frame is its kind in a byte, the length of the header and the number of the blobs in 4
bytes each, the lengths of the blobs in 8 bytes each, the header, and the blobs one after another. A header is JSON.
Calls and answers, which are most frames, have a shorter one: their JSON would cost more than the rest of the frame.
Nothing is pickled.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_START = struct.Struct("!cII")
_JSON, _CALL, _ANSWER = b"{", b"c", b"a"
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
    kind, packed = _pack_header(header)
    sizes = struct.pack(f"!{len(blobs)}Q", *map(len, blobs))
    pieces = [_START.pack(kind, len(packed), len(blobs)), sizes, packed, *blobs]
    return [b"".join(pieces)] if sum(map(len, pieces)) < _JOINED_BYTES else pieces


def _pack_header(header: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the kind of a frame, and its header as bytes."""
    if header.get("do") == "call":
        return _CALL, f"{header['call']} {header['method']} {header['agent']}".encode()
    if header.get("is") == "answer" and len(header) == 3:
        return _ANSWER, f"{header['call']} {header['agent']}".encode()
    return _JSON, json.dumps(header).encode()


def _unpack_header(kind: bytes, packed: bytes) -> dict[str, Any]:
    if kind == _CALL:
        call, method, agent = packed.decode().split(" ", 2)
        return {"do": "call", "agent": agent, "call": int(call), "method": method}
    if kind == _ANSWER:
        call, agent = packed.decode().split(" ", 1)
        return {"is": "answer", "agent": agent, "call": int(call)}
    header: dict[str, Any] = json.loads(packed)
    return header


class FrameReader:
    """Reads frames from a stream socket."""

    def __init__(self, channel: socket.socket) -> None:
        """Read from ``channel``, which the caller closes."""
        self._channel = channel
        self._buffer = bytearray()  # the beginning of a frame
        self._n_needed = _START.size  # bytes of it before anything more can be read

    def wait(self) -> Iterator[Frame]:
        """Wait for bytes, and yield the frames that are complete with them.

        Raises:
            EOFError: the other end is closed, and no frame is left.
            BlockingIOError: the socket does not block, and no bytes have come.
        """
        data = self._receive()
        if not data:
            raise EOFError
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._n_needed:
                return
            data, self._buffer = bytes(self._buffer), bytearray()
        at = 0
        while (found := self._next(data, at)) is not None:
            frame, at = found
            yield frame
        self._buffer += data[at:]

    def _receive(self) -> bytes:
        """Return the bytes that have come; empty at the end."""
        try:
            return self._channel.recv(_READ_BYTES)
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def _next(self, data: bytes, at: int) -> tuple[Frame, int] | None:
        """Return the frame at a place, and the place of the next one; None if it is not whole."""
        n_there = len(data) - at
        self._n_needed = _START.size
        if n_there < self._n_needed:
            return None
        kind, n_header, n_blobs = _START.unpack_from(data, at)
        self._n_needed += 8 * n_blobs
        if n_there < self._n_needed:
            return None
        sizes = struct.unpack_from(f"!{n_blobs}Q", data, at + _START.size)
        begin = at + self._n_needed
        self._n_needed += n_header + sum(sizes)
        if n_there < self._n_needed:
            return None
        header = _unpack_header(kind, data[begin : begin + n_header])
        begin += n_header
        blobs = []
        for size in sizes:
            blobs.append(data[begin : begin + size])
            begin += size
        return Frame(header, blobs), begin
