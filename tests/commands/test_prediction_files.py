"""Predictions are written so that programs and spreadsheets read them safely."""

from __future__ import annotations

from tunecli.commands.prediction_files import PredictionRows, csv_text


def test_no_cell_of_the_csv_is_a_formula_and_numbers_stay_as_they_are() -> None:
    rows = PredictionRows("id", ["=1+1", "-7", 'a;"@b', "plain"], {"y": ["-1", "+1", "=x()", None]})
    assert csv_text(rows).splitlines() == ["id,y", "'=1+1,-1", "-7,+1", '"a;\'""@b",\'=x()', "plain,"]
