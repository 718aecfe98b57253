"""The coordinator's side of the local engine's workers: a worker with its jobs, and how workers are forked."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import NamedTuple

from tunecli.config.user_code import uses
from tunecli.engine.failures import Deadline
from tunecli.engine.fork_client import (
    Template,
    changed_environment,
    fork_worker,
    template_for,
)
from tunecli.engine.memory import MemoryLimit
from tunecli.engine.template import IS_POSSIBLE, LoadOrder
from tunecli.engine.wire import pack_jobs
from tunecli.engine.worker import WorkerSetup
from tunecli.engine.worker_process import WorkerProcess
from tunecli.messages import Ended, Event, Job
from tunecli.train.machine import Accelerator
from tunecli.train.user_code.code import program_name

_KILL_WAIT_S = 10.0  # for the end of a process after SIGKILL


@dataclass
class LocalWorker:
    """A worker process and its jobs.

    Attributes:
        process: the process.
        pipe: jobs and orders go in, events come out.
        slot: the worker's index; free slots are used again.
        accelerator: the accelerator to which the process is bound; None on the CPU.
        is_single_use: whether the process ends with its first job, because the job runs the user's own code and the
            study keeps its trials apart.
        template: the template that it is forked from; None: it is forked from the server.
        jobs: the running jobs, by trial number; more than one if they are fused.
        is_group: whether the jobs are fused.
        device: the device that the worker reported.
        began_at: when it got its jobs, monotonic clock.
        deadline: the time limits of a single job; None before it starts, and for a group.
        memory: the memory limit of the worker, with the programs of its jobs.
        ending: the end of a job that must end now, for example at its time limit; reported when the job stops, or at
            ``kill_at``.
        last: the last event of a single-use worker; reported when its process has ended, or at ``kill_at``.
        kill_at: when the worker is killed if ``ending`` or ``last`` is set, monotonic clock.
    """

    process: WorkerProcess
    pipe: connection.Connection
    slot: int
    accelerator: Accelerator | None
    is_single_use: bool = False
    template: Template | None = None
    jobs: dict[int, Job] = field(default_factory=dict)
    is_group: bool = False
    device: str = ""
    began_at: float = field(default_factory=time.monotonic)
    deadline: Deadline | None = None
    memory: MemoryLimit | None = None
    ending: Ended | None = None
    last: Event | None = None
    kill_at: float = 0.0

    def assign(self, jobs: list[Job]) -> None:
        """Send jobs to the worker, which has none."""
        self.jobs, self.is_group = {job.number: job for job in jobs}, len(jobs) > 1
        self.began_at, self.deadline, self.ending, self.last = time.monotonic(), None, None, None
        self.memory = MemoryLimit(jobs)
        self.send(pack_jobs(jobs))

    def send(self, message: bytes) -> None:
        # The worker may have died between two jobs. Its process then reports the end, and the trial fails as a crash.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(message)

    @property
    def needs_looks(self) -> bool:
        """Whether the engine must look at the worker even if it sends nothing: a limit or a template can end it."""
        return (
            self.template is not None
            or self.ending is not None
            or self.last is not None
            or (self.deadline is not None and self.deadline.is_limited)
            or (self.memory is not None and self.memory.limit_bytes > 0)
        )

    def kill(self) -> None:
        self.process.end(_KILL_WAIT_S)

    def dispose(self) -> None:
        """Kill the process and close the connections to it."""
        self.kill()
        self.process.close()
        self.pipe.close()


class _Spare(NamedTuple):
    """A single-use worker that was forked ahead of its job, and is not set up yet."""

    pipe: connection.Connection
    process: WorkerProcess
    template: Template | None


class Forks:
    """Forks workers and sends them their setup. It keeps one single-use worker ahead of its job."""

    def __init__(self, workers_lock: Path | None, folder: Path | None = None) -> None:
        """Fork nothing yet.

        Args:
            workers_lock: as in `EngineOptions`.
            folder: the working folder of the workers; None: the folder of this process.
        """
        self._workers_lock, self._folder = workers_lock, folder
        self._spares: list[_Spare] = []

    def fork(self, slot: int, accelerator: Accelerator | None, own_job: Job | None) -> LocalWorker:
        """Fork a worker.

        Args:
            slot: its index.
            accelerator: the accelerator that it is bound to; None: the CPU.
            own_job: the job that it is forked for and ends with; None: it lives for many jobs.
        """
        setup = self._setup(accelerator)
        template = None if own_job is None else _template(own_job, setup)
        spare = None if own_job is None else self._spare_of(template)
        if spare is None:
            spare = _Spare(*fork_worker(is_single_use=own_job is not None, template=template), template)
        worker = LocalWorker(spare.process, spare.pipe, slot, accelerator, own_job is not None, template)
        worker.send(setup.packed())
        return worker

    def fork_again(self, worker: LocalWorker) -> None:
        """Replace the process of a worker that its template could not fork; its trial imports the modules by itself."""
        worker.process.close()
        worker.pipe.close()
        worker.pipe, worker.process = fork_worker(is_single_use=True)
        worker.template = None
        worker.send(self._setup(worker.accelerator).packed())
        worker.send(pack_jobs([*worker.jobs.values()]))

    @property
    def has_spare(self) -> bool:
        """Whether a single-use worker waits for its job."""
        return bool(self._spares)

    def fork_ahead(self, template: Template | None) -> None:
        """Fork a single-use worker for a later job, from a template or from the server."""
        if not self._spares:
            with contextlib.suppress(OSError):
                self._spares.append(_Spare(*fork_worker(is_single_use=True, template=template), template))

    def close(self) -> None:
        """End the worker that was forked ahead."""
        for spare in self._spares:
            spare.process.end(_KILL_WAIT_S)
            spare.process.close()
            spare.pipe.close()
        self._spares = []

    def _spare_of(self, template: Template | None) -> _Spare | None:
        """The spare worker of a template, or of the server if that is None; all others are disposed of."""
        spares, self._spares = self._spares, []
        fitting = None
        for spare in spares:
            if spare.template is template and spare.process.is_alive() and fitting is None:
                fitting = spare
            else:
                spare.process.close()
                spare.pipe.close()
        return fitting

    def _setup(self, accelerator: Accelerator | None) -> WorkerSetup:
        try:
            folder = str(self._folder or Path.cwd())
        except OSError:
            folder = ""
        lock = self._workers_lock
        return WorkerSetup(
            workers_lock="" if lock is None else str(lock.absolute()),
            visible={} if accelerator is None else accelerator.environment,
            folder=folder,
            environment=changed_environment(),
        )


def _template(job: Job, setup: WorkerSetup) -> Template | None:
    """The template of a job's modules and the environment of its worker; None if it cannot be used.

    Modules are loaded where the trial runs, so a trial with a folder or variables of its own loads them by itself. So
    does one with a shim, whose package its modules import.
    """
    surroundings, has_shim = job.task.surroundings, job.task.config.get("shim") is not None
    if not IS_POSSIBLE or surroundings.cwd or surroundings.env or has_shim:
        return None
    modules = [".".join(use.module) for use in uses(job.task.config, job.task.objective)]
    order = LoadOrder(
        tuple(dict.fromkeys(modules)),
        job.files.base_path,
        program_name(job),
        setup.folder,
        setup.environment,
        setup.visible,
        dict(job.task.code),
    )
    template = template_for(order.packed())
    return template if template.is_alive() else None
