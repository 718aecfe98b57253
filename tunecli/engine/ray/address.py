"""The cluster that an address means. It is probed before Ray is loaded, because Ray waits for minutes for an answer."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from tunecli.errors import UsageError

AUTO = "auto"
PROBE_S = 5.0
"""How long a cluster has to answer, in seconds."""
_VARIABLE = "RAY_ADDRESS"
_HTTP2_FRAME_BYTES, _SETTINGS = 9, 4  # the length of a frame's header, and the type of a frame
_MODE = "RAY_AUTH_MODE"


def resolve(address: str) -> str:
    """Return the address to connect to.

    Args:
        address: ``run.ray.address``. ``auto`` means the variable ``RAY_ADDRESS``, else the cluster that `ray start`
            last started on this machine if it still answers, else a cluster that is started for the sweep.

    Returns:
        ``host:port``; empty: there is no cluster yet.

    Raises:
        UsageError: there is no answer, the host is unknown, or the address is of Ray's client protocol.
    """
    named = address if address != AUTO else os.environ.get(_VARIABLE, "")
    if named in ("", AUTO):
        started = _started_here()
        with suppress(OSError, ValueError):  # it may be gone
            return started if started and _is_head(started) else ""
        return ""
    where = "run.ray.address" if address != AUTO else _VARIABLE
    if named == "local":
        return ""
    if named.startswith("ray://"):
        raise UsageError(
            f"{where}: `ray://` is Ray Client, which this engine does not use",
            hint="host:6379, or `ray job submit` with this command",
        )
    host, _, port = named.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{where}: invalid address `{named}`", hint="host:port, for example 10.0.0.5:6379")
    if why := _why_unknown(host):
        raise UsageError(
            f"unknown host `{host}` in the cluster's address {named} ({why})",
            hint=f"write the host's whole name or its number, such as 10.0.0.5:6379, in --address or {where}",
        )
    try:
        is_head = _is_head(named)
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at {named} ({PROBE_S:g} s)",
            hint="run `ray status` there; run.ray.address or RAY_ADDRESS names another cluster",
        ) from error
    if not is_head:
        raise UsageError(
            f"no Ray cluster answers at {named}, but another program",
            hint="the port must be that of the cluster's head, by default 6379",
        )
    return named


def token_variables(resolved: str) -> list[dict[str, str]]:
    """Return the sets of environment variables to try in turn, so that a cluster gets the token that it wants.

    `ray start` asks for a token wherever the account has one, but a client with an explicit address sends it only on
    request. It is sent to a cluster of this machine only: another machine could keep it. Ray's workers cannot reach a
    client that wants a token if their cluster has none, so the first attempt is without it.

    Args:
        resolved: the address, as `resolve` returns it; empty: a cluster is started, which gets a token of its own.
    """
    if _MODE in os.environ:
        return [{}]
    if not resolved:
        return [{_MODE: "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}]
    has_token = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    has_token = has_token or (Path.home() / ".ray" / "auth_token").is_file()
    return [{}, {_MODE: "token"}] if has_token and _is_here(resolved) else [{}]


def _is_here(address: str) -> bool:
    """Whether an address is one of this machine."""
    try:
        found = socket.getaddrinfo(address.rpartition(":")[0].strip("[]"), 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, _, _, place in found:
        with suppress(OSError), socket.socket(family, kind) as local:
            local.bind(place)
            return True
    return False


def _why_unknown(host: str) -> str:
    """Why a name of a host has no address; empty: it has one."""
    try:
        socket.getaddrinfo(host.strip("[]"), 0)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _started_here() -> str:
    """The address that ``ray start`` wrote on this machine; empty: none."""
    folder = os.environ.get("RAY_TMPDIR") or ("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
    try:
        return (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return ""


def _is_head(address: str) -> bool:
    """Whether the program at an address may be a cluster's head.

    Raises:
        OSError: there is none that takes connections.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), PROBE_S) as channel:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return True  # it waits for a handshake
        start = b""
        with suppress(OSError):
            while len(start) < _HTTP2_FRAME_BYTES and (more := channel.recv(_HTTP2_FRAME_BYTES - len(start))):
                start += more
    # The first frame of a server of gRPC is one of settings (RFC 9113, section 3.4), and it waits for no request.
    return len(start) == _HTTP2_FRAME_BYTES and start[3] == _SETTINGS
