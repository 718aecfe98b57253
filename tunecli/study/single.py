"""One concrete file, one training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.errors import UsageError
from tunecli.seeding import seed_for
from tunecli.spec.space import concrete
from tunecli.spec.study import StudySpec
from tunecli.study.inquiry import run_here
from tunecli.trial import Job, Outcome


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
    config = concrete(spec.space, {})
    fixed_seed = config.get("seed")
    seed = seed_for(spec.settings.seed, 0, "trial") if fixed_seed is None else fixed_seed
    job = Job(
        number=0,
        attempt=1,
        config=config,
        objective=spec.objective,
        study_seed=spec.settings.seed,
        seed=seed,
        device=spec.settings.run.device,
        threads=spec.settings.run.threads,
        base_path=str(spec.base_path),
        weights_path=str(weights_path.absolute()) if weights_path else "",
    )
    return Trained(spec.settings.study, spec.objective.metric, seed, run_here(job).outcome)
