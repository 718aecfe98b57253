"""The problems of a trial that can be found without training it.

Owns the rules that need data and settings together (config/ checks each setting alone), one module a subject. A search
calls this for hundreds of candidates before it starts, so everything read from disk is cached below. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunecli.config.schema import TrialConfig
from tunecli.errors import DataError
from tunecli.objective import Objective
from tunecli.train.data.sources import facts_of
from tunecli.train.data.split_facts import split_facts
from tunecli.train.data.summary import target_note
from tunecli.train.validation import chains, metrics, settings
from tunecli.train.validation.case import Case, FactsUnknownError, Problem, Rule

__all__ = ["Problem", "trial_problems"]

RULES: tuple[Rule, ...] = (*settings.DATA_RULES, *chains.RULES, *settings.TRAINING_RULES, *metrics.RULES)


def trial_problems(
    config: TrialConfig, objective: Objective, base_path: Path, study_seed: int = 0
) -> list[Problem]:
    """Find everything wrong with a trial that can be known without training it.

    Args:
        config: the trial.
        objective: the goals and constraints.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split of the data.

    Returns:
        The problems. Data that cannot be read is the only one then, and data that cannot be split are the only ones:
        the other rules need their facts. For the user's own data, whose facts are unknown, only the problems that need
        no facts are found.
    """
    facts = split = None
    try:
        facts = facts_of(config.data, base_path)
        n_train = n_valid = None
        if facts is not None:
            split = split_facts(config.data, facts, base_path, study_seed)
            if split.problems:
                # If the target is not a class at all, each class has too few examples, and more data would not help.
                why = target_note(config.data, base_path)
                return [Problem(path, message, why or hint) for path, message, hint in split.problems]
            n_train, n_valid = (min(sizes) for sizes in zip(*split.sizes, strict=True))
    except DataError as error:
        why = target_note(config.data, base_path) if facts is not None else ""
        return [Problem(error.parameter, error.message, why or error.hint)]
    case = Case(config, facts, n_train, n_valid, objective, base_path, split)
    return [problem for rule in RULES for problem in _problems_of(rule, case)]


def _problems_of(rule: Rule, case: Case) -> Iterator[Problem]:
    try:
        yield from rule(case)
    except FactsUnknownError:
        return
