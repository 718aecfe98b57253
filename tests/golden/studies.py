"""The studies of the golden run: small, and together they use every sampler, pruner, engine and kind of trial."""

from __future__ import annotations

from dataclasses import dataclass, field

OWN = """\
import numpy as np


def train(params, trial):
    noise = np.random.default_rng(trial.seed)
    for epoch in range(1, params.get("epochs", 6) + 1):
        trial.report(epoch, val_loss=(params["x"] - 0.3) ** 2 + params["y"] / epoch + 0.01 * noise.random())
"""

PROGRAM = """\
import json
import sys

x, seed = float(sys.argv[1]), int(sys.argv[2])
for epoch in range(1, 5):
    print(json.dumps({"epoch": epoch, "val_loss": (x - 0.3) ** 2 + (seed % 7) / (100 * epoch)}))
"""

SPACE = """\
  data: {source: wine, validation: {fraction: 0.25}}
  model: {name: mlp, hidden: {list: {of: {logint: [4, 16]}, length: {int: [1, 2]}}}, activation: {choice: [relu, tanh]}}
  optimizer:
    choice:
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.99]}}
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-2}, weight_decay: {uniform: [1e-6, 1e-1]}}
"""

CHAINS = """\
  learning_rate: [{cosine: {to: 0.0}}, {cut: {on_plateau: {patience: 1}, factor: 0.5}}, {clip: {min: 1e-5, max: 0.5}}]
  weights: [{cut: {by: magnitude, fraction: {uniform: [0.05, 0.4]}, from_epoch: 2}}, {clip: {norm: 5.0}}]
"""

GRID = """\
  data: {source: iris, validation: {folds: 3}}
  model: {name: mlp, hidden: [8], dropout: {choice: [0.0, 0.2]}}
  loss: {choice: [cross_entropy, focal]}
  optimizer: {name: adam, lr: {choice: [1e-3, 1e-2, 1e-1]}}
"""

FUNCTION = "  python: own:train\n  params: {x: {uniform: [0, 1]}, y: {loguniform: [1e-3, 1]}}\n"
COMMAND = '  command: [python, program.py, "{x}", "{seed}"]\n  params: {x: {uniform: [0, 1]}}\n'


@dataclass(frozen=True)
class Study:
    """One study of the golden run.

    Attributes:
        trial: the YAML under ``trial``.
        search: the YAML of ``search``.
        run: the YAML of ``run``.
        maximize: the objective is val_accuracy; else val_loss is minimised.
        training: the YAML of ``trial.training``; empty for the user's own trials.
        killed_at: the durable step at which a process is killed, before ``resume`` goes on; 0: never.
    """

    trial: str
    search: str
    run: str = "{device: cpu, workers: 2}"
    maximize: bool = True
    training: str = "{epochs: 6, batch_size: 32}"
    killed_at: int = 0
    objective: str = field(default="")

    def yaml(self, name: str) -> str:
        """The whole file."""
        goal = self.objective or (
            "{metric: val_accuracy, direction: maximize}" if self.maximize else "{metric: val_loss}"
        )
        training = f"  training: {self.training}\n" if self.training else ""
        head = f"study: {name}\nseed: 5\nobjective: {goal}\ntrial:\n"
        return f"{head}{self.trial}{training}search: {self.search}\nrun: {self.run}\n"


def _own(trial: str, search: str, **more: object) -> Study:
    return Study(trial, search, maximize=False, training="", **more)  # type: ignore[arg-type]


STUDIES: dict[str, Study] = {
    "grid-folds": Study(GRID, "{sampler: grid}"),
    "random-fused": Study(SPACE, "{sampler: random, trials: 12}", "{device: cpu, workers: 2, fuse: 4}"),
    "random-chains": Study(
        SPACE + CHAINS, "{sampler: random, trials: 8}", "{device: cpu, workers: 1, fuse: off}"
    ),
    "quasirandom-median": Study(SPACE, "{sampler: quasirandom, trials: 12, pruner: median, lookahead: 2}"),
    "bayes": Study(SPACE, "{sampler: bayes, trials: 16, lookahead: 2}"),
    "bayes-forest": Study(
        SPACE, "{sampler: {name: bayes, surrogate: extra_trees}, trials: 10, lookahead: 1}"
    ),
    "bayes-constrained": Study(
        SPACE,
        "{sampler: bayes, trials: 12, lookahead: 1}",
        objective="{metric: val_accuracy, subject_to: {n_parameters: '<= 300'}}",
    ),
    "bayes-pareto": Study(
        SPACE,
        "{sampler: bayes, trials: 12, lookahead: 1}",
        objective="{pareto: [{metric: val_accuracy}, {metric: n_parameters}]}",
    ),
    "tpe": Study(SPACE, "{sampler: tpe, trials: 12, lookahead: 1}"),
    "cmaes": Study(SPACE, "{sampler: cmaes, trials: 12, lookahead: 1}"),
    "halving": Study(SPACE, "{sampler: random, trials: 9, pruner: halving, lookahead: 1}"),
    "hyperband-resumed": Study(
        SPACE, "{sampler: bayes, trials: 10, pruner: hyperband, lookahead: 2}", killed_at=31
    ),
    "curves": Study(SPACE, "{sampler: bayes, trials: 12, pruner: curves, lookahead: 1}"),
    "asha-alone": Study(SPACE, "{sampler: random, trials: 24, pruner: asha}", "{device: cpu, workers: 1}"),
    "function-resumed": _own(FUNCTION, "{sampler: bayes, trials: 12, lookahead: 2}", killed_at=25),
    "function-median": _own(FUNCTION, "{sampler: random, trials: 10, pruner: median, lookahead: 1}"),
    "command-halving": _own(
        COMMAND, "{sampler: random, trials: 9, pruner: {name: halving, max_epochs: 4}, lookahead: 1}"
    ),
    "repeats": Study(SPACE, "{sampler: random, trials: 4, repeats: 2}"),
}
