"""Every knob of one training run, as concrete values: `TrialConfig` is a trial with no range left in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunecli.spec.knobs.base import Knob
from tunecli.spec.knobs.data import Data
from tunecli.spec.knobs.learning_rate import Link
from tunecli.spec.knobs.losses import Loss
from tunecli.spec.knobs.models import Mlp, Model
from tunecli.spec.knobs.optimizers import AdamW, Optimizer
from tunecli.spec.knobs.training import Training


class TrialConfig(Knob):
    """One training run. ``loss`` None means the task's own: cross entropy, or mean squared error."""

    data: Data
    model: Model = Mlp()
    loss: Loss | None = None
    optimizer: Optimizer = AdamW()
    learning_rate: list[Link] = []
    training: Training = Training()
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None


__all__ = ["TrialConfig"]
