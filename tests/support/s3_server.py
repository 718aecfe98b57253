"""A server of S3 in this process, which a test can stop and start again; it keeps its objects in memory.

Slow tests alone use it: the packages `boto3` and `moto` are loaded when it starts.
"""

from __future__ import annotations

import logging
from typing import Any

BUCKET = "tunecli-tests"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""Environment variables that the server's clients need."""


class S3Server:
    """A server with one bucket; use it in a `with` block, with `CREDENTIALS` in the environment."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
        self._port = 0
        self._server: Any = None

    def __enter__(self) -> S3Server:
        import boto3

        self.start()
        self.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self._port}")
        self.client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self.start()
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        self.client.delete_bucket(Bucket=BUCKET)
        self.stop()

    def url(self, folder: str = "", bucket: str = BUCKET) -> str:
        """The URL of a folder of the bucket."""
        return f"s3://{bucket}/{folder}?endpoint_override=127.0.0.1:{self._port}&scheme=http"

    def start(self) -> None:
        """Answer requests, on the same port as before."""
        if self._server is None:
            from moto.server import ThreadedMotoServer

            self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
            self._server.start()
            self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        """Answer nothing any more; the objects stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def keys(self) -> list[str]:
        """The keys of all objects."""
        answer: dict[str, Any] = self.client.list_objects_v2(Bucket=BUCKET)
        return [found["Key"] for found in answer.get("Contents", ())]
