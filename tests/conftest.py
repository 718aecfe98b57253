"""The files whose tests take longest run first, so that two processes come to the end at the same time."""

from __future__ import annotations

import pytest

_LONGEST = (
    "tests/study/test_failpoints.py",
    "tests/study/test_secrets.py",
    "tests/study/test_sweep.py",
    "tests/test_cli.py",
    "tests/contracts/test_engines.py",
    "tests/study/test_left_behind.py",
    "tests/study/runner/test_pause_schedule.py",
    "tests/study/runner/test_stopping_rule.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; the order within a file stays."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
