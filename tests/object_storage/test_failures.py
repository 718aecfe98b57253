"""Telling the failures of a storage apart, by the errors that pyarrow 17 to 25 and the system raise."""

from __future__ import annotations

import errno

import pytest

from tunecli.object_storage.failures import Kind, failure_of

# Texts as the clouds' libraries wrote them, with other names.
_CREATE = "When initiating multiple part upload for key 'a' in bucket 'b': AWS Error "
CASES = [
    (
        OSError(
            _CREATE
            + "NO_SUCH_BUCKET during CreateMultipartUpload operation: The specified bucket does not exist (Request ID: Cv4)"
        ),
        Kind.NO_PLACE,
        "The specified bucket does not exist",
    ),
    (
        OSError(_CREATE + "ACCESS_DENIED during PutObject operation: Access Denied."),
        Kind.NO_ACCESS,
        "Access Denied",
    ),
    (
        OSError(_CREATE + "INVALID_ACCESS_KEY_ID during PutObject operation: The key does not exist"),
        Kind.NO_ACCESS,
        "The key does not exist",
    ),
    (
        OSError(
            _CREATE
            + "NETWORK_CONNECTION during PutObject operation: curlCode: 7, Could not connect to server; Details: Failed to connect to a port 80"
        ),
        Kind.UNREACHABLE,
        "Could not connect to server",
    ),
    (
        OSError(_CREATE + "SLOW_DOWN during PutObject operation: Please reduce your request rate."),
        Kind.UNREACHABLE,
        "Please reduce your request rate",
    ),
    (
        OSError(_CREATE + "UNKNOWN (HTTP status 503) during PutObject operation: none"),
        Kind.UNREACHABLE,
        "none",
    ),
    (
        OSError(_CREATE + "UNKNOWN (HTTP status 507) during PutObject operation: Storage backend is full"),
        Kind.NO_ROOM,
        "Storage backend is full",
    ),
    (OSError(errno.ENOSPC, "No space left on device"), Kind.NO_ROOM, "No space left on device"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), Kind.NO_ROOM, "Disk quota exceeded"),
    (OSError(errno.EACCES, "Permission denied"), Kind.NO_ACCESS, "Permission denied"),
    (OSError(errno.EROFS, "Read-only file system"), Kind.NO_ACCESS, "Read-only file system"),
    (OSError(errno.ESTALE, "Stale file handle"), Kind.UNREACHABLE, "Stale file handle"),
    (FileNotFoundError(errno.ENOENT, "Path does not exist 'b/a'"), Kind.MISSING, "it is missing"),
    (
        OSError("google::cloud::Status(PERMISSION_DENIED: no storage.objects.create access)"),
        Kind.NO_ACCESS,
        "google::cloud::Status(PERMISSION_DENIED: no storage.objects.create access)",
    ),
    (
        OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"),
        Kind.UNREACHABLE,
        "google::cloud::Status(UNAVAILABLE: Retry policy exhausted)",
    ),
    (OSError("something new"), Kind.OTHER, "something new"),
    (RuntimeError(""), Kind.OTHER, "RuntimeError"),
]


@pytest.mark.parametrize(
    ("error", "kind", "cause"), CASES, ids=[f"{number}-{case[1]}" for number, case in enumerate(CASES)]
)
def test_a_failure_has_a_kind_and_a_short_cause(error: Exception, kind: Kind, cause: str) -> None:
    failure = failure_of(error)
    assert (failure.kind, failure.cause) == (kind, cause)
    assert bool(failure.hint) is (kind is not Kind.MISSING)
    assert failure.is_transient is (kind is Kind.UNREACHABLE)


def test_a_long_text_is_cut() -> None:
    assert len(failure_of(OSError("x" * 10_000)).cause) < 300
