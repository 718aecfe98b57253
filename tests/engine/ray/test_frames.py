import socket
from threading import Thread

import pytest

from tunecli.engine.ray.frames import FrameReader, pack_frame


def test_frames_arrive_whole_and_in_order_whatever_their_size() -> None:
    sent = [
        ({"do": "a", "n": 1}, []),
        ({"do": "call", "agent": "s-1", "call": 7, "method": "poll"}, [b"message"]),
        ({"do": "b"}, [b"", b"x" * 3_000_000, b"y"]),
        ({"is": "answer", "agent": "s-1", "call": 7}, [b"{}", b"x" * 600_000]),
        ({"is": "answer", "agent": "s-1", "call": 8, "place": ["::1", 9]}, [b"{}"]),
        ({"do": "ä"}, [b"z"]),
    ]
    left, right = socket.socketpair()
    with left, right:
        pieces = [piece for header, blobs in sent for piece in pack_frame(header, blobs)]
        writer = Thread(target=lambda: [left.sendall(piece) for piece in pieces])
        writer.start()
        reader, came = FrameReader(right), []
        while len(came) < len(sent):
            came += list(reader.wait())
        writer.join()
    assert [(frame.header, frame.blobs) for frame in came] == sent


def test_a_closed_channel_is_the_end_and_a_cut_frame_is_dropped() -> None:
    left, right = socket.socketpair()
    with right:
        with left:
            left.sendall(b"".join(pack_frame({"do": "a"}, [b"content"]))[:-1])
        reader = FrameReader(right)
        assert list(reader.wait()) == []
        with pytest.raises(EOFError):
            list(reader.wait())


def test_a_channel_that_does_not_block_says_that_nothing_has_come() -> None:
    left, right = socket.socketpair()
    with left, right:
        right.setblocking(False)
        with pytest.raises(BlockingIOError):
            list(FrameReader(right).wait())
