"""The record as a sampler may see it."""

from __future__ import annotations

from collections.abc import Mapping

from tunecli.trial import Objective, Observation, State, Trial


def observations(trials: Mapping[int, Trial], last_seen: int, objective: Objective) -> list[Observation]:
    """The record as a sampler may see it: results of trials numbered above ``last_seen`` are pending to it."""
    seen = []
    for number in sorted(trials):
        trial = trials[number]
        if number > last_seen or trial.outcome is None:
            seen.append(Observation(number, trial.parameters, State.WAITING))
            continue
        score = trial.outcome.score if trial.state is not State.FAILED else None
        if score is None:
            seen.append(Observation(number, trial.parameters, trial.state))
            continue
        loss = objective.sign * score
        metrics = {**trial.outcome.metrics, objective.metric: score}
        losses = objective.losses(metrics) if objective.others else ()
        seen.append(
            Observation(number, trial.parameters, trial.state, loss, losses, objective.excesses(metrics))
        )
    return seen
