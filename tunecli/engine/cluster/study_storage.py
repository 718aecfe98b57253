"""The coordinator's side of a storage: it claims a prefix for the study, tests it, and removes what nothing needs.

A checkpoint stays in the storage until the record has no use for it: then the record's writer removes the pointer in
the run folder, and this module removes the object. An object that a crash left without a pointer is removed when the
next session begins, or when this one ends.
"""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tunecli.engine.cluster.storage import HELLO_NAME, Channel, InMessages, InStorage, storage_of
from tunecli.object_storage.claims import claim, pointer_in, pointers_in, tidy
from tunecli.object_storage.failures import StorageFailed
from tunecli.object_storage.pointer import Pointer
from tunecli.object_storage.storage import ObjectStorage
from tunecli.store.folder import RunFolder

_LOOK_S = 2.0  # between two looks at the pointers in the run folder
_N_REMOVALS = 4  # at a time


class StudyStorage:
    """The storage of a study, for one session of its coordinator.

    Attributes:
        channel: where the contents of files travel.
        location: the text of the storage for agents; empty: there is none.
        prefix: the session's prefix; empty: there is no storage.
    """

    def __init__(self, text: str, folder: Path | None, session: str, hello: str) -> None:
        """Claim a prefix for the study, and find out whether the storage can be used.

        Args:
            text: ``run.ray.storage``; empty: there is none.
            folder: the run folder; None: the jobs belong to no study.
            session: names the session.
            hello: the content of the object that agents read.

        Raises:
            UsageError: the storage cannot be used.
            DiskFull, StoreFailed: the run folder refuses the file of claims.
        """
        self.channel: Channel = InMessages()
        self.location = self.prefix = ""
        self._folder = None if folder is None else RunFolder(folder)
        self._session = session
        self._pointers: dict[Path, Pointer] = {}
        self._looked_s = time.monotonic()
        self._study_prefix = ""
        self._is_open = False
        if not text:
            return
        storage = storage_of(text)
        self.location = str(storage.location)
        if folder is None:
            self._study_prefix = f"tunecli_{secrets.token_hex(6)}"
        else:
            self._study_prefix = claim(folder, storage.location).prefix
        self.prefix = f"{self._study_prefix}/{session}"
        storage.probe(self.prefix)
        storage.put(f"{self.prefix}/{HELLO_NAME}", hello.encode())
        self._is_open = True
        self.channel = InStorage(storage, self.prefix)
        # These removals never wait. The end of the session removes the objects that they leave.
        self._removing = ObjectStorage(storage.location, pauses_s=())
        self._pool = ThreadPoolExecutor(_N_REMOVALS, thread_name_prefix="tunecli-storage")

    def clear_former(self) -> None:
        """Remove what former sessions left, whose agents have ended, and look after the checkpoints that they kept."""
        if self._folder is None:
            return
        checkpoints = self._folder.checkpoints_path
        tidy(self._folder.path, checkpoints, self._session)
        for path, pointer in pointers_in(checkpoints).items():
            self._watch(path, pointer)

    def watch(self, path: Path) -> None:
        """Look after a checkpoint that is in the storage: its object is removed when the run folder's file is gone."""
        if self._is_open:
            with suppress(OSError):
                if (pointer := pointer_in(path)) is not None:
                    self._watch(path, pointer)

    def _watch(self, path: Path, pointer: Pointer) -> None:
        if pointer.location == self.location and pointer.name.startswith(f"{self._study_prefix}/"):
            self._pointers[path] = pointer

    def remove_superseded(self) -> None:
        """Remove the objects whose pointers are gone, in the background, if it is time for a look."""
        now_s = time.monotonic()
        if not self._pointers or now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        for path in [path for path in self._pointers if not path.exists()]:
            self._pool.submit(self._remove, self._pointers.pop(path).name)

    def close(self) -> None:
        """Remove everything that no checkpoint in the run folder points to. Call it when all agents have ended."""
        if not self._is_open:
            return
        self._is_open = False
        self._pointers.clear()
        self._pool.shutdown(cancel_futures=True)
        if self._folder is not None:
            tidy(self._folder.path, self._folder.checkpoints_path)
        else:
            with suppress(StorageFailed):
                self._removing.remove_all(self._study_prefix)

    def _remove(self, name: str) -> None:
        with suppress(StorageFailed, ValueError):
            self._removing.remove(name)
