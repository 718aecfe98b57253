"""Several hosts on this machine: each has a network and a host name of its own, and a cable to a switch that a test can cut.

    with Network() as network:
        first = network.add("first")
        subprocess.run([*first.command, "hostname"])
        first.cut()

They share this machine's files and processes. It needs the rights of an administrator, and the program `ip` (iproute2).
"""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_SUBNET = "10.77.91"
_LAST = 254  # the gateway's last number; no host has it


@dataclass(frozen=True)
class NetworkHost:
    """A host.

    Attributes:
        name: its name.
        ip: its address.
        command: the beginning of a command that runs on it.
    """

    name: str
    ip: str
    command: list[str]
    cable: str

    def cut(self) -> None:
        """Cut its cable: packets are lost, and no connection is refused."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Plug its cable in again."""
        _ip("link", "set", self.cable, "up")


class Network:
    """A switch with hosts."""

    def __init__(self) -> None:
        """Make the switch.

        Raises:
            PermissionError: this account cannot, or there is no program `ip`.
        """
        self._mark = f"tc{os.getpid() % 100_000}"
        self._numbers = itertools.count(1)
        self._spaces: list[str] = []
        try:
            _ip("link", "add", self._mark, "type", "bridge")
            _ip("link", "set", self._mark, "up")
        except (OSError, subprocess.CalledProcessError) as error:
            raise PermissionError("this account cannot make networks") from error

    def add(self, name: str) -> NetworkHost:
        """Add a host."""
        number = next(self._numbers)
        space, cable, end = (f"{self._mark}{letter}{number}" for letter in "nce")
        ip = f"{_SUBNET}.{number}"
        _ip("netns", "add", space)
        self._spaces.append(space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", end, "netns", space)
        _ip("link", "set", cable, "master", self._mark, "up")
        for words in (
            ("addr", "add", f"{ip}/24", "dev", end),
            ("link", "set", end, "up"),
            ("link", "set", "lo", "up"),
            (
                "route",
                "add",
                "default",
                "via",
                f"{_SUBNET}.{_LAST}",
            ),  # by which a program finds its own address
        ):
            _ip("-n", space, *words)
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
        return NetworkHost(name, ip, ["ip", "netns", "exec", space, *named], cable)

    def close(self) -> None:
        """Remove the hosts and the switch."""
        for space in self._spaces:
            _ip("netns", "del", space)
        _ip("link", "del", self._mark)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
