"""The bridge's way out, to a coordinator that reads late."""

import socket
import threading
import time

from tunecli.engine.ray.frames import FrameReader
from tunecli.engine.ray.outlet import Outlet


def test_a_coordinator_that_does_not_read_delays_no_sender_and_gets_all_frames_in_order() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outlet = Outlet(ours)
        began_s = time.monotonic()
        for number in range(40):
            outlet.send({"n": number}, [bytes([number]) * 300_000, b""])
        assert time.monotonic() - began_s < 5.0
        reader, came = FrameReader(theirs), []
        while len(came) < 40:
            came += list(reader.wait())
    assert [frame.header["n"] for frame in came] == list(range(40))
    assert all(frame.blobs == [bytes([n]) * 300_000, b""] for n, frame in enumerate(came))


def test_frames_of_several_threads_arrive_whole_and_each_thread_keeps_its_order() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outlet = Outlet(ours)

        def send(thread: int) -> None:
            for number in range(200):
                outlet.send({"thread": thread, "n": number}, [b"x" * (number * 37)])

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        reader, came = FrameReader(theirs), []
        while len(came) < 800:
            came += list(reader.wait())
        for thread in threads:
            thread.join()
    for number in range(4):
        own = [frame for frame in came if frame.header["thread"] == number]
        assert [frame.header["n"] for frame in own] == list(range(200))
        assert [len(frame.blobs[0]) for frame in own] == [n * 37 for n in range(200)]


def test_a_coordinator_that_is_gone_makes_no_error() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        for _ in range(3):
            Outlet(ours).send({"n": 1}, [b"x" * 1_000_000])
