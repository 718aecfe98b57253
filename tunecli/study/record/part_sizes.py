"""The sizes of the parts of a study's data, as a fact on record, so that a reader needs neither the data nor torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from tunecli.config.concrete_trial import points_to_check, resolve_trial
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import TrialConfig
from tunecli.config.study import StudySpec
from tunecli.errors import DataError
from tunecli.train.data.sources import facts_of
from tunecli.train.data.summary import n_test_of
from tunecli.train.workload import sizes_of_parts

PART_SIZES = "part_sizes"
"""The key of the fact."""
_MAX_POINTS = 200


@dataclass(frozen=True, slots=True)
class PartSizes:
    """The number of examples in each part.

    Attributes:
        n_train, n_valid, n_test: the sizes; None: unknown, or different between the trials of the study. Over folds,
            ``n_valid`` is the sum, since the score is a mean over all of them, and ``n_train`` is the mean.
        is_folded: whether the score is a mean over folds.
        n_draws: the number of times that the folds were drawn; ``n_valid`` counts each example once.
    """

    n_train: int | None = None
    n_valid: int | None = None
    n_test: int | None = None
    is_folded: bool = False
    n_draws: int = 1


def sizes_of(parts: Sequence[tuple[int, int]], n_test: int | None, n_draws: int = 1) -> PartSizes:
    """The sizes from the numbers of training and validation examples of each fold, drawn ``n_draws`` times."""
    if not parts:
        return PartSizes()
    n_train = round(sum(n for n, _ in parts) / len(parts))
    return PartSizes(n_train, sum(n for _, n in parts) // n_draws, n_test, len(parts) > 1, n_draws)


def alike(sizes: Iterable[PartSizes]) -> PartSizes:
    """The sizes that all data sets of a study have in common."""
    rows = [asdict(one) for one in sizes]
    if not rows:
        return PartSizes()
    common = {name: value for name, value in rows[0].items() if all(row[name] == value for row in rows)}
    return PartSizes(**common)


def size_facts(sizes: PartSizes) -> dict[str, Any]:
    """The fact for the record; empty: nothing is known."""
    parts = {"train": sizes.n_train, "valid": sizes.n_valid, "test": sizes.n_test}
    known: dict[str, Any] = {part: n for part, n in parts.items() if n is not None}
    draws = {"draws": sizes.n_draws} if sizes.n_draws > 1 else {}
    return {PART_SIZES: {**known, "folded": sizes.is_folded, **draws}} if known else {}


def recorded_sizes(facts: Mapping[str, Any]) -> PartSizes:
    """The sizes on record; all None: a study of the user's own code, or of an earlier tunecli."""
    recorded = facts.get(PART_SIZES)
    if not isinstance(recorded, Mapping):
        return PartSizes()
    values = [recorded.get(part) for part in ("train", "valid", "test")]
    n_train, n_valid, n_test = (
        n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None for n in values
    )
    draws = recorded.get("draws")
    n_draws = draws if isinstance(draws, int) and not isinstance(draws, bool) and draws >= 1 else 1
    return PartSizes(n_train, n_valid, n_test, recorded.get("folded") is True, n_draws)


def measured_sizes(spec: StudySpec) -> PartSizes:
    """The sizes of the parts of a study's data; the data are read, and the user's code is not run."""
    sizes: dict[str, PartSizes] = {}
    for point in islice(points_to_check(spec.space), _MAX_POINTS):
        try:
            trial = resolve_trial(spec.space, point)
        except (
            DanglingReferenceError,
            ValidationError,
        ):  # such a trial fails as data, and has none (failure-is-data)
            continue
        if not isinstance(trial, TrialConfig):
            return PartSizes()
        key = trial.data.model_dump_json(exclude={"augment", "balance", "normalize"})
        if key not in sizes:
            try:
                facts = facts_of(trial.data, spec.base_path)
                if facts is None:
                    return PartSizes()
                seed = spec.settings.seed
                parts = sizes_of_parts(trial.data, facts, spec.base_path, seed)
                n_test = n_test_of(trial.data, facts, spec.base_path, seed)
                sizes[key] = sizes_of(parts, n_test, trial.data.validation.repeats)
            except DataError:
                return PartSizes()
    return alike(sizes.values())
