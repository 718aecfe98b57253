"""What a module and an optimizer remember from one epoch to the next: as data to be kept, and put back in place.

Modules by their state_dict, and every buffer. Optimizers by theirs; torch's ``load_state_dict`` rounds what it is given
to the weights' dtype and puts new groups in the place of those that others hold, so what is torch's own is put back
directly. Objects of the user's own classes also keep their attributes, as far as those are plain data: a counter, a
running mean. What such an optimizer holds beside that may be what it goes by, so then its trial has no checkpoint; of
a module or a loss it is left. Knows no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from itertools import chain
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunecli.train.tensor_tree import NotPlain, take_apart

_NOT_THEIRS = {"torch", "tunecli"}
_OF_THE_DEVICE = {"params", "foreach", "fused"}
_FIXED = (torch.device, torch.dtype)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def of_module(module: nn.Module) -> dict[str, Any]:
    """A module's weights, buffers and, where it has parts of the user's own, their plain attributes.

    Raises:
        NotPlain: its own state_dict cannot be had.
    """
    try:
        state = dict(module.state_dict(keep_vars=True))
    except Exception as error:
        raise NotPlain(f"state_dict raises {type(error).__name__}") from error
    weights = {_memory(each) for each in chain(module.parameters(), module.buffers())}
    own = {name: part for name, part in module.named_modules() if _is_theirs(part)}
    return {
        "state": state,
        "buffers": dict(module.named_buffers()),
        "own": {name: _attributes(part, _OF_EVERY_MODULE, weights) for name, part in own.items()},
    }


def restore_module(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Put back what :func:`of_module` took from one like it.

    Raises:
        RuntimeError, KeyError, AttributeError: it is not like it.
    """
    for name, kept in state["buffers"].items():
        path, _, leaf = name.rpartition(".")
        owner = module.get_submodule(path)
        buffer = getattr(owner, leaf)
        if isinstance(buffer, Tensor) and (buffer.shape, buffer.dtype) == (kept.shape, kept.dtype):
            buffer.copy_(kept)
        else:  # one that grows
            setattr(owner, leaf, kept)
    module.load_state_dict(state["state"])
    for name, attributes in state["own"].items():
        vars(module.get_submodule(name)).update(attributes)


def of_loss(loss: Any) -> dict[str, Any]:
    """What the user's own loss, a module or another object of theirs, remembers; nothing of a function."""
    if isinstance(loss, nn.Module):
        return of_module(loss)
    if isinstance(loss, FunctionType | partial) or not hasattr(loss, "__dict__"):
        return {}
    return _attributes(loss, frozenset(), set())


def restore_loss(loss: Any, state: Mapping[str, Any]) -> None:
    """Put back what :func:`of_loss` took from one like it."""
    if isinstance(loss, nn.Module):
        restore_module(loss, state)
    elif state:
        vars(loss).update(state)


def of_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer's state and groups, and the plain attributes of one of the user's own.

    Raises:
        NotPlain: it holds something else, another optimizer perhaps, and has no state_dict of its own that tells about
            it; or that one cannot be had.
    """
    try:
        state = dict(optimizer.state_dict())
    except Exception as error:
        raise NotPlain(f"state_dict raises {type(error).__name__}") from error
    if not _is_theirs(optimizer) or _says_itself(optimizer):
        return {"state": state, "own": {}}
    weights = {_memory(each) for group in optimizer.param_groups for each in group["params"]}
    return {"state": state, "own": _attributes(optimizer, _of_every_optimizer(), weights, is_all=True)}


def restore_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Put back what :func:`of_optimizer` took from one like it; which kernels it uses stays its own.

    Raises:
        ValueError, IndexError: it is not like it.
    """
    kept = state["state"]
    if _says_itself(optimizer):
        optimizer.load_state_dict(kept)
        return
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.state.clear()
    for key, value in kept["state"].items():
        optimizer.state[parameters[key] if isinstance(key, int) else key] = value
    for group, values in zip(optimizer.param_groups, kept["param_groups"], strict=True):
        group.update({name: value for name, value in values.items() if name not in _OF_THE_DEVICE})
    vars(optimizer).update(state["own"])


def _is_theirs(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] not in _NOT_THEIRS


@cache
def _of_every_optimizer() -> frozenset[str]:
    """The attributes that any optimizer has; not found at import, since making the first one takes torch a second."""
    return frozenset(vars(torch.optim.SGD([torch.zeros(1)])))


def _says_itself(optimizer: Optimizer) -> bool:
    """Whether its class says for itself what there is to keep."""
    kind = type(optimizer)
    return (kind.state_dict, kind.load_state_dict) != (Optimizer.state_dict, Optimizer.load_state_dict)


def _attributes(
    thing: object, known: frozenset[str], weights: set[int], *, is_all: bool = False
) -> dict[str, Any]:
    """The attributes that are plain data, and no other view of a weight; ``is_all`` wants all that may change."""
    found = {}
    for name, value in vars(thing).items():
        if name in known:
            continue
        try:
            _, tensors = take_apart(value, name, torch.device("cpu"))
        except NotPlain:
            if is_all and not (callable(value) or isinstance(value, _FIXED)):
                raise
            continue
        if not any(isinstance(each, nn.Parameter) or _memory(each) in weights for each in tensors.values()):
            found[name] = value
    return found


def _memory(tensor: Tensor) -> int:
    """What tells whether two tensors share it."""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)
