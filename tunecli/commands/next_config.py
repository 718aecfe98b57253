"""`tunecli report --next FILE`: the file of the next study, with the changes that the record of this one supports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote

from tunecli.commands.next_text import next_text
from tunecli.config.comparison import kept_overrides
from tunecli.config.load import parse_study
from tunecli.config.reader import read
from tunecli.errors import ConfigError, NoTrialSucceeded, UsageError
from tunecli.results.advice.rules import every_finding
from tunecli.results.next_space import Change, next_changes
from tunecli.results.report import Report
from tunecli.results.view import View
from tunecli.store.destination import as_argument, require_destination
from tunecli.store.files import write_atomically
from tunecli.store.folder import RunFolder
from tunecli.study.record.fork import reusable
from tunecli.study.record.lifecycle import open_to_read
from tunecli.text import counted
from tunecli.train.validation import trial_problems


@dataclass(frozen=True, slots=True)
class NextConfig:
    """The file of the next study.

    Attributes:
        path: of the file.
        folder: the run folder of the study that it follows.
        name: of the next study.
        changes: in the file.
        left_out: a sentence for each change that the file cannot take.
        overrides: assignments of `--set` that the study ran with, and that the file does not contain.
        n_carried: ended trials that `resume --fork` would take over.
        n_ended: ended trials of this study.
    """

    path: Path
    folder: Path
    name: str
    changes: tuple[Change, ...]
    left_out: tuple[str, ...]
    overrides: tuple[str, ...]
    n_carried: int
    n_ended: int


def next_config(folder: RunFolder, found: Report, path: Path) -> NextConfig:
    """Write the file of the next study.

    Args:
        folder: the run folder.
        found: the report of its study.
        path: the new file.

    Raises:
        UsageError: ``path`` exists, or its folder does not.
        NoTrialSucceeded: no trial is complete.
        ConfigError: the study's file has problems now, such as data that is gone.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists already", hint="name another file")
    require_destination(path)
    changes = next_changes(found, every_finding(found))
    if not changes:
        hint = f"complete a trial first: tunecli resume {as_argument(folder.path)}"
        raise NoTrialSucceeded(
            f"no trial of {folder.path} is complete, so the next study has nothing to start from", hint=hint
        )
    with open_to_read(folder) as study:
        spec, trials = study.spec, {trial.number: trial for trial in study.log.trials()}

    def overrides_of(text: str) -> tuple[str, ...]:
        read(text.encode(), str(path))
        return kept_overrides(spec.overrides, spec.text, text)

    def require(text: str, base_path: Path = path.parent) -> None:
        parse_study(text.encode(), str(path), overrides_of(text), base_path, trial_problems)

    _require_place(path, spec.base_path, lambda base_path: require(spec.text, base_path))
    written = next_text(spec.text, spec.space, spec.settings.study, changes, trials, require)
    write_atomically(path, written.text)
    carried, n_ended = reusable(folder, path)
    return NextConfig(
        path,
        folder.path,
        written.name,
        written.applied,
        written.left_out,
        overrides_of(written.text),
        len(carried),
        n_ended,
    )


def _require_place(path: Path, base_path: Path, require: Callable[[Path], None]) -> None:
    """Refuse a folder in which the file's relative names find nothing.

    Raises:
        UsageError: the file is valid only in its old folder.
        ConfigError: it is not valid there either.
    """
    try:
        require(path.parent)
    except ConfigError:
        require(base_path)
        hint = f"--next {as_argument(base_path / path.name)}"
        message = (
            f"file names in the study are relative to {base_path}, so the next file must be in that folder"
        )
        raise UsageError(message, hint=hint) from None


def next_config_view(written: NextConfig) -> View:
    """The file that was written, and the commands that start its study."""
    overrides = "".join(f" --set {quote(text)}" for text in written.overrides)
    file = as_argument(written.path)
    new = f"tunecli search {file}{overrides}"
    fork = f"tunecli resume {as_argument(written.folder)} --fork {written.name} --config {file}"
    carried = counted(written.n_carried, "ended trial")
    changes = counted(len(written.changes), "change")
    messages = (
        f"wrote {written.path}: study {written.name}, {changes}; a comment gives the reason for each",
        *written.left_out,
        f"`{new}` starts it. `{fork}` starts it and reuses {carried} of {written.n_ended}."
        if written.n_carried
        else f"`{new}` starts it. None of the {written.n_ended} ended trials fits it.",
    )
    data = {
        "out": str(written.path),
        "study": written.name,
        "changes": [_plain(change) for change in written.changes],
        "left_out": list(written.left_out),
        "overrides": list(written.overrides),
        "n_carried": written.n_carried,
        "n_ended": written.n_ended,
    }
    return View("next", data, messages=messages)


def _plain(change: Change) -> dict[str, object]:
    plain = asdict(change)
    del plain["inner"]
    return {key: value for key, value in plain.items() if value not in ("", (), None)}
