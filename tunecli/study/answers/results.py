"""What `results` found, as an `Answer`: the ranked table, and which trial is predicted to be the best."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tunecli.results.answer import Answer
from tunecli.study.answers.standing import records_of, section_of, standing_data, standing_lines
from tunecli.study.questions.results import Results


def of_results(found: Results) -> Answer:
    """The ranked table, and which trial is predicted to be the best where that is not the one with the best score."""
    standing = found.standing
    data: dict[str, Any] = {
        "columns": list(found.table.columns),
        "trials": records_of(found.table),
        **standing_data(standing),
    }
    if found.is_predicted:
        number, prediction = found.best or (None, None)
        told = prediction and {
            "trial": number,
            "predicted": prediction.score,
            "uncertainty": prediction.uncertainty,
        }
        data["predicted_best"] = told
    lines = [*standing_lines(standing), *([("predicted best", found.line)] if found.line else [])]
    section = section_of(found.table)
    section = replace(section, foldable=section.foldable - set(found.predicted))
    return Answer("results", data, tuple(lines), (section,))
