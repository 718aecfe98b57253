"""Objects in a bucket of S3 or of Google Cloud Storage, through `pyarrow.fs`, which is loaded here alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from tunecli.object_storage.failures import Kind, StorageFailed
from tunecli.object_storage.location import Location

_CONNECT_S = 3.0
_REQUEST_S = 6.0  # without a byte from the storage; a long transfer may take longer
_CHUNK_BYTES = 16 << 20
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class Bucket:
    """The objects below a prefix of a bucket. Names are checked by `ObjectStorage`; methods may raise OSError."""

    def __init__(self, location: Location) -> None:
        """Prepare requests; only the region of a bucket at Amazon is looked up.

        Raises:
            OSError: the region of the bucket cannot be found out.
            StorageFailed: `pyarrow` is not installed.
        """
        try:
            from pyarrow import fs
        except ImportError as error:
            raise StorageFailed(
                Kind.NO_PACKAGE,
                f"{location.scheme}:// needs the package `pyarrow`, which is not installed",
            ) from error
        self._selector = fs.FileSelector
        self._is_file = fs.FileType.File
        self._files: Any = _file_system(fs, location)
        self._root = "/".join(filter(None, (location.bucket, location.path)))

    def make(self) -> None:
        """Do nothing: a bucket is the user's to make, and a prefix needs no making."""

    def put(self, name: str, source: bytes | Path) -> None:
        """Upload an object. It appears whole, or not at all."""
        path = f"{self._root}/{name}"
        n_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
        with self._files.open_output_stream(path) as stream:
            if isinstance(source, bytes):
                stream.write(source)
            else:
                with source.open("rb") as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        stream.write(chunk)
        # An upload in parts that broke can be completed by the stream's close with the parts that arrived.
        info = self._files.get_file_info(path)
        if info.type is not self._is_file or info.size != n_bytes:
            with suppress(OSError):
                self._files.delete_file(path)
            raise StorageFailed(Kind.UNREACHABLE, f"{info.size or 0} of {n_bytes} bytes arrived")

    def get(self, name: str) -> bytes:
        """Download an object."""
        with self._files.open_input_stream(f"{self._root}/{name}") as stream:
            content: bytes = stream.read()
        return content

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._files.delete_file(f"{self._root}/{name}")

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names of all objects below a prefix."""
        root = f"{self._root}/{prefix}".rstrip("/")
        for info in self._files.get_file_info(self._selector(root, allow_not_found=True, recursive=True)):
            if info.type is self._is_file:
                yield info.path.removeprefix(f"{self._root}/")

    def remove_all(self, prefix: str) -> None:
        """Remove all objects below a prefix, and the empty objects that `pyarrow` makes in place of folders.

        One of these stays for the prefix of the location itself, if it has one: it is the folder that the user named.
        """
        with suppress(FileNotFoundError):
            self._files.delete_dir(f"{self._root}/{prefix}")


def _file_system(fs: Any, location: Location) -> Any:
    options: dict[str, Any] = dict(location.options)
    if location.scheme == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_REQUEST_S), **options)
    if "endpoint_override" not in options and (url := _from_environment(_ENDPOINTS)):
        scheme, _, options["endpoint_override"] = url.rstrip("/").rpartition("://")
        options.setdefault("scheme", scheme or "https")
    if "region" not in options:
        is_amazon = "endpoint_override" not in options
        known = _from_environment(_REGIONS)
        options["region"] = known or (fs.resolve_s3_region(location.bucket) if is_amazon else "us-east-1")
    options |= {
        "connect_timeout": _CONNECT_S,
        "request_timeout": _REQUEST_S,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=1),  # `ObjectStorage` tries again
        "background_writes": False,
    }
    try:
        return fs.S3FileSystem(allow_delayed_open=True, **options)  # a small object is then one request
    except TypeError:  # before pyarrow 20
        return fs.S3FileSystem(**options)


def _from_environment(names: Iterable[str]) -> str:
    """The value of the first environment variable that is set; empty if all are missing."""
    return next(filter(None, map(os.environ.get, names)), None) or ""
