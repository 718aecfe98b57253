"""Notes on values that do not work together, and on trials in which nothing is wrong; found before a trial is spent.

A file is checked at every option and bound, one at a time. Here several values differ from the default point at once:
every pair of options and bounds up to a limit, and random points. A point that fails is reduced to the values that
make it fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice

from tunecli.config.concrete_trial import (
    concrete,
    parents_of,
    points_to_check,
    resolve_trial,
)
from tunecli.config.domains import Categorical, bounds
from tunecli.config.feasibility import is_feasible
from tunecli.config.labels import shown
from tunecli.config.refusals import Gist, trial_errors
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import names_in, redacted
from tunecli.config.space import Space, point_of_units, point_with, values_by_key
from tunecli.config.study import StudySpec
from tunecli.seeding import generator_for
from tunecli.train.validation import trial_problems
from tunecli.train.validation.notes import trial_notes
from tunecli.trial import Parameters, Scalar

_N_RANDOM = 100
_MAX_PAIRS = 200
_MAX_COMBINATIONS = 5
_Chosen = Mapping[str, Scalar]
"""Values by the parameters' keys; all others have their default or middle."""
_MAX_POINTS = 300


@dataclass(frozen=True, slots=True)
class Combination:
    """Values that do not work together.

    Attributes:
        values: names of parameters and their values.
        message: the error.
        share: the fraction of random trials that have these values.
        has_first: whether trial 0 has them.
    """

    values: tuple[tuple[str, Scalar], ...]
    message: str
    share: float
    has_first: bool

    def __str__(self) -> str:
        together = " and ".join(f"{name} {_number(value)}" for name, value in self.values)
        share = f" (about {self.share:.0%} of random trials)" if self.share >= 0.005 else ""
        first = ", and trial 0 has them" if self.has_first else ""
        return f"{together} do not work together{share}{first}: {self.message}"


def combinations_that_fail(spec: StudySpec, first: Parameters | None = None) -> tuple[Combination, ...]:
    """Combinations of values that fail, though each value alone works with the others at their defaults or middles.

    Args:
        spec: a loaded study.
        first: the point of trial 0; None: unknown.

    Returns:
        At most `_MAX_COMBINATIONS`, each with as few values as possible. There may be more.
    """
    space = spec.space
    if len(space.parameters) < 2:
        return ()
    random = [values_by_key(space, point) for point in _random_points(space, spec.settings.seed)]
    firsts = [] if first is None else [values_by_key(space, first)]
    reduced: dict[Gist, tuple[dict[str, Scalar], str]] = {}
    n_random: dict[Gist, int] = {}
    has_first: set[Gist] = set()
    for number, chosen in enumerate((*firsts, *random, *_pairs(space))):
        for gist, message in _errors(spec, chosen).items():
            if number < len(firsts):
                has_first.add(gist)
            elif number < len(firsts) + len(random):
                n_random[gist] = n_random.get(gist, 0) + 1
            if gist not in reduced and len(reduced) < _MAX_COMBINATIONS:
                reduced[gist] = (_reduced(spec, chosen, gist), message)
    names = {parameter.key: parameter.name for parameter in space.parameters}
    return tuple(
        Combination(
            tuple((names[key], value) for key, value in values.items()),
            message,
            n_random.get(gist, 0) / max(1, len(random)),
            gist in has_first,
        )
        for gist, (values, message) in reduced.items()
        if len(values) > 1
    )


def _random_points(space: Space, seed: int) -> Iterator[Parameters]:
    for number in range(_N_RANDOM):
        units = generator_for(seed, number, "combinations").random(len(space.parameters))
        yield point_of_units(space, units.tolist())


def _pairs(space: Space) -> Iterator[_Chosen]:
    """Pairs of parameters at each of their options and bounds, at most `_MAX_PAIRS`, pairs of choices first."""
    pairs = sorted(
        combinations(space.parameters, 2),
        key=lambda pair: sum(not isinstance(parameter.domain, Categorical) for parameter in pair),
    )
    points = (
        {**parents_of(one), **parents_of(other), one.key: value, other.key: beside}
        for one, other in pairs
        for value in bounds(one.domain)
        for beside in bounds(other.domain)
    )
    return islice(points, _MAX_PAIRS)


def _errors(spec: StudySpec, chosen: _Chosen) -> dict[Gist, str]:
    """The errors at a point, by gist; empty for a point that a search does not propose."""

    def find(trial: TrialConfig) -> Iterator[tuple[str, str]]:
        for problem in trial_problems(trial, spec.objective, spec.base_path, spec.settings.seed):
            yield problem.parameter, problem.message

    point = point_with(spec.space, chosen)
    return trial_errors(spec.space, point, find) if is_feasible(spec.space, point) else {}


def _reduced(spec: StudySpec, chosen: _Chosen, gist: Gist) -> dict[str, Scalar]:
    """As few values as still give that error, the others at their default or middle."""
    left = values_by_key(spec.space, point_with(spec.space, chosen))
    for key in reversed([*left]):
        fewer = {other: value for other, value in left.items() if other != key}
        if gist in _errors(spec, fewer):
            left = fewer
    return left


def _number(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)


def notes_of_trials(spec: StudySpec, first: Parameters | None) -> Iterator[str]:
    """Each note on the trials once, with the values for which it holds if they are not the defaults.

    Args:
        spec: a loaded study.
        first: the point of trial 0; None: unknown.

    Raises:
        DataError: the data cannot be read or split.
    """
    space, noted = spec.space, set[str]()
    default = point_with(space, {})
    for number, point in enumerate(islice(points_to_check(space), _MAX_POINTS)):
        trial = resolve_trial(space, point)
        if not isinstance(trial, TrialConfig):
            continue
        differing = [name for name in point if name not in default or point[name] != default[name]]
        where = " and ".join(f"{name} is {shown(point[name])}" for name in differing)
        names = names_in(concrete(space, point))
        for note in trial_notes(trial, spec.objective, spec.base_path, spec.settings.seed):
            if note.topic not in noted and (note.is_of_any or number == 0):
                noted.add(note.topic)
                yield redacted(f"if {where}: {note.text}" if where else note.text, names)
    yield from map(str, combinations_that_fail(spec, first))
