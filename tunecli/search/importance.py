"""The importance of each parameter by the model of the scores, and how far it can be trusted.

Shares and R² are computed on the metric's own scale, not on the warped one, where the model is fitted: the shares are
then nearer to the true ones, and R² is a stricter gate. A pure function of the record (record-is-the-state).

`tunecli.results.importance` is another thing: it orders the columns of a table by rank statistics, without a model.

Axes: N trials of the model, D parameters of the space, M points, S kernels, K values of a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tunecli.config.axes import distinct_names, varying_parameters
from tunecli.config.domains import Categorical
from tunecli.config.space import Parameter, Space
from tunecli.effects import EdgeVotes, Effects, ParameterEffect, ProfilePoint, Reliability, Share
from tunecli.search.bo.posterior import can_fit, deterministic_blas
from tunecli.search.bo.training_subset import finite_loss
from tunecli.search.prediction import expected_improvement, predict_trials
from tunecli.search.profiles import Profile, Profiler
from tunecli.search.reliability import (
    is_ranking_agreed,
    n_active_needed,
    n_needed,
    r_squared,
    reliability,
)
from tunecli.search.samplers.bayes import n_initial_without_priors
from tunecli.search.score_model import ScoreModel, fit_score_model
from tunecli.search.sobol_shares import MAX_COORDINATES, total_shares
from tunecli.trial import Observation

Floats = NDArray[np.float64]

MAX_PARAMETERS = 64
"""With more parameters that vary there is no model: its cost grows with the square of their number."""
MAX_PROFILES = 24
"""The parameters with the largest shares have profiles."""
MAX_PREDICTED = 512
"""The trials with the lowest losses have predictions: the best predicted one is among them."""
_N_TREES = 64
_OUTER, _INNER = 0.1, (0.15, 0.85)
_VOTE_NOISE = 0.5


def effects_of(
    space: Space,
    history: Sequence[Observation],
    seed: int,
    *,
    sign: float = 1.0,
    noise_floor: float | None = None,
    with_improvement: bool = False,
    with_predictions: bool = True,
) -> Effects:
    """Return what the model says of the parameters that vary, in the metric's unit.

    It takes about a second for 100 trials of 15 parameters. With fewer trials than `n_needed`, the parameters are left
    out. Nothing in the result is NaN or infinite.

    Args:
        space: the space of the trials.
        history: every trial, by number. Of several goals the first counts. Of a long record, the model is fitted to the
            training subset of `bayes`.
        seed: the study's seed.
        sign: of the objective: 1 if a lower score is better, -1 if a higher one is.
        noise_floor: the deviation of one score that is known from repetitions, in the metric's unit; None: unknown.
            The model's estimate is raised to it.
        with_improvement: whether the next trial's expected improvement is computed.
        with_predictions: whether the best trials are predicted.
    """
    history = [
        replace(trial, losses=()) if trial.losses else trial for trial in history if not trial.is_pending
    ]
    varying = varying_parameters(space)
    n_scored = sum(finite_loss(trial) is not None for trial in history)
    n_missing = max(0, n_needed(len(varying)) - n_scored)
    reason = _reason_against(space, history, n_scored, len(varying))
    if reason:
        return Effects(Reliability.UNKNOWN, n_trials=n_scored, n_missing=n_missing, reason=reason)
    with deterministic_blas():
        model = fit_score_model(space, history, seed)
        if model is None:
            return Effects(
                Reliability.UNKNOWN, n_trials=n_scored, n_missing=n_missing, reason="all scores are equal"
            )
        values_N = model.losses(model.process.values_SN[0])
        r2 = r_squared(values_N, model.losses(model.process.leave_one_out()[0].mean(axis=0)))
        noise = max(model.noise(), noise_floor or 0.0)
        parameters: tuple[ParameterEffect, ...] = ()
        is_agreed = False
        if not n_missing:
            parameters, is_agreed = _parameter_effects(model, varying, sign, noise)
    trust = reliability(r2, n_scored, len(varying), is_agreed=is_agreed)
    if trust is Reliability.UNKNOWN and not n_missing:
        n_missing = n_needed(len(varying))
    improvement = expected_improvement(space, history, len(history), seed) if with_improvement else None
    return Effects(
        trust,
        r2=r2,
        n_trials=len(values_N),
        n_missing=n_missing,
        noise=noise,
        parameters=parameters,
        predicted=_predicted(space, history, seed, sign) if with_predictions else {},
        expected_improvement=improvement,
    )


def why_too_few(n_scored: int) -> str:
    """Return why no model is fitted to so few trials with a score, as a clause."""
    if not n_scored:
        return "no trial has a score"
    return (
        "only 1 trial has a score"
        if n_scored == 1
        else f"only {n_scored} trials have a score, pruned ones included"
    )


def _reason_against(space: Space, history: Sequence[Observation], n_scored: int, n_varying: int) -> str:
    """Return why no model is fitted; empty: one can be."""
    if not n_varying:
        return "no parameter varies"
    if n_varying > MAX_PARAMETERS:
        return f"the model takes up to {MAX_PARAMETERS} parameters, and {n_varying:,} vary"
    if len(space.parameters) > MAX_COORDINATES:
        return f"the model takes up to {MAX_COORDINATES:,} parameters, and the space has {len(space.parameters):,}"
    if n_scored < n_initial_without_priors(space):
        return why_too_few(n_scored)
    return "" if can_fit(space, history) else "all scores are equal"


def _parameter_effects(
    model: ScoreModel, varying: Sequence[Parameter], sign: float, noise: float
) -> tuple[tuple[ParameterEffect, ...], bool]:
    """Return the effects, and whether kernels and forest agree on the ranking of the known parameters."""
    shares_SD, better_SD, forest_D = _shares(model, varying)
    n_active_D = model.n_active(varying)
    is_known_D = n_active_D >= n_active_needed(len(model.data.units_ND))
    profiles = _profiles(model, varying, shares_SD.mean(axis=0))
    effects = tuple(
        ParameterEffect(
            name,
            int(n_active_D[place]),
            bool(is_known_D[place]),
            _share(shares_SD[:, place]),
            _share(better_SD[:, place]),
            float(forest_D[place]),
            *_profile_and_votes(model, parameter, profiles.get(place), sign, noise),
        )
        for place, (name, parameter) in enumerate(zip(_names(model.space, varying), varying, strict=True))
    )
    return effects, is_ranking_agreed(shares_SD[:, is_known_D], forest_D[is_known_D])


def _names(space: Space, varying: Sequence[Parameter]) -> list[str]:
    names = distinct_names(space)
    return [names[parameter.key] for parameter in varying]


def _shares(model: ScoreModel, varying: Sequence[Parameter]) -> tuple[Floats, Floats, Floats]:
    """Return the shares, those of the better half, each (S, D), and a random forest's, (D,).

    The forest is that of Breiman (2001), "Random Forests".
    """
    from sklearn.ensemble import RandomForestRegressor

    moved, n_coordinates = model.indices(varying), len(model.space.parameters)
    random_state = int(model.generator("forest").integers(2**31))
    forest = RandomForestRegressor(n_estimators=_N_TREES, random_state=random_state, n_jobs=1)
    forest.fit(model.data.rows_NF, model.data.warping.values_N)

    def of_process(units_MD: Floats) -> Floats:
        return model.losses(model.process.mean(model.snapped_rows(units_MD)))

    def of_forest(units_MD: Floats) -> Floats:
        return model.losses(np.asarray(forest.predict(model.snapped_rows(units_MD)))[None])

    # The same stream twice: both functions are examined at the same points.
    shares_SD, better_SD = total_shares(of_process, n_coordinates, moved, model.generator("shares"))
    (forest_D,), _ = total_shares(of_forest, n_coordinates, moved, model.generator("shares"))
    return shares_SD, better_SD, np.asarray(forest_D)


def _profiles(model: ScoreModel, varying: Sequence[Parameter], share_D: Floats) -> dict[int, Profile]:
    """Return the profiles of the parameters with the largest shares, by their places among those that vary."""
    profiler = Profiler(
        model.space,
        model.data.encoding,
        partial(model.expected, model.process.most_likely),
        partial(model.expected, model.process),
        model.data.best_ND,
        model.generator("profiles"),
    )
    moved = model.indices(varying)
    chosen = sorted(np.argsort(-share_D, kind="stable")[:MAX_PROFILES].tolist())
    return {place: profiler.profile(moved[place]) for place in chosen}


def _profile_and_votes(
    model: ScoreModel, parameter: Parameter, profile: Profile | None, sign: float, noise: float
) -> tuple[tuple[ProfilePoint, ...], EdgeVotes | None]:
    if profile is None:
        return (), None
    is_numeric = not isinstance(parameter.domain, Categorical)
    return _points(model, profile, sign), _votes(model, profile, noise) if is_numeric else None


def _share(share_S: Floats) -> Share:
    low, high = np.quantile(share_S, [0.05, 0.95])
    return Share(float(share_S.mean()), float(low), float(high))


def _points(model: ScoreModel, profile: Profile, sign: float) -> tuple[ProfilePoint, ...]:
    """Return the profile in the metric's unit; the mixture of the kernels is approximated by a normal."""
    if not len(profile.positions_K):
        return ()
    mean_SK, deviation_SK = model.process.predict(model.rows(profile.units_KD))
    mean_K = mean_SK.mean(axis=0)
    deviation_K = np.sqrt(np.square(deviation_SK).mean(axis=0) + mean_SK.var(axis=0))
    low_K, loss_K, high_K = model.losses(mean_K + np.array([[-1.0], [0.0], [1.0]]) * deviation_K)
    rows = zip(profile.positions_K, sign * loss_K, high_K / 2 - low_K / 2, strict=True)
    return tuple(ProfilePoint(float(position), float(score), float(half)) for position, score, half in rows)


def _votes(model: ScoreModel, profile: Profile, noise: float) -> EdgeVotes:
    """Return how many kernels expect the best loss in the outer tenth, by more than half the noise."""
    losses_SK, positions_K = model.losses(profile.least_SK), profile.positions_K
    n_kernels = len(losses_SK)
    is_inner_K = (positions_K >= _INNER[0]) & (positions_K <= _INNER[1])
    votes = []
    for is_outer_K in (positions_K <= _OUTER, positions_K >= 1 - _OUTER):
        if not (is_inner_K.any() and is_outer_K.any()):
            votes.append(0)
            continue
        gain_S = losses_SK[:, is_inner_K].min(axis=1) - losses_SK[:, is_outer_K].min(axis=1)
        votes.append(int((gain_S > _VOTE_NOISE * noise).sum()))
    return EdgeVotes(votes[0], votes[1], n_kernels)


def _predicted(
    space: Space, history: Sequence[Observation], seed: int, sign: float
) -> Mapping[int, tuple[float, float]]:
    predictions = predict_trials(space, history, seed, n_most=MAX_PREDICTED)
    return {number: (sign * each.loss, each.deviation) for number, each in predictions.items()}
