"""The cluster that an address means. It is probed before Ray is loaded, because Ray waits for minutes for an answer."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from tunecli.errors import UsageError

AUTO = "auto"
PROBE_S = 5.0
"""How long a cluster has to answer, in seconds."""
_VARIABLE = "RAY_ADDRESS"


def resolve(address: str) -> str:
    """Return the address to connect to.

    Args:
        address: ``run.ray.address``. ``auto`` means the variable ``RAY_ADDRESS``, else the cluster that `ray start`
            last started on this machine if it still answers, else a cluster that is started for the sweep.

    Returns:
        ``host:port``; empty: there is no cluster yet.

    Raises:
        UsageError: there is no answer, or the address is of Ray's client protocol.
    """
    named = address if address != AUTO else os.environ.get(_VARIABLE, "")
    if named in ("", AUTO):
        started = _started_here()
        return started if started and _answers(started) else ""
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
    if not _answers(named):
        raise UsageError(
            f"no Ray cluster answers at {named} ({PROBE_S:g} s)",
            hint="run `ray status` there; run.ray.address or RAY_ADDRESS names another cluster",
        )
    return named


def _started_here() -> str:
    """The address that ``ray start`` wrote on this machine; empty: none."""
    folder = os.environ.get("RAY_TMPDIR") or ("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
    try:
        return (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return ""


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
    except (OSError, ValueError):
        return False
    return True
