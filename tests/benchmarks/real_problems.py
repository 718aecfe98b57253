"""Ten problems with tunecli's own training, for the benchmark `real.py`.

A trial is a training of a fraction of a second. Its loss is a function of the point alone: the split of the data and
the seed of the trial are fixed. Every trial of a problem has the same number of epochs, so that methods can be compared
at equal budgets of epochs. Each trial is trained as a fused one where that is possible, even alone, since a fused trial
has the same bits in a group of any size: many random points cost a fraction of their trainings one by one.

The ranges are those that a practitioner would write. Some of them hold points at which a training diverges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np

from tests.benchmarks.problems import Problem, space_of
from tunecli.config.concrete_trial import concrete
from tunecli.config.space import Space
from tunecli.messages import Ended, EpochEnded, Execution, Files, Job, Task
from tunecli.objective import Objective
from tunecli.train.fused.signature import signature, why_not
from tunecli.train.trials import run_trials
from tunecli.trial import Parameters, State

REFERENCE_PATH = Path(__file__).with_suffix(".json")
TRIAL_SEED = 1
FRESH_SEEDS = (2, 3, 4, 5, 6)
"""The seeds of the fresh trainings of a sweep's best trial; no search ever sees their losses."""
STUDY_SEED = 1
WIDTH = 16  # trials in a group

_ADAM = "weight_decay: {loguniform: [1e-6, 1e-1]}"
_TEXTS: Mapping[str, tuple[str, int, str]] = {
    # name: (metric, epochs, the text under `trial` without `training.epochs`)
    "digits-mlp": (
        "val_accuracy",
        9,
        """
data: {source: digits, validation: {fraction: 0.2}, train_fraction: 0.2}
model:
  name: mlp
  width: {logint: [8, 128]}
  depth: {int: [1, 3]}
  activation: {choice: [relu, gelu, tanh]}
  norm: {choice: [none, batch, layer]}
  dropout: {uniform: [0.0, 0.5]}
  init: {choice: [kaiming_normal, xavier_uniform, orthogonal]}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}, weight_decay: {loguniform: [1e-6, 1e-2]}}
    - {name: adamw, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
learning_rate: {choice: [[], [{cosine: {to: 0.0}}]]}
training: {EPOCHS, batch_size: {choice: [16, 32, 64]}, grad_clip: {norm: {loguniform: [0.1, 10.0]}}}
""",
    ),
    "digits-cnn": (
        "val_loss",
        9,
        """
data: {source: digits, validation: {fraction: 0.15}, train_fraction: 0.12}
model:
  name: cnn
  channels: [{choice: [4, 8]}, {choice: [4, 8, 16]}]
  kernel: {choice: [3, 5]}
  pool: {choice: [max, mean]}
  norm: {choice: [none, batch, group]}
  activation: {choice: [relu, gelu, silu]}
  dropout: {uniform: [0.0, 0.5]}
optimizer: {name: adamw, lr: {loguniform: [1e-4, 1e-1]}, weight_decay: {loguniform: [1e-6, 1e-1]}, betas: [{uniform: [0.8, 0.99]}, 0.999]}
training: {EPOCHS, batch_size: {choice: [32, 64]}}
""",
    ),
    "shapes-cnn": (
        "val_accuracy",
        9,
        """
data: {source: shapes.npz, target: y, validation: {fraction: 0.5}}
model:
  name: cnn
  channels: [{choice: [4, 8]}, {choice: [4, 8, 16]}]
  kernel: {choice: [3, 5]}
  norm: {choice: [none, batch, group]}
  dropout: {uniform: [0.0, 0.5]}
loss: {name: cross_entropy, label_smoothing: {uniform: [0.0, 0.3]}}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}}
    - {name: adam, lr: {loguniform: [1e-4, 1e-1]}}
    - {name: rmsprop, lr: {loguniform: [1e-4, 1e-1]}, momentum: {uniform: [0.0, 0.9]}}
training: {EPOCHS, batch_size: {choice: [16, 32, 64]}}
""",
    ),
    "wine-transformer": (
        "val_loss",
        9,
        """
data: {source: wine, validation: {fraction: 0.4}}
model:
  name: transformer
  width: {choice: [8, 16]}
  layers: {int: [1, 2]}
  heads: {choice: [1, 2, 4]}
  dropout: {uniform: [0.0, 0.3]}
  pool: {choice: [mean, cls]}
optimizer: {name: adamw, lr: {loguniform: [1e-4, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}}
learning_rate: [{warmup: {epochs: {int: [1, 4]}}}]
training: {EPOCHS, batch_size: {choice: [16, 32]}}
""",
    ),
    "wine-mlp": (
        "val_loss",
        12,
        """
data: {source: wine, validation: {fraction: 0.4}, normalize: {choice: [standard, minmax]}}
model: {name: mlp, width: {logint: [4, 128]}, depth: {int: [1, 3]}, activation: {choice: [relu, tanh]}, dropout: {uniform: [0.0, 0.6]}}
optimizer: {name: adamw, lr: {loguniform: [1e-4, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}}
training: {EPOCHS, batch_size: {choice: [16, 32, full]}}
""",
    ),
    "cancer-mlp": (
        "val_loss",
        9,
        """
data: {source: breast_cancer, validation: {fraction: 0.4}}
model: {name: mlp, width: {logint: [4, 128]}, depth: {int: [0, 3]}, activation: {choice: [relu, gelu, tanh]}, dropout: {uniform: [0.0, 0.6]}}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
    - {name: adam, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
    - {name: adamw, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}}
    - {name: rmsprop, lr: {loguniform: [1e-5, 1e-1]}, momentum: {uniform: [0.0, 0.9]}}
training: {EPOCHS, batch_size: {choice: [32, 64]}}
""",
    ),
    "diabetes-resnet": (
        "val_r2",
        9,
        """
data: {source: diabetes, validation: {fraction: 0.4}}
model:
  name: tabular_resnet
  width: {logint: [8, 64]}
  blocks: {int: [1, 3]}
  feedforward: {uniform: [1.0, 3.0]}
  norm: {choice: [none, batch, layer]}
  dropout: {uniform: [0.0, 0.5]}
  residual_dropout: {uniform: [0.0, 0.5]}
loss: {choice: [mse, mae, {name: huber, delta: {loguniform: [0.1, 3.0]}}]}
optimizer: {name: adamw, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}}
training: {EPOCHS, batch_size: {choice: [32, 64]}}
""",
    ),
    "iris-mlp": (
        "val_loss",
        12,
        """
data: {source: iris, validation: {fraction: 0.4}}
model: {name: mlp, width: {logint: [4, 64]}, depth: {int: [1, 3]}, activation: {choice: [relu, tanh]}}
optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
training: {EPOCHS, batch_size: {choice: [8, 16, 32]}}
""",
    ),
    "classes-mlp": (
        "val_accuracy",
        9,
        """
data: {source: {name: classification, samples: 800, features: 20, informative: 8, classes: 4, flip: 0.03, seed: 3}, validation: {fraction: 0.5}}
model:
  name: mlp
  hidden: {list: {of: {logint: [8, 96]}, length: {int: [1, 3]}}}
  activation: {choice: [relu, gelu, tanh]}
  dropout: {uniform: [0.0, 0.5]}
  norm: {choice: [none, batch]}
loss: {choice: [{name: cross_entropy, label_smoothing: {uniform: [0.0, 0.3]}}, {name: focal, gamma: {uniform: [0.5, 5.0]}}]}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}, weight_decay: {loguniform: [1e-6, 1e-1]}}
    - {name: adamw, lr: {loguniform: [1e-5, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}}
training: {EPOCHS, batch_size: {choice: [32, 64, 128]}, grad_clip: {norm: {loguniform: [0.1, 10.0]}}}
""",
    ),
    "friedman-mlp": (
        "val_r2",
        9,
        """
data: {source: {name: friedman1, samples: 600, seed: 5}, validation: {fraction: 0.5}}
model: {name: mlp, width: {logint: [8, 128]}, depth: {int: [1, 3]}, residual: {choice: [true, false]}, activation: {choice: [relu, gelu, silu, tanh]}, dropout: {uniform: [0.0, 0.4]}}
loss: {choice: [mse, {name: huber, delta: {loguniform: [0.1, 3.0]}}]}
optimizer: {name: adamw, lr: {loguniform: [1e-4, 1e-1]}, weight_decay: {loguniform: [1e-5, 1.0]}, betas: [{uniform: [0.5, 0.99]}, 0.999]}
learning_rate: {choice: [[], [{cosine: {to: 0.0}}], [{one_cycle: {}}]]}
training: {EPOCHS, batch_size: {choice: [32, 64]}}
""",
    ),
}
NAMES = tuple(_TEXTS)


@dataclass(frozen=True)
class RealProblem:
    """A problem whose trials tunecli trains.

    Attributes:
        name: its name.
        metric: the metric of the objective.
        epochs: the epochs of a full training.
        text: its space, as under `trial` of a file.
        folder: the folder that contains the generated files.
    """

    name: str
    metric: str
    epochs: int
    text: str
    folder: Path

    @cached_property
    def space(self) -> Space:
        """The space that ``text`` describes."""
        return space_of(self.text)

    @cached_property
    def objective(self) -> Objective:
        """The objective: the metric, and whether higher is better."""
        return Objective(self.metric, self.metric != "val_loss")

    def curves(
        self, points: Sequence[Parameters], trial_seeds: Sequence[int] = ()
    ) -> list[tuple[float, ...]]:
        """Train points, fused where they share a signature.

        Args:
            points: the points.
            trial_seeds: the seed of each training; empty: ``TRIAL_SEED`` for all.

        Returns:
            For each point the loss (lower is better) after each epoch; shorter than ``epochs`` if the trial fails.
        """
        seeds = trial_seeds or [TRIAL_SEED] * len(points)
        jobs = [
            self._job(number, point, seed)
            for number, (point, seed) in enumerate(zip(points, seeds, strict=True))
        ]
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            key = f"alone {job.number}" if why_not(job) else signature(job)
            groups.setdefault(key, []).append(job)
        curves: dict[int, tuple[float, ...]] = {}
        for group in groups.values():
            for start in range(0, len(group), WIDTH):
                curves.update(self._trained(group[start : start + WIDTH]))
        return [curves[number] for number in range(len(points))]

    def final_losses(self, points: Sequence[Parameters], trial_seeds: Sequence[int] = ()) -> list[float]:
        """Train points as :meth:`curves` does, and return their losses at the end; infinite for one that fails."""
        return [
            curve[-1] if len(curve) == self.epochs and math.isfinite(curve[-1]) else math.inf
            for curve in self.curves(points, trial_seeds)
        ]

    def shape(self, point: Parameters) -> str:
        """What the trials of a fused group share; empty if the point is trained alone."""
        job = self._job(0, point, TRIAL_SEED)
        return "" if why_not(job) else signature(job)

    def _trained(self, jobs: Sequence[Job]) -> dict[int, tuple[float, ...]]:
        losses: dict[int, list[float]] = {job.number: [] for job in jobs}
        sign = self.objective.sign
        for event in run_trials(jobs):
            if isinstance(event, EpochEnded):
                losses[event.number].append(sign * event.metrics[self.metric])
            elif isinstance(event, Ended) and event.outcome.state is not State.COMPLETE:
                del losses[event.number][self.epochs - 1 :]  # a failure in the last epoch
        return {number: tuple(curve) for number, curve in losses.items()}

    def fresh_losses(self, point: Parameters, seeds: Sequence[int] = FRESH_SEEDS) -> tuple[float | None, ...]:
        """Train a point again with other seeds and the same data, and return the final losses; None: it fails."""
        losses = self.final_losses([point] * len(seeds), seeds)
        return tuple(None if math.isinf(loss) else loss for loss in losses)

    def _job(self, number: int, point: Parameters, trial_seed: int) -> Job:
        config = concrete(self.space, point)
        return Job(
            number,
            1,
            Task(config, self.objective, STUDY_SEED, trial_seed),
            Files(base_path=str(self.folder)),
            execution=Execution(device="cpu", is_fused=True),
        )


@dataclass(frozen=True)
class Reference:
    """The two losses that define the regret of a problem.

    Attributes:
        best_known: the lowest loss that is known.
        random_median: the median loss of random points; a failed trial counts as infinite.
        n_trials: the number of trials that these come from.
        seed: the seed of the random points.
        best: the best points and their losses.
        best_fresh: the mean loss of fresh trainings of the point that is best by other fresh trainings; None: unknown.
    """

    best_known: float
    random_median: float
    n_trials: int
    seed: int
    best: tuple[tuple[float, Parameters], ...] = ()
    best_fresh: float | None = None

    def regret(self, loss: float) -> float:
        """The regret of a loss: 0 is the best known, 1 the median of random search. At least 0, at most 10."""
        return min(10.0, max(0.0, (loss - self.best_known) / (self.random_median - self.best_known)))

    def fresh_regret(self, losses: Sequence[float | None]) -> float:
        """The mean regret of fresh trainings of one point: 0 is the best known, 1 the median of random search.

        A training counts at most 1, and so does one that fails. The mean can be below 0: a point may be better than the
        best known.
        """
        assert self.best_fresh is not None
        span = self.random_median - self.best_fresh
        return fmean(1.0 if loss is None else min((loss - self.best_fresh) / span, 1.0) for loss in losses)


def load_problems(folder: Path, names: Iterable[str] = NAMES) -> list[RealProblem]:
    """Make the problems, with their generated files in a folder."""
    write_shapes(folder / "shapes.npz")
    return [
        RealProblem(name, metric, epochs, text.replace("EPOCHS", f"epochs: {epochs}").strip(), folder)
        for name, (metric, epochs, text) in _TEXTS.items()
        if name in set(names)
    ]


def load_references() -> dict[str, Reference]:
    """The references of all problems for which they were computed."""
    return {
        name: Reference(
            entry["best_known"],
            entry["random_median"],
            entry["n_trials"],
            entry["seed"],
            tuple((loss, point) for loss, point in entry["best"]),
            entry.get("best_fresh"),
        )
        for name, entry in json.loads(REFERENCE_PATH.read_text()).items()
    }


class CachedTrials:
    """The trials of a problem, each trained once: several methods begin with the same points."""

    def __init__(self, problem: RealProblem, *, is_fresh: bool = False) -> None:
        """Begin without a trial. With ``is_fresh``, ``fresh_of`` trains the best trials of a sweep again."""
        self._problem = problem
        self.fresh_of = self._fresh_losses_of if is_fresh else None
        self._known: dict[str, tuple[float, ...]] = {}
        self._fresh: dict[str, tuple[float | None, ...]] = {}
        self._ended: list[tuple[float, Parameters]] = []

    def begin_sweep(self) -> None:
        """Forget the order in which trials ended; their losses stay known."""
        self._ended.clear()

    def _fresh_losses_of(self, loss: float) -> tuple[float | None, ...]:
        """The fresh losses of the first trial of this sweep that ended with ``loss``."""
        point = next(dict(point) for ended, point in self._ended if ended == loss)
        key = json.dumps(point, sort_keys=True)
        if key not in self._fresh:
            self._fresh[key] = self._problem.fresh_losses(point)
        return self._fresh[key]

    @property
    def problem(self) -> Problem:
        """The problem for `methods.METHODS`. A trial has no noise: its true loss is its loss."""
        return Problem(
            self._problem.name,
            self._problem.text,
            self.loss,
            self.loss,
            has_priors=True,
            folder=self._problem.folder,
        )

    def loss(self, point: Parameters) -> float | None:
        """The loss of a full training; None: the trial fails."""
        return self.loss_at(point, self._problem.epochs)

    def loss_at(self, point: Parameters, epoch: int) -> float | None:
        """The loss after some epochs of a full training; None: the trial fails."""
        key = json.dumps(dict(point), sort_keys=True)
        if key not in self._known:
            (self._known[key],) = self._problem.curves([point])
        curve = self._known[key]
        if epoch == self._problem.epochs == len(curve):
            self._ended.append((curve[-1], point))
        return curve[epoch - 1] if epoch <= len(curve) else None


def write_shapes(path: Path) -> None:
    """Write 400 noisy images of 10 × 10 pixels with one of five shapes: the generated image set."""
    if path.exists():
        return
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[0:10, 0:10]
    images, labels = [], []
    for number in range(400):
        label = number % 5
        (row, column), size = rng.uniform(3, 7, 2), rng.uniform(2, 4)
        dy, dx = rows - row, columns - column
        distance = np.hypot(dy, dx)
        shape = {
            0: distance < size,
            1: abs(distance - size) < 0.8,
            2: np.maximum(abs(dy), abs(dx)) < size * 0.8,
            3: (abs(dy) < 0.8) & (abs(dx) < size) | (abs(dx) < 0.8) & (abs(dy) < size),
            4: (abs(dy - dx) < 1.1) & (distance < size * 1.3),
        }[label]
        images.append(shape * rng.uniform(0.5, 1.0) + rng.normal(0, 0.35, (10, 10)))
        labels.append(label)
    np.savez(path, x=np.array(images, dtype=np.float32), y=np.array(labels))
