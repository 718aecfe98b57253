"""Where the objects of a storage are: a folder, or a bucket with a prefix, read from the text that the user wrote.

A location never contains a secret: a URL with a user, a password or an unknown option is refused, and no message
repeats it. So a location can be recorded, logged and shown. Credentials come from the environment of each machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, parse_qsl, urlsplit

SCHEMES = ("s3", "gs", "file")
_OPTIONS = {
    "s3": ("region", "scheme", "endpoint_override"),
    "gs": ("project_id", "scheme", "endpoint_override"),
}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")
_PART = re.compile(r"[A-Za-z0-9_.=@+,() -]+")
_OPTION = {
    "region": re.compile(r"[A-Za-z0-9-]{1,40}"),
    "project_id": re.compile(r"[A-Za-z0-9:.-]{1,80}"),
    "scheme": re.compile(r"https?"),
    "endpoint_override": re.compile(
        r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:/[A-Za-z0-9._/-]*)?"
    ),
}
_MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Location:
    """A folder, or a bucket with a prefix.

    Attributes:
        scheme: ``file``, ``s3`` or ``gs``.
        bucket: the bucket's name; empty for a folder.
        path: the prefix in the bucket without a slash at either end, or the absolute path of the folder.
        options: how the bucket is reached: ``region``, ``scheme``, ``endpoint_override``, ``project_id``.
    """

    scheme: str
    bucket: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The text that `location_of` reads as this location."""
        if self.scheme == "file":
            return self.path
        query = "&".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.shown}?{query}" if query else self.shown

    @property
    def shown(self) -> str:
        """The location in messages, without its options."""
        if self.scheme == "file":
            return self.path
        return f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")

    @property
    def folder(self) -> Path | None:
        """The folder; None: it is a bucket."""
        return Path(self.path) if self.scheme == "file" else None


def location_of(text: str) -> Location:
    """Read the absolute path of a folder, or a URL such as ``s3://bucket/prefix``, ``gs://bucket`` or ``file:///folder``.

    Raises:
        ValueError: it is neither, or it contains a user, a password or an unknown option. The message does not repeat
            the text, which may contain a secret.
    """
    if len(text) > _MOST_CHARACTERS or any(ord(character) < ord(" ") for character in text):
        raise ValueError("the name of the storage is too long, or has a control character")
    if "://" not in text:
        return _folder(text)
    try:
        url = urlsplit(text)
        has_user = "@" in url.netloc
    except ValueError as error:
        raise ValueError("invalid URL: write it as s3://bucket/folder") from error
    if has_user:
        raise ValueError(
            "a URL must not contain a user or a password: every node takes its credentials from its environment, "
            "for example from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if url.scheme not in SCHEMES:
        raise ValueError(f"unknown kind of storage: use {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if url.fragment or "#" in text:
        raise ValueError("a URL of a storage has no `#`")
    return _local(url) if url.scheme == "file" else _bucket(url)


def _folder(text: str) -> Location:
    path = PurePosixPath(text)
    if not path.is_absolute():
        raise ValueError("must be an absolute folder that all nodes see, or a URL such as s3://bucket/folder")
    if ".." in path.parts:
        raise ValueError("must not contain `..`")
    if len(path.parts) == 1:
        raise ValueError("must be a folder below `/`")
    return Location("file", "", str(path))


def _local(url: SplitResult) -> Location:
    if url.netloc not in ("", "localhost") or url.query:
        raise ValueError(
            "a URL of a folder is file:/// with an absolute path, such as file:///shared/tunecli"
        )
    return _folder(url.path)


def _bucket(url: SplitResult) -> Location:
    if not _BUCKET.fullmatch(url.netloc):
        raise ValueError(f"names no bucket: write it as {url.scheme}://bucket/folder")
    parts = [part for part in url.path.split("/") if part]
    if any(part in (".", "..") or not _PART.fullmatch(part) for part in parts):
        raise ValueError("the folder in a bucket has letters, digits and `_.=@+,()-`, and no `..`")
    known = _OPTIONS[url.scheme]
    options: dict[str, str] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True):
        if key not in known:
            # The key is not repeated either: a mistyped URL may have a secret there.
            raise ValueError(
                f"unknown option in the URL: use {', '.join(known)}; credentials come from the environment"
            )
        if key in options or not _OPTION[key].fullmatch(value):
            raise ValueError(f"invalid `{key}` in the URL")
        options[key] = value
    return Location(url.scheme, url.netloc, "/".join(parts), options)
