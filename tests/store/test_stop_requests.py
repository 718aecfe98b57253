"""A request to end a trial is the name of a regular file, and hostile files have no effect."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunecli.errors import UsageError
from tunecli.store.stop_requests import remove_requests, request_path, request_stop, requested_stops


def test_a_request_is_found_until_it_is_removed(tmp_path: Path) -> None:
    assert requested_stops(tmp_path) == set()
    for number in (0, 7, 7, 123456789):
        request_stop(tmp_path, number)
    assert requested_stops(tmp_path) == {0, 7, 123456789}
    remove_requests(tmp_path)
    assert requested_stops(tmp_path) == set()
    assert requested_stops(tmp_path / "missing") == set()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_regular_file_is_a_request(tmp_path: Path, kind: str) -> None:
    path, target = request_path(tmp_path, 3), tmp_path / "target"
    target.write_text("kept")
    {"link": lambda: path.symlink_to(target), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    assert requested_stops(tmp_path) == set()
    with pytest.raises(UsageError, match=r"stop-trial-3\.request is a"):
        request_stop(tmp_path, 3)
    remove_requests(tmp_path)
    assert target.read_text() == "kept"


@pytest.mark.parametrize(
    "name",
    ["stop-trial-.request", "stop-trial-07.request", "stop-trial--1.request", "stop-trial-1.request.tmp"],
)
def test_other_names_are_no_requests(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert requested_stops(tmp_path) == set()
    remove_requests(tmp_path)
    assert (tmp_path / name).exists()


def test_the_content_of_a_request_is_not_read(tmp_path: Path) -> None:
    path = request_path(tmp_path, 1)
    with path.open("wb") as file:
        file.truncate(10 << 30)
    path.chmod(0)
    assert requested_stops(tmp_path) == {1}
