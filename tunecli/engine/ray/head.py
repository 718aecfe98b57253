"""The bridge's questions to the cluster's head: its nodes, where agents listen, and the agents of former sessions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from typing import Any

import ray
from ray._private import state
from ray.util import list_named_actors

from tunecli.engine.ray.liveness import Place, living

_END_WAIT_S = 2.0  # for agents to end their workers and remove their files, before their processes are killed
_FORMER_WAIT_S = 5.0  # for former agents to be gone
_LOOK_AGAIN_S = 0.05


def nodes() -> list[dict[str, Any]]:
    """Return the living nodes with their resources: all of them, and those that are free."""
    free = state.available_resources_per_node()
    return [
        {
            "id": node["NodeID"],
            "host": node["NodeManagerHostname"],
            "total": node["Resources"],
            "free": free.get(node["NodeID"], {}),
        }
        for node in ray.nodes()
        if node["Alive"]
    ]


def can_grow() -> bool:
    """Whether an autoscaler may add nodes, as far as it has told the head."""
    described = state.state.get_cluster_config()
    return described is not None and any(group.max_count for group in described.node_group_configs)


def place_of(handle: Any) -> Place | None:
    """Return where an actor's process listens; None if it has none, or the head does not know it."""
    if handle is None:
        return None
    address = state.actors(handle._actor_id.hex()).get("Address", {})
    return Place(address["IPAddress"], address["Port"]) if address.get("Port", 0) > 0 else None


def end_former(study: str, own: Collection[Any]) -> tuple[int, list[Place]]:
    """End the named actors of a study, and wait for the end of their processes.

    Args:
        study: the study.
        own: the handles of those that stay.

    Returns:
        How many there were, and the places of those that are not gone for certain.
    """
    kept = {handle._actor_id for handle in own}
    handles = []
    for name in list_named_actors():
        if name.startswith(f"{study}/"):
            with contextlib.suppress(ValueError):  # it is gone already
                handles.append(ray.get_actor(name))
    handles = [handle for handle in handles if handle._actor_id not in kept]
    places = [place for handle in handles if (place := place_of(handle))]
    until_s = time.monotonic() + _FORMER_WAIT_S
    end_all(handles)
    while (left := living(places)) and time.monotonic() < until_s:
        time.sleep(_LOOK_AGAIN_S)
    return len(handles), list(left)


def end_all(handles: Collection[Any]) -> None:
    """Let agents end in order for a while, then kill their processes."""
    if not handles:
        return
    ending = [handle.end.remote() for handle in handles]
    ray.wait(ending, num_returns=len(ending), timeout=_END_WAIT_S)
    for handle in handles:
        ray.kill(handle)
