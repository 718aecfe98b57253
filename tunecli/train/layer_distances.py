"""The distance of each parameter from the model's output, in layers, for learning rates that fall from layer to layer.

The layers are found in the structure of the modules, so the user's own models have distances, too. A layer has a
weight matrix, and the norm, activation or positions after it belong to it. Residual blocks, blocks of transformers and
recurrent layers count as one layer each.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from tunecli.train.models.backbone import BackboneNet

_CONTAINERS = (nn.Sequential, nn.ModuleList)
_NAMES_OF_BLOCKS = ("layers", "blocks")

Parameters = list[nn.Parameter]


def layer_distances(model: nn.Module, matrices: set[nn.Parameter]) -> dict[nn.Parameter, int]:
    """The distance of each parameter from the output.

    Args:
        model: the model; its layers are registered in the order in which they act.
        matrices: the weights of two or more dimensions that are neither biases, norms nor embeddings.

    Returns:
        By parameter, 0 for the last layer, 1 for the one before it, and so on. The embeddings of an input belong to the
        first layer, unless they are the first layer themselves. A shared parameter has the distance of its first layer.
    """
    layers: list[Parameters] = []
    loose: Parameters = []
    for parameters, is_layer in _parts(model):
        if layers and not (is_layer and any(one in matrices for one in parameters)):
            layers[-1] += parameters
        elif is_layer and parameters:
            layers.append([*loose, *parameters])
        else:
            loose += parameters
    layers = layers or [loose]
    distances: dict[nn.Parameter, int] = {}
    for number, layer in enumerate(layers):
        for parameter in layer:
            distances.setdefault(parameter, len(layers) - 1 - number)
    return distances


def body_distances(model: BackboneNet) -> dict[nn.Parameter, int]:
    """The distance 0 for the head of a backbone, and 1 for its body."""
    head = set(model.head.parameters())
    return {parameter: int(parameter not in head) for parameter in model.parameters()}


def _parts(module: nn.Module, *, is_root: bool = True) -> Iterator[tuple[Parameters, bool]]:
    """The parameters of each part in order, and whether the part may be a layer: loose parameters are none."""
    if not (is_root or _has_layers(module)):
        yield [*module.parameters()], True
        return
    yield [*module.parameters(recurse=False)], False
    for child in module.children():
        yield from _parts(child, is_root=isinstance(module, BackboneNet))


def _has_layers(module: nn.Module) -> bool:
    """Whether a module is a list of layers, or has a list of blocks under a usual name."""
    if isinstance(module, _CONTAINERS):
        return True
    lists = [getattr(module, name, None) for name in _NAMES_OF_BLOCKS]
    return any(isinstance(blocks, _CONTAINERS) and _are_blocks(blocks) for blocks in lists)


def _are_blocks(layers: nn.Sequential | nn.ModuleList) -> bool:
    """Whether all members with parameters consist of several modules."""
    with_parameters = [layer for layer in layers if next(layer.parameters(), None) is not None]
    return all(next(layer.children(), None) is not None for layer in with_parameters)
