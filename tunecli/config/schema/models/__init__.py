"""The models and their structure; inputs and outputs follow from the data."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from tunecli.config.families import OpenTo
from tunecli.config.schema.models.attention import FtTransformer, Transformer
from tunecli.config.schema.models.backbones import Backbone
from tunecli.config.schema.models.base import ModelKnob
from tunecli.config.schema.models.feedforward import Linear, Mlp, TabularResNet
from tunecli.config.schema.models.images import Cnn, ResNet
from tunecli.config.schema.models.sequences import Recurrent, Tcn
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import name_alone

__all__ = [
    "AnyModel",
    "Backbone",
    "Cnn",
    "FtTransformer",
    "Linear",
    "Mlp",
    "Model",
    "ModelKnob",
    "Recurrent",
    "ResNet",
    "TabularResNet",
    "Tcn",
    "Transformer",
]

AnyModel = (
    Linear
    | Mlp
    | TabularResNet
    | Cnn
    | ResNet
    | Backbone
    | Recurrent
    | Tcn
    | Transformer
    | FtTransformer
    | UserCode
)
Model = Annotated[
    Annotated[AnyModel, Field(discriminator="name")],
    OpenTo("models", ModelKnob),
    BeforeValidator(name_alone),
]
