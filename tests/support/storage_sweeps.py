"""Sweeps on a cluster in this process, whose nodes do not see the run folder and whose files travel through a storage.

As a program, it is a coordinator that kills itself: ``python -m tests.support.storage_sweeps FOLDER STORAGE N``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.study.sweeps import Silent
from tunecli.commands.check import load_checked
from tunecli.engine.cluster.engine import ClusterEngine, ClusterSettings
from tunecli.engine.cluster.protocol import Resources
from tunecli.engine.protocol import EngineOptions
from tunecli.messages import Checkpointed, Event, Started
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import Study, begin, reopen
from tunecli.study.sweep import sweep
from tunecli.testing.in_process_cluster import Faults, InProcessTransport
from tunecli.trial import FailedAttempt

STUDY = """\
study: stored
seed: 11
objective: {metric: val_loss}
trial:
  data: {source: digits, train_fraction: 0.2}
  model: {name: mlp, hidden: [{logint: [8, 64]}]}
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: 0.9}
  training: {epochs: 24, batch_size: 64}
search: {sampler: quasirandom, trials: 6, lookahead: 2}
run: {device: cpu, workers: 2, checkpoint: {epochs: 2}}
"""


class Watching(Silent):
    """Calls a function at each checkpoint that is recorded, with their number so far; keeps the starts of attempts."""

    def __init__(self, at_checkpoint: Callable[[int], None]) -> None:
        super().__init__()
        self._at_checkpoint = at_checkpoint
        self.n_checkpoints = 0
        self.starts: list[Started] = []

    def happened(self, event: Event | FailedAttempt) -> None:
        if isinstance(event, Started):
            self.starts.append(event)
        if isinstance(event, Checkpointed):
            self.n_checkpoints += 1
            self._at_checkpoint(self.n_checkpoints)


@dataclass
class Swept:
    """A sweep whose nodes do not see the run folder.

    Attributes:
        storage: ``run.ray.storage``; None: the engine `local` runs the trials.
        nodes: the number of CPUs of each node.
        faults: of the cluster.
        at_checkpoint: is called at each recorded checkpoint, with the number of those so far.
        display: shows the sweep.
        transport: the cluster.
        notices: the last notices of the engine.
    """

    storage: str | None
    nodes: Mapping[str, int] = field(default_factory=lambda: {"a": 2})
    faults: Faults = field(default_factory=Faults)
    at_checkpoint: Callable[[int], None] = lambda n: None
    display: Watching = field(init=False)
    transport: InProcessTransport = field(init=False)
    notices: set[str] = field(init=False, default_factory=set)

    def begin(self, folder: Path, run: Path) -> None:
        """Run a new study to its end."""
        (folder / "study.yaml").write_text(STUDY)
        with begin(load_checked(folder / "study.yaml", ()), run) as study:
            self._sweep(study)

    def resume(self, run: Path) -> None:
        """Go on with a recorded study to its end."""
        with reopen(RunFolder.open_existing(run), {}) as study:
            self._sweep(study)

    def _sweep(self, study: Study) -> None:
        self.display = Watching(self.at_checkpoint)
        if self.storage is None:
            sweep(study, self.display)
            return
        self.transport = InProcessTransport(self.nodes, sees_run_folder=False, faults=self.faults)
        options = EngineOptions(
            n_workers=2,
            threads=1,
            workers_lock=study.folder.workers_lock_path,
            folder=study.folder.path.absolute(),
            base_path=study.spec.base_path.absolute(),
        )
        engine = ClusterEngine(options, self.transport, Resources(1.0), ClusterSettings(storage=self.storage))
        try:
            sweep(study, self.display, engine)
        finally:
            self.notices |= set(engine.notices())


def kill_at(n: int) -> Callable[[int], None]:
    """A function that kills this process at the n-th checkpoint."""

    def kill(number: int) -> None:
        if number == n:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


if __name__ == "__main__":
    FOLDER, STORAGE, N = sys.argv[1:]
    Swept(STORAGE, at_checkpoint=kill_at(int(N))).begin(Path(FOLDER), Path(FOLDER, "run"))
