"""The batches of an agent: each is sent until it is acknowledged, and a checkpoint waits on the disk."""

from pathlib import Path

from tunecli.engine.cluster.outbox import Outbox
from tunecli.engine.cluster.wire import Item
from tunecli.messages import Checkpointed, EpochEnded, Stopped
from tunecli.trial import Checkpoint


def checkpointed(folder: Path, number: int, epoch: int) -> tuple[Item, list[bytes | Path]]:
    """A checkpoint that waits in a file."""
    path = folder / f"{number}-{epoch}"
    path.write_text(path.name)
    return Item(Checkpointed(number, 1, Checkpoint(path.name, "", epoch))), [path]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_read_when_it_is_sent_and_removed_when_it_has_arrived(tmp_path):
    outbox = Outbox()
    outbox.add([checkpointed(tmp_path, 1, 2)])
    batch, blobs = outbox.take(0, 0.0)
    assert blobs == [b"1-2"]
    assert outbox.take(0, 0.0) == (batch, blobs), "its reply was lost"
    assert names(tmp_path) == ["1-2"]
    outbox.take(batch.number, 0.0)
    assert names(tmp_path) == []


def test_a_later_checkpoint_overtakes_one_of_the_same_trial_that_waits(tmp_path):
    outbox = Outbox()
    epoch = Item(EpochEnded(1, 1, 3, 9, {}, 0.1))
    outbox.add([checkpointed(tmp_path, 1, 2), (epoch, ()), checkpointed(tmp_path, 2, 2)])
    outbox.add([checkpointed(tmp_path, 1, 4), (Item(Stopped(1, 1)), ())])
    assert names(tmp_path) == ["1-4", "2-2"]
    batch, blobs = outbox.take(0, 0.0)
    found = [getattr(item.event, "checkpoint", item.event) for item in batch.items]
    assert [getattr(one, "name", type(one).__name__) for one in found] == [
        "EpochEnded",
        "2-2",
        "1-4",
        "Stopped",
    ]
    assert blobs == [b"2-2", b"1-4"]


def test_a_checkpoint_on_its_way_is_not_overtaken(tmp_path):
    outbox = Outbox()
    outbox.add([checkpointed(tmp_path, 1, 2)])
    batch, _ = outbox.take(0, 0.0)
    outbox.add([checkpointed(tmp_path, 1, 4)])
    assert outbox.take(0, 0.0)[1] == [b"1-2"]
    assert outbox.take(batch.number, 0.0)[1] == [b"1-4"]


def test_a_checkpoint_whose_file_is_gone_has_an_empty_blob(tmp_path):
    outbox = Outbox()
    outbox.add([checkpointed(tmp_path, 1, 2)])
    (tmp_path / "1-2").unlink()
    assert outbox.take(0, 0.0)[1] == [b""]
