"""Studies whose record a test writes by hand: any scores, states and curves, without training anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tunecli.config.load import parse_study
from tunecli.config.space import Space, point_of_units
from tunecli.config.study import StudySpec
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.search.draws import sobol_draws
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin
from tunecli.trial import Failure, FailureKind, Outcome, Parameters, State, Trial

STUDY = """\
study: written
objective: {metric: loss, direction: minimize}
trial: {python: 'own:train', params: {x: {uniform: [0, 1]}, rate: {loguniform: [1e-4, 1]}, kind: {choice: [a, b]}}}
search: {sampler: random, trials: 60}
"""
OWN = "def train(params, trial):\n    return params['x']\n"

Score = float | str | None


def spec_in(folder: Path, text: str = STUDY) -> StudySpec:
    """The study of a file in ``folder``, which gets the module `own`."""
    (folder / "own.py").write_text(OWN)
    (folder / "study.yaml").write_text(text)
    return parse_study(text.encode(), str(folder / "study.yaml"), (), folder)


def points(space: Space, n: int) -> list[Parameters]:
    """The first points of the Sobol sequence, the middle of the space first."""
    drawn = (next(iter(sobol_draws(space, number, 0))) for number in range(max(n - 1, 0)))
    return [point_of_units(space, [0.5] * len(space.parameters)), *drawn][:n]


def recorded_study(
    folder: Path,
    scores: Iterable[Score],
    text: str = STUDY,
    *,
    n_epochs: int = 3,
    metrics: Callable[[int, float], Mapping[str, float]] = lambda epoch, score: {},
) -> RunFolder:
    """Write the record of a study into ``folder/run``.

    Args:
        folder: gets the study's file and its own code.
        scores: of each trial: a score of a complete trial; None: it waits; `running`; or the cause of its failure.
        text: the study's file.
        n_epochs: of each trial that began.
        metrics: further metrics of an epoch, by its number and the trial's score.
    """
    spec, listed = spec_in(folder, text), list(scores)
    with begin(spec, folder / "run") as study, study.log.atomic():
        metric = spec.objective.metric
        session = study.log.append_session({"tunecli": "0.1.0"})
        for number, (score, point) in enumerate(zip(listed, points(spec.space, len(listed)), strict=True)):
            study.log.append_suggestion(Trial(number, point, 1000 + number))
            if score is None:
                continue
            study.log.append_start(Started(number, 1, "cpu", 4711), session)
            value = score if isinstance(score, float) else math.nan
            of_epoch = [{metric: value, **metrics(epoch, value)} for epoch in range(1, n_epochs + 1)]
            study.log.append_epochs(
                [
                    EpochEnded(number, 1, n, n_epochs, of_one, 0.25)
                    for n, of_one in enumerate(of_epoch, start=1)
                ]
            )
            if isinstance(score, float):
                outcome = Outcome(State.COMPLETE, score, of_epoch[-1], n_epochs, n_epochs, 1.5, "cpu")
                study.log.append_result(Ended(number, 1, outcome))
            elif score != "running":
                failure = Failure(FailureKind.ERROR, score)
                study.log.append_result(Ended(number, 1, Outcome(State.FAILED, seconds=1.0, failure=failure)))
        study.log.set_fact("elapsed_s", 90.0)
    return RunFolder.open_existing(folder / "run")
