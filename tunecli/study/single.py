"""One concrete file, one training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.errors import UsageError
from tunecli.spec.study import StudySpec
from tunecli.study.inquiry import run_here
from tunecli.study.record import job_for, plan_for, trial_seed
from tunecli.trial import Outcome, Trial


@dataclass(frozen=True, slots=True)
class Trained:
    """What `train` shows: which file, and how it ended."""

    study: str
    metric: str
    seed: int
    outcome: Outcome


def train(spec: StudySpec, weights_path: Path | None) -> Trained:
    """Train the one trial that a file without ranges is.

    Args:
        spec: a loaded study whose space has no parameter.
        weights_path: where to write the weights; None: nowhere.

    Raises:
        UsageError: the file holds ranges.
    """
    if spec.space.parameters:
        names = ", ".join(spec.space.names[:4]) + (", …" if len(spec.space.names) > 4 else "")
        raise UsageError(
            f"this file holds ranges ({names}), and `train` runs one concrete trial",
            hint="`tunecli search` tries them; `tunecli export` writes the best as a concrete file",
        )
    trial = Trial(0, {}, trial_seed(spec, 0, {}))
    job = job_for(spec, plan_for(spec), trial, weights_path=weights_path)
    return Trained(spec.settings.study, spec.objective.metric, trial.seed, run_here(job).outcome)
