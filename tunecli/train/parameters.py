"""The kind of each parameter of a model: bias, norm, embedding or matrix of a hidden layer.

The kind follows from the layer that holds the parameter, so it is right for the user's own models, too. Knows no
optimizer.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from tunecli.config.schema.optimizers import ParameterKind
from tunecli.train.models.transformer import FeatureTokens, LearnedPositions

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # _NormBase: batch and instance norms
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag, FeatureTokens, LearnedPositions)
MATRIX_LAYERS = (nn.Linear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


class Part(NamedTuple):
    """One parameter of a model.

    Attributes:
        parameter: the tensor.
        kinds: bias, norm, embedding; a norm's bias has two kinds, a layer's weight none.
        is_hidden_matrix: whether it is the 2-D weight of a linear, recurrent or attention layer other than the model's
            last layer.
    """

    parameter: nn.Parameter
    kinds: frozenset[ParameterKind]
    is_hidden_matrix: bool


def parts_of(model: nn.Module) -> list[Part]:
    """A model's parameters in order, each once; a shared one has the kinds that its first layer gives it.

    The last layer is the last registered one that has a weight of two or more dimensions.
    """
    held = [
        (layer, parameter, _kinds(layer, name))
        for layer in model.modules()
        for name, parameter in layer.named_parameters(recurse=False)
    ]
    weighted = [layer for layer, parameter, kinds in held if parameter.ndim >= 2 and not kinds]
    parts: dict[nn.Parameter, Part] = {}
    for layer, parameter, kinds in held:
        is_matrix = isinstance(layer, MATRIX_LAYERS) and parameter.ndim == 2 and not kinds
        parts.setdefault(parameter, Part(parameter, kinds, is_matrix and layer is not weighted[-1]))
    return list(parts.values())


def _kinds(layer: nn.Module, name: str) -> frozenset[ParameterKind]:
    kinds: set[ParameterKind] = set()
    if name.startswith("bias") or name.endswith("bias"):  # bias_hh_l0, in_proj_bias
        kinds.add("bias")
    if isinstance(layer, NORMS):
        kinds.add("norm")
    if isinstance(layer, EMBEDDINGS):
        kinds.add("embedding")
    return frozenset(kinds)
