"""Imports of other tools' files, and the studies that their results describe."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from tunecli.config.load import parse_study
from tunecli.config.reader import plain_of, read
from tunecli.config.study import StudySpec
from tunecli.importers.account import Entry, Fate
from tunecli.importers.kinds import ImportedStudy, import_study


def imported(text: str, kind: str | None = None) -> ImportedStudy:
    """The import of a text, as the file ``sweep.yaml``."""
    return import_study(dedent(text).encode(), "sweep.yaml", kind)


def checked(study: ImportedStudy) -> StudySpec:
    """The study that the result describes; raises its problems."""
    return parse_study(study.text.encode(), "study.yaml", (), Path())


def tree(study: ImportedStudy) -> Any:
    """The result as plain data."""
    return plain_of(read(study.text.encode(), "study.yaml"))


def entries(study: ImportedStudy, *fates: Fate) -> list[Entry]:
    """The entries of the account with one of the fates."""
    return study.account.of(*fates)


def lines_left_out(study: ImportedStudy) -> dict[str, int]:
    """The line of each key without a counterpart."""
    return {entry.source.partition(":")[0]: entry.line for entry in entries(study, Fate.LEFT_OUT)}
