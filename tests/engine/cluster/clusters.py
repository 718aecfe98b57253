"""Small clusters in this process, jobs that need no torch, and a coordinator that runs jobs to their ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.jobs import change_job, make_job
from tunecli.engine.cluster.engine import ClusterEngine, ClusterSettings
from tunecli.engine.cluster.protocol import Patience, Resources
from tunecli.engine.protocol import Engine, EngineOptions
from tunecli.messages import Checkpointed, Ended, Event, Job, Paused, Stopped
from tunecli.objective import Objective
from tunecli.testing.in_process_cluster import InProcessTransport

SOON = Patience(poll_s=2.0, orphan_s=20.0, unsure_s=20.0, retry_s=0.02, reconnect_s=0.6)
QUICK = replace(SOON, orphan_s=3.0, unsure_s=0.3)
"""For an agent that is given up. On a busy machine a short time would end agents that are well."""
LOSS = Objective("val_loss", False)
FUNCTION = """\
import time
from pathlib import Path


def train(params, trial):
    for epoch in range(1, params.get("epochs", 3) + 1):
        trial.report(epoch, val_loss=params["x"] / epoch)
        while "wait" in params and not Path(params["wait"]).exists():
            time.sleep(0.005)


def saving(params, trial):
    saved = trial.checkpoint_dir / "epoch"
    first = int(saved.read_text()) + 1 if saved.exists() else 1
    for epoch in range(first, params["epochs"] + 1):
        saved.write_text(str(epoch))
        print(f"epoch {epoch} of {params['epochs']}")
        trial.report(epoch, val_loss=params["x"] / epoch)


def slow(params, trial):
    while not Path(params["wait"]).exists():
        time.sleep(0.005)
    trial.report(1, val_loss=params["x"])


def dying(params, trial):
    Path(params["began"]).touch()
    while True:
        time.sleep(0.005)
"""


def function_job(folder: Path, number: int, name: str = "train", **params: Any) -> Job:
    """A job of the function ``name`` of `FUNCTION`, which is written into ``folder``."""
    path = folder / "own.py"
    if not path.exists():
        path.write_text(FUNCTION)
    config = {"python": f"own:{name}", "params": {"x": 1.0 + number, **params}}
    return make_job(number, config, LOSS, base_path=str(folder), device="cpu", is_isolated=False)


@contextmanager
def cluster(
    transport: InProcessTransport,
    n_workers: int = 1,
    *,
    folder: Path | None = None,
    needs_torch: bool = False,
    patience: Patience = SOON,
    **options: Any,
) -> Iterator[ClusterEngine]:
    """An engine on a cluster in this process, closed at the end of the block."""
    made = ClusterEngine(
        EngineOptions(n_workers, 1, needs_torch=needs_torch, folder=folder, **options),
        transport,
        Resources(1.0),
        ClusterSettings(patience=patience, wait_s=20.0),
    )
    try:
        yield made
    finally:
        made.close()


def run(
    engine: Engine, jobs: Sequence[Job], after: Callable[[Event], None] = lambda event: None
) -> tuple[dict[int, Ended | Paused], list[Event]]:
    """Run jobs as a sweep does: one that stops is run again, from its newest checkpoints on.

    Args:
        engine: the engine.
        jobs: the jobs, in the order in which they begin.
        after: called with each event.

    Returns:
        The end of each job, and all events. An attempt with two ends fails.
    """
    queue, running, ends = list(jobs), dict[int, Job](), dict[int, Ended | Paused]()
    checkpoints: Mapping[int, list[Any]] = {job.number: list(job.resume.checkpoints) for job in jobs}
    events: list[Event] = []
    while queue or running:
        while queue and engine.n_idle:
            job = queue.pop(0)
            resume = replace(job.resume, checkpoints=tuple(checkpoints[job.number][:2]))
            running[job.number] = job
            engine.submit(replace(job, resume=resume))
        for event in engine.events(1.0):
            events.append(event)
            job = running[event.number]
            assert event.attempt == job.attempt, "only the attempt that runs has events"
            if isinstance(event, Checkpointed):
                checkpoints[event.number].insert(0, event.checkpoint)
            if isinstance(event, Stopped):
                del running[event.number]
                queue.append(change_job(job, attempt=job.attempt + 1))
            if isinstance(event, Ended | Paused):
                del running[event.number]
                ends[event.number] = event
            after(event)
    return ends, events
