"""From an activation's knob to torch's module; the mathematics is torch's."""

from __future__ import annotations

from torch import nn

from tunecli.config.schema.activations import AnyActivation
from tunecli.registry.implementations import implementation_of


def build_activation(knob: AnyActivation) -> nn.Module:
    """A new module for every place, since some of them learn."""
    module: nn.Module = implementation_of(knob)(**knob.model_dump(exclude={"name"}))
    return module
