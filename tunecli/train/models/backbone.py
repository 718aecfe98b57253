"""Networks of torchvision for images, with a new head. The rest, the body, can be frozen for some epochs or for all.

torchvision is imported when a backbone is built. Its own last layer is left out, and `head` takes its place.

Axes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunecli.config.schema.models import Backbone
from tunecli.errors import UsageError
from tunecli.registry.packages import install_command
from tunecli.train.data.table import Inputs
from tunecli.train.models.layers import dropout

_RGB = 3


def backbone(knob: Backbone, inputs: Inputs, n_outputs: int) -> nn.Module:
    """The network of a name, with torchvision's initial weights and a new head.

    Raises:
        UsageError: torchvision cannot be imported, or lacks the network.
        ValueError: the images have neither one nor three channels.
    """
    if inputs.shape[0] not in (1, _RGB):
        raise ValueError(f"a backbone reads images of 1 or 3 channels, not {inputs.shape[0]}")
    return BackboneNet(knob, inputs, n_outputs)


class BackboneNet(nn.Module):
    """(B, C, H, W) → (B, n_outputs). Grey images get three equal channels, and small images are scaled up.

    The whole body is in evaluation mode while it is frozen, so that its batch norms keep their statistics.
    """

    def __init__(self, knob: Backbone, inputs: Inputs, n_outputs: int) -> None:
        super().__init__()
        self._knob = knob
        self._size = knob.image_size(*inputs.shape[1:])
        self._is_scaled = self._size != inputs.shape[1:]
        self.is_frozen = False
        body = torchvision_network(knob.architecture, **_arguments(knob))
        self.head_name, n_features = last_layer(body)
        body.set_submodule(self.head_name, nn.Identity())
        for name, layer in [*body.named_modules()]:
            if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size not in (1, (1, 1)):
                body.set_submodule(name, MeanOverCells(layer.output_size))
        self.body = body
        widths = [n_features, *knob.hidden]
        layers: list[nn.Module] = [*dropout(knob.dropout)]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), *dropout(knob.dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    def begin_epoch(self, n_epochs_done: int) -> None:
        """Freeze or thaw the body for the next epoch, by the number of epochs that have ended."""
        until = self._knob.unfreeze_at
        self.is_frozen = self._knob.freeze and (until is None or n_epochs_done < until)
        self.body.requires_grad_(not self.is_frozen)

    def train(self, mode: bool = True) -> BackboneNet:
        """Put the head in training mode, and the body too unless it is frozen."""
        super().train(mode)
        if self.is_frozen:
            self.body.eval()
        return self

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if x_BCHW.shape[1] != _RGB:
            x_BCHW = x_BCHW.expand(-1, _RGB, -1, -1)
        if self._is_scaled:
            x_BCHW = fn.interpolate(x_BCHW, self._size, mode="bilinear", align_corners=False)
        # As in `Attention` of transformer.py: other kernels may add in any order.
        with nullcontext() if x_BCHW.is_cpu else sdpa_kernel(SDPBackend.MATH):
            return self.head(self.body(x_BCHW))  # type: ignore[no-any-return]


class MeanOverCells(nn.Module):
    """`nn.AdaptiveAvgPool2d` by matrix products: (B, C, H, W) → (B, C, rows, columns).

    It gives the same numbers up to rounding. The backward pass of torch's layer is not reproducible on CUDA, except for
    the mean over the whole image.
    """

    def __init__(self, size: Any) -> None:
        super().__init__()
        self._size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        rows, columns = (
            _shares(n, n_cells).to(x_BCHW) for n, n_cells in zip(x_BCHW.shape[2:], self._size, strict=True)
        )
        return rows @ x_BCHW @ columns.T


def _shares(n: int, n_cells: int) -> Tensor:
    """The share (cells, n) of each of ``n`` pixels in the mean of each cell, by torch's rule for their bounds."""
    shares = torch.zeros(n_cells, n)
    for cell in range(n_cells):
        first, last = cell * n // n_cells, -(-(cell + 1) * n // n_cells)
        shares[cell, first:last] = 1.0 / (last - first)
    return shares


def torchvision_models() -> Any:
    """The module of torchvision's networks.

    Raises:
        UsageError: it cannot be imported.
    """
    try:
        from torchvision import models
    except ModuleNotFoundError as error:
        hint = install_command("torchvision", "torchvision")
        raise UsageError("a backbone needs torchvision, which is not installed", hint=hint) from error
    except Exception as error:  # a build for another torch raises errors of several kinds
        reason = f"{type(error).__name__}: {error}"
        hint = f"install the build of torchvision that belongs to torch {torch.__version__}"
        raise UsageError(f"torchvision is installed, but cannot be imported: {reason}", hint=hint) from error
    return models


def torchvision_network(architecture: str, **arguments: Any) -> nn.Module:
    """A network of torchvision with its initial weights.

    Raises:
        UsageError: torchvision cannot be imported, or lacks the network.
    """
    make = partial(torchvision_models().get_model, architecture, weights=None, **arguments)
    network: nn.Module
    try:
        network = make()
    except NotImplementedError:  # without memory: regnet computes its widths with tensors
        with torch.device("cpu"):
            network = make()
    except ValueError as error:
        hint = "upgrade torchvision, or choose another architecture"
        raise UsageError(f"torchvision has no `{architecture}`: {error}", hint=hint) from error
    return network


def last_layer(network: nn.Module) -> tuple[str, int]:
    """The name of a network's last linear layer, and the number of its inputs.

    Raises:
        UsageError: it has none.
    """
    linear = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise UsageError(f"{type(network).__name__} has no linear layer that a new head can replace")
    name, layer = linear[-1]
    return name, layer.in_features


def _arguments(knob: Backbone) -> dict[str, Any]:
    """The arguments of a network of fixed size."""
    if knob.fixed_side is None:
        return {}
    if knob.architecture.startswith("vit_"):
        return {"image_size": knob.fixed_side}
    return {"input_size": (knob.fixed_side, knob.fixed_side)}
