"""Reading the name of a storage: what is a location, and what is refused without repeating a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.object_storage.location import Location, location_of


@pytest.mark.parametrize(
    ("text", "location", "shown"),
    [
        ("/shared/tunecli", Location("file", "", "/shared/tunecli"), "/shared/tunecli"),
        ("file:///shared/tunecli/", Location("file", "", "/shared/tunecli"), "/shared/tunecli"),
        ("s3://bucket", Location("s3", "bucket", ""), "s3://bucket"),
        ("s3://bucket//a/b/", Location("s3", "bucket", "a/b"), "s3://bucket/a/b"),
        ("gs://my_bucket/a", Location("gs", "my_bucket", "a"), "gs://my_bucket/a"),
        (
            "s3://bucket/a?endpoint_override=10.0.0.5:9000&scheme=http",
            Location("s3", "bucket", "a", {"endpoint_override": "10.0.0.5:9000", "scheme": "http"}),
            "s3://bucket/a",
        ),
        (
            "s3://bucket?region=eu-central-1",
            Location("s3", "bucket", "", {"region": "eu-central-1"}),
            "s3://bucket",
        ),
    ],
)
def test_folders_and_urls_are_read(text: str, location: Location, shown: str) -> None:
    assert location_of(text) == location
    assert location.shown == shown
    assert location_of(str(location)) == location, "its text is read as the same location"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "absolute folder"),
        ("runs/shared", "absolute folder"),
        ("~/shared", "absolute folder"),
        ("/", "below `/`"),
        ("/shared/../etc", "must not contain `..`"),
        ("file:///shared/../etc", "must not contain `..`"),
        ("file://host/shared", "file:///"),
        ("file:///shared?scheme=http", "file:///"),
        ("http://host/folder", "unknown kind of storage: use s3://, gs://, file://"),
        ("S4://bucket", "unknown kind of storage"),
        ("s3://", "names no bucket"),
        ("s3:///folder", "names no bucket"),
        ("s3://b", "names no bucket"),
        ("s3://bucket:80/folder", "names no bucket"),
        ("s3://bucket/a/../b", "no `..`"),
        ("s3://bucket/%2e%2e/b", "no `..`"),
        ("s3://bucket/a*", "no `..`"),
        ("s3://bucket/a#b", "has no `#`"),
        ("s3://bucket?endpoint_override=http://host", "invalid `endpoint_override`"),
        ("s3://bucket?scheme=ftp", "invalid `scheme`"),
        ("s3://bucket?region=a&region=b", "invalid `region`"),
        ("s3://bucket?project_id=a", "unknown option"),
        ("gs://bucket?region=a", "unknown option"),
        ("s3://[bucket/folder", "invalid URL"),
        ("/shared/a\nb", "control character"),
        ("/" + "a" * 1000, "too long"),
    ],
)
def test_other_texts_are_refused_with_a_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        location_of(text)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAhunter2:hunter2@bucket/folder",
        "s3://hunter2@bucket/folder",
        "gs://user:hunter2@bucket",
        "s3://bucket?access_key=hunter2&secret_key=hunter2",
        "s3://bucket?hunter2",
        "s3://bucket?endpoint_override=user:hunter2@host",
        "s3://bucket?scheme=hunter2",
        "s3://bucket/folder#hunter2",
        "https://bucket.example?X-Amz-Signature=hunter2",
        "hunter2://bucket",
        "s3://bucket:hunter2",
        "file://hunter2@host/folder",
    ],
)
def test_a_refused_url_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        location_of(text)
    assert "hunter2" not in str(raised.value)


@given(
    st.text(max_size=40).map(lambda text: f"s3://{text}") | st.text(max_size=40).map(lambda text: f"/{text}")
)
def test_a_location_has_no_secret_and_leads_nowhere_else(text: str) -> None:
    try:
        location = location_of(text)
    except ValueError:
        return
    assert ".." not in Path(location.path).parts
    assert "@" not in location.bucket
    assert location_of(str(location)) == location
