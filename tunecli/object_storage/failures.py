"""The kinds of failures of an object storage, found from the errors of the system and of `pyarrow`.

`pyarrow` raises OSError with the text of the cloud's own library in it, so a text decides. A text that is not known
makes a failure of the kind `OTHER`, which keeps the text.
"""

from __future__ import annotations

import errno
import re
from enum import StrEnum

from tunecli.errors import NO_ROOM, os_reason
from tunecli.registry.packages import install_command

_MOST_CHARACTERS = 200


class Kind(StrEnum):
    """The kinds of failures."""

    MISSING = "missing"  # there is no object of this name
    NO_PLACE = "no place"  # there is no such bucket or folder
    NO_ACCESS = "no access"
    UNREACHABLE = "unreachable"
    NO_ROOM = "no room"
    NO_PACKAGE = "no package"
    OTHER = "other"


_HINTS = {
    Kind.MISSING: "",
    Kind.NO_PLACE: "make it, or correct `run.ray.storage`",
    Kind.NO_ACCESS: "give each node and this machine credentials that may list, read, write and delete there",
    Kind.UNREACHABLE: "check the network, and the region and the endpoint of `run.ray.storage`",
    Kind.NO_ROOM: "free some space there, or name another storage",
    Kind.OTHER: "check the storage with its own tools",
}

_TEXTS = {
    Kind.NO_PLACE: ("NO_SUCH_BUCKET", "NoSuchBucket", "bucket does not exist", "Bucket '.*' not found"),
    Kind.NO_ACCESS: (
        *(
            "ACCESS_DENIED",
            "AccessDenied",
            "Access Denied",
            "PERMISSION_DENIED",
            "Forbidden",
            "HTTP status 40[13]",
        ),
        *("INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT_MATCH", "InvalidToken", "EXPIRED_TOKEN", "ExpiredToken"),
        *("MISSING_AUTHENTICATION", "UNRECOGNIZED_CLIENT", "ACCOUNT_PROBLEM"),
        *("UNAUTHENTICATED", "OAuth2", "credentials"),
    ),
    Kind.NO_ROOM: (
        *("quota", "Quota", "InsufficientStorage", "StorageFull", "HTTP status 507"),
        *("EntityTooLarge", "ENTITY_TOO_LARGE"),
    ),
    Kind.UNREACHABLE: (
        *(
            "NETWORK_CONNECTION",
            "curlCode",
            "resolve host",
            "REQUEST_TIMEOUT",
            "RequestTimeout",
            "timed? ?out",
        ),
        *("SLOW_DOWN", "SlowDown", "THROTTLING", "SERVICE_UNAVAILABLE", "ServiceUnavailable", "UNAVAILABLE"),
        *("INTERNAL_FAILURE", "InternalError", "HTTP status (?:429|50[0234])", "DEADLINE_EXCEEDED"),
    ),
}
"""Parts of the texts of the libraries of Amazon and Google, as regular expressions."""
_ERRNOS = {
    errno.EACCES: Kind.NO_ACCESS,
    errno.EPERM: Kind.NO_ACCESS,
    errno.EROFS: Kind.NO_ACCESS,
    errno.ENOTDIR: Kind.NO_PLACE,
    errno.ESTALE: Kind.UNREACHABLE,
    errno.ETIMEDOUT: Kind.UNREACHABLE,
    errno.EHOSTDOWN: Kind.UNREACHABLE,
}


class StorageFailed(Exception):  # noqa: N818  (like its relatives in `tunecli.errors`)
    """An operation on a storage failed.

    Attributes:
        kind: why.
        cause: the reason, in a few words without a full stop and without a secret.
    """

    def __init__(self, kind: Kind, cause: str) -> None:
        super().__init__(cause)
        self.kind, self.cause = kind, cause

    @property
    def is_transient(self) -> bool:
        """Whether the same operation may succeed a moment later."""
        return self.kind is Kind.UNREACHABLE

    @property
    def hint(self) -> str:
        """How to solve it; may be empty."""
        if self.kind is Kind.NO_PACKAGE:
            return f"{install_command('pyarrow', 'parquet')} # on this machine and on every node"
        return _HINTS[self.kind]


def failure_of(error: BaseException) -> StorageFailed:
    """The failure of an operation, from the error that it raised."""
    text = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    if number in NO_ROOM:
        return StorageFailed(Kind.NO_ROOM, _reason(error))
    if number in _ERRNOS:
        return StorageFailed(_ERRNOS[number], _reason(error))
    for kind, patterns in _TEXTS.items():
        if any(re.search(pattern, text) for pattern in patterns):
            return StorageFailed(kind, _short(text))
    if isinstance(error, FileNotFoundError):
        return StorageFailed(Kind.MISSING, "it is missing")
    return StorageFailed(Kind.OTHER, _short(text) or type(error).__name__)


def _reason(error: BaseException) -> str:
    return os_reason(error) if isinstance(error, OSError) else str(error)


def _short(text: str) -> str:
    """The reason in a text of a cloud's library, without the names of its operation and its request."""
    if match := re.search(r"AWS Error [^:]*: (.*)", text):
        text = match[1]
    text = re.sub(r"\s*\(Request ID: [^)]*\)", "", text)
    text = re.sub(r"^curlCode: \d+, ([^;]*); Details: .*", r"\1", text).rstrip(". ")
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …"
