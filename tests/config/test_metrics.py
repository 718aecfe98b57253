"""Every metric has a description, and docs/guide/objectives.md lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.config.metrics import METRIC_LINES, METRICS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "objectives.md"


def test_the_documented_metrics_are_exactly_the_known_metrics() -> None:
    assert METRIC_LINES.keys() == METRICS.keys()
    assert "macro average" in METRIC_LINES["val_f1"]


@pytest.mark.parametrize("name", METRICS)
def test_the_readme_lists_a_metric_with_its_task_direction_and_line(name: str) -> None:
    facts = METRICS[name]
    task = "both" if len(facts.tasks) == 2 else facts.tasks[0]
    direction = "maximize" if facts.maximize else "minimize"
    assert f"| `{name}` | {task} | {direction} | {METRIC_LINES[name]} |\n" in PAGE.read_text()
