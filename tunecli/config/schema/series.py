"""The settings under ``data.series``: how a table in the order of time becomes examples."""

from __future__ import annotations

from typing import Annotated, Literal

from tunecli.knob import Count, Knob, Values


class Series(Knob):
    """Windows of a time series: an example is a number of consecutive rows, and its target lies in later rows.

    `data.columns.time` sets the order of the rows, and `data.columns.group` tells several series apart.

    Attributes:
        window: rows of an example.
        horizon: rows from the last row of an example to the row whose target is predicted.
        outputs: `last` predicts that row alone; `all` predicts each row up to it.
        stride: rows from the end of one example to the end of the next.
        past_target: the target's values within the window are inputs too.
    """

    window: Count
    horizon: Count = 1
    outputs: Annotated[
        Literal["last", "all"],
        Values(
            {
                "last": "Predicts that row alone.",
                "all": "Predicts each row up to it.",
            }
        ),
    ] = "last"
    stride: Count = 1
    past_target: bool = True

    @property
    def span(self) -> int:
        """Rows from the first row of an example to its last target."""
        return self.window + self.horizon
