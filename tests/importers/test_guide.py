"""The guide shows one sweep in the words of each tool; all of them become the study that it shows first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.foreign_files import checked, imported, tree
from tunecli.config.reader import plain_of, read

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "coming-from.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("## The same sweep in each tool")[2].partition("\n## ")[0]
BLOCKS = [block for _, block in re.findall(r"```(yaml|json|)\n(.*?)```", SECTION, re.DOTALL)]
SHOWN = plain_of(read(BLOCKS[0].encode(), "coming-from.md"))
KINDS = ("wandb", "hydra", "ray", "nni", "katib", "determined")


def values(parameter):
    """The range of a parameter without the types of its numbers."""
    return {
        word: [float(item) if isinstance(item, int | float) else item for item in body]
        if isinstance(body, list)
        else body
        for word, body in parameter.items()
    }


def test_guide_shows_a_file_of_each_tool():
    assert [imported(block).kind.name for block in BLOCKS[1:]] == list(KINDS)


@pytest.mark.parametrize("place", range(1, 1 + len(KINDS)), ids=KINDS)
def test_sweep_of_the_guide_becomes_the_study_of_the_guide(place):
    study = imported(BLOCKS[place])
    checked(study)
    params = tree(study)["trial"]["params"]
    for name, shown in SHOWN["trial"]["params"].items():
        if KINDS[place - 1] == "determined" and name == "dropout":
            assert params[name] == {"choice": [0, 0.1, 0.2, 0.3, 0.4, 0.5]}
        else:
            assert values(params[name]) == values(shown)
    if KINDS[place - 1] != "nni":
        assert tree(study)["search"] == SHOWN["search"]
    assert tree(study)["objective"]["direction"] in (
        "minimize",
        "maximize" if KINDS[place - 1] == "nni" else "minimize",
    )
