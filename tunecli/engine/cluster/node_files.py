"""The files of trials on a node: a private spool for those that travel, unless the node sees the run folder itself.

The spool is a temporary folder of this user with a lock, so a later start of tunecli on the node removes the spool of a
killed agent. A name in a message never becomes a path unchecked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tunecli.engine.cluster.outbox import Content
from tunecli.engine.cluster.protocol import AgentSetup
from tunecli.engine.cluster.storage import SMALL_BYTES, channel_of, why_unusable
from tunecli.engine.cluster.wire import Item, Role, SentAlong
from tunecli.errors import from_os_error, os_reason
from tunecli.messages import Checkpointed, Ended, Event, Job, Paused, Stopped
from tunecli.text import shown_bytes
from tunecli.train.user_code.trial_files import hold_folder, remove_stale

MOST_OWN_BYTES = 256 << 20
"""The largest size of the files of the user's own code in a trial that travel."""
LOG_S = 10.0
"""The shortest time between two sendings of the log of a running trial, in seconds."""


class NodeFiles:
    """The files on one node, for one agent.

    Attributes:
        is_shared: whether the node sees the run folder: then only the user's files can be in the spool.
        base_path: the folder of the user's files; None: the coordinator's, which this node sees.
        problem: why no trial can run here; empty: none.
    """

    def __init__(self, setup: AgentSetup, blobs: Sequence[bytes]) -> None:
        """Make the spool, and write the user's files into it if the node does not see them.

        Args:
            setup: the agent's settings.
            blobs: the contents of ``setup.files``.
        """
        self._channel = channel_of(setup.storage, setup.storage_prefix)
        self._has_storage = bool(setup.storage)
        self._jobs: dict[int, Job] = {}
        # When each followed log was looked at, and its state then; for the thread that calls `localized`.
        self._logs: dict[int, tuple[float, tuple[int, int]]] = {}
        self._damaged: set[int] = set()  # trials whose own files were damaged on their way here
        self._n_aside = 0
        self.is_shared, self.problem = _sees_run_folder(setup), ""
        self.base_path: Path | None = None
        remove_stale()
        try:
            self._held = hold_folder()
            self.spool = self._held.path
            if not _sees_files(setup) and (setup.files or not self.is_shared):
                self._write_files(setup, blobs)
        except OSError as error:
            self.problem = f"its temporary folder cannot be used: {os_reason(error)}"
        self.problem = self.problem or _missing(setup.expected)
        if setup.storage and not self.is_shared and not self.problem:
            self.problem = why_unusable(setup)

    def localized(self, job: Job, files: Sequence[SentAlong], blobs: Sequence[bytes]) -> Job:
        """Return a job with the paths of this node, and write the files that came with it.

        Raises:
            DiskFull, StoreFailed: the spool refuses them.
        """
        local = job.files
        if self.base_path is not None:
            local = replace(local, base_path=str(self.base_path))
        if self.is_shared:
            return replace(job, files=local)
        folder = self._folder_of(job)
        names = {
            "weights_path": "weights.safetensors",
            "checkpoints_path": "checkpoints",
            "checkpoint_dir": f"trial-{job.number:05d}",
            "trial_dir": f"cwd/trial-{job.number:05d}",
            "reports_path": "reports.jsonl",
            "log_path": "log.txt",
        }
        paths = {name: str(folder / inner) for name, inner in names.items() if getattr(local, name)}
        local = replace(local, **paths)  # type: ignore[arg-type]  # all of these fields are texts
        job = replace(job, files=local)
        self._jobs[job.number] = job
        if local.log_path:
            self._logs[job.number] = 0.0, (0, 0)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._write_along(job, files, blobs)
        except OSError as error:
            raise from_os_error(error, folder, is_users_path=False) from error
        return job

    def item(self, event: Event) -> tuple[Item, list[Content]]:
        """Return an event with the files that travel with it, and their contents."""
        job = self._jobs.get(event.number)
        if job is None:
            return Item(event), []
        if isinstance(event, Checkpointed) and not self._has_storage:
            checkpoint = event.checkpoint
            file = SentAlong(Role.CHECKPOINT, event.number, checkpoint.name, checkpoint.sha256)
            return Item(event, [file]), [self._set_aside(Path(job.files.checkpoints_path, checkpoint.name))]
        files: list[SentAlong] = []
        blobs: list[Content] = []
        contents, note = self._contents(job, event)
        for role, name, content in contents:
            sha256 = hashlib.sha256(content).hexdigest()
            files.append(SentAlong(role, event.number, name, sha256))
            blobs.append(self._channel.put(content))
        if isinstance(event, Checkpointed):
            self.discard(event)
        if isinstance(event, Ended | Paused | Stopped):
            del self._jobs[event.number]
            shutil.rmtree(self._folder_of(job), ignore_errors=True)
        else:  # the note of an end says more: files that the node does not have are removed only without one
            note = note or self._channel.trouble()
        return Item(event, files, note), blobs

    def changed_logs(self, now_s: float) -> list[tuple[Item, list[Content]]]:
        """Return the logs of running trials that have changed, each at most every `LOG_S` seconds.

        A long log comes at the end of its attempt alone. Must be called by the thread that calls `localized`.

        Args:
            now_s: of a monotonic clock.
        """
        found: list[tuple[Item, list[Content]]] = []
        for number, (looked_s, known) in self._logs.copy().items():
            if now_s - looked_s < LOG_S:
                continue
            path = Path(self._jobs[number].files.log_path)
            with suppress(OSError):  # nothing was printed yet
                facts = path.stat()
                if (state := (facts.st_size, facts.st_mtime_ns)) != known and facts.st_size < SMALL_BYTES:
                    content = path.read_bytes()
                    file = SentAlong(Role.LOG, number, "", hashlib.sha256(content).hexdigest())
                    found.append((Item(None, [file]), [self._channel.put(content)]))
                    known = state
            self._logs[number] = now_s, known
        return found

    @property
    def has_logs(self) -> bool:
        """Whether `changed_logs` may return something."""
        return bool(self._logs)

    def unfollow_log(self, number: int) -> None:
        """Return no log of a trial any more: the end of its attempt is on its way, and brings the whole log.

        An upload may delay that end, and a log that came after it would be taken for that of the next attempt.
        """
        self._logs.pop(number, None)

    def _set_aside(self, path: Path) -> Content:
        """Move a checkpoint to where it waits to be sent: the end of its attempt removes the attempt's folder."""
        self._n_aside += 1
        aside = self.spool / "sending" / str(self._n_aside)
        try:
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
        except OSError:  # it is missing: the receiver says that it was damaged
            return b""
        return aside

    def discard(self, event: Checkpointed) -> None:
        """Remove a checkpoint that was sent, or that need not be sent."""
        if (job := self._jobs.get(event.number)) is not None:
            with suppress(OSError):
                Path(job.files.checkpoints_path, event.checkpoint.name).unlink()

    def close(self, *, is_kept: bool = False) -> None:
        """Remove the spool, or only release it, as the end of this process does."""
        if not hasattr(self, "_held"):
            return
        if not is_kept:
            shutil.rmtree(self.spool, ignore_errors=True)
        with suppress(OSError):
            os.close(self._held.lock)

    def _contents(self, job: Job, event: Event) -> tuple[list[tuple[Role, str, bytes]], str]:
        """The role, the name and the content of each file that travels with an event, and a note for the user."""
        named: list[tuple[Role, str, Path]] = []
        note = ""
        files = job.files
        if isinstance(event, Checkpointed):
            name = event.checkpoint.name
            path = Path(files.checkpoints_path, name)
            if (pointer := self._channel.keep(name, path)) is not None:
                return [(Role.CHECKPOINT, name, pointer)], note
            named.append((Role.CHECKPOINT, name, path))
        if isinstance(event, Ended | Paused) and event.outcome.weights_sha256:
            named.append((Role.WEIGHTS, "", Path(files.weights_path)))
        if isinstance(event, Ended | Paused | Stopped):
            named += [
                (role, "", Path(text))
                for role, text in ((Role.LOG, files.log_path), (Role.REPORTS, files.reports_path))
                if text
            ]
            own, n_bytes = own_files(job)
            named += own
            if job.number in self._damaged:
                self._damaged.discard(job.number)
                note = (
                    f"the files of trial {job.number} were damaged on their way to its node, so it began anew"
                )
            if n_bytes and not own:
                note = (
                    f"the files of trial {job.number} stayed on its node: {shown_bytes(n_bytes)}, "
                    f"and at most {shown_bytes(MOST_OWN_BYTES)} travel"
                )
        contents: list[tuple[Role, str, bytes]] = []
        for role, name, path in named:
            with suppress(OSError):  # it is missing: the trial printed nothing, or removed it
                contents.append((role, name, path.read_bytes()))
        return contents, note

    def _folder_of(self, job: Job) -> Path:
        return self.spool / "jobs" / f"{job.number}-{job.attempt}"

    def _write_files(self, setup: AgentSetup, blobs: Sequence[bytes]) -> None:
        root = self.spool / "files"
        if setup.why_not_sent:
            self.problem = setup.why_not_sent
            return
        for file, content in zip(setup.files, blobs, strict=True):
            path = _inner(root, file.name)
            if path is None or hashlib.sha256(content).hexdigest() != file.sha256:
                self.problem = f"{file.name} was damaged on its way"
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.base_path = _inner(root, setup.base_name) or root
        self.base_path.mkdir(parents=True, exist_ok=True)

    def _write_along(self, job: Job, files: Sequence[SentAlong], blobs: Sequence[bytes]) -> None:
        """Write the files that came with a job. A damaged file of the user's own code removes all of them.

        The worker checks a checkpoint itself, and names the one that it uses.
        """
        is_own_damaged = False
        for file, blob in zip(files, blobs, strict=True):
            if file.number != job.number:
                continue
            content = self._channel.get(blob)
            self._channel.drop(blob)
            is_intact = hashlib.sha256(content).hexdigest() == file.sha256
            is_own = file.role in (Role.OWN, Role.TRIAL)
            is_own_damaged = is_own_damaged or (is_own and not is_intact)
            path = path_of(job, file)
            if path is not None and (is_intact or file.role is Role.CHECKPOINT):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        if is_own_damaged:
            self._damaged.add(job.number)
            for folder in filter(None, (job.files.checkpoint_dir, job.files.trial_dir)):
                shutil.rmtree(folder, ignore_errors=True)


def path_of(job: Job, file: SentAlong) -> Path | None:
    """The path of a file that travels, by the paths of a job; None if its name leads elsewhere, or the job has none."""
    files = job.files
    match file.role:
        case Role.CHECKPOINT:
            is_plain = PurePosixPath(file.name).name == file.name
            return (
                _inner(Path(files.checkpoints_path), file.name)
                if files.checkpoints_path and is_plain
                else None
            )
        case Role.OWN:
            return _without_links(files.checkpoint_dir, file.name)
        case Role.TRIAL:
            return _without_links(files.trial_dir, file.name)
        case Role.WEIGHTS:
            text = files.weights_path
        case Role.REPORTS:
            text = files.reports_path
        case Role.LOG:
            text = files.log_path
    return Path(text) if text else None


def own_files(job: Job, most_bytes: int = MOST_OWN_BYTES) -> tuple[list[tuple[Role, str, Path]], int]:
    """The files of the user's own code in a trial.

    Returns:
        The role, the name and the path of each, and the size of all. The list is empty if they exceed ``most_bytes``.
    """
    found: list[tuple[Role, str, Path]] = []
    n_bytes = 0
    for role, text in ((Role.OWN, job.files.checkpoint_dir), (Role.TRIAL, job.files.trial_dir)):
        for path in _regular_files(text):
            with suppress(OSError):  # a process that the trial left behind has removed it
                n_bytes += path.stat().st_size
                found.append((role, path.relative_to(text).as_posix(), path))
    return ([] if n_bytes > most_bytes else found), n_bytes


def _regular_files(folder: str) -> Iterator[Path]:
    """The files below a folder in the order of their names, without links and their targets."""
    if not folder or not Path(folder).is_dir():
        return
    for inner, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(inner, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield path


def _inner(root: Path, name: str) -> Path | None:
    """The path of a relative name below ``root``; None if the name is absolute, leads out, or is no name."""
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\0" in name:
        return None
    return root / pure


def _without_links(folder: str, name: str) -> Path | None:
    """As `_inner`; None also if a folder on the way is a link, which the user's own code may have made."""
    path = _inner(Path(folder), name) if folder else None
    if path is None:
        return None
    folders = [one for one in path.parents if one.is_relative_to(folder)]
    return None if any(one.is_symlink() for one in folders) else path


def _sees_run_folder(setup: AgentSetup) -> bool:
    try:
        return bool(setup.probe_path) and Path(setup.probe_path).read_text() == setup.probe_text
    except (OSError, ValueError):
        return False


def _sees_files(setup: AgentSetup) -> bool:
    """Whether the coordinator's folder of the study's file is on this node, with the same files."""
    if not setup.base_path or not Path(setup.base_path).is_dir():
        return False
    root = Path(setup.base_path)
    if setup.base_name != ".":
        root = root.parents[len(PurePosixPath(setup.base_name).parts) - 1]
    return all(_sha256_of(root / file.name) == file.sha256 for file in setup.files)


def _missing(expected: Mapping[str, str]) -> str:
    """The first fault of the files that every node must have; empty: there is none."""
    for name, sha256 in expected.items():
        path = Path(name)
        if not (path.is_file() if sha256 else path.exists()):
            return f"{name} is missing there"
        if sha256 and _sha256_of(path) != sha256:
            return f"{name} has another content there"
    return ""


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
