"""What `results` found, as an `Answer`: the ranked table, and which trial is the best or predicted to be."""

from __future__ import annotations

from shlex import quote
from typing import Any

from tunecli.results.answer import Answer, Section
from tunecli.results.failures import told
from tunecli.study.answers.standing import best_block, records_of, section_of, standing_data, standing_lines
from tunecli.study.questions.results import Results

_HOW = "--columns, or --format csv"


def of_results(found: Results) -> Answer:
    """The ranked table, and which trial is predicted to be the best where that is not the one with the best score."""
    data: dict[str, Any] = {
        "columns": list(found.table.columns),
        "trials": records_of(found.table),
        **standing_data(found.standing),
    }
    if found.is_predicted:
        number, prediction = found.best or (None, None)
        data["predicted_best"] = prediction and {
            "trial": number,
            "predicted": prediction.score,
            "uncertainty": prediction.uncertainty,
        }
    if found.failed is not None and not found.is_selected:
        return _of_failed(found, data)
    seen = found.overview
    how = "--format csv" if found.is_selected else _HOW
    section = section_of(seen.with_table(found.table), how=how, is_asked=found.is_selected)
    if found.is_selected or found.failed is not None:
        return Answer("results", data, sections=(section,))
    lines = [*standing_lines(found.standing), *([("predicted best", found.line)] if found.line else [])]
    best_trial = "" if seen.best is None else f"--trial {seen.best.trial.number}"
    return Answer(
        "results", data, tuple(lines), (section,), asides=seen.failures, blocks=best_block(seen, best_trial)
    )


def _of_failed(found: Results, data: dict[str, Any]) -> Answer:
    """Each trial that failed, with its cause and where in the user's own code it failed."""
    path = quote(found.overview.path)
    if not found.failed:
        n = len(found.overview.table.rows)
        return Answer("results", data, (("failed", f"none of the {n:,} trials that have ended"),))
    rows = tuple((str(number), told(failure)) for number, failure in found.failed)
    more = ("more", f"tunecli results {path} --trial {found.failed[0][0]} shows a trial with its traceback")
    return Answer("results", data, (more,), (Section("", ("trial", "failure"), rows),))
