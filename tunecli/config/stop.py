"""When a sweep ends before its total because more trials promise nothing: the keys under ``search.stop``."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from tunecli.knob import Count, Knob, Positive


class Stop(Knob):
    """End the sweep by itself; where both are said, by whichever comes first.

    ``improvement``: once the best candidate may be expected to better the best so far by less than this, in the
    metric's own units, at ``patience`` suggestions in a row. ``stagnation``: once so many complete trials in a row, by
    number, were no better than the best before them. Trials under way end as they would.
    """

    improvement: Positive | None = None
    patience: Count = 3
    stagnation: Count | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.improvement is None and self.stagnation is None:
            raise ValueError("say `improvement: x`, in the metric's units, or `stagnation: n`, in trials")
        if self.improvement is None and "patience" in self.model_fields_set:
            raise ValueError("`patience` is of `improvement`, which is not said")
        return self
