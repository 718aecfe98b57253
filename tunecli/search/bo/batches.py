"""Read results in batches if many trials are pending, so that consecutive suggestions share one model.

With 1,000 pending trials a suggestion lacks the results of the latest 1,000 trials. It hardly differs if it lacks those
of 1,015: so up to 1/32 of the number of pending trials is added to them. All suggestions between two batches then fit
the same model to the same trials, and a memo fits it once (:mod:`tunecli.search.bo.memo`). The batch follows from the
history alone (record-is-the-state), so it is the same for any number of workers and in a resumed process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tunecli.search.bo.gaussian_process import MAX_EXACT_PENDING
from tunecli.search.bo.posterior import Streams
from tunecli.seeding import generator_for
from tunecli.trial import Observation, State

_PENDING_PER_RESULT = 32


def has_many_pending(history: Sequence[Observation]) -> bool:
    """Return whether so many trials are pending that suggestions share models."""
    return sum(trial.is_pending for trial in history) > MAX_EXACT_PENDING


def in_batches(history: Sequence[Observation]) -> Sequence[Observation]:
    """Return the history without the results after the last whole batch; all of it if few trials are pending.

    A trial whose result is left out is pending. A batch is a power of two, so that it stays the same while the number
    of pending trials changes a little.

    Args:
        history: every earlier trial, by number.
    """
    if not has_many_pending(history):
        return history
    with_result = [index for index, trial in enumerate(history) if not trial.is_pending]
    size = 1 << ((len(history) - len(with_result)) // _PENDING_PER_RESULT).bit_length() - 1
    shown = list(history)
    for index in with_result[len(with_result) // size * size :]:
        trial = history[index]
        shown[index] = Observation(trial.number, trial.parameters, State.WAITING)
    return shown


def streams_of(history: Sequence[Observation], number: int, seed: int) -> Streams:
    """Return the random generators of the model for trial ``number``, by name.

    With many pending trials they are named by the number of results, so that all suggestions of a batch share them.

    Args:
        history: what the model is made of, by number.
        number: the trial's number.
        seed: the study's seed.
    """
    if not has_many_pending(history):
        return partial(generator_for, seed, number)
    n_results = sum(not trial.is_pending for trial in history)
    return partial(generator_for, seed, "batch", n_results)
