"""The parameters of a command's trial in the forms that a program can read besides its arguments: variables and files.

``TUNECLI_PARAMS`` holds all parameters as JSON, and ``TUNECLI_PARAM_<NAME>`` one of them. A file with all of them is
written only if an argument names it, or if they are too long for a variable. It lies in a temporary folder of the
attempt, because it holds the values of secrets. Loads no torch.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunecli.config.command import mentioned_paths
from tunecli.config.mentions import VARIABLE, VARIABLES, variable_name
from tunecli.config.placeholders import PARAMETER_FILES, leaves, text_of
from tunecli.config.schema import CommandTrial
from tunecli.config.yaml_writer import yaml_text
from tunecli.errors import NO_ROOM, from_os_error
from tunecli.train.user_code.trial_files import temporary_folder

FILE_VARIABLE = f"{VARIABLES}_FILE"
_MAX_VARIABLES_BYTES = 120_000
"""Linux allows 131,072 bytes for one variable, with its name, and several times that for all."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The names of files and the variables that hold the parameters of a trial.

    Attributes:
        files: the names of the files with all parameters, by placeholder.
        variables: environment variables.
    """

    files: Mapping[str, str]
    variables: Mapping[str, str]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The inherited environment with these variables, and without those of a trial that this program is part of."""
        others = {name: text for name, text in inherited.items() if not name.startswith(VARIABLE[:-1])}
        return {**others, **self.variables}


@contextmanager
def parameters_of(trial: CommandTrial) -> Iterator[Parameters]:
    """The parameters of a concrete trial whose secrets are resolved. At the end the files are removed.

    Raises:
        DiskFull: the disk is full.
        StoreFailed: the disk refuses writes.
    """
    text = json.dumps(trial.params)
    variables = {VARIABLES: text, **_variables(trial.params)}
    named = [name for name in PARAMETER_FILES if name in mentioned_paths(trial) and name not in trial.params]
    is_long = len(text) > _MAX_VARIABLES_BYTES
    if not named and not is_long:
        yield Parameters({}, variables)
        return
    with temporary_folder() as folder:
        texts = {"params_json": lambda: text, "params_yaml": lambda: yaml_text(trial.params)}
        wanted = {*named, "params_json"} if is_long else {*named}
        files = {name: _written(folder, name, texts[name]()) for name in sorted(wanted)}
        if is_long:
            variables = {FILE_VARIABLE: files["params_json"]}
        yield Parameters(files, variables)


def _variables(params: Mapping[str, Any]) -> dict[str, str]:
    """One variable for each parameter that is not null, except where several would have the same name."""
    by_name: dict[str, list[Any]] = {}
    for path, value in leaves(params):
        by_name.setdefault(variable_name(path), []).append(value)
    return {
        name: text_of(values[0])
        for name, values in by_name.items()
        if len(values) == 1 and values[0] is not None and _is_encodable(text_of(values[0]))
    }


def _is_encodable(text: str) -> bool:
    """Whether an environment can hold a text."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


def _written(folder: Path, name: str, text: str) -> str:
    path = folder / name.replace("_", ".")
    try:
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        if error.errno in (*NO_ROOM, errno.EIO, errno.EROFS):
            raise from_os_error(error, str(path), "write", is_users_path=False) from error
        raise
    return str(path)
