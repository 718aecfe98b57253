"""What two run folders must have in common, whatever was done to the one on its way (wall clocks aside)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunecli.results.table import without_clock
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.record.publish import table_of


@dataclass(frozen=True)
class Recorded:
    """A trial as the record has it: all but the clocks, and how often it was begun."""

    number: int
    parameters: dict[str, Any]
    seed: int
    state: str
    score: str
    metrics: dict[str, str]
    kept_epoch: int
    failure: str
    epochs: tuple[tuple[int, int, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Folder:
    """What a run folder holds."""

    trials: tuple[Recorded, ...]
    table: Any
    best: str
    ending: Any
    files: dict[str, str]

    def differences(self, other: Folder) -> list[str]:
        """Which parts of ``other`` are not as here, in words."""
        found = [
            f"{name} differs" for name in ("table", "best", "ending") if _get(self, name) != _get(other, name)
        ]
        found += [
            f"trial {mine.number}: {mine} is not {theirs}"
            for mine, theirs in zip(self.trials, other.trials, strict=False)
            if mine != theirs
        ]
        if len(self.trials) != len(other.trials):
            found.append(f"{len(other.trials)} trials and not {len(self.trials)}")
        found += [
            f"{name}: {other.files.get(name, 'absent')} and not {self.files.get(name, 'absent')}"
            for name in sorted({*self.files, *other.files})
            if self.files.get(name) != other.files.get(name)
        ]
        return found


def _get(folder: Folder, name: str) -> Any:
    return getattr(folder, name)


def folder_of(path: Path) -> Folder:
    """Read a run folder."""
    folder = RunFolder.open_existing(path)
    with open_to_read(folder) as study:
        trials = study.log.trials()
        recorded = tuple(_recorded(trial, study.log.epochs(trial.number)) for trial in trials)
        table = without_clock(table_of(study, trials))
        ending = study.log.facts().get("ending")
    best = folder.best_path.read_text() if folder.best_path.exists() else ""
    return Folder(recorded, table, best, ending, _files(path))


def _recorded(trial: Any, epochs: Any) -> Recorded:
    outcome = trial.outcome
    return Recorded(
        trial.number,
        dict(trial.parameters),
        trial.seed,
        str(trial.state),
        repr(outcome and outcome.score),
        {name: value.hex() for name, value in (outcome.metrics if outcome else {}).items()},
        outcome.kept_epoch if outcome else 0,
        outcome.failure.kind if outcome and outcome.failure else "",
        tuple(
            (
                each.epoch,
                each.total_epochs,
                tuple((name, value.hex()) for name, value in each.metrics.items()),
            )
            for each in epochs
        ),
    )


_NOT_COMPARED = {"study.db", "results.csv", "log.jsonl", "study.lock", "workers.lock", "holder.json"}


def _files(path: Path) -> dict[str, str]:
    """Every file by its name, with its SHA-256; those with clocks in them by their name alone."""
    return {
        str(each.relative_to(path)): ""
        if each.name in _NOT_COMPARED
        else hashlib.sha256(each.read_bytes()).hexdigest()
        for each in sorted(path.rglob("*"))
        if each.is_file() and each.name not in ("workers.lock", "holder.json", "log.jsonl")
    }
