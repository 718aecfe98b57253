"""Combinations of choices that tunecli refuses by its own rules, such as class weights of two kinds.

A search leaves such combinations out. A combination has two or more options of different choices, and each option
works with some option of every other choice. An option that never works, or a wrong bound of a range, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunecli.config.concrete_trial import concrete, parents_of, trial_models
from tunecli.config.constraints import Combination
from tunecli.config.domains import Categorical, bounds
from tunecli.config.error_messages import problems_of
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import TrialConfig, trial_model, trial_of
from tunecli.config.secrets import names_in, redacted, resolved
from tunecli.config.space import Parameter, Space, point_with, values_by_key
from tunecli.errors import UsageError
from tunecli.trial import Parameters, Scalar

Gist = tuple[str, str]
"""A parameter's path under ``trial``, and an error's message without its numbers."""
Find = Callable[[TrialConfig], Iterable[tuple[str, str]]]
"""A trial → its problems that only the data shows: (path under ``trial``, message)."""
_Chosen = Mapping[str, Scalar]
"""Values by the parameters' keys; all others have their default or middle."""
_MAX_PAIRS = 200
_MAX_TRIALS = 1500  # that are checked for combinations
_MAX_COMBINATIONS = 50


def trial_errors(space: Space, point: Parameters, find: Find) -> dict[Gist, str]:
    """The errors of the trial at a point, with secrets redacted; empty for the user's own code."""
    try:
        plain = concrete(space, point)
    except DanglingReferenceError as error:
        return {("", _without_numbers(error.message)): error.message}
    names = [*names_in(plain)]
    errors: list[tuple[str, str]] = []
    try:
        trial = trial_of(resolved(plain))
    except UsageError:
        return {}
    except ValidationError as error:
        for problem in problems_of(error, trial_model(plain), space, point, "trial"):
            errors.append((problem.parameter.removeprefix("trial."), problem.message))
    else:
        errors += find(trial) if isinstance(trial, TrialConfig) else ()
    return {
        (path, _without_numbers(message)): redacted(f"{path}: {message}" if path else message, names)
        for path, message in errors
    }


def _without_numbers(message: str) -> str:
    return re.sub(r"\d[\d.,e+-]*", "n", message)


def refused_combinations(
    space: Space, inspect: Callable[[TrialConfig, Any, Path], Iterable[Any]], objective: Any, base_path: Path
) -> tuple[Combination, ...]:
    """The combinations of choices that are refused, found among single options and pairs of options.

    Args:
        space: the space of the trials.
        inspect: finds the problems that only the data shows; see :mod:`tunecli.config.checks`.
        objective: the goals and constraints.
        base_path: the folder that relative file names start from.
    """
    choices = tuple(p for p in space.parameters if _is_choice(p))
    if len(choices) < 2 or TrialConfig not in trial_models(space.tree):
        return ()

    def find(trial: TrialConfig) -> Iterator[tuple[str, str]]:
        for path, message, _ in inspect(trial, objective, base_path):
            yield path, message

    return tuple(_Refusals(space, choices, find).found())


def _is_choice(parameter: Parameter) -> bool:
    return isinstance(parameter.domain, Categorical) and not parameter.name.endswith(".length")


@dataclass
class _Refusals:
    """The search for combinations: the points that were checked, and the errors that need no further look."""

    space: Space
    choices: tuple[Parameter, ...]
    find: Find
    n_checked: int = 0
    explained: list[tuple[Gist, _Chosen]] = field(default_factory=list)
    known: dict[str, dict[Gist, str]] = field(default_factory=dict)

    def found(self) -> Iterator[Combination]:
        n_found = 0
        for chosen in self._to_check():
            for gist, message in self._errors(chosen).items():
                options = self._options(chosen)
                if not gist[0] or any(
                    gist == other and least.items() <= options.items() for other, least in self.explained
                ):
                    continue
                least = self._least(options, gist)
                self.explained.append((gist, least))
                if len(least) > 1 and self._is_of_choices_alone(least, gist):
                    yield self._combination(least, message)
                    n_found += 1
                if n_found >= _MAX_COMBINATIONS or self.n_checked > _MAX_TRIALS:
                    return

    def _to_check(self) -> Iterator[_Chosen]:
        yield {}
        for choice in self.choices:
            for value in bounds(choice.domain):
                yield {**parents_of(choice), choice.key: value}
        pairs = (
            {**parents_of(one), **parents_of(other), one.key: value, other.key: beside}
            for one, other in combinations(self.choices, 2)
            for value in bounds(one.domain)
            for beside in bounds(other.domain)
        )
        yield from islice(pairs, _MAX_PAIRS)

    def _errors(self, chosen: _Chosen) -> dict[Gist, str]:
        point = point_with(self.space, chosen)
        key = repr(point)
        if key not in self.known:
            self.n_checked += 1
            self.known[key] = trial_errors(self.space, point, self.find)
        return self.known[key]

    def _options(self, chosen: _Chosen) -> dict[str, Scalar]:
        """The options of all active choices, by key."""
        values = values_by_key(self.space, point_with(self.space, chosen))
        return {choice.key: values[choice.key] for choice in self.choices if choice.key in values}

    def _least(self, options: dict[str, Scalar], gist: Gist) -> dict[str, Scalar]:
        """The options that cause an error: another option of their choice lifts it. Parents of them are left out."""
        causes = dict(options)
        for choice in self.choices:
            if choice.key in causes:
                others = (value for value in bounds(choice.domain) if value != options[choice.key])
                if all(gist in self._errors({**options, choice.key: other}) for other in others):
                    del causes[choice.key]
        parents = {
            condition.key
            for choice in self.choices
            if choice.key in causes
            for condition in choice.conditions
        }
        return {key: value for key, value in causes.items() if key not in parents}

    def _is_of_choices_alone(self, least: dict[str, Scalar], gist: Gist) -> bool:
        """Whether no bound of a range lifts an error."""
        chosen = self._with_parents(least)
        values = values_by_key(self.space, point_with(self.space, chosen))
        ranges = [p for p in self.space.parameters if p.key in values and not _is_choice(p)]
        return gist in self._errors(chosen) and all(
            gist in self._errors({**chosen, parameter.key: bound})
            for parameter in ranges
            for bound in bounds(parameter.domain)
        )

    def _with_parents(self, least: dict[str, Scalar]) -> dict[str, Scalar]:
        chosen: dict[str, Scalar] = {}
        for choice in self.choices:
            if choice.key in least:
                chosen = {**parents_of(choice), **chosen}
        return {**chosen, **least}

    def _combination(self, least: dict[str, Scalar], message: str) -> Combination:
        """The combination; a name that several branches have gets the options of its parents as well."""
        names = {parameter.key: parameter.name for parameter in self.space.parameters}
        is_unique = len({*names.values()}) == len(names)
        chosen = least if is_unique else self._with_parents(least)
        return Combination(tuple((names[key], (value,)) for key, value in chosen.items()), message)
