"""The ranked table with what a model holds the trials' scores to be once their noise is taken out.

Owns the names and the place of those columns, and when the best prediction is worth a word. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.results.table import Cell, Table


@dataclass(frozen=True, slots=True)
class Prediction:
    """A score without its noise: the median, and half the distance between the 16th and the 84th percentile."""

    score: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class PredictedBest:
    """The trial that is predicted to be best is not the one with the best score."""

    predicted_best: int
    scored_best: int


def with_predictions(table: Table, metric: str, predictions: Mapping[int, Prediction]) -> Table:
    """The table with the columns `predicted` and `uncertainty` after the metric's.

    Where another column has such a name, both of ours are followed by an underscore. A trial without a prediction has
    None.

    Args:
        table: ranked; its columns are those of `results_table`.
        metric: the name of the score's column.
        predictions: by the trial's number.
    """
    place, number_at = table.columns.index(metric) + 1, table.columns.index("trial")
    ours = predicted_columns(table.columns)
    rows = ((*row[:place], *_cells(predictions, row[number_at]), *row[place:]) for row in table.rows)
    return Table((*table.columns[:place], *ours, *table.columns[place:]), tuple(rows))


def predicted_columns(columns: tuple[str, ...]) -> tuple[str, str]:
    """What the two columns are called beside those."""
    predicted, uncertainty = "predicted", "uncertainty"
    while {predicted, uncertainty} & set(columns):
        predicted, uncertainty = f"{predicted}_", f"{uncertainty}_"
    return predicted, uncertainty


def surprise(table: Table, predictions: Mapping[int, Prediction], sign: float) -> PredictedBest | None:
    """Where the best prediction is another trial's than the best score; of equal ones the better ranked is taken.

    Args:
        table: ranked.
        predictions: by the trial's number.
        sign: ``sign * score`` is lower the better.
    """
    rank_at, number_at = table.columns.index("rank"), table.columns.index("trial")
    ranked = [
        number for row in table.rows if row[rank_at] is not None and isinstance(number := row[number_at], int)
    ]
    told = [number for number in ranked if number in predictions]
    if not told:
        return None
    best = min(told, key=lambda number: sign * predictions[number].score)
    return None if best == ranked[0] else PredictedBest(best, ranked[0])


def _cells(predictions: Mapping[int, Prediction], number: Cell) -> tuple[Cell, Cell]:
    found = predictions.get(number) if isinstance(number, int) else None
    return (None, None) if found is None else (found.score, found.uncertainty)
