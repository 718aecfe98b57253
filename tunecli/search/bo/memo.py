"""A memo of the last few results of pure functions of arrays.

Suggestions that are made one after the other share a model while no further result is read. The memo saves its
computation and changes no result: the key has the content of every argument, so the function would return the kept
result again. So a resumed process, whose memo is empty, makes the same suggestions (record-is-the-state).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

_T = TypeVar("_T")


class Memo(Generic[_T]):
    """The results of the last calls; the callers must not change the arrays in them."""

    def __init__(self, n_kept: int) -> None:
        """Begin without a result.

        Args:
            n_kept: how many results to keep; the one that was used least recently goes first.
        """
        self._n_kept, self._results = n_kept, OrderedDict[bytes, _T]()

    def get(self, key: bytes, make: Callable[[], _T]) -> _T:
        """Return the result of ``make``, or the one that an earlier call with the same key returned."""
        if key in self._results:
            self._results.move_to_end(key)
            return self._results[key]
        result = self._results[key] = make()
        while len(self._results) > self._n_kept:
            self._results.popitem(last=False)
        return result


def content_key(*parts: Any) -> bytes:
    """Return a digest of arrays and of values with a complete ``repr``; different contents differ."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(repr((part.shape, part.dtype.str)).encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.digest()
