import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.ray.placement import Node, Share, amounts, divide, n_slots_in, times


def _node(name: str, free: dict[str, float], total: dict[str, float] | None = None) -> Node:
    return Node(name, name, total or free, free)


@pytest.mark.parametrize(
    ("room", "slot", "n"),
    [
        ({"CPU": 4.0}, Resources(1.0), 4),
        ({"CPU": 4.0}, Resources(3.0), 1),
        ({"CPU": 4.0}, Resources(8.0), 0),
        ({"CPU": 1.0}, Resources(0.1), 10),
        ({"CPU": 8.0}, Resources(1.0, gpus=1.0), 0),
        ({"CPU": 8.0, "GPU": 2.0}, Resources(1.0, gpus=0.25), 8),
        ({"CPU": 8.0, "GPU": 2.0}, Resources(1.0, gpus=0.4), 4),
        ({"CPU": 8.0, "memory": 5e9}, Resources(1.0, memory_bytes=2_000_000_000), 2),
        ({"CPU": 8.0, "a100": 1.0}, Resources(1.0, other={"a100": 0.5}), 2),
        ({"CPU": 3.0}, Resources(0.0), 3),
        ({}, Resources(0.0), 1),
    ],
)
def test_room_is_limited_by_the_scarcest_resource(room: dict[str, float], slot: Resources, n: int) -> None:
    assert n_slots_in(room, slot) == n


def test_slots_are_spread_over_the_nodes_with_one_agent_for_each() -> None:
    nodes = [_node("a", {"CPU": 8.0}), _node("b", {"CPU": 2.0}), _node("head", {})]
    assert divide(10, Resources(1.0), nodes, "node") == [Share(8, "a"), Share(2, "b")]
    assert divide(4, Resources(1.0), nodes, "node") == [Share(4, "a")]
    assert sorted(divide(9, Resources(1.0), nodes, "node"), key=lambda share: share.node) == [
        Share(8, "a"),
        Share(1, "b"),
    ]


def test_an_agent_has_as_many_slots_as_the_setting_allows() -> None:
    nodes = [_node("a", {"CPU": 4.0}), _node("b", {"CPU": 1.0})]
    assert [share.n_slots for share in divide(5, Resources(1.0), nodes, "slot")] == [1] * 5
    assert [share.n_slots for share in divide(5, Resources(1.0), nodes, 3)] == [3, 1, 1]


def test_slots_without_room_wait_in_agents_that_fit_the_largest_node() -> None:
    nodes = [_node("a", {"CPU": 1.0}, {"CPU": 4.0})]
    assert divide(8, Resources(1.0), nodes, "node") == [Share(4), Share(3), Share(1, "a")]
    assert divide(3, Resources(1.0), [], "node") == [Share(1), Share(1), Share(1)]


def test_an_agent_has_a_share_of_one_gpu_or_whole_gpus() -> None:
    nodes = [_node("a", {"CPU": 16.0, "GPU": 2.0})]
    shares = divide(7, Resources(1.0, gpus=0.25), nodes, "node")
    assert [share.n_slots for share in shares] == [4, 3]
    assert [share.n_slots for share in divide(8, Resources(1.0, gpus=0.25), nodes, "node")] == [8]


def test_the_share_of_several_slots_is_exact() -> None:
    slot = Resources(0.1, 0.25, 5, {"a100": 0.1})
    assert times(3, slot) == Resources(0.3, 0.75, 15, {"a100": 0.3})
    assert amounts(times(4, slot)) == {"CPU": 0.4, "GPU": 1.0, "memory": 20.0, "a100": 0.4}


@given(
    n_slots=st.integers(1, 60),
    rooms=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=6),
    gpus=st.sampled_from([0.0, 0.2, 0.25, 0.3, 0.5, 1.0, 2.0]),
    size=st.one_of(st.sampled_from(["node", "slot"]), st.integers(1, 9)),
)
def test_every_slot_has_an_agent_and_no_node_is_given_more_than_it_has(
    n_slots: int, rooms: list[tuple[int, int]], gpus: float, size: int | str
) -> None:
    nodes = [_node(str(i), {"CPU": float(c), "GPU": float(g)}) for i, (c, g) in enumerate(rooms)]
    slot = Resources(1.0, gpus=gpus)
    shares = divide(n_slots, slot, nodes, size)  # type: ignore[arg-type]  # a parameter of hypothesis
    assert sum(share.n_slots for share in shares) == n_slots
    for node in nodes:
        asked = [times(share.n_slots, slot) for share in shares if share.node == node.id]
        assert sum(each.cpus for each in asked) <= node.free["CPU"] + 1e-9
        assert sum(each.gpus for each in asked) <= node.free["GPU"] + 1e-9
        assert all(each.gpus <= 1 or each.gpus.is_integer() for each in asked)
