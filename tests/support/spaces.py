"""A space from its YAML text."""

from __future__ import annotations

import pytest

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space


def space_of(text: str) -> Space:
    """Return the space of a file whose ``trial`` is ``text``; fail the test if the text has an error."""
    return Space(parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))
