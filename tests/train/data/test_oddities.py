"""Oddities planted in generated tables are reported with kind and column, and clean tables have none."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.config.schema.data import Data
from tunecli.train.data.notes import Oddity
from tunecli.train.data.summary import summary_of

N = 120
Columns = dict[str, list[Any]]


def clean(r: np.random.Generator, task: str, n: int = N) -> Columns:
    """Columns of every kind, of which none alone says much of the target."""
    a, b, c = r.normal(size=n), r.uniform(size=n), r.integers(0, 10, n)
    d = r.choice(["north", "south", "west"], n)
    signal = a + b + c / 5 + (d == "north") + r.normal(size=n)
    target = signal.round(4).tolist()
    if task == "classification":
        target = np.array(["low", "middle", "high"])[np.digitize(signal, [1.0, 2.5])].tolist()
    return {"a": a.round(5).tolist(), "b": b.round(5).tolist(), "c": c.tolist(), "d": d.tolist(), "y": target}


def found(columns: Columns, **knobs: Any) -> tuple[Oddity, ...]:
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "t.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        data = Data(source="t.csv", target="y", **knobs)
        return summary_of(data, Path(folder), 3).oddities


def kinds(oddities: tuple[Oddity, ...]) -> set[str]:
    return {odd.kind for odd in oddities}


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("seed", range(20))
def test_a_clean_table_has_no_oddity(seed: int, task: str) -> None:
    assert found(clean(np.random.default_rng(seed), task)) == ()


def days(r: np.random.Generator, n: int, n_days: int) -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=int(day)) for day in r.integers(0, n_days, n)]


Plant = Callable[[np.random.Generator, Columns], list[Any]]
COLUMNS: dict[str, tuple[str, Plant]] = {
    "consecutive numbers in any order": ("id", lambda r, _: r.permutation(np.arange(7, N + 7)).tolist()),
    "half of all numbers": ("id", lambda r, _: r.choice(2 * N, N, replace=False).tolist()),
    "numbers that rise": ("id", lambda r, _: np.cumsum(r.integers(1, 10_000, N)).tolist()),
    "texts that are all different": ("id", lambda r, _: [f"n{i}" for i in range(100)] + ["n0"] * (N - 100)),
    "one number": ("constant", lambda r, _: [5] * N),
    "one number and gaps": ("constant", lambda r, _: [5, ""] * (N // 2)),
    "one text": ("constant", lambda r, _: ["eur"] * N),
    "nothing": ("constant", lambda r, _: [""] * N),
    "the same numbers": ("duplicate", lambda r, t: t["a"]),
    "another unit": ("duplicate", lambda r, t: [1.8 * each + 32 for each in t["a"]]),
    "a rounded copy": ("duplicate", lambda r, t: [round(each * 2.2046, 3) for each in t["a"]]),
    "the opposite": ("duplicate", lambda r, t: [1 - each for each in t["b"]]),
    "a logarithm": ("duplicate", lambda r, t: [float(np.log(each + 1)) for each in t["b"]]),
    "a code of a text": ("duplicate", lambda r, t: [{"north": 7, "south": 3, "west": 5}[each] for each in t["d"]]),
    "a text of a number": ("duplicate", lambda r, t: ["uvwxyzabcd"[each] for each in t["c"]]),
    "dates with a time": ("date", lambda r, _: [f"{day:%m/%d/%y} 12:30" for day in days(r, N, 60)]),
    "dates as numbers": ("date", lambda r, _: [int(day.strftime("%Y%m%d")) for day in days(r, N, 900)]),
    "seconds since 1970": ("date", lambda r, _: r.choice(10**8, N, replace=False).__add__(1_600_000_000).tolist()),
    "commas and points": ("numbers_as_text", lambda r, _: [f"{i}{',.'[i % 2]}5" for i in r.integers(0, 30, N)]),
    "numbers with a unit": ("numbers_as_text", lambda r, _: [f"{i} kg" for i in r.integers(0, 30, N)]),
    "numbers and a word": ("numbers_as_text", lambda r, _: [*r.integers(0, 30, N - 1).tolist(), "later"]),
    "two currencies": ("numbers_as_text", lambda r, _: [f"{'$€'[i % 2]}1,{i}" for i in r.integers(100, 150, N)]),
    "two spellings": ("spellings", lambda r, _: r.choice(["yes", "Yes", "no"], N).tolist()),
}  # fmt: skip


@given(
    st.sampled_from(sorted(COLUMNS)), st.integers(0, 10**6), st.sampled_from(["classification", "regression"])
)
def test_planted_oddity_is_the_only_one_reported(planted: str, seed: int, task: str) -> None:
    r = np.random.default_rng(seed)
    table = clean(r, task)
    kind, plant = COLUMNS[planted]
    odd = found({"planted": plant(r, table), **table})
    planted_oddities = [one for one in odd if one.kind == kind]
    assert planted_oddities
    assert all("planted" in one.columns and "planted" in one.text for one in planted_oddities)
    # Rare values may be missing in training too, and dates that all differ number the rows.
    assert kinds(odd) <= {kind, "unseen", *(["id"] if kind == "date" else [])}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["code", "threshold", "squared", "per value"]))
def test_leak_is_reported_with_its_measure(seed: int, how: str) -> None:
    r = np.random.default_rng(seed)
    table = clean(r, "regression" if how in ("squared", "per value") else "classification")
    y = table["y"]
    rank = {"low": 0, "middle": 1, "high": 2}
    if how == "code":
        leaking: list[Any] = [{"low": "u", "middle": "v", "high": "w"}[each] for each in y]
    elif how == "threshold":
        leaking = [10 * rank[each] + float(r.uniform(0, 9)) for each in y]
    elif how == "squared":
        leaking = [(each + 20) ** 2 for each in y]
    else:
        leaking = r.integers(0, 9, N).tolist()
        table["y"] = [{0: 5.5, 1: 1.25, 2: 9.0, 3: 0.5}.get(each, each * 1.5) for each in leaking]
    (odd,) = [one for one in found({"after": leaking, **table}) if one.kind == "leak"]
    assert odd.columns == ("after",)
    assert f"on {N} rows" in odd.text


TARGETS: dict[str, Callable[[np.random.Generator], list[Any]]] = {
    "commas and points": lambda r: [f"{i}{',.'[i % 2]}5" for i in r.integers(1, 9, N)],
    "two currencies": lambda r: [f"{'$€'[i % 2]}{i}" for i in r.integers(1, 9, N)],
    "percent and fractions": lambda r: [f"{i} %" if i % 2 else f"0.{i}" for i in r.integers(1, 9, N)],
    "quotes": lambda r: [f"'{i}'" for i in r.integers(1, 9, N)],
    "units": lambda r: [f"{i}kg" for i in r.integers(1, 9, N)],
    "bounds": lambda r: [f"<{i}" if i == 1 else f"{i}" for i in r.integers(1, 9, N)],
    "a typo": lambda r: [*r.integers(1, 9, N - 1).tolist(), "12.O"],
    "a word": lambda r: [*r.uniform(size=N - 2).round(1).tolist(), "later", "later"],
}


@given(st.sampled_from(sorted(TARGETS)), st.integers(0, 10**6))
def test_numbers_read_as_classes_are_reported_unless_the_task_is_set(written: str, seed: int) -> None:
    r = np.random.default_rng(seed)
    table = {**clean(r, "classification"), "y": TARGETS[written](r)}
    (odd,) = [one for one in found(table) if one.kind == "numbers_as_classes"]
    assert "`data.task: classification`" in odd.text
    assert "numbers_as_classes" not in kinds(found(table, task="classification"))


def test_grades_and_coded_classes_are_reported() -> None:
    r = np.random.default_rng(0)
    table = clean(r, "classification")
    grades = {**table, "y": r.integers(3, 9, N).tolist()}
    assert "ratings" in kinds(found(grades))
    assert "ratings" not in kinds(found(grades, task="regression"))
    letters = clean(r, "classification", 400)
    letters["y"] = (np.arange(400) % 26).tolist()
    assert "classes_as_numbers" in kinds(found(letters))
    assert "classes_as_numbers" not in kinds(found(letters, task="regression"))


def test_small_and_dominant_classes_are_reported() -> None:
    table = clean(np.random.default_rng(1), "classification")
    table["y"] = ["rare"] * 3 + ["often"] * (N - 3)
    odd = {one.kind: one.text for one in found(table)}
    assert "'rare' 3" in odd["few_members"]
    assert "97.5%" in odd["imbalanced"]


def test_unseen_category_is_reported_with_its_rows() -> None:
    r = np.random.default_rng(2)
    table = clean(r, "regression")
    table["d"] = [*table["d"][:-40], *(f"only here {number}" for number in range(40))]
    (odd,) = [one for one in found(table, validation={"folds": 4}) if one.kind == "unseen"]
    assert f"40 of {N} validation rows" in odd.text
    assert "unseen" not in kinds(found(clean(r, "regression"), validation={"folds": 4}))


def test_column_with_a_constant_sample_is_checked_completely() -> None:
    n = 30_000
    table = {"a": [0.0] * n, "b": np.random.default_rng(0).normal(size=n).round(4).tolist()}
    table["a"][17] = 1.0
    table["y"] = np.random.default_rng(1).normal(size=n).round(4).tolist()
    assert found(table) == ()


def test_long_name_is_shortened_in_a_note() -> None:
    table = {"x" * 5000: [5] * N, **clean(np.random.default_rng(3), "regression")}
    (odd,) = found(table)
    assert len(odd.text) < 200


@pytest.mark.parametrize("n_wrong", [2, 12])
def test_column_that_is_filled_in_for_one_class_is_a_leak(n_wrong: int) -> None:
    r = np.random.default_rng(n_wrong)
    table = clean(r, "regression")
    table["y"] = ["yes" if each > 1.7 else "no" for each in table["y"]]
    boats: list[Any] = [str(r.integers(1, 6)) if each == "yes" else "" for each in table["y"]]
    for row in r.choice(N, n_wrong, replace=False).tolist():
        boats[row] = "" if boats[row] else "3"
    leaks = [one for one in found({"boat": boats, **table}) if one.kind == "leak"]
    assert [one.columns for one in leaks] == ([("boat",)] if n_wrong == 2 else [])
    if leaks:
        assert (
            "its empty fields, and that of the other fields, is right for 98.3% on 120 rows" in leaks[0].text
        )


@pytest.mark.parametrize(
    ("planted", "key"),
    [
        ("consecutive numbers in any order", "`data.columns.drop: [planted]`"),
        ("one text", "`data.columns.drop: [planted]`"),
        ("the same numbers", "`data.columns.drop: [a]`"),
        ("seconds since 1970", "`data.columns.types: {planted: datetime}`"),
        ("numbers and a word", "`data.columns.types: {planted: category}`"),
    ],
)
def test_a_note_says_the_key_that_mends_it(planted: str, key: str) -> None:
    r = np.random.default_rng(0)
    table = clean(r, "classification")
    kind, plant = COLUMNS[planted]
    (odd,) = [one for one in found({"planted": plant(r, table), **table}) if one.kind == kind]
    assert key in odd.text


def test_inputs_of_one_date_are_neither_ids_nor_duplicates() -> None:
    r = np.random.default_rng(0)
    table = clean(r, "regression")
    rising = sorted(days(r, N, 60))
    assert found({"sold": [day.isoformat() for day in rising], **table}) == ()
