import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tunecli.engine.ray.address import resolve, token_variables
from tunecli.errors import UsageError


@contextmanager
def _answering(greeting: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60.0)

        def greet() -> None:
            with suppress(OSError):  # it is closed
                while True:
                    channel, _ = server.accept()
                    channel.sendall(greeting)
                    channel.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of a port that answers as a cluster's head does."""
    with _answering(b"\0\0\x18\4\0\0\0\0\0 and its settings") as address:
        yield address


@pytest.fixture
def closed() -> str:
    """The address of a port that takes none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


def test_an_address_that_answers_is_taken(listening: str) -> None:
    assert resolve(listening) == listening


def test_an_address_where_nothing_answers_is_an_error(closed: str) -> None:
    with pytest.raises(UsageError, match=f"no Ray cluster answers at {closed}"):
        resolve(closed)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_another_program_at_the_address_is_an_error_that_says_so(greeting: bytes) -> None:
    with _answering(greeting) as address, pytest.raises(UsageError, match=f"{address}, but another program"):
        resolve(address)


def test_a_host_that_this_machine_does_not_know_is_an_error_that_says_so() -> None:
    with pytest.raises(
        UsageError,
        match=r"unknown host `no-such-host\.invalid` in the cluster's address no-such-host\.invalid:",
    ):
        resolve("no-such-host.invalid:6379")


def test_auto_takes_the_environment_then_the_cluster_of_this_machine_then_none(
    listening: str, closed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert resolve("auto") == ""
    (tmp_path / "ray").mkdir()
    started = tmp_path / "ray" / "ray_current_cluster"
    started.write_text(closed)  # it was killed, and left its address
    assert resolve("auto") == ""
    started.write_text(f"{listening}\n")
    assert resolve("auto") == listening
    monkeypatch.setenv("RAY_ADDRESS", closed)
    with pytest.raises(UsageError, match="no Ray cluster answers"):
        resolve("auto")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert resolve("auto") == ""


@pytest.mark.parametrize("where", ["run.ray.address", "RAY_ADDRESS"])
def test_the_client_protocol_of_ray_is_refused_with_the_key_that_names_it(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.5:10001")
    address = "ray://10.0.0.5:10001" if where == "run.ray.address" else "auto"
    with pytest.raises(UsageError) as raised:
        resolve(address)
    assert raised.value.message == f"{where}: `ray://` is Ray Client, which this engine does not use"


@pytest.mark.parametrize("address", ["10.0.0.5", ":6379", "10.0.0.5:", "10.0.0.5:x", "10.0.0.5:99999"])
def test_an_address_without_a_host_and_a_port_is_an_error(address: str) -> None:
    with pytest.raises(UsageError, match="invalid address"):
        resolve(address)


class TestTokens:
    @pytest.fixture(autouse=True)
    def _home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))

    def test_a_cluster_that_is_started_gets_a_new_token_each_time(self) -> None:
        (first,), (second,) = token_variables(""), token_variables("")
        assert first["RAY_AUTH_MODE"] == "token"
        assert first["RAY_AUTH_TOKEN"] != second["RAY_AUTH_TOKEN"]

    def test_the_token_of_the_account_goes_to_a_cluster_of_this_machine_alone(self, tmp_path: Path) -> None:
        assert token_variables("127.0.0.1:6379") == [{}]
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
        assert token_variables("127.0.0.1:6379") == [{}, {"RAY_AUTH_MODE": "token"}]
        assert token_variables("192.0.2.77:6379") == [{}]

    def test_the_mode_of_the_environment_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        assert token_variables("") == [{}]
