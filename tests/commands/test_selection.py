"""The options of `results`: their combinations, and the rows and columns that they select."""

import pytest

from tunecli.commands.results import ResultsOptions, Selection, selection_of
from tunecli.errors import UsageError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "xml"}, "unknown format `xml`"),
        ({"form": "csv", "is_json": True}, "exclude each other"),
        ({"number": 1, "n_shown": 3}, "--top does not work with --trial"),
        ({"number": 0, "sort_by": "x"}, "--sort does not work with --trial"),
        ({"number": 0, "columns": "x"}, "--columns does not work with --trial"),
        ({"number": 0, "is_failed_only": True}, "--failed does not work with --trial"),
        ({"number": 0, "is_predicted": True}, "--predict does not work with --trial"),
        ({"number": 0, "form": "markdown"}, "--format markdown does not work with --trial"),
        ({"is_failed_only": True, "is_predicted": True}, "--predict does not work with --failed"),
        ({"columns": " , "}, "--columns names no column"),
        ({"columns": ""}, "--columns names no column"),
        ({"metrics": " , "}, "--metrics names no metric"),
        ({"metrics": "all", "columns": "x"}, "--metrics and --columns exclude each other"),
        ({"number": 0, "metrics": "all"}, "--metrics does not work with --trial"),
        ({"sort_by": "-"}, "--sort names no column"),
        ({"sort_by": ""}, "--sort names no column"),
    ],
)
def test_options_that_exclude_each_other_are_an_error_that_names_them(options, words):
    with pytest.raises(UsageError, match=words):
        selection_of(ResultsOptions(**options))


def test_columns_are_names_separated_by_commas():
    assert selection_of(ResultsOptions(columns="rank, lr,,x ", sort_by="-lr", n_shown=2)) == Selection(
        2, "-lr", ("rank", "lr", "x")
    )
    assert selection_of(ResultsOptions(number=3, is_json=True)) == Selection()


def test_metrics_are_names_separated_by_commas():
    assert selection_of(ResultsOptions(metrics="eval/acc, f1")).metrics == ("eval/acc", "f1")
