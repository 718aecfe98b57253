"""Which trials get an agent of their own, and which agent that is."""

from pathlib import Path

from tests.engine.cluster.clusters import function_job
from tunecli.engine.cluster.quarantine import MOST_LOSSES, Quarantine
from tunecli.engine.cluster.seat import Group, Seat


def _group(folder: Path, number: int) -> Group:
    return Group({number: function_job(folder, number)})


def _suspect(quarantine: Quarantine, folder: Path, number: int) -> Group:
    """A group whose trial has lost as many machines as it may."""
    for _ in range(MOST_LOSSES - 1):
        assert not quarantine.count(number, is_suspicious=True)
    return _group(folder, number)


def test_a_trial_is_suspected_after_two_losses_and_lost_after_three_of_which_it_may_be_the_cause(
    tmp_path: Path,
) -> None:
    quarantine = Quarantine()
    for _ in range(5):
        assert not quarantine.count(1, is_suspicious=False)
    assert quarantine.has_lost(_group(tmp_path, 1))
    assert not quarantine.is_suspect(_group(tmp_path, 1))
    assert quarantine.is_suspect(_suspect(quarantine, tmp_path, 1))
    quarantine.acquit(1, Seat("a", 1))
    assert not quarantine.has_lost(_group(tmp_path, 1))
    _suspect(quarantine, tmp_path, 1)
    assert quarantine.count(1, is_suspicious=True)


def test_an_agent_is_emptied_for_a_suspect_unless_another_one_is_empty_before(tmp_path: Path) -> None:
    quarantine = Quarantine()
    seats = few, many = [Seat(name, 4, has_joined=True) for name in ("few", "many")]
    few.give(_group(tmp_path, 1))
    for number in (2, 3):
        many.give(_group(tmp_path, number))
    quarantine.waiting.append(_suspect(quarantine, tmp_path, 7))
    assert quarantine.seat_for_next(seats) is None
    assert (few.n_free, many.n_free) == (0, 2), "one of them takes no further group"
    assert quarantine.seat_for_next(seats) is None
    many.take_all()
    assert quarantine.seat_for_next(seats) is many
    many.give(quarantine.waiting.popleft())
    assert many.n_free == 0, "the suspect is alone there"
    assert quarantine.released() is few
    assert few.n_free == 3
    quarantine.acquit(7, many)
    assert many.n_free == 3


def test_an_agent_that_was_emptied_takes_the_suspect_and_one_that_is_gone_is_replaced(tmp_path: Path) -> None:
    quarantine = Quarantine()
    gone, other = (Seat(name, 2, has_joined=True) for name in ("gone", "other"))
    gone.give(_group(tmp_path, 1))
    quarantine.waiting.append(_suspect(quarantine, tmp_path, 7))
    assert quarantine.seat_for_next([gone]) is None
    quarantine.forget(gone)
    other.give(_group(tmp_path, 2))
    assert quarantine.seat_for_next([other]) is None
    assert other.end(2)
    assert quarantine.seat_for_next([]) is other, "an agent without a group that is reserved is in no list"
