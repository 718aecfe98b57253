"""Every knob of one training run, as concrete values: a trial with no range left in it.

`TrialConfig` trains a network in our own loop; `FunctionTrial` and `CommandTrial` run the user's own training.
"""

from __future__ import annotations

from typing import Any

from tunecli.config.schema.data import Data
from tunecli.config.schema.learning_rate import Link
from tunecli.config.schema.losses import Loss
from tunecli.config.schema.models import Mlp, Model
from tunecli.config.schema.optimizers import AdamW, Optimizer
from tunecli.config.schema.training import Training
from tunecli.config.schema.user_code import CommandTrial, FunctionTrial
from tunecli.config.schema.weights import WeightLink
from tunecli.knob import Knob, Seed


class TrialConfig(Knob):
    """One training run. ``loss`` None means the task's own: cross entropy, or mean squared error."""

    data: Data
    model: Model = Mlp()
    loss: Loss | None = None
    optimizer: Optimizer = AdamW()
    learning_rate: list[Link] = []
    weights: list[WeightLink] = []
    training: Training = Training()
    seed: Seed | None = None


AnyTrial = TrialConfig | FunctionTrial | CommandTrial


def trial_model(plain: Any) -> type[AnyTrial]:
    """Which kind of trial a concrete tree is: told by its key ``python`` or ``command``."""
    keys = plain if isinstance(plain, dict) else {}
    return FunctionTrial if "python" in keys else CommandTrial if "command" in keys else TrialConfig


def trial_of(plain: Any) -> AnyTrial:
    """The trial that a concrete tree is.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return trial_model(plain).model_validate(plain)


__all__ = ["AnyTrial", "CommandTrial", "FunctionTrial", "TrialConfig", "trial_model", "trial_of"]
