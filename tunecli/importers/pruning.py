"""Pruners of imported studies: the rungs of hyperband and its relatives, and where a full training ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunecli.importers.account import Field
from tunecli.importers.draft import Argument, Draft
from tunecli.importers.written import Line, written

_FACTORS = (2, 10)
_LENGTHS = (
    "epochs",
    "num_epochs",
    "n_epochs",
    "max_epochs",
    "num_train_epochs",
    "epoch",
    "trainer.max_epochs",
)


@dataclass(frozen=True, slots=True)
class Rungs:
    """The rungs of a pruner, in epochs.

    Attributes:
        source: the key that names the pruner.
        min_epochs, max_epochs: the first rung and the full training; None: the file does not say.
        factor: ratio of two rungs.
    """

    source: Field
    min_epochs: int | None
    max_epochs: int | None
    factor: float


def add_pausing_pruner(draft: Draft, name: str, rungs: Rungs) -> None:
    """Add a pruner that pauses trials at rungs. It needs the epochs of a full training.

    If neither the file nor a constant parameter such as `epochs` says how long a training is, the pruner is not
    written, because a wrong length would end trials too early; the account says which line to add.
    """
    max_epochs, origin = rungs.max_epochs, ""
    if max_epochs is None:
        length = _length(draft.arguments)
        if length is not None:
            max_epochs, origin = length.value, f"max_epochs is the parameter {length.name}"
    factor = round(min(max(rungs.factor, _FACTORS[0]), _FACTORS[1]))
    knob: dict[str, Any] = {"name": name}
    if rungs.min_epochs is not None:
        knob["min_epochs"] = rungs.min_epochs if max_epochs is None else min(rungs.min_epochs, max_epochs)
    notes = [origin] if origin else []
    if factor != rungs.factor:
        notes.append(f"the factor {rungs.factor:g} becomes {factor}")
    knob["factor"] = factor
    if max_epochs is None:
        line = f"{written(knob)[:-1]}, max_epochs: N}}"
        draft.account.fill_in(
            "search.pruner",
            f"add `pruner: {line}` under search, with the number of epochs of a full training for N",
            rungs.source.mark,
        )
        return
    notes.append("a promoted trial starts its program again, which finds its files in {checkpoint_dir}")
    knob["max_epochs"] = max_epochs
    draft.search["pruner"] = Line(knob)
    draft.account.carried(rungs.source, f"search.pruner: {written(knob)}", "; ".join(notes))


def _length(arguments: list[Argument]) -> Argument | None:
    """The constant parameter that says how many epochs a training has."""
    for argument in arguments:
        if (
            argument.name.lower().replace("-", "_") in _LENGTHS
            and type(argument.value) is int
            and argument.value > 0
        ):
            return argument
    return None
