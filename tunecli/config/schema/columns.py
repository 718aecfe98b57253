"""The settings under ``data.columns``: which columns of a file are inputs, what the others are for, and their types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunecli.knob import Knob, Values

ColumnName = Annotated[str, Field(min_length=1)]
ColumnType = Annotated[
    Literal["number", "category", "truth", "datetime", "dmy", "mdy"],
    Values(
        {
            "number": "Numbers.",
            "category": "Texts of a few kinds.",
            "truth": "True or false.",
            "datetime": "Dates, with or without a time, the year first.",
            "dmy": "Dates with the day first: 31/12/2021.",
            "mdy": "Dates with the month first: 12/31/2021.",
        }
    ),
]

DATES: frozenset[ColumnType] = frozenset(("datetime", "dmy", "mdy"))
"""The types that are dates."""


class ColumnSettings(Knob):
    """Columns of a table. A column with a role, such as `id`, is not an input.

    Attributes:
        drop: columns that are not read.
        keep: the only columns that are inputs; by default, all that have no role.
        id: column, or columns, that name the rows; predictions repeat them.
        weight: column with the weight of each row, at least 0.
        group: column with the group of each row, such as a patient.
        split: column that says `train`, `validation` or `test` for each row.
        time: column with the time of each row: dates, or numbers.
        types: how to read columns whose values look like something else, by name. `dmy` and `mdy` read dates such as
            03/04/2021, with the day or the month first.
    """

    drop: list[ColumnName] = []
    keep: Annotated[list[ColumnName], Field(min_length=1)] | None = None
    id: ColumnName | Annotated[list[ColumnName], Field(min_length=1)] | None = None
    weight: ColumnName | None = None
    group: ColumnName | None = None
    split: ColumnName | None = None
    time: ColumnName | None = None
    types: dict[ColumnName, ColumnType] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns that name the rows."""
        if self.id is None:
            return ()
        return (self.id,) if isinstance(self.id, str) else tuple(self.id)

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """By column that has a role, its roles. A patient's name may be both an id and a group."""
        roles: dict[str, list[str]] = {}
        named = (
            *(("id", name) for name in self.ids),
            ("weight", self.weight),
            ("group", self.group),
            ("split", self.split),
            ("time", self.time),
        )
        for role, name in named:
            if name is not None and role not in roles.setdefault(name, []):
                roles[name].append(role)
        return {name: tuple(of_column) for name, of_column in roles.items()}

    def of_new_rows(self, *, in_series: bool) -> ColumnSettings:
        """The settings of rows to predict: their names are of use, and in time series also their order."""
        if in_series:
            return ColumnSettings(id=self.id, time=self.time, group=self.group)
        return ColumnSettings(id=self.id)

    @property
    def named(self) -> Iterator[tuple[str, str]]:
        """Every name of a column in these settings, with the key that it is written under."""
        yield from (("drop", name) for name in self.drop)
        yield from (("keep", name) for name in self.keep or ())
        yield from ((role, name) for name, roles in self.roles.items() for role in roles)
        yield from (("types", name) for name in self.types)

    def problems_with(self, targets: Sequence[str]) -> Iterator[str]:
        """Why these settings do not fit the columns that are predicted."""
        roles = self.roles
        for name in targets:
            if name in self.drop:
                yield f"`{name}` is the target, so it cannot be in `columns.drop`"
            if name in roles:
                yield f"`{name}` is the target, so it cannot be the `columns.{roles[name][0]}`"
            if self.types.get(name) in DATES:
                yield f"`{name}` is the target, so its type cannot be `{self.types[name]}`"

    @model_validator(mode="after")
    def _one_use(self) -> ColumnSettings:
        roles, dropped, kept = self.roles, set(self.drop), self.keep or []
        problems = [
            *(f"`{name}` is in both `drop` and `keep`" for name in kept if name in dropped),
            *(f"`{name}` is in `drop`, but is the `{r[0]}`" for name, r in roles.items() if name in dropped),
            *(
                f"`{name}` is in `keep`, but is the `{roles[name][0]}`, which is no input"
                for name in kept
                if name in roles
            ),
            *(
                f"`{name}` is the `weight`, so it cannot be the `{_other(r, 'weight')}` too"
                for name, r in roles.items()
                if "weight" in r and len(r) > 1
            ),
            *_unfit(self.types, roles),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _other(roles: Iterable[str], role: str) -> str:
    return next(other for other in roles if other != role)


_TYPES_OF_ROLES: dict[str, tuple[ColumnType, ...]] = {
    "weight": ("number",),
    "time": ("number", "datetime", "dmy", "mdy"),
}
"""The types that a column with a role may have; the names of rows, groups and parts are read as text."""


def _unfit(types: dict[str, ColumnType], roles: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The problems of columns whose type does not fit their role."""
    for name, kind in types.items():
        for role in roles.get(name, ()):
            allowed = _TYPES_OF_ROLES.get(role, ("category",))
            if kind not in allowed:
                fitting = " or ".join(f"`{one}`" for one in allowed)
                yield f"`{name}` is the `{role}`, so its type is {fitting}, not `{kind}`"
