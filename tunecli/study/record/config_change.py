"""The change of a study's config when it is resumed or forked: the new file compared with the recorded one.

Decides which file is used, which recorded overrides still apply, and which changes are refused, since the recorded
trials would not belong to the changed study. Writes nothing.
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
from tunecli.config.study import StudySpec, as_began
from tunecli.config.user_code import code_changes
from tunecli.errors import ConfigError, UsageError
from tunecli.registry.pruners import is_pausing
from tunecli.registry.samplers import sampler_info
from tunecli.store.folder import RunFolder
from tunecli.study.record.facts import changed_data, recorded_spec
from tunecli.study.record.suggestions import n_without_model

PLAN_PATHS = {"n_trials": "search.trials", "n_workers": "run.workers", "device": "run.device"}
"""The setting of each field of a plan that the user may change."""


@dataclass(frozen=True)
class ConfigChange:
    """The recorded config of a study and the requested one.

    Attributes:
        recorded: the config when the study began, or when it was last resumed.
        requested: the requested config; it is not yet checked against its data.
        differences: the differences between the two.
        notes: notes on the source of ``requested``.
        file: the file name for error messages.
    """

    recorded: StudySpec
    requested: StudySpec
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    file: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The notes and the differences, a line each."""
        return (
            *(f"note: {note}" for note in self.notes),
            *(f"changed: {difference}" for difference in self.differences),
        )

    def inspected(self, inspect: Inspect) -> StudySpec:
        """The requested config, checked against its data. `search.sampler: auto` in it is not decided.

        Raises:
            ConfigError: with every problem of the file.
        """
        spec = self.requested
        return parse_study(
            spec.text.encode(),
            self.file,
            spec.overrides,
            spec.base_path,
            inspect,
            is_begun=True,
            defaults=spec.space.defaults,
        )


def read_config_change(
    folder: RunFolder, facts: Mapping[str, Any], overrides: Sequence[str], config_path: Path | None = None
) -> ConfigChange:
    """The requested change of the study in ``folder``.

    The requested file is ``config_path``, or else the run folder's file, which the user may have edited, or else the
    recorded one. Relative names start from the same folder as before.

    Args:
        folder: the run folder.
        facts: the recorded facts.
        overrides: assignments ``path=value``, in addition to recorded overrides that still apply.
        config_path: another file.

    Raises:
        ConfigError: the file is missing or wrong.
        UsageError: an override does not have the form ``path=value``.
    """
    recorded_text, base_path = str(facts["config"]), Path(facts["base_path"])
    own, notes = _own_text(folder.config_path)
    data, file = (recorded_text if own is None else own).encode(), str(folder.config_path)
    if config_path is not None:
        data, file = bytes_of(config_path), str(config_path)
        if own not in (None, recorded_text):
            notes = (f"{folder.config_path} was edited too; {config_path} is used",)
    read(data, file)
    kept = kept_overrides(facts["overrides"], recorded_text, data.decode("utf-8-sig"))
    recorded = recorded_spec(facts, folder)
    parsed = parse_study(data, file, (*kept, *overrides), base_path, defaults=facts["defaults"])
    requested = as_began(parsed, recorded)
    return ConfigChange(recorded, requested, tuple(differences(recorded, requested)), notes, file)


def require_same_study(change: ConfigChange, facts: Mapping[str, Any], folder: RunFolder) -> None:
    """Make sure that the requested config and the user's code still make the recorded study.

    Raises:
        UsageError: a setting or a code file differs that must not; the hint says how to fork the study.
    """
    refused = [str(difference) for difference in change.differences if not difference.may_change]
    problems = (
        ["these changes would make it a different study:", *(f"  {line}" for line in refused)]
        if refused
        else []
    )
    if code := code_changes(facts.get("code", {}), change.requested):
        problems.append(f"your own code has changed since the study began: {', '.join(code)}")
    if refused and (data := changed_data(facts.get("data", {}), change.requested)):
        problems.append(_of_data(data))
    _refuse(problems, folder)


def require_same_data(spec: StudySpec, facts: Mapping[str, Any], folder: RunFolder) -> None:
    """Make sure that the data are those that the study began with.

    Raises:
        UsageError: a data file differs; the hint says how to fork the study.
    """
    changed = changed_data(facts.get("data", {}), spec)
    _refuse([_of_data(changed)] if changed else [], folder)


def _of_data(changes: Sequence[str]) -> str:
    return f"the data have changed since the study began: {', '.join(changes)}"


def _refuse(problems: Sequence[str], folder: RunFolder) -> None:
    if problems:
        fork = f"tunecli resume {quote(str(folder.path))} --fork NAME"
        hint = f"undo the changes, or begin a new study that reuses the trials that still fit: {fork}"
        raise UsageError("\n".join(problems), hint=hint)


def assignments(changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Changed fields of a plan as overrides ``path=value``."""
    return tuple(f"{PLAN_PATHS[field]}={value}" for field, value in changes.items())


def raised_total(spec: StudySpec, before: int, after: int, n_suggested: int) -> tuple[str, ...]:
    """Notes on why a raised total may give a different study than that total from the start; empty if it does not.

    After the last trial of the old total began, the pruner continued paused trials that would otherwise have waited for
    more trials to compare with. And a sampler that reads results uses them earlier in a short study.

    Args:
        spec: the requested config.
        before, after: the totals.
        n_suggested: number of suggested trials.
    """
    search = spec.settings.search
    differs = f"note: the result can differ from that of a study with {after} trials from the start:"
    notes = []
    if before <= n_suggested < after and is_pausing(search.pruner):
        notes.append(
            f"{differs} after trial {n_suggested - 1} the pruner `{search.pruner.name}` continued the best trials "
            "that it had"
        )
    first, fresh = (n_without_model(spec, total) for total in (before, after))
    if sampler_info(search.sampler_name).reads_results and first < min(fresh, n_suggested):
        notes.append(
            f"{differs} the sampler `{search.sampler_name}` began with {first} trials without a model, not {fresh}"
        )
    return tuple(notes)


def _own_text(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """Text of the run folder's file, and notes; None if the file is missing, or cannot be read (with a note)."""
    if not path.exists() and not path.is_symlink():
        return None, ()
    try:
        if path.is_symlink() or not path.is_file():
            raise OSError("it is not a regular file")
        return bytes_of(path).decode("utf-8-sig"), ()
    except (OSError, ConfigError, UnicodeDecodeError):
        return None, (f"{path} cannot be read; the recorded copy is used",)
