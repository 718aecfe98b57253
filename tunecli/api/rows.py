"""Rows of a table as a list of dicts, with a data frame and a display for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from tunecli.errors import UsageError
from tunecli.registry.packages import install_command
from tunecli.results.table import Table, display_cells, to_markdown

if TYPE_CHECKING:
    from pandas import DataFrame

_SHOWN_TEXT, _SHOWN_HTML = 10, 30


class Rows(list[dict[str, Any]]):
    """A list of rows, each a dict with the same keys.

    It is a `list`, so that `json.dumps`, `csv.DictWriter` and other libraries take it as it is. A notebook shows it
    as a table, and a slice of it is `Rows` too.

    Attributes:
        columns: the keys of each row, in order.

    Examples:
        >>> rows = Rows(("trial", "lr"), [(0, 0.1), (1, 0.01)])
        >>> rows[1]["lr"]
        0.01
        >>> len(rows[:1])
        1
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[Any]] = ()) -> None:
        super().__init__(dict(zip(columns, row, strict=True)) for row in rows)
        self.columns = tuple(columns)

    @classmethod
    def of_records(cls, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Rows:
        """The rows of maps; a key that a map does not have is None."""
        return cls(columns, ([record.get(name) for name in columns] for record in records))

    def to_pandas(self) -> DataFrame:
        """The rows as a data frame of pandas.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise UsageError("a data frame needs pandas", hint=install_command("pandas", "pandas")) from error
        return DataFrame({name: [row[name] for row in self] for name in self.columns})

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice, /) -> Rows: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> dict[str, Any] | Rows:
        if isinstance(place, slice):
            return Rows.of_records(self.columns, super().__getitem__(place))
        return super().__getitem__(place)

    def __repr__(self) -> str:
        more = len(self) - _SHOWN_TEXT
        text = to_markdown(self._table(_SHOWN_TEXT)).rstrip("\n")
        return f"{text}\n… {more:,} more rows" if more > 0 else text

    def _repr_html_(self) -> str:
        """The first rows as a table of HTML; each text is escaped."""
        heading = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for row in display_cells(self._table(_SHOWN_HTML))
        )
        more = len(self) - _SHOWN_HTML
        note = f"<p>… {more:,} more rows</p>" if more > 0 else ""
        return f"<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>{note}"

    def _table(self, n_rows: int) -> Table:
        shown = list.__getitem__(self, slice(n_rows))
        return Table(self.columns, tuple(tuple(row[name] for name in self.columns) for row in shown))
