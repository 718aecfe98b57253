"""A Gaussian process after the fantasies of many pending trials, at a bounded cost.

A fantasy is the process's own mean, so it moves no mean; it only removes uncertainty near its point. This module
computes by how much, in place of the whole process with all points, whose cost grows with the square and the cube of
their number:

- The *share* of the variance that remains is computed under the most likely kernel, and all kernels get it. Each kernel
  keeps its own mean and its own uncertainty by the observations.
- Of more than `_MAX_BASE` pending points in the base, those with the lowest means count: the search would choose its
  next points near them, and not near the others.
- The Cholesky factor grows by blocks. The *base*, all points up to a multiple of `_BLOCK`, is kept in a memo. The
  points after it are appended as one more block. So the factor is always computed in the same way, whether the memo has
  the base or not.

Axes: N observations, P pending points of a block, E all earlier points, M other points, F columns, S kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunecli.search.bo.gaussian_process import GaussianProcess, inverse_cholesky
from tunecli.search.bo.kernel import (
    MEAN_VARIANCE,
    Floats,
    covariance,
    noise_variance,
    signal_variance,
    squared_distances,
)
from tunecli.search.bo.memo import Memo, content_key

_BLOCK = 32
_MAX_BASE = 512
_MIN_SHARE = 1e-6  # of the variance: the rest is rounding


@dataclass(frozen=True)
class Block:
    """Points whose values are taken as known, as one block of a Cholesky factor.

    Attributes:
        rows_PF: the points.
        white_PE: their covariances with all earlier points, in coordinates in which those are independent.
        inverse_PP: the inverse of the Cholesky factor of their covariance given all earlier points.
    """

    rows_PF: Floats
    white_PE: Floats
    inverse_PP: Floats


@dataclass(frozen=True)
class PendingProcess:
    """A process after the fantasies of pending trials.

    Attributes:
        process: the process after the observations.
        blocks: the pending points.
    """

    process: GaussianProcess
    blocks: tuple[Block, ...]

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        """Return the mean and deviation of the noise-free function at ``rows_MF``, each (S, M)."""
        mean_SM, deviation_SM = self.process.predict(rows_MF)
        return mean_SM, deviation_SM * np.sqrt(self.remaining_share(rows_MF))

    def mean(self, rows_MF: Floats) -> Floats:
        """Return the mean alone, (S, M), which the fantasies do not move."""
        n_base = len(rows_MF) - len(rows_MF) % _BLOCK
        base_MF = rows_MF[:n_base]
        base_SM = _MEANS.get(_key_of(self.process, base_MF), lambda: self.process.mean(base_MF))
        return np.hstack([base_SM, self.process.mean(rows_MF[n_base:])])

    def remaining_share(self, rows_MF: Floats) -> Floats:
        """Return the share of each point's variance that remains under the most likely kernel, (M,), in (0, 1]."""
        white_ME = _white(self.process, self.blocks, rows_MF)
        n_observed = len(self.process.rows_NF)
        squares_ME = np.square(white_ME)
        kernel_H = self.process.kernels_SH[0]
        before_M = signal_variance(kernel_H) + MEAN_VARIANCE - squares_ME[:, :n_observed].sum(axis=1)
        after_M = before_M - squares_ME[:, n_observed:].sum(axis=1)
        share_M: Floats = np.clip(after_M / np.maximum(before_M, 1e-12), _MIN_SHARE, 1.0)
        return share_M

    def fantasize(self, rows_PF: Floats) -> PendingProcess:
        """Return the process after the fantasies of further pending trials."""
        return PendingProcess(self.process, with_block(self.process, self.blocks, rows_PF))


_BASES: Memo[Block] = Memo(4)
_MEANS: Memo[Floats] = Memo(8)


def believing(process: GaussianProcess, rows_PF: Floats) -> PendingProcess:
    """Return the process after the fantasies of many pending trials.

    Args:
        process: the process after the observations.
        rows_PF: the pending trials, by number; the later ones are appended to a base that consecutive suggestions
            share.
    """
    n_base = len(rows_PF) - len(rows_PF) % _BLOCK
    base_PF = rows_PF[:n_base]

    def make() -> Block:
        (block,) = with_block(process, (), _that_matter(process, base_PF))
        return block

    base = _BASES.get(_key_of(process, base_PF), make)
    return PendingProcess(process, with_block(process, (base,), rows_PF[n_base:]))


def with_block(process: GaussianProcess, blocks: Sequence[Block], rows_PF: Floats) -> tuple[Block, ...]:
    """Return the blocks with one more of ``rows_PF``; the same blocks if there is no row."""
    if not len(rows_PF):
        return tuple(blocks)
    kernel_H = process.kernels_SH[0]
    white_PE = _white(process, blocks, rows_PF)
    total_PP = covariance(kernel_H, squared_distances(rows_PF, rows_PF, process.groups_F)) + MEAN_VARIANCE
    total_PP -= white_PE @ white_PE.T
    total_PP[np.diag_indices(len(rows_PF))] += noise_variance(kernel_H)
    return (*blocks, Block(rows_PF, white_PE, inverse_cholesky(total_PP)))


def _white(process: GaussianProcess, blocks: Sequence[Block], rows_MF: Floats) -> Floats:
    """Return the covariances of rows with the observations and all blocks, in independent coordinates, (M, E).

    The sum of their squares is the variance that knowing all these values removes: Rasmussen, Williams (2006),
    equation 2.26, with the block form of the Cholesky factor.
    """
    known_EF = np.vstack([process.rows_NF, *(block.rows_PF for block in blocks)])
    kernel_H = process.kernels_SH[0]
    covariance_ME = (
        covariance(kernel_H, squared_distances(rows_MF, known_EF, process.groups_F)) + MEAN_VARIANCE
    )
    white_ME = np.empty_like(covariance_ME)
    end = len(process.rows_NF)
    white_ME[:, :end] = covariance_ME[:, :end] @ process.inverse_cholesky_SNN[0].T
    for block in blocks:
        begin, end = end, end + len(block.rows_PF)
        residual_MP = covariance_ME[:, begin:end] - white_ME[:, :begin] @ block.white_PE.T
        white_ME[:, begin:end] = residual_MP @ block.inverse_PP.T
    return white_ME


def _that_matter(process: GaussianProcess, rows_PF: Floats) -> Floats:
    """Return the rows with the lowest means, at most `_MAX_BASE`, in their order."""
    if len(rows_PF) <= _MAX_BASE:
        return rows_PF
    mean_P = process.mean(rows_PF).mean(axis=0)
    return rows_PF[np.sort(np.argsort(mean_P, kind="stable")[:_MAX_BASE])]


def _key_of(process: GaussianProcess, rows_MF: Floats) -> bytes:
    """Return a key of the process and the rows; the factor and the weights follow from the rest of the process."""
    return content_key(process.kernels_SH, process.groups_F, process.rows_NF, process.values_SN, rows_MF)
