"""Lines about failures: grouped by cause and place, with a bounded length for any cause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.results.failures import failure_line, grouped, place_of
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

OWN = """Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1776, in _call
    return forward(*args)
  File "/home/me/site/own.py", line 3, in train
    raise ValueError("bad")
  File "/usr/lib/python3.11/json/decoder.py", line 9, in decode
ValueError: bad
"""


def failed(number, cause, traceback="", kind=FailureKind.ERROR):
    return Trial(number, {}, 0, State.FAILED, Outcome(State.FAILED, failure=Failure(kind, cause, traceback)))


@pytest.mark.parametrize(
    ("traceback", "place"),
    [
        (OWN, "own.py:3"),
        ("", None),
        ('  File "<string>", line 1, in <module>', None),
        ('  File "/x/lib/python3.12/site-packages/tunecli/train/loop.py", line 5, in run', None),
        ('  File "/home/ada/tunecli/train/loop.py", line 5, in run', None),
        ('  File "/home/me/tunecli/mine.py", line 5, in run', "mine.py:5"),
        ('  File "prog.py", line 12, in <module>', "prog.py:12"),
        ("no frames\nFile of mine", None),
    ],
)
def test_the_place_is_the_last_line_of_the_users_code(traceback, place):
    last_own = place_of(Failure(FailureKind.ERROR, "x", traceback))
    assert (last_own and str(last_own)) == place


def test_equal_failures_are_grouped_the_largest_group_first():
    trials = [failed(n, "ValueError: bad", OWN) for n in (7, 1, 4)] + [
        failed(2, "no result", kind=FailureKind.TIMEOUT)
    ]
    assert grouped(trials) == (
        "3 trials failed: ValueError: bad (own.py:3): trials 1, 4, 7",
        "1 trial failed: timeout: no result: trial 2",
    )
    assert grouped([Trial(0, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, 1.0))]) == ()


def test_a_failure_line_does_not_repeat_the_place_in_its_cause():
    assert (
        failure_line(Failure(FailureKind.ERROR, "ValueError: bad (own.py:3)", OWN))
        == "ValueError: bad (own.py:3)"
    )


@given(st.lists(st.text(st.characters(), max_size=40).map(lambda text: text * 40), max_size=40))
def test_failure_lines_are_few_and_short_for_any_exception(causes):
    lines = grouped(failed(n, cause, OWN) for n, cause in enumerate(causes))
    assert len(lines) <= 6
    assert all(len(line) < 500 and "\n" not in line for line in lines)


def test_many_trials_and_many_reasons_are_counted_and_not_listed():
    lines = grouped([failed(n, f"E{n % 9}") for n in range(900)])
    assert lines[0].endswith(" and 88 more")
    assert lines[-1] == "400 trials failed for 4 other reasons"
