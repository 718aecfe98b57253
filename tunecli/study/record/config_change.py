"""What a person asks of a study that has begun: its file as it now is, or another, held against the file on record.

Owns which file that is, which overrides still hold, and the refusal of what would make the record lie. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from tunecli.config.checks import Inspect
from tunecli.config.comparison import Difference, differences, kept_overrides
from tunecli.config.load import bytes_of, parse_study
from tunecli.config.reader import read
from tunecli.config.study import StudySpec
from tunecli.config.user_code import code_changes
from tunecli.errors import ConfigError, UsageError
from tunecli.registry.pruners import is_pausing
from tunecli.store.folder import RunFolder
from tunecli.study.record.facts import changed_data, recorded_spec

PLAN_PATHS = {"n_trials": "search.trials", "n_workers": "run.workers", "device": "run.device"}
"""What sets each field of a plan that a person may change."""


@dataclass(frozen=True)
class ConfigChange:
    """A study as it is on record, and as it is asked to be.

    Attributes:
        recorded: what was asked when it began, or when it was last resumed.
        asked: what is asked now; nothing of it was held against its data yet.
        differences: between the two.
        notes: what a person should know of where ``asked`` comes from.
        file: the name that its problems bear.
    """

    recorded: StudySpec
    asked: StudySpec
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    file: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The notes and the differences, each as a line for a person."""
        return (*(f"note: {each}" for each in self.notes), *(f"changed: {each}" for each in self.differences))

    def inspected(self, inspect: Inspect) -> StudySpec:
        """What is asked, checked as far as its data can tell.

        Raises:
            ConfigError: with every problem found.
        """
        spec = self.asked
        return parse_study(spec.text.encode(), self.file, spec.overrides, spec.base_path, inspect)


def revision(
    folder: RunFolder, facts: Mapping[str, Any], overrides: Sequence[str], config_path: Path | None = None
) -> ConfigChange:
    """What is asked of the study in ``folder``.

    The file is the one at ``config_path``, or else the folder's own, which a person may have edited, or else the one on
    record. Relative names go on to start where they did.

    Args:
        folder: the run folder.
        facts: the record's.
        overrides: ``path=value``, on top of those on record that still hold.
        config_path: another file.

    Raises:
        ConfigError: the file is not there, or wrong.
        UsageError: an override is no ``path=value``.
    """
    recorded_text, base_path = str(facts["config"]), Path(facts["base_path"])
    own, notes = _own_text(folder.config_path)
    data, file = (recorded_text if own is None else own).encode(), str(folder.config_path)
    if config_path is not None:
        data, file = bytes_of(config_path), str(config_path)
        if own not in (None, recorded_text):
            notes = (f"{folder.config_path} was edited too, and {config_path} is taken",)
    read(data, file)
    kept = kept_overrides(facts["overrides"], recorded_text, data.decode("utf-8-sig"))
    recorded = recorded_spec(facts, folder)
    asked = parse_study(data, file, (*kept, *overrides), base_path)
    return ConfigChange(recorded, asked, tuple(differences(recorded, asked)), notes, file)


def require_same_study(asked: ConfigChange, facts: Mapping[str, Any], folder: RunFolder) -> None:
    """Make sure that a study that goes on as asked is still the one on record.

    Raises:
        UsageError: what differs and may not, in the file or in the user's own code; and the way out.
    """
    refused = [str(each) for each in asked.differences if not each.may_change]
    told = (
        ["these changes would make it a different study:", *(f"  {each}" for each in refused)]
        if refused
        else []
    )
    if code := code_changes(facts.get("code", {}), asked.asked):
        told.append(f"your own code is not what it was when the study began: {', '.join(code)}")
    if refused and (data := changed_data(facts.get("data", {}), asked.asked)):
        told.append(_of_data(data))
    _refuse(told, folder)


def require_same_data(spec: StudySpec, facts: Mapping[str, Any], folder: RunFolder) -> None:
    """Make sure that a study goes on with the data that it began with.

    Raises:
        UsageError: which files differ; and the way out.
    """
    found = changed_data(facts.get("data", {}), spec)
    _refuse([_of_data(found)] if found else [], folder)


def _of_data(changes: Sequence[str]) -> str:
    return f"the data is not what it was when the study began: {', '.join(changes)}"


def _refuse(told: Sequence[str], folder: RunFolder) -> None:
    if told:
        fork = f"tunecli resume {quote(str(folder.path))} --fork NAME"
        hint = f"leave it as it was, or begin a new study with the trials that still fit: {fork}"
        raise UsageError("\n".join(told), hint=hint)


def assignments(changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of a plan that are asked to differ, by `PLAN_PATHS`, as overrides."""
    return tuple(f"{PLAN_PATHS[field]}={value}" for field, value in changes.items())


def raised_total(spec: StudySpec, before: int, after: int, n_suggested: int) -> tuple[str, ...]:
    """That a study whose trials pause may not be what it would be had it begun with its new total; nothing where it is.

    Once it could begin no more, it continued trials that would else have waited for others.

    Args:
        spec: what is asked.
        before, after: the totals.
        n_suggested: how many trials were begun.
    """
    pruner = spec.settings.search.pruner
    if not before <= n_suggested < after or not is_pausing(pruner):
        return ()
    note = (
        f"note: with the pruner `{pruner.name}` this need not be the study that {after} trials from the "
        f"start would be: after trial {n_suggested - 1} it went on with the best of those it had"
    )
    return (note,)


def _own_text(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """What the run folder's file says; None where it is not there, or not to be read, which is then noted."""
    if not path.exists() and not path.is_symlink():
        return None, ()
    try:
        if path.is_symlink() or not path.is_file():
            raise OSError("it is no regular file")
        return bytes_of(path).decode("utf-8-sig"), ()
    except (OSError, ConfigError, UnicodeDecodeError):
        return None, (f"{path} cannot be read, and the copy on record is taken",)
