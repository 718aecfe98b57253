"""The state of modules and optimizers between two epochs, as tensors and plain data that can be saved and restored.

A module's state is its state_dict and every buffer. An optimizer's is its state_dict; torch's ``load_state_dict``
rounds values to the weights' dtype and replaces parameter groups that others hold, so the state of torch's own
optimizers is restored directly. For objects of the user's own classes, attributes of plain data are part of the state:
a counter, a running mean. If the user's own optimizer has other attributes, its trial has no checkpoints, because the
optimizer may depend on them; those of a module or loss are ignored. Knows no file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, partial
from itertools import chain
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_NOT_USER_PACKAGES = {"torch", "torchvision", "tunecli"}
_DEVICE_OPTIONS = {"params", "foreach", "fused"}
_CONSTANTS = (torch.device, torch.dtype)
_MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))


def of_module(module: nn.Module) -> dict[str, Any]:
    """A module's weights and buffers, and the plain attributes of submodules of the user's own classes.

    Raises:
        NotPlain: its ``state_dict`` raises an error.
    """
    try:
        state = dict(module.state_dict(keep_vars=True))
    except Exception as error:
        raise NotPlain(f"state_dict raises {type(error).__name__}") from error
    weights = {_memory(tensor) for tensor in chain(module.parameters(), module.buffers())}
    own = {name: part for name, part in module.named_modules() if _is_user_class(part)}
    return {
        "state": state,
        "buffers": dict(module.named_buffers()),
        "own": {name: _attributes(part, _MODULE_ATTRIBUTES, weights) for name, part in own.items()},
    }


def restore_module(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Restore the state of :func:`of_module` of a module of the same structure.

    Raises:
        RuntimeError, KeyError, AttributeError: the structure differs.
    """
    for name, kept in state["buffers"].items():
        path, _, leaf = name.rpartition(".")
        owner = module.get_submodule(path)
        buffer = getattr(owner, leaf)
        if isinstance(buffer, Tensor) and (buffer.shape, buffer.dtype) == (kept.shape, kept.dtype):
            buffer.copy_(kept)
        else:  # a buffer that grows
            setattr(owner, leaf, kept)
    module.load_state_dict(state["state"])
    for name, attributes in state["own"].items():
        vars(module.get_submodule(name)).update(attributes)


def of_loss(loss: Any) -> dict[str, Any]:
    """The state of the user's own loss, a module or another object; empty for a function."""
    if isinstance(loss, nn.Module):
        return of_module(loss)
    if isinstance(loss, FunctionType | partial) or not hasattr(loss, "__dict__"):
        return {}
    return _attributes(loss, frozenset(), set())


def restore_loss(loss: Any, state: Mapping[str, Any]) -> None:
    """Restore the state of :func:`of_loss`."""
    if isinstance(loss, nn.Module):
        restore_module(loss, state)
    elif state:
        vars(loss).update(state)


def of_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer's state and groups, and the plain attributes of an optimizer of the user's own class.

    Raises:
        NotPlain: it has another attribute, such as another optimizer, and no ``state_dict`` of its own; or its
            ``state_dict`` raises an error.
    """
    try:
        state = dict(optimizer.state_dict())
    except Exception as error:
        raise NotPlain(f"state_dict raises {type(error).__name__}") from error
    if not _is_user_class(optimizer) or _has_own_state_dict(optimizer):
        return {"state": state, "own": {}}
    weights = {_memory(tensor) for group in optimizer.param_groups for tensor in group["params"]}
    return {"state": state, "own": _attributes(optimizer, _optimizer_attributes(), weights, is_all=True)}


def restore_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Restore the state of :func:`of_optimizer` of a similar optimizer; which kernels it uses does not change.

    Raises:
        ValueError, IndexError: the optimizer has other parameters or groups.
    """
    kept = state["state"]
    if _has_own_state_dict(optimizer):
        optimizer.load_state_dict(kept)
        return
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.state.clear()
    for key, value in kept["state"].items():
        optimizer.state[parameters[key] if isinstance(key, int) else key] = value
    for group, values in zip(optimizer.param_groups, kept["param_groups"], strict=True):
        group.update({name: value for name, value in values.items() if name not in _DEVICE_OPTIONS})
    vars(optimizer).update(state["own"])


def _is_user_class(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] not in _NOT_USER_PACKAGES


@cache
def _optimizer_attributes() -> frozenset[str]:
    """The attributes that every optimizer has. Not read at import: torch's first optimizer takes a second to make."""
    return frozenset(vars(torch.optim.SGD([torch.zeros(1)])))


def _has_own_state_dict(optimizer: Optimizer) -> bool:
    """Whether its class overrides ``state_dict`` or ``load_state_dict``."""
    kind = type(optimizer)
    return (kind.state_dict, kind.load_state_dict) != (Optimizer.state_dict, Optimizer.load_state_dict)


def _attributes(
    thing: object, known: frozenset[str], weights: set[int], *, is_all: bool = False
) -> dict[str, Any]:
    """The attributes that are plain data and do not share memory with a weight.

    Args:
        thing: the object.
        known: names of attributes to leave out.
        weights: the memory of the weights.
        is_all: raise `NotPlain` for an attribute that is not plain data and may change.
    """
    plain = {}
    for name, value in vars(thing).items():
        if name in known:
            continue
        try:
            _, tensors = take_apart(value, name, torch.device("cpu"))
        except NotPlain:
            if is_all and not (callable(value) or isinstance(value, _CONSTANTS)):
                raise
            continue
        if not any(isinstance(one, nn.Parameter) or _memory(one) in weights for one in tensors.values()):
            plain[name] = value
    return plain


def _memory(tensor: Tensor) -> int:
    """A key that is equal for tensors that share memory."""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)


Node = Any
"""JSON: null, a boolean, a number, a string, or an object whose one key is the type of its value."""

_PLAIN = (type(None), bool, int, str)
_TENSORS = (Tensor, nn.Parameter)
_DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}


class NotPlain(Exception):  # noqa: N818  (named after the value)
    """A value that is neither plain data nor a tensor that can be saved."""


def take_apart(tree: Any, name: str, device: torch.device) -> tuple[Node, dict[str, Tensor]]:
    """Split a tree into JSON and tensors.

    Args: tree: dicts, lists and tuples, whose leaves are None, booleans, numbers, strings and dense tensors; exactly
        these types. A dict's keys are strings, numbers or booleans.
        name: prefix of the tensors' names.
        device: the tree's device; a tensor on another device is recorded as being on the CPU.

    Returns:
        The JSON, and the tensors that it names, which are not copied.

    Raises:
        NotPlain: the tree contains anything else.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[int, str] = {}

    def split(value: Any, path: str) -> Node:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is list or kind is tuple:
            return {kind.__name__: [split(item, f"{path}.{index}") for index, item in enumerate(value)]}
        if kind is dict:
            return {"dict": [[_key(key, path), split(item, f"{path}.{key}")] for key, item in value.items()]}
        if kind not in _TENSORS or value.layout is not torch.strided or value.dtype not in _DTYPES:
            raise NotPlain(f"{path} is a {kind.__name__}")
        if id(value) not in names:
            unique = path if path not in tensors else f"{path} ({len(tensors)})"
            names[id(value)], tensors[unique] = unique, value
        return {"tensor": [names[id(value)], _layout(value), value.device != device]}

    return split(tree, name), tensors


def put_together(node: Node, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """Build the tree that :func:`take_apart` split.

    Args:
        node: the JSON.
        tensors: the tensors by name, on any device.
        device: the device of the new tree.

    Returns:
        The tree. Its tensors are copies: tensors read from a file are not aligned in memory, and the order in which a
        tensor is summed can depend on its alignment.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: the JSON is not from :func:`take_apart`.
    """
    made: dict[str, Tensor] = {}

    def put(node: Node) -> Any:
        if not isinstance(node, dict):
            return node
        ((kind, value),) = node.items()
        match kind:
            case "float":
                return float(value)
            case "list":
                return [put(item) for item in value]
            case "tuple":
                return tuple(put(item) for item in value)
            case "dict":
                return {key: put(item) for key, item in value}
        name, stride, is_on_cpu = node["tensor"]
        if name not in made:
            saved = tensors[name]
            target = torch.device("cpu") if is_on_cpu else device
            empty = torch.empty_strided(saved.shape, stride, dtype=saved.dtype, device=target)
            made[name] = empty.copy_(saved)
        return made[name]

    return put(node)


def _key(key: Any, path: str) -> Any:
    if type(key) in (bool, int, str) or (type(key) is float and math.isfinite(key)):
        return key
    raise NotPlain(f"a key of {path} is a {type(key).__name__}")


def _layout(tensor: Tensor) -> list[int]:
    """The strides of a tensor, in entries; if it is not a dense block of memory, those of a dense copy."""
    return list(torch.empty_like(tensor, device="meta").stride())
