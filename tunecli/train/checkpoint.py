"""The files that a trial leaves behind: checkpoints and weights, written whole, durable and verified (write-ahead).

A checkpoint is a trial's whole state at an epoch's end, in one safetensors file of tensors and JSON. This module owns
the file, when a checkpoint is due, and which one a trial continues from: the newest that is sound and of the same
trial. It may be in a storage: the file in the run folder is then a pointer to it. Its content is checked against its
SHA-256 before any byte of it is interpreted. It contains no generator's state, because random draws come from named
seeds (seeds-by-name); so a resumed trial equals the uninterrupted one (record-is-the-state).

A disk that refuses a file is not the trial's fault, so it stops the sweep in order. Temporary files have the name that
the run folder's cleanup knows. Knows no learners.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tunecli import durable_files
from tunecli.errors import CHECK_THE_DISK, StoreFailed, from_os_error, os_reason
from tunecli.messages import Checkpointed, Job
from tunecli.object_storage.failures import StorageFailed
from tunecli.object_storage.pointer import resolved
from tunecli.train.artifact.layout import bare_weights, header_of
from tunecli.train.state_dicts import Node, NotPlain, put_together, take_apart
from tunecli.trial import Checkpoint

_ENTRY = "tunecli"
_LEAST_WAIT_S = 2.0
_COST_WAIT = 20.0  # times the cost of the last one, so that checkpoints take less than 5 % of the time

State = Mapping[str, Any]


class Keeper:
    """Writes a trial's checkpoints, as often as its job asks for."""

    def __init__(self, job: Job, device: torch.device, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without a checkpoint.

        Args:
            job: the trial.
            device: the device that trains.
            clock: a monotonic clock, in seconds.
        """
        self._job = job
        self._device = device
        self._clock = clock
        self._is_possible = bool(job.files.checkpoints_path)
        self._last_s, self._cost_s = clock(), 0.0

    def is_due(self, epoch: int, *, is_stopping: bool) -> bool:
        """Whether to write a checkpoint at the end of an epoch that is not the last.

        Args:
            epoch: the epoch that ended, from 1.
            is_stopping: whether the trial is about to stop.
        """
        every = self._job.files.checkpoint_epochs
        if not self._is_possible or is_stopping:
            return self._is_possible
        if every is not None:
            return every > 0 and epoch % every == 0
        return self._clock() - self._last_s >= max(_LEAST_WAIT_S, _COST_WAIT * self._cost_s)

    def write(self, epoch: int, progress: State, learners: Iterable[State]) -> Checkpointed | None:
        """Write a checkpoint, whole and durable or not at all.

        Args:
            epoch: the epoch that ended, from 1.
            progress: the trial's, as `TrialProgress.state` gives it.
            learners: the state of each learner, read one after the other.

        Returns:
            The event that reports it; None if the user's own code has a state that is not plain data. Then this
            trial trains on without checkpoints.

        Raises:
            DiskFull: no room is left.
            StoreFailed: any other error of the disk.
        """
        began_s = self._clock()
        try:
            content = _packed(self._job, epoch, progress, learners, self._device)
        except NotPlain:
            self._is_possible = False
            return None
        name = f"trial-{self._job.number:05d}.{self._job.attempt}-{epoch:06d}.checkpoint.safetensors"
        sha256 = write_whole(Path(self._job.files.checkpoints_path) / name, content, "checkpoint")
        self._last_s = self._clock()
        self._cost_s = self._last_s - began_s
        return Checkpointed(self._job.number, self._job.attempt, Checkpoint(name, sha256, epoch))


@dataclass(frozen=True, slots=True)
class LoadedCheckpoint:
    """A checkpoint that was read and is sound, or none.

    Attributes:
        epoch: the epoch at whose end it was written; 0 if there is no checkpoint.
        note: which checkpoints could not be used, and why; empty if all could.
    """

    epoch: int = 0
    note: str = ""
    _progress: Node = None
    _learners: Sequence[Node] = ()
    _tensors: dict[str, Tensor] = field(default_factory=dict)

    def progress(self) -> State:
        """The state of the trial's `TrialProgress`, on the CPU."""
        state: State = put_together(self._progress, self._tensors, torch.device("cpu"))
        return state

    def learner(self, number: int, device: torch.device) -> State:
        """The state of one learner, with its tensors on the device that trains."""
        state: State = put_together(self._learners[number], self._tensors, device)
        return state

    def release(self) -> None:
        """Free the tensors, once every state is restored."""
        self._tensors.clear()


def load_newest(job: Job) -> LoadedCheckpoint:
    """The newest sound checkpoint of a job, with a note on the newer ones that could not be used."""
    faults: list[str] = []
    for checkpoint in job.resume.checkpoints:
        try:
            loaded = _read(job, checkpoint)
        except _Unusable as error:
            faults.append(f"checkpoint of epoch {checkpoint.epoch} {error}")
            continue
        note = f"{', '.join(faults)}; went on from epoch {loaded.epoch}" if faults else ""
        return replace(loaded, note=note)
    return LoadedCheckpoint(0, f"{', '.join(faults)}; began from the start" if faults else "")


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the weights of a model file or of a file of weights onto the CPU, and the config of their trial.

    Raises:
        OSError: the file cannot be read.
        ValueError, safetensors.SafetensorError: it is not a safetensors file.
    """
    content = bare_weights(path.read_bytes())
    tensors = safetensors.torch.load(content)
    return tensors, json.loads(header_of(content).metadata.get("config", "{}"))


def write_whole(path: Path, content: bytes, what: str) -> str:
    """Write ``content`` to ``path``, whole, durable and verified, or leave the earlier file untouched.

    Args:
        path: the file; its folder is made if it is missing.
        content: the bytes of the whole file.
        what: the kind of file, as failpoints name it.

    Returns:
        The content's SHA-256, in hexadecimal.

    Raises:
        DiskFull: no room, a quota or a limit on file sizes.
        StoreFailed: any other error of the disk, or the file differs from the bytes written to it.
    """
    sha256 = hashlib.sha256(content).hexdigest()

    def read_back(temporary: Path) -> None:
        if _sha256_of(temporary) != sha256:
            raise StoreFailed(f"{path} differs from the bytes written to it", hint=CHECK_THE_DISK)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.put(path, content, steps=(f"rename {what}", f"renamed {what}"), examine=read_back)
    except OSError as error:
        raise from_os_error(error, path, is_users_path=False) from error
    return sha256


class _Unusable(Exception):  # noqa: N818  (named after the file)
    """A checkpoint that cannot be used; the message says why."""


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # drop the cached pages, so that the disk is read
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packed(job: Job, epoch: int, progress: State, learners: Iterable[State], device: torch.device) -> bytes:
    progress_node, tensors = take_apart(dict(progress), "course", device)
    nodes = []
    for number, learner in enumerate(learners):
        node, own = take_apart(dict(learner), f"learner{number}", device)
        nodes.append(node)
        tensors |= own
    facts = {
        "trial": _identity(job),
        "torch": _torch_version(),
        "epoch": epoch,
        "course": progress_node,
        "learners": nodes,
    }
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    return safetensors.torch.save(_apart_in_memory(tensors), {_ENTRY: text})


def _apart_in_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU where needed, no two in the same memory, as the format requires: tied weights share memory."""
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        separate[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    return separate


def _read(job: Job, checkpoint: Checkpoint) -> LoadedCheckpoint:
    path = Path(job.files.checkpoints_path) / checkpoint.name
    try:
        if not job.files.checkpoints_path or path.name != checkpoint.name or not path.is_file():
            raise _Unusable("is missing")
        content = resolved(path.read_bytes())
    except OSError as error:
        raise _Unusable(f"cannot be read ({os_reason(error)})") from error
    except StorageFailed as error:
        raise _Unusable(f"cannot be read from its storage ({error.cause})") from error
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise _Unusable("is damaged (sha256 differs)")
    try:
        tensors = safetensors.torch.load(content)
        # a safetensors file begins with the length of its JSON header in 8 bytes
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts = json.loads(header["__metadata__"][_ENTRY])
        loaded = LoadedCheckpoint(facts["epoch"], "", facts["course"], facts["learners"], tensors)
        identity, version = facts["trial"], facts["torch"]
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _Unusable("is no checkpoint") from error
    if (identity, loaded.epoch) != (_identity(job), checkpoint.epoch):
        raise _Unusable("is of another trial")
    if version != _torch_version():
        raise _Unusable(f"was written with torch {version}, and this is {_torch_version()}")
    return loaded


def _identity(job: Job) -> str:
    """A hash of everything that a trial's results follow from."""
    objective = asdict(job.task.objective)
    for name in ("further_objectives", "constraints", "score_rule", "n_averaged"):
        del objective[name]  # our own training depends on the first goal alone
    for name in ("tunes_threshold", "threshold"):
        if not objective[name]:
            del objective[name]  # checkpoints of versions without it are still those of the trial
    named = [job.task.config, objective, job.task.study_seed, job.task.seed, job.task.repeats]
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def _torch_version() -> str:
    """Torch's version without the build, so that checkpoints can be moved between machines."""
    return str(torch.__version__).partition("+")[0]
