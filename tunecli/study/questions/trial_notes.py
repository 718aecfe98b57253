"""What is noted of a study's trials in which nothing is wrong, and of values that do not work together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tunecli.config.concrete_trial import concrete, points_to_check, resolve_trial
from tunecli.config.labels import shown
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import names_in, redacted
from tunecli.config.space import point_with
from tunecli.config.study import StudySpec
from tunecli.study.questions.combinations import combinations_that_fail
from tunecli.train.validation.notes import trial_notes
from tunecli.trial import Parameters

_MAX_POINTS = 300


def notes_of_trials(spec: StudySpec, first: Parameters | None) -> Iterator[str]:
    """Each note once, and at which values it holds if not with the usual ones.

    Args:
        spec: a loaded study.
        first: the point of trial 0, where it is known.

    Raises:
        DataError: the data cannot be read or split.
    """
    space, told = spec.space, set[str]()
    usual = point_with(space, {})
    for number, point in enumerate(islice(points_to_check(space), _MAX_POINTS)):
        trial = resolve_trial(space, point)
        if not isinstance(trial, TrialConfig):
            continue
        differing = [name for name in point if name not in usual or point[name] != usual[name]]
        where = " and ".join(f"{name} is {shown(point[name])}" for name in differing)
        names = names_in(concrete(space, point))
        for note in trial_notes(trial, spec.objective, spec.base_path):
            if note.topic not in told and (note.is_of_any or number == 0):
                told.add(note.topic)
                yield redacted(f"where {where}: {note.text}" if where else note.text, names)
    yield from map(str, combinations_that_fail(spec, first))
