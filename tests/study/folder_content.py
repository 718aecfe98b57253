"""The content of a run folder without its wall clocks, to compare an interrupted study with an uninterrupted one."""

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
    """A recorded trial, without its times and its number of attempts."""

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
    """The content of a run folder, without wall clocks."""

    trials: tuple[Recorded, ...]
    table: Any
    best: str
    ending: Any
    files: dict[str, str]

    def differences(self, other: Folder) -> list[str]:
        """A sentence for each part of ``other`` that differs."""
        found = [
            f"{name} differs" for name in ("table", "best", "ending") if _get(self, name) != _get(other, name)
        ]
        found += [
            f"trial {mine.number}: {mine} is not {theirs}"
            for mine, theirs in zip(self.trials, other.trials, strict=False)
            if mine != theirs
        ]
        if len(self.trials) != len(other.trials):
            found.append(f"{len(other.trials)} trials instead of {len(self.trials)}")
        found += [
            f"{name}: {other.files.get(name, 'absent')} instead of {self.files.get(name, 'absent')}"
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
                event.epoch,
                event.total_epochs,
                tuple((name, value.hex()) for name, value in event.metrics.items()),
            )
            for event in epochs
        ),
    )


_NOT_COMPARED = {
    *("study.db", "results.csv", "report.html", "log.jsonl"),
    *("study.lock", "workers.lock", "holder.json"),
}


def _files(path: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its path in the folder; empty for files that contain times or attempts."""
    return {
        str(file.relative_to(path)): ""
        if file.name in _NOT_COMPARED or file.parent.name == "logs"
        else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name not in ("workers.lock", "holder.json", "log.jsonl")
    }
