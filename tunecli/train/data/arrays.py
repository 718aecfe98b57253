"""Arrays of inputs and targets, from an NPZ file or the user's own code: checked, and brought into one of four shapes.

Owns what an array may be and which shape means what; knows neither files nor tasks. Loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError

InputsKnob = Literal["auto", "features", "sequence", "image"]

_TAKEN: dict[InputsKnob, str] = {
    "auto": "(N, F), (N, H, W) or (N, C, H, W)",
    "features": "(N, F), or more axes to be flattened",
    "sequence": "(N, T, F), or (N, T) for one feature",
    "image": "(N, H, W) or (N, C, H, W)",
}
"""The shapes that each reading takes, in words."""


def as_inputs(x: NDArray[Any], inputs: InputsKnob, name: str, parameter: str) -> NDArray[Any]:
    """Read an array of numbers as inputs.

    Args:
        x: the array, as found.
        inputs: how it is to be read; ``auto`` takes three axes for images of one channel.
        name: what the array is called, for messages.
        parameter: the key to blame.

    Returns:
        (N, F) float64; or (N, T, F) or (N, C, H, W) float32.

    Raises:
        DataError: it does not hold numbers, has another shape, or NaN or infinity inside.
    """
    is_numbers = bool(x.size) and x.dtype.kind in "biuf"
    shaped = _shaped(x, inputs) if is_numbers else None
    if shaped is None:
        message = f"{name} is {x.dtype} of shape {x.shape}: it must hold numbers, {_TAKEN[inputs]}"
        is_misread = is_numbers and inputs != "auto" and _shaped(x, "auto") is not None
        raise DataError(message, parameter="data.inputs" if is_misread else parameter)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told below
        shaped = shaped.astype(np.float64 if shaped.ndim == 2 else np.float32)
    is_bad_N = ~np.isfinite(shaped).reshape(len(shaped), -1).all(axis=1)
    if is_bad_N.any():
        message = f"{name} has NaN or infinity in example {int(is_bad_N.argmax())}"
        raise DataError(message, parameter=parameter)
    return shaped


def as_tokens(x: NDArray[Any], n_tokens: int, name: str, parameter: str) -> NDArray[np.int64]:
    """Read an array of whole numbers as tokens.

    Returns:
        (N, T) int64 in [0, n_tokens).

    Raises:
        DataError: it is of another shape or type, or a token is out of range.
    """
    if x.ndim != 2 or x.size == 0 or x.dtype.kind not in "iu":
        message = f"{name} is {x.dtype} of shape {x.shape}: tokens are whole numbers, (N, T)"
        raise DataError(message, parameter=parameter)
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= n_tokens:
        message = f"{name} has the token {low if low < 0 else high}, and tokens are from 0 to {n_tokens - 1}"
        raise DataError(message, parameter=parameter)
    return x.astype(np.int64)


def as_target(y: NDArray[Any], n_examples: int, name: str, parameter: str) -> NDArray[Any]:
    """Read an array as a target, one value an example.

    Args:
        y: (N,) or (N, 1), as found.
        n_examples: N.
        name: what the array is called, for messages.
        parameter: the key to blame.

    Returns:
        (N,) bool, float64 or object (str).

    Raises:
        DataError: it is of another shape, or holds neither numbers nor truth values nor text.
    """
    y_N = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y_N.ndim != 1 or len(y_N) != n_examples or y_N.dtype.kind not in "biufU":
        message = f"{name} is {y.dtype} of shape {y.shape}, for {n_examples} examples"
        hint = "a target is one number, truth value or text for each example"
        raise DataError(message, hint=hint, parameter=parameter)
    if y_N.dtype.kind == "U":
        return y_N.astype(object)
    return y_N.copy() if y_N.dtype == bool else y_N.astype(np.float64)


def _shaped(x: NDArray[Any], inputs: InputsKnob) -> NDArray[Any] | None:
    match inputs, x.ndim:
        case ("auto", 2) | ("features", 2) | ("sequence", 3) | ("auto" | "image", 4):
            return x
        case (("auto" | "image"), 3):
            return x[:, None]
        case "features", n_axes if n_axes > 2:
            return x.reshape(len(x), -1)
        case "sequence", 2:
            return x[:, :, None]
    return None
