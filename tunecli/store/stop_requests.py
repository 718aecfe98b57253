"""Requests of other processes to the coordinator of a study: to end one of its trials.

A request is the name of an empty file in the run folder. Its content is never read, and only a regular file counts. So
a link, a pipe or a huge file under such a name has no effect. The coordinator looks for requests a few times a second,
records the trial's end, and then removes the file (write-ahead). A request holds for one session: the next one removes
those that it finds.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from tunecli.durable_files import open_new, remove_files
from tunecli.errors import UsageError, from_os_error
from tunecli.store.files import FILE, kind_of

_NAME = re.compile(r"stop-trial-(0|[1-9][0-9]{0,8})\.request")


def request_path(folder: Path, number: int) -> Path:
    """The file that requests the end of trial ``number`` of the study in ``folder``."""
    return folder / f"stop-trial-{number}.request"


def request_stop(folder: Path, number: int) -> None:
    """Request the end of a trial. A second request changes nothing.

    Raises:
        UsageError: the folder cannot be written, or another kind of file has the request's name.
        DiskFull: the disk is full.
    """
    path = request_path(folder, number)
    try:
        os.close(open_new(path))
    except FileExistsError:
        if (kind := kind_of(path)) not in (FILE, ""):
            raise UsageError(f"{path} is {kind}, but tunecli needs a file there", hint="remove it") from None
    except OSError as error:
        raise from_os_error(error, path) from error


def requested_stops(folder: Path) -> set[int]:
    """The numbers of the trials whose end is requested; empty if the folder cannot be read.

    Links are not followed, and nothing is opened.
    """
    numbers = set()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (match := _NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                numbers.add(int(match[1]))
    return numbers


def remove_requests(folder: Path) -> None:
    """Remove all requests; links are removed without their targets."""
    remove_files(folder, lambda name: _NAME.fullmatch(name) is not None)
