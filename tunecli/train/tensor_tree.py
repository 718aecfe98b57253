"""State as data: a tree of tensors and plain values, taken apart into named tensors and JSON, and put together again.

Every bit survives: integers and floats, infinities and NaN, tuples as tuples, tensors with their layout in memory, and
a tensor that stands in two places as one that does. Nothing is pickled, so what is read can be nothing but data. Knows
nothing of files, nor of what the state is of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

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
