"""The time that an agent lives, by beats that travel there and back."""

from tunecli.engine.cluster.lease import Lease
from tunecli.engine.cluster.protocol import Patience
from tunecli.engine.ray import transport


class Clock:
    """A clock that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_beat_prolongs_a_life_from_the_answer_that_it_brings_back() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    clock.now_s = 104.0
    answer = lease.renew(b"")
    assert lease.left_s == 6.0
    clock.now_s = 109.0
    lease.renew(answer)
    assert lease.left_s == 5.0


def test_beats_that_arrive_late_prolong_no_life_beyond_the_last_answer() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    answer = lease.renew(b"")
    for clock.now_s in (
        105.0,
        108.0,
        109.9,
    ):  # the network held them back, so the transport has no later answer
        lease.renew(answer)
    clock.now_s = 110.5
    lease.renew(answer)
    assert lease.left_s < 0.0


def test_an_older_answer_shortens_no_life_and_no_foreign_one_makes_it_longer_than_its_length() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    first = lease.renew(b"")
    clock.now_s = 105.0
    lease.renew(lease.renew(b""))
    lease.renew(first)
    assert lease.left_s == 10.0
    lease.renew(b"1e18")
    assert lease.left_s == 10.0


def test_the_engine_tries_longer_to_reach_a_cluster_than_its_agents_live_unreached() -> None:
    assert Patience().reconnect_s >= transport._ORPHANED_S + 15.0
