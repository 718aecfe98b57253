"""An option that may stand without its value."""

import pytest

from tunecli.cli import app
from tunecli.console.usage import run_verb
from tunecli.errors import UsageError


@pytest.mark.parametrize(
    "words",
    [
        ["--metrics"],
        ["--metrics", "--top", "3"],
        ["--metrics", "acc"],
        ["--top", "3", "--metrics=acc"],
        ["--metrics", "--"],
    ],
)
def test_the_metrics_option_takes_a_value_or_none(words, tmp_path):
    with pytest.raises(UsageError, match="there is no study"):
        run_verb(app, ["results", str(tmp_path / "missing"), *words])


def test_other_options_still_need_their_value(tmp_path):
    with pytest.raises(UsageError, match="requires an argument"):
        run_verb(app, ["results", str(tmp_path), "--columns"])
