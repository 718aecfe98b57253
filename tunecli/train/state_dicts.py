"""What a module and an optimizer remember from one epoch to the next: as data to be kept, and put back in place.

Modules by their state_dict, and every buffer. Optimizers by theirs; torch's ``load_state_dict`` rounds what it is given
to the weights' dtype and puts new groups in the place of those that others hold, so what is torch's own is put back
directly. Objects of the user's own classes also keep their attributes, as far as those are plain data: a counter, a
running mean. What such an optimizer holds beside that may be what it goes by, so then its trial has no checkpoint; of
a module or a loss it is left. Knows no file.
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


Node = Any
"""JSON: null, a boolean, a number, a string, or an object of one key that says what else it is."""

_PLAIN = (type(None), bool, int, str)
_TENSORS = (Tensor, nn.Parameter)
_DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}


class NotPlain(Exception):  # noqa: N818  (what it is)
    """A value that is neither plain data nor a tensor of a kind that can be kept."""


def take_apart(tree: Any, name: str, device: torch.device) -> tuple[Node, dict[str, Tensor]]:
    """The data that a tree is.

    Args:
        tree: of dicts, lists and tuples, whose leaves are None, booleans, numbers, strings and dense tensors; all of
            just these types. A dict's keys are strings, numbers or booleans.
        name: what the tensors' names begin with.
        device: whose the tree is; a tensor that lies elsewhere is noted as lying on the CPU.

    Returns:
        JSON, and the tensors that it names: not copies.

    Raises:
        NotPlain: it holds something else.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[int, str] = {}

    def taken(value: Any, path: str) -> Node:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is list or kind is tuple:
            return {kind.__name__: [taken(each, f"{path}.{place}") for place, each in enumerate(value)]}
        if kind is dict:
            return {"dict": [[_key(key, path), taken(each, f"{path}.{key}")] for key, each in value.items()]}
        if kind not in _TENSORS or value.layout is not torch.strided or value.dtype not in _DTYPES:
            raise NotPlain(f"{path} is a {kind.__name__}")
        if id(value) not in names:
            unique = path if path not in tensors else f"{path} ({len(tensors)})"
            names[id(value)], tensors[unique] = unique, value
        return {"tensor": [names[id(value)], _layout(value), value.device != device]}

    return taken(tree, name), tensors


def put_together(node: Node, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """The tree that :func:`take_apart` took apart.

    Args:
        node: its JSON.
        tensors: by name, anywhere.
        device: whose the tree is to be.

    Returns:
        The tree. Its tensors are copies of their own: what is read from a file lies anywhere in memory, and where a
        tensor lies can decide in which order it is summed.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: the JSON is of nothing that was taken apart.
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
                return [put(each) for each in value]
            case "tuple":
                return tuple(put(each) for each in value)
            case "dict":
                return {key: put(each) for key, each in value}
        name, stride, is_on_cpu = node["tensor"]
        if name not in made:
            kept = tensors[name]
            target = torch.device("cpu") if is_on_cpu else device
            empty = torch.empty_strided(kept.shape, stride, dtype=kept.dtype, device=target)
            made[name] = empty.copy_(kept)
        return made[name]

    return put(node)


def _key(key: Any, path: str) -> Any:
    if type(key) in (bool, int, str) or (type(key) is float and math.isfinite(key)):
        return key
    raise NotPlain(f"a key of {path} is a {type(key).__name__}")


def _layout(tensor: Tensor) -> list[int]:
    """The strides, in entries; of a tensor that is no dense block of memory those of one that is."""
    return list(torch.empty_like(tensor, device="meta").stride())
