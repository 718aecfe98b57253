"""Tables and sentences as lines: no line is wider than the terminal, no row of a fitted table takes two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tunecli.console.layout import (
    block_lines,
    clip,
    labelled_lines,
    message_lines,
    n_left_out,
    table_lines,
    wrapped,
)
from tunecli.results.view import Block, Fit, Section

WIDTHS = st.integers(40, 400)
TEXTS = st.text(st.sampled_from("ab—…漢é1. "), max_size=60)


@st.composite
def sections(draw: st.DrawFn, *, is_fitted: bool) -> Section:
    n = draw(st.integers(1, 14 if is_fitted else 6))
    names = draw(st.lists(st.text("abcé漢._", min_size=1, max_size=60), min_size=n, max_size=n))
    rows = draw(st.lists(st.tuples(*[TEXTS] * n), max_size=5))
    if not is_fitted:
        return Section("", tuple(names), tuple(rows))
    n_first = draw(st.integers(1, n))
    return Section(
        "", tuple(names), tuple(rows), Fit(tuple(names), tuple(range(n_first)), tuple(range(n_first, n)))
    )


@given(sections(is_fitted=True), WIDTHS)
def test_a_fitted_table_has_one_line_a_row_and_none_wider_than_the_terminal(section, width):
    lines = table_lines(section, width)
    assert len(lines) == 1 + len(section.rows)
    assert all(cell_len(line) <= width for line in lines)
    assert 0 <= n_left_out(section, width) < len(section.columns)


@given(sections(is_fitted=False), WIDTHS)
def test_a_table_that_is_not_fitted_loses_no_character_and_is_no_wider_than_the_terminal(section, width):
    lines = table_lines(section, width)
    assert all(cell_len(line) <= width for line in lines)
    texts = "".join((*section.columns, *(text for row in section.rows for text in row)))
    assert sorted("".join(lines).replace(" ", "")) == sorted(texts.replace(" ", ""))


@given(sections(is_fitted=True))
def test_a_pipe_gets_every_character_of_a_table(section):
    text = "".join(table_lines(section, None)).replace(" ", "")
    assert sorted(text) == sorted(
        "".join((*section.columns, *("".join(row) for row in section.rows))).replace(" ", "")
    )


def test_the_most_important_columns_are_shown_in_order():
    columns = ("rank", "trial", "score", "a", "b" * 30, "c")
    fit = Fit(columns, (0, 1, 2), (5, 4, 3))
    section = Section("", columns, (("1", "7", "0.5", "x" * 12, "y", "z"),), fit)
    assert table_lines(section, 400)[0].split() == list(columns)
    assert [name[:1] for name in table_lines(section, 60)[0].split()] == ["r", "t", "s", "b", "c"]
    assert table_lines(section, 40)[0].split() == ["rank", "trial", "score", "a", "c"]
    assert n_left_out(section, 40) == 1


@given(TEXTS, WIDTHS)
def test_a_sentence_is_broken_at_blanks_and_nothing_is_lost(text, width):
    lines = wrapped(text, width, "  ")
    assert all(cell_len(line) <= width for line in lines)
    assert sorted("".join(lines).replace(" ", "")) == sorted(text.replace(" ", ""))


@given(TEXTS, st.integers(1, 80), st.booleans(), st.sampled_from(["…", "..."]))
def test_a_text_is_cut_to_its_width_or_unchanged(text, width, in_middle, cut):
    found = clip(text, width, cut, in_middle=in_middle)
    assert cell_len(found) <= max(width, 2)  # a wide character takes two columns, and no text becomes empty
    assert found == text or cell_len(text) > width


@pytest.mark.parametrize("in_middle", [False, True])
def test_a_wide_character_that_does_not_fit_beside_the_mark_is_left_out(in_middle):
    assert clip("漢1漢", 4, "...", in_middle=in_middle) == "..."
    assert clip("漢1漢", 4, "…", in_middle=in_middle) == ("漢…" if in_middle else "漢1…")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("n", [0, 1, 12, 40, 400])
@pytest.mark.parametrize("name", ["params.p{}", "params.the_regularisation_strength_of_layer_{}_of_the_net"])
def test_a_block_fits_a_screen_and_counts_the_omitted_values(width, n, name):
    pairs = tuple((name.format(i), str(i)) for i in range(n))
    short = tuple(label.removeprefix("params.") for label, _ in pairs)
    lines = block_lines(Block("best  trial 4", pairs, short, tuple(reversed(range(n))), "--trial 4"), width)
    assert len(lines) <= 22
    assert all(cell_len(line) <= width for line in lines)
    assert lines[0] == "best  trial 4"
    is_cut = "more: --trial 4" in lines[-1]
    values = [word for line in lines[1 : len(lines) - is_cut] for word in line.split() if word.isdigit()]
    assert len(values) == len(set(values))
    assert lines[-1].strip() == f"+{n - len(values)} more: --trial 4" if is_cut else len(values) == n
    if n:
        assert str(n - 1) in values, "the one that matters most is among them"


def test_a_block_without_how_is_shown_whole():
    pairs = tuple((f"params.p{i}", "x" * i) for i in range(60))
    lines = block_lines(Block("parameters", pairs), 40)
    assert "".join(lines).count("x") == sum(range(60))
    assert sum(line.strip().startswith("params.p") for line in lines) == 60


def test_a_command_is_never_broken():
    command = "tunecli resume " + "/very/long/" * 12
    assert labelled_lines([("next", command)], 40) == [f"next  {command}"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "  three"]),
        ("  one two three", ["  one two", "  three"]),
        ("one  two", ["one  two"]),
        ("", [""]),
        ("see `a b c d e f` now", ["see", "  `a b c d e f`", "  now"]),
        ("left `open and on", ["left `open", "  and on"]),
        ("again: tunecli resume 'a b c'", ["again:", "  tunecli resume 'a b c'"]),
        ("try `tunecli check` now", ["try", "  `tunecli check`", "  now"]),
        ("/a/path/that/is/long is", ["/a/path/that/is/long", "  is"]),
    ],
)
def test_a_message_is_broken_at_blanks_outside_commands_and_quoted_text(text, lines):
    assert message_lines(text, 10, "  ") == lines


def test_a_message_that_fits_is_one_line():
    assert message_lines("a short message", 80) == ["a short message"]
