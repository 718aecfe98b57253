"""The folder in which a trial of the user's own keeps what it wants to keep."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.errors import DiskFull, StoreFailed
from tunecli.trial import Job


@contextmanager
def own_folder(job: Job) -> Iterator[Path]:
    """The job's ``checkpoint_dir``, made where it is missing and removed where it was left empty.

    A job that names none gets a folder that goes with the trial.

    Raises:
        DiskFull: no room is left for it.
        StoreFailed: the disk refuses to be written to.
        OSError: it cannot be made.
    """
    try:
        made = Path(job.checkpoint_dir or tempfile.mkdtemp(prefix="tunecli-"))
        made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room is left for {error.filename}", hint="free some, then resume") from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise StoreFailed(
                f"cannot make {error.filename}: {error.strerror}", hint="check the disk"
            ) from error
        raise
    try:
        yield made
    finally:
        if not job.checkpoint_dir:
            shutil.rmtree(made, ignore_errors=True)
        with suppress(OSError):  # gone, or it holds something
            made.rmdir()
