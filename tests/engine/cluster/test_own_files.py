"""The files of the user's own code that come back from a node."""

import hashlib
from pathlib import Path

import pytest

from tests.support.jobs import make_job
from tunecli.engine.cluster.node_files import MOST_OWN_BYTES, path_of
from tunecli.engine.cluster.shipping import outgoing, received
from tunecli.engine.cluster.storage import InMessages
from tunecli.engine.cluster.wire import Item, Role, SentAlong
from tunecli.messages import Job, Stopped
from tunecli.objective import Objective


def job_in(folder: Path) -> Job:
    """A job whose own files are in ``folder``."""
    config = {"python": "own:train", "params": {}}
    return make_job(7, config, Objective("val_loss", False), checkpoint_dir=str(folder))


def test_files_too_large_to_be_sent_survive_the_end_of_the_trial(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MOST_OWN_BYTES + 1)  # without content on disk
    job = job_in(tmp_path)
    assert outgoing([job], InMessages()) == ([], [])
    received(job, Item(Stopped(7, 1)), [])
    assert large.exists()


def test_a_file_that_was_sent_and_did_not_come_back_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"x")
    job = job_in(tmp_path)
    assert [file.name for file in outgoing([job], InMessages())[0]] == ["old"]
    file = SentAlong(Role.OWN, 7, "new", hashlib.sha256(b"y").hexdigest())
    received(job, Item(Stopped(7, 1), [file]), [b"y"])
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("name", ["link/x", "folder/link/x"])
def test_a_name_through_a_link_has_no_path(name: str, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "folder").mkdir(parents=True)
    outside.mkdir()
    (inside / name).parent.symlink_to(outside)
    assert path_of(job_in(inside), SentAlong(Role.OWN, 7, name, "")) is None
    assert path_of(job_in(inside), SentAlong(Role.OWN, 7, "folder/x", "")) == inside / "folder" / "x"
