"""Where agents fit: how many slots each node has room for, and how slots are divided among agents.

It computes with the nodes' resources as the cluster states them, and does not know Ray's interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from tunecli.engine.cluster.protocol import Resources

AgentSize = Literal["node", "slot"] | int
"""How many slots an agent has: all of its node, one, or at most so many."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster.

    Attributes:
        id: the cluster's identifier.
        host: its name.
        total: amounts of its resources by name.
        free: amounts of those that are not in use now.
    """

    id: str
    host: str
    total: Mapping[str, float]
    free: Mapping[str, float]


def amounts(slot: Resources) -> dict[str, float]:
    """Return the resources of a slot by the names that the cluster gives them, without those of amount 0."""
    named = {"CPU": slot.cpus, "GPU": slot.gpus, "memory": float(slot.memory_bytes), **slot.other}
    return {name: amount for name, amount in named.items() if amount}


def n_slots_in(room: Mapping[str, float], slot: Resources) -> int:
    """Return how many slots there is room for; a fraction of a GPU is a share of one GPU.

    Args:
        room: amounts of resources by name.
        slot: the share of each slot. A slot that needs nothing has room once for each CPU, and at least once.
    """
    needed = amounts(slot)
    if not needed:
        return max(1, int(room.get("CPU", 0)))
    # Through decimals, so that 1 / 0.1 is 10.
    found = min(int(_exact(room.get(name, 0.0)) / _exact(amount)) for name, amount in needed.items())
    if 0 < slot.gpus < 1:
        found = min(found, int(room.get("GPU", 0)) * int(1 / _exact(slot.gpus)))
    return found


def _exact(amount: float) -> Fraction:
    return Fraction(str(amount))


@dataclass(frozen=True, slots=True)
class Share:
    """The slots of one agent.

    Attributes:
        n_slots: number of slots.
        node: the identifier of the node that has room for it; empty: none has now.
    """

    n_slots: int
    node: str = ""


def divide(n_slots: int, slot: Resources, nodes: Sequence[Node], size: AgentSize) -> list[Share]:
    """Divide slots among agents, by the room that the nodes have now.

    The slots are spread: each goes to the node with most room left. Those without room get agents of the size that the
    largest node allows.

    Args:
        n_slots: number of slots, at least 1.
        slot: the share of each.
        nodes: the nodes of the cluster.
        size: how many slots an agent has.

    Returns:
        The shares, the largest first, so that a small agent cannot take the room of a large one.
    """
    room = {node.id: n_slots_in(node.free, slot) for node in nodes}
    given = dict.fromkeys(room, 0)
    n_left = n_slots
    while n_left and any(given[node] < room[node] for node in room):
        node = max(room, key=lambda each: room[each] - given[each])
        given[node] += 1
        n_left -= 1
    shares = [Share(n, node) for node, total in given.items() for n in _parts(total, slot, size)]
    largest = max((n_slots_in(node.total, slot) for node in nodes), default=0) or 1
    while n_left:
        part = min(n_left, largest)
        shares += [Share(n) for n in _parts(part, slot, size)]
        n_left -= part
    return sorted(shares, key=lambda share: -share.n_slots)


def _parts(n_slots: int, slot: Resources, size: AgentSize) -> list[int]:
    """Cut the slots on one node into agents.

    An agent has a share of one GPU or a whole number of GPUs: a cluster gives no other amounts.
    """
    most = n_slots if size == "node" else 1 if size == "slot" else size
    parts: list[int] = []
    while n_slots:
        part = min(most, n_slots)
        while part > 1 and not _is_possible(part, slot):
            part -= 1
        parts.append(part)
        n_slots -= part
    return parts


def _is_possible(n_slots: int, slot: Resources) -> bool:
    gpus = n_slots * _exact(slot.gpus)
    return gpus <= 1 or gpus.denominator == 1


def times(n_slots: int, slot: Resources) -> Resources:
    """Return the share of so many slots."""
    return Resources(
        float(n_slots * _exact(slot.cpus)),
        float(n_slots * _exact(slot.gpus)),
        n_slots * slot.memory_bytes,
        {name: float(n_slots * _exact(amount)) for name, amount in slot.other.items()},
    )


def node_of(described: Mapping[str, Any]) -> Node:
    """Return the node that the bridge described."""
    return Node(described["id"], described["host"], described["total"], described["free"])
