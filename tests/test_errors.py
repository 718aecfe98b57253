"""Translation of OSError, and how problems are printed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tunecli.errors import DiskFull, Problem, StoreFailed, TunecliError, UsageError, from_os_error


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "users", "own"),
    [
        (errno.ENOSPC, DiskFull, DiskFull),
        (errno.EDQUOT, DiskFull, DiskFull),
        (errno.EFBIG, DiskFull, DiskFull),
        (errno.EACCES, UsageError, StoreFailed),
        (errno.EROFS, UsageError, StoreFailed),
        (errno.ENOENT, UsageError, StoreFailed),
        (errno.ELOOP, UsageError, StoreFailed),
        (errno.EIO, StoreFailed, StoreFailed),
        (errno.ENXIO, StoreFailed, StoreFailed),
    ],
)
def test_an_os_error_becomes_an_error_with_the_path_and_the_reason(
    number: int, users: type[TunecliError], own: type[TunecliError]
) -> None:
    path = Path("/runs/digits/study.db")
    for is_users_path, expected in ((True, users), (False, own)):
        error = from_os_error(os_error(number), path, "remove", is_users_path=is_users_path)
        assert type(error) is expected
        assert f"remove {path}: {os.strerror(number)}" in error.message


def test_an_os_error_without_a_reason_is_quoted() -> None:
    assert str(from_os_error(OSError("no such device"), "a")) == "cannot write a: no such device"


def test_a_long_value_is_shortened_in_a_problem() -> None:
    text = str(Problem("x" * 10_000, "study.yaml", 3, 7, "trial.model", "write less"))
    assert text.startswith("study.yaml:3:7: trial.model: xxx")
    assert text.endswith("(write less)")
    assert len(text) < 1_100
