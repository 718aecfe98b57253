"""What is wrong with a trial, as far as it can be known without training.

Owns the rules that need data and knobs together (the spec checks each knob alone), one file per family. Called
for hundreds of candidates before a sweep, so everything read from disk is cached below. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunecli.config.schema import TrialConfig
from tunecli.errors import DataError
from tunecli.objective import Objective
from tunecli.train.data.sources import facts_of
from tunecli.train.data.summary import target_note
from tunecli.train.validation import chains, data, loss, model, training, weights
from tunecli.train.validation.case import Case, Complaint, FactsUnknownError, Rule
from tunecli.train.workload import sizes_of_parts

__all__ = ["Complaint", "complaints"]

RULES: tuple[Rule, ...] = (
    *loss.RULES,
    *model.RULES,
    *data.RULES,
    *chains.RULES,
    *weights.RULES,
    *training.RULES,
)


def complaints(config: TrialConfig, objective: Objective, base_path: Path) -> list[Complaint]:
    """Everything wrong with a trial that can be known without training it.

    Args:
        config: the trial.
        objective: what is optimised.
        base_path: the folder that relative file names start from.

    Returns:
        The complaints, empty where there are none. Data that cannot be read is the only one then: the
        other rules need its facts. Of the user's own data nothing is known, and only what needs no facts is told.
    """
    facts = None
    try:
        facts = facts_of(config.data, base_path)
        n_train = n_valid = None
        if facts is not None:
            parts = sizes_of_parts(config.data, facts, base_path)
            n_train, n_valid = (min(sizes) for sizes in zip(*parts, strict=True))
    except DataError as error:
        # A target that is no class at all leaves too few examples of each: more data would not mend that.
        why = target_note(config.data, base_path) if facts is not None else ""
        return [Complaint(error.parameter, error.message, why or error.hint)]
    case = Case(config, facts, n_train, n_valid, objective, base_path)
    return [complaint for rule in RULES for complaint in _told(rule, case)]


def _told(rule: Rule, case: Case) -> Iterator[Complaint]:
    try:
        yield from rule(case)
    except FactsUnknownError:
        return
