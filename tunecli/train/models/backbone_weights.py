"""The trained weights of a backbone: a file, or those that torchvision downloads.

Every weight of the body must be in the file, with its shape, and nothing else but the old head. Files are safetensors,
or files of `torch.save` that hold tensors only; nothing in them is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tunecli.config.schema.models import Backbone
from tunecli.errors import UsageError, os_reason
from tunecli.train.models.backbone import BackboneNet, torchvision_models

_SHOWN = 3
_WRAPPERS = ("state_dict", "model")
_COUNTERS = "num_batches_tracked"  # files of torch before 0.4.1 lack them


def load_weights(net: BackboneNet, knob: Backbone, base_path: Path) -> None:
    """Give the body of a backbone its trained weights, if its setting names any.

    Args:
        net: the backbone, on the CPU.
        knob: its setting.
        base_path: the folder that a relative file name starts from.

    Raises:
        UsageError: the file cannot be read, the weights cannot be downloaded, or they are those of another network.
    """
    if knob.weights == "none":
        return
    if knob.weights == "default":
        tensors, source = _downloaded(knob.architecture), f"torchvision's weights of {knob.architecture}"
    else:
        path = base_path / knob.weights
        tensors, source = _read(path), str(path)
    weights = _of_body(tensors, net.head_name)
    expected = net.body.state_dict()
    for name in expected:
        if name.endswith(_COUNTERS):
            weights.setdefault(name, torch.zeros((), dtype=torch.int64))
    _require_fit(weights, expected, source, knob.architecture)
    net.body.load_state_dict(weights)


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file, by name."""
    hint = "name a safetensors file, or a file that torch.save wrote from a state_dict"
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {os_reason(error)}", hint="correct `model.weights`"
        ) from error
    except Exception as error:  # a damaged file raises errors of several kinds
        raise UsageError(f"{path} holds no weights: {type(error).__name__}", hint=hint) from error
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(one, Tensor) for one in content.values()):
        raise UsageError(f"{path} holds no weights: it is not a map of tensors", hint=hint)
    return content


def _downloaded(architecture: str) -> Mapping[str, Tensor]:
    """The best weights that torchvision has for a network, from torch's cache or the network."""
    weights = torchvision_models().get_model_weights(architecture).DEFAULT
    try:
        tensors: Mapping[str, Tensor] = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UsageError(
            f"the weights of {architecture} can be neither found in {folder} nor downloaded: {error}",
            hint=f"download {weights.url} elsewhere, and write its path: `weights: path/to/file.pth`",
        ) from error
    except Exception as error:  # a file in the cache that is damaged, or that holds more than tensors
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UsageError(
            f"the weights of {architecture} in {folder} cannot be read: {type(error).__name__}",
            hint="remove the file, and tunecli downloads it again",
        ) from error
    return tensors


def _of_body(tensors: Mapping[str, Tensor], head_name: str) -> dict[str, Tensor]:
    """The weights of the body: without the old head, and without the prefixes of torch's and tunecli's wrappers."""
    for prefix in ("module.", "body."):
        named = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
        others = {name for name in tensors if not name.startswith(prefix)}
        if named and all(name.startswith("head.") for name in others):
            tensors = named
    return {name: one for name, one in tensors.items() if not name.startswith(f"{head_name}.")}


def _require_fit(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str, architecture: str
) -> None:
    """Make sure that the names and shapes are those of the body.

    Raises:
        UsageError: they are not; the message names some of each kind.
    """
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    other = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(one.shape)}"
        for name, one in expected.items()
        if name in weights and weights[name].shape != one.shape
    ]
    kinds = ((missing, "missing"), (unexpected, "unexpected"), (other, "of another shape"))
    faults = [f"{len(names)} {kind} ({_some(names)})" for names, kind in kinds if names]
    if faults:
        message = f"{source} does not fit {architecture}: {', '.join(faults)}"
        raise UsageError(
            message, hint="name the weights of this architecture, or change `model.architecture`"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
