"""A CSV file is split into fields; any file gives columns or a `DataError`."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import preparation
from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.files import read_table

SEPARATORS = [",", ";", "\t", "|"]
SOURCE = Request("data.source")


def columns_of(folder: Path, text: str, request: Request = SOURCE) -> Columns:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_csv(path, request)


def texts_of(columns: Columns) -> dict[str, list[object]]:
    return {name: values.tolist() for name, values in columns.values.items()}


@given(
    st.sampled_from(SEPARATORS),
    st.lists(st.text("ab,;\t| \"'0", min_size=1, max_size=8), min_size=2, max_size=5, unique_by=str.strip),
    st.lists(st.text("xy,;\t| \"'\n01", max_size=6), min_size=5, max_size=40),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_file_from_the_standard_writer_is_read_back(
    separator: str, header: list[str], cells: list[str], newline: str
) -> None:
    header = [f"n{name}" for name in header]  # one that is blank alone has no name
    rows = [cells[start : start + len(header)] for start in range(0, len(cells), len(header))]
    rows = [[f"v{cell}" for cell in row] for row in rows if len(row) == len(header)]
    if not rows:
        return
    text = io.StringIO()
    # Quotes throughout: a separator within quotes must not be counted.
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator=newline).writerows(
        [header, *rows]
    )
    with tempfile.TemporaryDirectory() as folder:
        columns = columns_of(Path(folder), text.getvalue())
    stripped = [name.strip() for name in header]
    assert list(columns.names) == stripped
    expected = {name: [row[place].strip() for row in rows] for place, name in enumerate(stripped)}
    assert texts_of(columns) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"weight, kg, dry";height;y\n1;2;3\n', ["weight, kg, dry", "height", "y"]),
        ('"a;b;c",d\n1,2\n', ["a;b;c", "d"]),
        ('"one\ntwo, three, four";y\n1;2\n', ["one\ntwo, three, four", "y"]),
        ("weight, dry;y\n1;2\n3;4\n", ["weight, dry", "y"]),  # a tie: the rows decide
        ("x|z,y\n1,2\n", ["x|z", "y"]),
        ("x|y\n1|2\n", ["x", "y"]),
        ("x;price\n0,0;1,5\n0,25;3,0\n", ["x", "price"]),
        ("size, m, in all;y, Euro\n1;2\n", ["size, m, in all", "y, Euro"]),  # the header has more commas
        ("a,b,c;d\n1,2,3;4\n", ["a", "b", "c;d"]),  # both fit: the one that gives more columns
        ("\n\na;b\n1;2\n", ["a", "b"]),
        ("\ufeffa;b\n1;2\n", ["a", "b"]),
    ],
)
def test_separator_is_the_one_that_the_rows_share_with_the_header(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    assert list(columns_of(tmp_path, text).names) == names


@pytest.mark.parametrize(
    "text",
    [
        'x, y\n"0", "0.5"\n"1", "1.5"\n',
        '"x" , "y"\n"0" , "0.5"\n"1" , "1.5"\n',
        ' "x"  ,  "y" \n 0 ,"0.5"  \n\n "1", 1.5 \n',
        'x;\t"y"\n0;\t"0.5"\n1;\t"1.5"\t\n',
        'x\t "y" \n0\t "0.5" \n1\t "1.5"\n',
        'x|"y" \r\n0| "0.5"\r\n1|"1.5"',
        'x,y\r"0" ,0.5\r"1" ,1.5\r',
    ],
)
def test_blanks_around_quotes_are_not_part_of_the_value(tmp_path: Path, text: str) -> None:
    assert texts_of(columns_of(tmp_path, text)) == {"x": [0.0, 1.0], "y": [0.5, 1.5]}


def test_quote_inside_a_value_belongs_to_it(tmp_path: Path) -> None:
    text = 'x,y\n5 "inch", "so" he said\n"a ""b""" ,ab"c\n'
    assert texts_of(columns_of(tmp_path, text)) == {"x": ['5 "inch"', 'a "b"'], "y": ['"so" he said', 'ab"c']}


def test_lenient_reader_counts_the_same_lines(tmp_path: Path) -> None:
    text = 'x,y\n"a\nb" ,1\n\n"c",2\r\n"d\r\ne",3\n'
    columns = columns_of(tmp_path, text)
    assert texts_of(columns)["x"] == ["a\nb", "c", "d\r\ne"]
    assert [columns.place(row) for row in range(3)] == [
        "line 3 of t.csv",
        "line 5 of t.csv",
        "line 7 of t.csv",
    ]


def test_field_may_be_longer_than_the_standard_limit(tmp_path: Path) -> None:
    columns = columns_of(tmp_path, f'x,y\n"{"word " * 40_000}end",1\nb,2\n')
    assert len(str(columns.values["x"][0])) == 200_003


@pytest.mark.parametrize(
    ("text", "line"),
    [('x,y\n1,2\n"a"b,3\n', 3), ('x,y\n1,"2\n', 2), ('x,y\n"1,2\n3,4\n', 2), ('x,y\n1,2\n3,"4" 5\n', 3)],
)
def test_unclosed_quoted_value_is_reported_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(
        DataError, match=f"the quoted value that begins in line {line} has no proper end"
    ) as caught:
        columns_of(tmp_path, text)
    assert caught.value.hint


def test_row_of_another_width_is_reported_with_the_separator(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3 of t\.csv has 1 field, and the header has 2") as caught:
        columns_of(tmp_path, "a;b\n1;2\n3\n")
    assert (
        "separated by semicolon; known separators: comma, semicolon, tab, vertical bar" in caught.value.hint
    )


@pytest.mark.parametrize("text", ["a b y\n1 2 3\n4 5 6\n", "a:b:y\n1:2:3\n", "y\n1\n2\n"])
def test_file_of_one_column_gets_a_hint_about_separators(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t.csv", Data.model_validate({"source": "t.csv", "target": "y"}))
    assert "none of the known separators: comma, semicolon, tab, vertical bar" in caught.value.hint


def test_all_header_problems_are_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        columns_of(tmp_path, "a,,b,a,,b,b\n1,2,3,4,5,6,7\n")
    assert caught.value.message == (
        "columns 2, 5 of t.csv have no name; t.csv has two columns named `a`; 3 columns named `b`"
    )


def test_file_of_many_columns_is_read(tmp_path: Path) -> None:
    """Code that compares each pair of columns would take many minutes."""
    n_columns = 60_000
    names = ",".join(f"g{number}" for number in range(n_columns))
    row = ",".join("1" * n_columns)
    data = Data.model_validate({"source": "t.csv", "target": "y"})
    for name in ("t.csv", "v.csv"):
        (tmp_path / name).write_text(f"y,{names}\n0,{row}\n1,{row}\n")
    known = read_table(tmp_path / "t.csv", data)
    assert read_table(tmp_path / "v.csv", data, "data.validation", known.schema).x.shape == (2, n_columns)
    (tmp_path / "v.csv").write_text("y,g0\n0,1\n1,1\n")
    with pytest.raises(DataError, match=f"^{n_columns - 1} columns of v.csv cannot be used"):
        read_table(tmp_path / "v.csv", data, "data.validation", known.schema)


def test_missing_marks_and_the_reason_for_text_are_noted(tmp_path: Path) -> None:
    rows = [*(f"{number},{number}.5,{number},0,5" for number in range(8)), "n/a?,NA,-,1,5", "9,?,-,2,5"]
    text = "a;b;c;d\n" + "\n".join(
        ";".join((*row.split(",")[:3], ",".join(row.split(",")[3:]))) for row in rows
    )
    notes = {(note.kind, note.columns[0]): note for note in columns_of(tmp_path, text).notes}
    assert set(notes) == {
        ("mostly_numbers", "a"),
        ("missing_marks", "b"),
        ("missing_marks", "c"),
        ("numbers_read", "d"),
    }
    mostly = notes["mostly_numbers", "a"]
    assert (
        mostly.text
        == "column 'a' is text because of `n/a?` in line 10 of t.csv: 9 of its 10 values are numbers"
    )
    assert (mostly.values, mostly.place) == ((("n/a?", 1),), "line 10 of t.csv")
    assert notes["missing_marks", "b"].values == (("NA", 1), ("?", 1))
    assert notes["missing_marks", "c"].values == (("-", 2),)
    assert notes["numbers_read", "d"].text == (
        "column 'd' is read as numbers written like `0,5` (decimal comma)"
    )


def test_category_that_counts_as_missing_is_a_visible_note(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("country,size,y\nNA,1,a\nDE,NA,b\nNA,,a\nDE,4,b\n")
    table = read_table(tmp_path / "t.csv", Data.model_validate({"source": "t.csv", "target": "y"}))
    assert "in column 'country' these count as missing: `NA` (2)" in table.notes
    details = [note for note in table.data_notes if note.is_detail]
    assert [(note.columns, note.values) for note in details] == [(("size",), (("NA", 1),))]


def test_rounded_whole_number_is_noted(tmp_path: Path) -> None:
    columns = columns_of(tmp_path, f"a,b,c\n{2**53},{2**53 + 1},1e300\n1,2,3\n")
    (note,) = columns.notes
    assert (note.kind, note.columns) == ("rounded", ("b",))


def test_class_that_counts_as_missing_is_explained(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,b\n2,NA\n3,\n")
    with pytest.raises(DataError, match=r"in line 3 of t\.csv: `NA` counts as missing") as caught:
        read_table(tmp_path / "t.csv", Data.model_validate({"source": "t.csv", "target": "y"}))
    assert "another name" in caught.value.hint


def test_all_unusable_columns_are_in_one_error(tmp_path: Path) -> None:
    lines = [
        f"n{row},t{row},{'inf' if row == 5 else row},{'none' if row == 9 else row % 2},{row}"
        for row in range(150)
    ]
    (tmp_path / "t.csv").write_text("Name,Ticket,Fare,y,Age\n" + "\n".join(lines))
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t.csv", Data.model_validate({"source": "t.csv", "target": "y"}))
    assert caught.value.message.startswith("4 columns of t.csv cannot be used: ")
    for part in (
        "`Name` is text with 150 distinct",
        "`Ticket` is text with 150",
        "`Fare` is infinite in line 7",
        "`none` counts as missing",
    ):
        assert part in caught.value.message
    for part in ("remove", "`data.text`", "finite numbers", "another name"):
        assert part in caught.value.hint


def test_many_bad_columns_are_shortened_to_the_first_and_a_count(tmp_path: Path) -> None:
    columns = 300
    lines = [",".join(f"v{row}_{column}" for column in range(columns)) + f",{row % 2}" for row in range(101)]
    (tmp_path / "t.csv").write_text(
        ",".join(f"c{column}" for column in range(columns)) + ",y\n" + "\n".join(lines)
    )
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t.csv", Data.model_validate({"source": "t.csv", "target": "y"}))
    assert re.search(r"300 columns of t\.csv cannot be used: .* and \d+ more$", caught.value.message)
    assert len(caught.value.message) < 1000


CELLS = [
    "1",
    "2.5",
    "",
    "NA",
    "-",
    "x",
    "y z",
    '"q"',
    '"a, b"',
    ' "b"',
    '"c" ',
    '"',
    '""',
    "1e400",
    "1_0",
    "inf",
    "é",
    "\u2028",
    "\x00",
    "\ufeff",
    "'",
    "9" * 400,
    "0x1",
    "=1+1",
    "\x1b[31m",
    "\r",
    "\x0b",
    "true",
]
PIECES = st.sampled_from(
    [*CELLS, *SEPARATORS, *SEPARATORS, "\n", "\r\n", "\n\n", "a,y\n", "a;y\n1;0\n2;1\n", " "]
)


@given(
    st.lists(PIECES, max_size=30).map("".join),
    st.sampled_from(["y", "a", "x", "1"]),
    st.sampled_from([None, "a"]),
)
def test_any_file_gives_a_table_or_data_error(body: str, target: str, text: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.csv"
        path.write_bytes(body.encode("utf-8"))
        data = Data.model_validate({"source": "t.csv", "target": target, "text": text})
        try:
            table = read_table(path, data)
            rows = np.arange(len(table.y))
            prepared = preparation.apply(preparation.fit(table, rows, data), table, rows)
            assert np.isfinite(prepared.x).all()
            assert len(read_table(path, data, "data.validation", table.schema).y) == len(table.y)
        except DataError as error:
            assert error.message
            assert error.parameter


@given(st.binary(max_size=60))
def test_any_bytes_give_columns_or_data_error(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.csv"
        path.write_bytes(b"a,y\n" + body)
        try:
            read_csv(path, SOURCE)
        except DataError as error:
            assert error.message


BODY = "a{s}b{s}y\n1{s}2{s}x\n3{s}4{s}z\n"


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize(
    "first", ["sep={s}\n", '"sep={s}"\n', "SEP={s}\r\n", "sep={s}{s}{s}\n", '"sep={s}"{s}{s}\n', "sep={s} \r"]
)
def test_separator_declared_in_the_first_line_is_used(tmp_path: Path, first: str, separator: str) -> None:
    columns = columns_of(tmp_path, (first + BODY).replace("{s}", separator))
    assert columns.names == ("a", "b", "y")
    assert texts_of(columns) == {"a": [1.0, 3.0], "b": [2.0, 4.0], "y": ["x", "z"]}
    assert columns.place(0) == "line 3 of t.csv"


def test_declared_separator_wins_over_a_more_frequent_one(tmp_path: Path) -> None:
    columns = columns_of(tmp_path, "sep=;\na,b,c;y\n1,2,3;x\n")
    assert columns.names == ("a,b,c", "y")


def test_lenient_reader_counts_the_declaration_as_a_line(tmp_path: Path) -> None:
    columns = columns_of(tmp_path, 'sep=;\n\t"a";b\n\t"1";2\n')
    assert columns.names == ("a", "b")
    assert columns.place(0) == "line 3 of t.csv"


def test_unknown_declared_separator_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1 of t\.csv declares the separator `:`"):
        columns_of(tmp_path, "sep=:\na:b\n1:2\n")


@pytest.mark.parametrize("before", ["\n", "\n\n\r\n", "  \n", ",,\n", " , , \n\n", ";;;;\n,\n", '"",""\n'])
def test_blank_lines_before_the_header_are_skipped(tmp_path: Path, before: str) -> None:
    columns = columns_of(tmp_path, before + BODY.replace("{s}", ","))
    assert texts_of(columns) == {"a": [1.0, 3.0], "b": [2.0, 4.0], "y": ["x", "z"]}
    assert columns.place(1) == f"line {before.count(chr(10)) + 3} of t.csv"


def test_blank_lines_between_rows_are_not_rows(tmp_path: Path) -> None:
    columns = columns_of(tmp_path, "a,b\n1,2\n   \n\n3,4\n \n")
    assert texts_of(columns) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_empty_value_of_the_only_column_is_a_row(tmp_path: Path) -> None:
    columns = columns_of(tmp_path, 'a\n1\n""\n3\n')
    assert len(columns.values["a"]) == 3


@pytest.mark.parametrize("text", ["", "\n\n", "  \n \n", ",,\n,,\n"])
def test_file_without_column_names_is_empty(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"t\.csv is empty"):
        columns_of(tmp_path, text)


def test_title_above_the_header_is_named_in_the_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        columns_of(tmp_path, "\nSales in May\na,b\n1,2\n")
    assert (
        "the header is read from line 2, `Sales in May`: remove the lines before the real header"
        in raised.value.hint
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"PK\x03\x04" + b"[Content_Types].xml", "ZIP archive"),
        ("a,b\n1,2\n".encode("utf-16-le"), "a NUL character in line 1"),
        ("a,b\n1,2\n".encode("utf-32-be"), "a NUL character in line 1"),
    ],
)
def test_content_that_is_not_text_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_csv(path, SOURCE)


def test_column_is_read_as_the_kind_that_the_user_sets(tmp_path: Path) -> None:
    request = Request("data.source", types={"a": "text", "b": "number", "c": "truth"})
    columns = columns_of(tmp_path, "a,b,c,d\n01,1,0,5\n2,x,1,6\n", request)
    assert columns.values["a"].tolist() == ["01", "2"]
    assert columns.values["c"].tolist() == [False, True]
    (problem,) = columns.problems
    assert "holds the text `x` in line 3 of t.csv, but numbers by its type" in problem.message
