"""Which prefixes of which storages belong to the study of a run folder, so that nothing useless is left in a storage.

The file `storage.json` of a run folder names them; it is written before the first object (write-ahead) and removed
after the last one. An object is needed as long as a `Pointer` among the run folder's checkpoints names it: a checkpoint
that a trial may go on from. Only the holder of the study's lock calls the functions of this module.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tunecli import durable_files
from tunecli.errors import from_os_error
from tunecli.object_storage import CLAIMS_NAME
from tunecli.object_storage.failures import StorageFailed
from tunecli.object_storage.location import Location, location_of
from tunecli.object_storage.pointer import MOST_BYTES, Pointer, pointer_of
from tunecli.object_storage.storage import ObjectStorage

TIDY_S = 10.0
"""The longest time that `tidy` and `release` take, in seconds."""
_PREFIX = re.compile(r"tunecli_[A-Za-z0-9_-]{1,64}_[0-9a-f]{12}")
_N_REMOVALS = 8  # at a time: each is a request


@dataclass(frozen=True, slots=True)
class Claim:
    """A prefix that belongs to one study.

    Attributes:
        location: the text of the location of the storage.
        prefix: the prefix, which is the claim's alone.
    """

    location: str
    prefix: str


def claim(folder: Path, location: Location) -> Claim:
    """The claim of the study in a run folder on a storage. A new one is durable when this returns.

    A copy of a run folder has claims of its own, so two copies never remove each other's objects.

    Raises:
        DiskFull, StoreFailed, UsageError: the run folder refuses the file.
    """
    claims = claims_of(folder)
    for known in claims:
        if known.location == str(location):
            return known
    name = re.sub(r"[^A-Za-z0-9_-]", "-", folder.resolve().name)[:64] or "study"
    new = Claim(str(location), f"tunecli_{name}_{secrets.token_hex(6)}")
    _write(folder, [*claims, new])
    return new


def claims_of(folder: Path) -> list[Claim]:
    """The claims of the study in a run folder; none if the file is missing, damaged or that of another folder.

    A prefix that `claim` did not make is left out: it could be everything that a bucket contains.
    """
    try:
        body = json.loads(durable_files.read_regular(folder / CLAIMS_NAME))
        if body["folder"] != str(folder.resolve()):
            return []
        claims = [Claim(str(one["location"]), str(one["prefix"])) for one in body["claims"]]
        return [one for one in claims if _PREFIX.fullmatch(one.prefix)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def tidy(folder: Path, checkpoints: Path, session: str = "", within_s: float = TIDY_S) -> None:
    """Remove the objects of a study that no checkpoint of its run folder points to.

    A storage that cannot be reached keeps them, and `storage.json` stays for a later session. Never raises.

    Args:
        folder: the run folder; no agent of an earlier session lives.
        checkpoints: its folder of checkpoints.
        session: the session that runs, whose objects are left alone; empty: none runs.
        within_s: the longest time that it takes.
    """
    if claims := claims_of(folder):
        needed = pointers_in(checkpoints).values()
        _within(within_s, lambda until_s: _tidy(folder, claims, needed, session, until_s))


def release(folder: Path, within_s: float = TIDY_S) -> None:
    """Remove all objects of a study that is removed itself, as `tidy` removes some."""
    if claims := claims_of(folder):
        _within(within_s, lambda until_s: _tidy(folder, claims, (), "", until_s))


def remove_objects(storage: ObjectStorage, names: Iterable[str]) -> None:
    """Remove objects, several at a time.

    Raises:
        StorageFailed: at least one cannot be removed.
    """
    from concurrent.futures import ThreadPoolExecutor  # most sweeps have no storage

    with ThreadPoolExecutor(_N_REMOVALS) as pool:
        list(pool.map(storage.remove, names))


def pointers_in(checkpoints: Path) -> dict[Path, Pointer]:
    """The pointers in a folder of checkpoints, by their files."""
    found: dict[Path, Pointer] = {}
    for path in checkpoints.glob("*.checkpoint.safetensors"):
        with suppress(OSError):
            if (pointer := pointer_in(path)) is not None:
                found[path] = pointer
    return found


def pointer_in(path: Path) -> Pointer | None:
    """The pointer in a file; None: it is another file.

    Raises:
        OSError: the file cannot be read.
    """
    return None if path.stat().st_size > MOST_BYTES else pointer_of(durable_files.read_regular(path))


def _tidy(
    folder: Path, claims: list[Claim], needed: Collection[Pointer], session: str, until_s: float
) -> None:
    """Remove objects without a need; begin no step after ``until_s``, because a later session may have begun then."""
    kept: list[Claim] = []
    for one in claims:
        names = {pointer.name for pointer in needed if pointer.location == one.location}
        try:
            storage = ObjectStorage(location_of(one.location), pauses_s=())
            there = set(storage.names(one.prefix))
            live = {name for name in there if session and name.startswith(f"{one.prefix}/{session}/")}
            if time.monotonic() > until_s:
                return
            remove_objects(storage, there - names - live)
            if session or there & names:
                kept.append(one)
            elif time.monotonic() <= until_s:
                storage.remove_all(one.prefix)  # with the empty objects of its folders
        except (StorageFailed, ValueError):
            kept.append(one)
    if time.monotonic() > until_s:
        return
    with suppress(Exception):  # a later session tries again
        if not kept:
            (folder / CLAIMS_NAME).unlink()
        elif kept != claims:
            _write(folder, kept)


def _write(folder: Path, claims: Iterable[Claim]) -> None:
    body = {"folder": str(folder.resolve()), "claims": [asdict(one) for one in claims]}
    path = folder / CLAIMS_NAME
    try:
        durable_files.put(
            path,
            json.dumps(body, indent=1).encode() + b"\n",
            steps=("rename storage.json begins", "rename storage.json done"),
        )
    except OSError as error:
        raise from_os_error(error, path) from error


def _within(seconds: float, work: Callable[[float], None]) -> None:
    """Work in a thread, with the time of its end, and leave it behind at that time."""
    thread = threading.Thread(target=work, args=(time.monotonic() + seconds,), daemon=True)
    thread.start()
    thread.join(seconds)
