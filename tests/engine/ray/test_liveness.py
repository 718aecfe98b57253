import socket

from tunecli.engine.ray.liveness import Place, is_refused, living


def test_a_process_lives_while_its_port_takes_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place(*server.getsockname())
        assert not is_refused(place)
        assert living([place]) == {place}
    assert is_refused(place)
    assert living([place]) == set()
