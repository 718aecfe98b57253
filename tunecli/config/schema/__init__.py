"""The settings of one training run: a trial in which every range is replaced by a value.

`TrialConfig` trains a network in tunecli's loop; `FunctionTrial` and `CommandTrial` run the user's own training.
"""

from __future__ import annotations

from typing import Any

from tunecli.config.schema.data import Data
from tunecli.config.schema.learning_rate import Link
from tunecli.config.schema.losses import Loss
from tunecli.config.schema.models import Mlp, Model, ModelKnob
from tunecli.config.schema.optimizers import AdamW, Optimizer, OptimizerKnob
from tunecli.config.schema.training import Training
from tunecli.config.schema.user_code import CommandTrial, FunctionTrial
from tunecli.config.schema.weights import WeightLink
from tunecli.knob import Knob, Seed


class TrialConfig(Knob):
    """One training run. Any value can be a range.

    Attributes:
        data: training, validation and test data.
        model: model and its structure.
        loss: loss; by default cross entropy for classification and mean squared error for regression.
        optimizer: optimizer and its arguments. Without this key it is `adamw`, and its weight decay is stronger for an
            `mlp` or a `tabular_resnet` on a small table with a noisy target.
        learning_rate: chain of schedules, cuts and clips, applied in order to the optimizer's learning rate.
        weights: chain of clips and cuts, applied in order to the weights after each optimizer step.
        training: length of training, batches, early stop and number formats.
        seed: seed of every trial, instead of one that follows from the study's seed and the trial's number.
    """

    data: Data
    model: Model = Mlp()
    loss: Loss | None = None
    optimizer: Optimizer = AdamW()
    learning_rate: list[Link] = []
    weights: list[WeightLink] = []
    training: Training = Training()
    seed: Seed | None = None

    def n_steps(self, steps_per_epoch: int) -> int:
        """Total number of optimizer steps, if an epoch has ``steps_per_epoch`` of them."""
        steps = self.training.steps
        return self.n_epochs(steps_per_epoch) * steps_per_epoch if steps is None else steps

    def n_epochs(self, steps_per_epoch: int) -> int:
        """Total number of epochs, if an epoch has ``steps_per_epoch`` steps; the last one may be incomplete."""
        return self.training.n_epochs(steps_per_epoch, self._slowness)

    @property
    def _slowness(self) -> float:
        if isinstance(self.optimizer, OptimizerKnob) and self.optimizer.needs_closure:
            return 0.0  # one step of lbfgs is many
        return self.model.slowness if isinstance(self.model, ModelKnob) else 1.0


AnyTrial = TrialConfig | FunctionTrial | CommandTrial


def trial_model(plain: Any) -> type[AnyTrial]:
    """The kind of a concrete trial, by its key ``python`` or ``command``."""
    keys = plain if isinstance(plain, dict) else {}
    return FunctionTrial if "python" in keys else CommandTrial if "command" in keys else TrialConfig


def trial_of(plain: Any) -> AnyTrial:
    """The trial of a concrete tree.

    Raises:
        pydantic.ValidationError: the tree is not a valid trial.
    """
    return trial_model(plain).model_validate(plain)


__all__ = ["AnyTrial", "CommandTrial", "FunctionTrial", "TrialConfig", "trial_model", "trial_of"]
