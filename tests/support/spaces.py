"""A space from its YAML text."""

from __future__ import annotations

import pytest

from tunecli.config.arithmetic import formula_of
from tunecli.config.constraints import Constraints
from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space


def space_of(text: str, *where: str) -> Space:
    """Return the space of a file whose ``trial`` is ``text``, with conditions; fail the test if the text has an error."""
    tree = parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem)))
    return Space(tree, Constraints(where=tuple(map(formula_of, where))))
